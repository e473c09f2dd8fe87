"""Files on any fsspec file system: atomic writes, reads, listings. Local disk is the common case.

Local files are written to a unique temporary name and renamed. On object stores an object appears
whole when it is closed, so it is put under its final (deterministic) name at once.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from typing import IO

import fsspec
import xxhash

from pipelines.contracts.errors import ResourceError

TEMPORARY = ".tmp-"
_BLOCK_BYTES = 4 << 20


def is_local(path: str) -> bool:
    """Say whether a path is on the local file system (no `scheme://`, or `file://`)."""
    return "://" not in path or path.startswith("file://")


def join(base: str, *names: str) -> str:
    """Join path segments with "/", for local paths and URLs alike."""
    return "/".join([base.rstrip("/"), *(n.strip("/") for n in names)])


def filesystem(path: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """Return the file system of a path and the path inside it."""
    return fsspec.core.url_to_fs(path)


def open_read(path: str) -> IO[bytes]:
    """Open a file for reading raw bytes."""
    if is_local(path):
        return open(path.removeprefix("file://"), "rb")
    fs, inner = filesystem(path)
    return fs.open(inner, "rb")


def read_bytes(path: str) -> bytes:
    """Read a whole file: on object stores by one request, so that a file which is being replaced is read whole."""
    if not is_local(path):
        fs, inner = filesystem(path)
        return fs.cat_file(inner)
    with open_read(path) as file:
        return file.read()


@contextlib.contextmanager
def atomic_write(path: str) -> Iterator[IO[bytes]]:
    """Write a file that is either whole or absent.

    Raises:
        ResourceError: if the disk is full; nothing half-written is left behind.
    """
    if not is_local(path):
        fs, inner = filesystem(path)
        with fs.open(inner, "wb") as file:
            yield file
        return
    local = path.removeprefix("file://")
    os.makedirs(os.path.dirname(local) or ".", exist_ok=True)
    folder, name = os.path.split(local)
    temporary = os.path.join(folder, f"{TEMPORARY}{name}.{uuid.uuid4().hex}")
    try:
        with open(temporary, "wb") as file:
            yield file
        os.replace(temporary, local)
    except OSError as error:
        if error.errno == 28:  # ENOSPC
            raise ResourceError(
                f"{path}: no space left on the device: nothing half-written was kept. "
                "Free some space and run the same command again; it resumes."
            ) from error
        raise
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def write_bytes(path: str, data: bytes) -> None:
    """Write a whole file atomically."""
    with atomic_write(path) as file:
        file.write(data)


def exists(path: str) -> bool:
    """Say whether a file or folder exists."""
    if is_local(path):
        return os.path.exists(path.removeprefix("file://"))
    fs, inner = filesystem(path)
    return fs.exists(inner)


def size_bytes(path: str) -> int:
    """Return the size of a file."""
    if is_local(path):
        return os.path.getsize(path.removeprefix("file://"))
    fs, inner = filesystem(path)
    return int(fs.size(inner))


def list_files(folder: str, suffix: str = "") -> list[str]:
    """List the files directly inside a folder (none if it does not exist), sorted by name."""
    if is_local(folder):
        local = folder.removeprefix("file://")
        names = os.listdir(local) if os.path.isdir(local) else []
        return [join(folder, n) for n in sorted(names) if n.endswith(suffix) and not n.startswith(TEMPORARY)]
    fs, inner = filesystem(folder)
    scheme = folder.split("://", 1)[0]
    found = fs.ls(inner, detail=False) if fs.exists(inner) else []
    return sorted(f"{scheme}://{name}" for name in found if name.endswith(suffix))


def glob(pattern: str) -> list[str]:
    """Expand a glob (`*`, `?`, `[...]`, `**`) to files, sorted by their UTF-8 bytes."""
    fs, inner = filesystem(pattern)
    scheme = "" if is_local(pattern) else pattern.split("://", 1)[0] + "://"
    names = [scheme + name for name in fs.glob(inner) if fs.isfile(name)]
    return sorted(names, key=lambda name: name.encode("utf-8", "surrogateescape"))


def remove_tree(path: str) -> None:
    """Remove a file or folder; it may be absent."""
    fs, inner = filesystem(path)
    if fs.exists(inner):
        fs.rm(inner, recursive=True)


def remove_temporaries(folder: str) -> None:
    """Sweep temporary files that a killed process left in a local folder tree."""
    if not is_local(folder):
        return
    for base, _, names in os.walk(folder.removeprefix("file://")):
        for name in names:
            if name.startswith(TEMPORARY):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(base, name))


def file_hash(path: str) -> str:
    """Hash a file's bytes (128-bit xxh3, 32 hex digits)."""
    digest = xxhash.xxh3_128()
    with open_read(path) as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def absolute_folder(path: str) -> str:
    """Return the absolute folder of a file (a URL's parent for object stores)."""
    return os.path.dirname(os.path.abspath(path)) if is_local(path) else path.rsplit("/", 1)[0]


def resolve(base: str, path: str) -> str:
    """Resolve a path against a folder; absolute paths and URLs stay as they are."""
    if not is_local(path) or os.path.isabs(path):
        return path
    return os.path.normpath(os.path.join(base, path)) if is_local(base) else join(base, path)
