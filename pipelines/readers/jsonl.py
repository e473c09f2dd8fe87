"""JSON lines: one object per line."""

from __future__ import annotations

import re
from collections.abc import Iterator

import orjson

from pipelines.readers.lines import BYTE_ORDER_MARK, read_lines
from pipelines.readers.records import RAW_BYTES, BadRecord, Item, NonDocument, ReadOptions
from pipelines.readers.rows import row_item, type_name
from pipelines.readers.stream import ByteReader

_MAX_VALUES = 1_000_000
_MARKS = (b",", b"[", b"{")
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)


def read(stream: ByteReader, options: ReadOptions) -> Iterator[Item]:
    r"""Read the lines of a piece.

    A UTF-8 byte order mark before the first line and a carriage return before "\n" are tolerated.
    """
    return read_lines(stream, options, _parse)


def _parse(offset: int, line: bytes, options: ReadOptions) -> Item:
    """Parse one line, its line end included."""
    body = line.strip(b" \t\r\n")
    if offset == 0:
        body = body.removeprefix(BYTE_ORDER_MARK)
    if not body:
        return NonDocument(offset, len(line), "blank")

    def bad(error: str, text: str) -> BadRecord:
        return BadRecord(offset, len(line), error, text, line[:RAW_BYTES])

    values = _count_values(body)
    if values > _MAX_VALUES:
        return bad("too_many_values", f"too many values: got {values}; expected at most {_MAX_VALUES} in a record")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return bad(*_explain(body, error))
    if not isinstance(value, dict):
        return bad("not_an_object", f"line is not an object: got {type_name(value)}; expected object")
    return row_item(value, offset, len(line), line, options)


def _count_values(body: bytes) -> int:
    """Count the values of a line that has room for too many: up to 64 bytes of memory for 3 bytes of JSON."""
    if len(body) <= _MAX_VALUES or sum(body.count(mark) for mark in _MARKS) <= _MAX_VALUES:
        return 0
    structure = _STRINGS.sub(b"", body)
    return sum(structure.count(mark) for mark in _MARKS)


def _explain(body: bytes, error: orjson.JSONDecodeError) -> tuple[str, str]:
    try:
        body.decode()
    except UnicodeDecodeError as fault:
        got = f"byte 0x{body[fault.start]:02x} at byte {fault.start} of the line"
        return "invalid_utf8", f"line is not UTF-8: got {got}; expected UTF-8"
    return "invalid_json", f"line is not JSON: got {error}; expected one object per line"
