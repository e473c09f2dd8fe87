"""Sizes that Arrow IPC messages state, so that a bomb is refused and not inflated (for Parquet see `pages`).

A compressed buffer starts with its decompressed length, which Arrow allocates without a limit. Here the messages of a
file or stream are walked beside Arrow: FlatBuffers, of which only the few fields that are needed are read. What cannot
be parsed here is left to Arrow.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from pipelines.readers.compression import Inflation
from pipelines.readers.pages import check_inflation

_RECORD_BATCH, _DICTIONARY_BATCH = 3, 2  # MessageHeader
_CONTINUATION = 0xFFFFFFFF
_TRAILER_BYTES = 10  # of a file: the length of its footer, and "ARROW1"
_MAX_METADATA_BYTES = 1 << 24
_FAULTS = (struct.error, IndexError, ValueError)


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a stream.

    Attributes:
        kind: `MessageHeader`: 1 schema, 2 dictionary batch, 3 record batch.
        end: offset of the next message.
        sizes: (bytes, bytes in the file) of its compressed buffers.
    """

    kind: int
    end: int
    sizes: tuple[tuple[int, int], ...]


def check_stream(file: IO[bytes], start: int, inflation: Inflation) -> Iterator[None]:
    """Walk the messages of a stream beside Arrow; one step checks all up to and including the next record batch.

    Args:
        file: another handle than Arrow's.
        start: offset of the first message.
        inflation: the limit.

    Raises:
        BombError: if a buffer is beyond the limit.
    """
    while (message := read_message(file, start)) is not None:
        check_message(message, inflation)
        start = message.end
        if message.kind == _RECORD_BATCH:
            yield


def check_message(message: Message, inflation: Inflation) -> None:
    """Check the buffers of a message.

    Raises:
        BombError: if one is beyond the limit.
    """
    for given, taken in message.sizes:
        check_inflation("a buffer", given, taken, inflation)


def read_message(file: IO[bytes], start: int) -> Message | None:
    """Read the sizes of the message at an offset; None at the end of the stream and for what is no message."""
    try:
        file.seek(start)
        prefix = file.read(8)
        skip = 8 if _u32(prefix, 0) == _CONTINUATION else 4
        size = _u32(prefix, skip - 4)
        if not 0 < size <= _MAX_METADATA_BYTES:
            return None
        file.seek(start + skip)
        data = file.read(size)
        table, body = _Table(data, _u32(data, 0)), start + skip + size
        kind, length = table.scalar(1, "<B", 0), table.scalar(3, "<q", 0)
        if length < 0:
            return None
        sizes = []
        for offset, taken in _buffers(table, kind):
            file.seek(body + offset)
            (given,) = struct.unpack("<q", file.read(8))
            if given > 0:  # -1: stored as it is
                sizes.append((given, taken))
        return Message(kind, body + length, tuple(sizes))
    except _FAULTS:
        return None


def file_blocks(file: IO[bytes], size: int) -> tuple[list[int], list[int]]:
    """Return the offsets of the dictionary batches and of the record batches that the footer of a file lists."""
    try:
        file.seek(size - _TRAILER_BYTES)
        length = _u32(file.read(4), 0)
        file.seek(size - _TRAILER_BYTES - length)
        data = file.read(length)
        footer = _Table(data, _u32(data, 0))
        return _blocks(footer, data, 2), _blocks(footer, data, 3)
    except _FAULTS:
        return [], []


def _blocks(footer: _Table, data: bytes, field: int) -> list[int]:
    place = footer.field(field)
    if place is None:
        return []
    start = place + _u32(data, place)
    return [struct.unpack_from("<q", data, start + 4 + 24 * n)[0] for n in range(_u32(data, start))]


def _buffers(message: _Table, kind: int) -> Iterator[tuple[int, int]]:
    """Yield (offset, length) of the buffers of a compressed batch."""
    batch = message.child(2)
    if kind == _DICTIONARY_BATCH and batch is not None:
        batch = batch.child(1)
    elif kind != _RECORD_BATCH:
        return
    place = None if batch is None or batch.child(3) is None else batch.field(2)
    if place is None:
        return
    start = place + _u32(message.data, place)
    for number in range(_u32(message.data, start)):
        offset, length = struct.unpack_from("<qq", message.data, start + 4 + 16 * number)
        if length >= 8 and offset >= 0:
            yield offset, length


def _u32(data: bytes, at: int) -> int:
    return struct.unpack_from("<I", data, at)[0]


class _Table:
    """A FlatBuffers table: a vtable that says where its fields lie."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self._at = data, at
        self._vtable = at - struct.unpack_from("<i", data, at)[0]
        if self._vtable < 0:
            raise ValueError("vtable before the data")
        self._size = struct.unpack_from("<H", data, self._vtable)[0]

    def field(self, number: int) -> int | None:
        """Return where a field lies; None if it is not there."""
        slot = 4 + 2 * number
        if slot + 2 > self._size:
            return None
        offset = struct.unpack_from("<H", self.data, self._vtable + slot)[0]
        return self._at + offset if offset else None

    def scalar(self, number: int, form: str, default: int) -> int:
        """Return a number."""
        place = self.field(number)
        return default if place is None else struct.unpack_from(form, self.data, place)[0]

    def child(self, number: int) -> _Table | None:
        """Return a table in a field."""
        place = self.field(number)
        return None if place is None else _Table(self.data, place + _u32(self.data, place))
