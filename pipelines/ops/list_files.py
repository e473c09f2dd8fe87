"""List files of the user: one entry per line, "#" starts a comment, blank lines do not count."""

from __future__ import annotations

import functools

from pipelines.contracts import storage
from pipelines.contracts.errors import ConfigError, message


@functools.cache
def read_list(path: str) -> tuple[str, ...]:
    """Read the entries of a list file, once per process.

    Raises:
        ConfigError: if it is absent, no UTF-8, or holds no entry.
    """
    if not storage.exists(path):
        raise ConfigError(message("lists", "no such file", path, "a file with one entry per line"))
    try:
        lines = storage.read_bytes(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ConfigError(message(path, "not UTF-8", f"{error.reason} at byte {error.start}", "UTF-8")) from error
    entries = tuple(entry for line in lines if (entry := line.partition("#")[0].strip()))
    if not entries:
        raise ConfigError(message(path, "an empty list would never match", "no entry", "at least one"))
    return entries


def list_mark(path: str) -> str:
    """Return what stands for a list file in fingerprints: the hash of its bytes, wherever it lies."""
    return storage.file_hash(path) if storage.exists(path) else "absent"
