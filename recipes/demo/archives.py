"""Read the files of a package without unpacking it: Debian packages, gzipped tar files and wheels."""

from __future__ import annotations

import io
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from recipes.demo.downloads import SourceUnavailable


def read_members(archive: Path, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """Contents of the regular files whose name is wanted, sorted by name (a leading `./` is cut off).

    Raises:
        SourceUnavailable: the archive is damaged or holds no wanted file.
    """
    kinds = {".deb": _deb_members, ".whl": _zip_members}
    try:
        members = dict(sorted(kinds.get(archive.suffix, _tar_members)(archive, wanted)))
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise SourceUnavailable(f"{archive.name}: cannot be read: {error}. Delete it to fetch it again.") from error
    if not members:
        raise SourceUnavailable(f"{archive.name}: holds none of the expected files")
    return members


def _tar_members(archive: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(archive, "r:*") as tar:
        yield from _wanted_files(tar, wanted)


def _deb_members(archive: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    # dpkg-deb knows every compression of Debian packages; Python 3.11 has no reader for zstandard.
    unpacked = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(archive)], capture_output=True, check=False)
    if unpacked.returncode:
        raise OSError(unpacked.stderr.decode(errors="replace").strip())
    with tarfile.open(fileobj=io.BytesIO(unpacked.stdout), mode="r:") as tar:
        yield from _wanted_files(tar, wanted)


def _wanted_files(tar: tarfile.TarFile, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    for member in tar:
        name = member.name.removeprefix("./")
        if member.isreg() and wanted(name):
            content = tar.extractfile(member)
            assert content is not None  # always there for a regular file
            yield name, content.read()


def _zip_members(archive: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(archive) as wheel:
        for name in wheel.namelist():
            if not name.endswith("/") and wanted(name):
                yield name, wheel.read(name)
