"""Progress markers: how a task says that it is alive and which record it is at.

A marker is a small memory-mapped file, so that a note costs a microsecond and survives a SIGKILL of the
worker. On object stores a marker is put again every few seconds instead.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import time
from dataclasses import dataclass

from pipelines.contracts import storage
from pipelines.contracts.manifest import stage_folder

_SIZE = 4096
_HEADER = struct.Struct("<QQQQH")  # sequence, documents, bytes, offset, length of the path
_REMOTE_INTERVAL_S = 10.0


@dataclass(frozen=True)
class Marker:
    """What a marker says.

    Attributes:
        sequence: grows with every note; a marker that does not grow is a stalled task.
        documents: documents done.
        text_bytes: bytes done.
        path: file of the record that is being worked on ("" if none).
        offset: its offset.
    """

    sequence: int = 0
    documents: int = 0
    text_bytes: int = 0
    path: str = ""
    offset: int = 0


def marker_folder(workspace: str, stage: str) -> str:
    """Return the folder of the markers of a stage."""
    return storage.join(stage_folder(workspace, stage), "_progress")


class FileProgress:
    """Progress of one task, written to a local memory-mapped marker."""

    def __init__(self, folder: str, key: str) -> None:
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, key), "wb+") as file:
            file.truncate(_SIZE)
            self._map = mmap.mmap(file.fileno(), _SIZE)
        self._sequence = self._documents = self._bytes = self._offset = 0
        self._path = b""

    def beat(self, documents: int, text_bytes: int) -> None:
        """Add finished documents and bytes."""
        self._documents += documents
        self._bytes += text_bytes
        self._write()

    def at(self, path: str, offset: int) -> None:
        """Note the record that is about to be worked on."""
        self._path, self._offset = path.encode("utf-8", "surrogateescape")[: _SIZE - _HEADER.size], offset
        self._write()

    def _write(self) -> None:
        self._sequence += 1
        header = _HEADER.pack(self._sequence, self._documents, self._bytes, self._offset, len(self._path))
        self._map[: len(header) + len(self._path)] = header + self._path

    def close(self) -> None:
        """Unmap the marker."""
        self._map.close()


class RemoteProgress:
    """Progress of one task on a store without memory maps: put at most every few seconds."""

    def __init__(self, folder: str, key: str) -> None:
        self._file = storage.join(folder, key)
        self._marker = {"sequence": 0, "documents": 0, "text_bytes": 0, "path": "", "offset": 0}
        self._written = 0.0

    def beat(self, documents: int, text_bytes: int) -> None:
        """Add finished documents and bytes."""
        self._marker["documents"] += documents
        self._marker["text_bytes"] += text_bytes
        self._write()

    def at(self, path: str, offset: int) -> None:
        """Note the record that is about to be worked on."""
        self._marker.update(path=path, offset=offset)
        self._write()

    def _write(self) -> None:
        self._marker["sequence"] += 1
        if time.monotonic() - self._written > _REMOTE_INTERVAL_S:
            storage.write_bytes(self._file, json.dumps(self._marker).encode())
            self._written = time.monotonic()

    def close(self) -> None:
        """Write the last state."""
        self._written = 0.0
        self._write()


def open_progress(workspace: str, stage: str, key: str) -> FileProgress | RemoteProgress:
    """Open the marker of a task."""
    folder = marker_folder(workspace, stage)
    if storage.is_local(folder):
        return FileProgress(folder.removeprefix("file://"), key)
    return RemoteProgress(folder, key)


def read_markers(workspace: str, stage: str) -> dict[str, Marker]:
    """Read all markers of a stage, by task key."""
    markers: dict[str, Marker] = {}
    local = storage.is_local(workspace)
    for path in storage.list_files(marker_folder(workspace, stage)):
        data = storage.read_bytes(path)
        key = path.rpartition("/")[2]
        if not local:
            markers[key] = Marker(**json.loads(data))
        elif len(data) >= _HEADER.size:
            sequence, documents, text_bytes, offset, length = _HEADER.unpack_from(data)
            name = data[_HEADER.size : _HEADER.size + length].decode("utf-8", "surrogateescape")
            markers[key] = Marker(sequence, documents, text_bytes, name, offset)
    return markers
