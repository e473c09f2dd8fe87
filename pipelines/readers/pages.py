"""Sizes that the headers of Parquet pages state, so that a bomb is refused and not inflated.

Arrow allocates and fills what a page header says, up to 2 GiB for a few kilobytes of the file, and has no limit to
set. So the headers are read here first (Thrift's compact protocol; only the few fields that are needed). What cannot
be parsed here is left to Arrow, which says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

from pipelines.readers.compression import Inflation

_HEADER_BYTES = (1 << 13, 1 << 18, 1 << 24)  # tried one after another; Arrow takes at most 16 MiB
_MAX_DEPTH = 8
_UNCOMPRESSED, _COMPRESSED = 2, 3  # fields of PageHeader


class BombError(ValueError):
    """A page or a buffer that would be larger than the recipe allows."""


def check_inflation(what: str, given: int, taken: int, inflation: Inflation) -> None:
    """Check the stated size of a page or buffer against its bytes in the file.

    Raises:
        BombError: if it is beyond `limits.max_inflation` and one record.
    """
    if given > taken * inflation.factor + inflation.free_bytes:
        limit = f"{inflation.factor:g} bytes per byte (limits.max_inflation) and {inflation.free_bytes} more"
        raise BombError(f"{what} of {given} bytes from {taken}, beyond {limit}")


def page_sizes(file: IO[bytes], start: int, length: int) -> Iterator[tuple[int, int]]:
    """Yield (bytes, bytes in the file) of the pages of a column chunk, as their headers state them.

    Args:
        file: the Parquet file; its position is moved.
        start: offset of the first page.
        length: bytes of all pages with their headers.
    """
    end = start + length
    while start < end:
        header, size = _header(file, start)
        given, taken = header.get(_UNCOMPRESSED), header.get(_COMPRESSED)
        if not isinstance(given, int) or not isinstance(taken, int) or given < 0 or taken < 0:
            return
        yield given, taken
        start += size + taken


def _header(file: IO[bytes], start: int) -> tuple[dict[int, Any], int]:
    """Parse the header of a page and tell its length; no fields if it is none."""
    for count in _HEADER_BYTES:
        file.seek(start)
        data = file.read(count)
        try:
            return _thrift_struct(data, 0, 0)
        except IndexError:  # more than was read
            if len(data) < count:
                break
        except ValueError:
            break
    return {}, 0


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("varint of more than 64 bits")


def _thrift_struct(data: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    """Parse a struct of Thrift's compact protocol: its integers by field id, and where it ends."""
    if depth > _MAX_DEPTH:
        raise ValueError("too deep")
    fields: dict[int, Any] = {}
    number = 0
    while (head := data[at]) != 0:
        at += 1
        kind, step = head & 0x0F, head >> 4
        if step:
            number += step
        else:
            raw, at = _varint(data, at)
            number = (raw >> 1) ^ -(raw & 1)
        fields[number], at = _thrift_value(data, at, kind, depth)
    return fields, at + 1


def _thrift_value(data: bytes, at: int, kind: int, depth: int) -> tuple[int | None, int]:
    """Pass over a value; integers are returned."""
    if kind in (1, 2):  # a boolean field has its value in its type
        return None, at
    if kind == 3:
        return None, at + 1
    if kind in (4, 5, 6):
        raw, at = _varint(data, at)
        return (raw >> 1) ^ -(raw & 1), at
    if kind == 7:
        return None, at + 8
    if kind == 8:
        size, at = _varint(data, at)
        return None, at + size
    if kind == 12:
        return None, _thrift_struct(data, at, depth + 1)[1]
    raise ValueError(f"type {kind}, which no page header has")
