"""CSV and TSV (RFC 4180): values may hold delimiters, line ends and doubled quotes if they are quoted.

A quote that is never closed would swallow the rest of the file. So a record that is not sound gives up its first
line only, as one bad record, and reading goes on with the line after it. What such records read ahead in vain
is limited to a few times the file (`_Lookahead.allowance`): otherwise a megabyte of `a","` lines would take hours.
"""

from __future__ import annotations

import csv
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.readers.lines import BYTE_ORDER_MARK, read_lines
from pipelines.readers.records import RAW_BYTES, BadRecord, Item, NonDocument, Reader, ReadOptions
from pipelines.readers.rows import row_item
from pipelines.readers.stream import ByteReader

_LINE_BYTES = 128  # of memory that a waiting line takes besides its bytes
_READ_AHEAD = 8  # bytes that may be read ahead in vain per byte of the file


@dataclass(frozen=True, slots=True)
class _Line:
    offset: int
    content: bytes


class _Lookahead:
    """Lines and bad records of a file, of which several can wait.

    Attributes:
        allowance: bytes that the next record may take beyond its first line.
    """

    def __init__(self, entries: Iterator[_Line | BadRecord], limit: int) -> None:
        self.allowance = self._limit = limit
        self._entries = entries
        self._waiting: deque[_Line | BadRecord] = deque()

    def at(self, index: int) -> _Line | BadRecord | None:
        """Return what lies `index` places ahead; None beyond the end of the file."""
        while len(self._waiting) <= index:
            entry = next(self._entries, None)
            if entry is None:
                return None
            self._waiting.append(entry)
        return self._waiting[index]

    def take(self, count: int) -> tuple[int, bytes]:
        """Take lines; their offset and their bytes."""
        lines = [self._waiting.popleft() for _ in range(count)]
        content = b"".join(line.content for line in lines if isinstance(line, _Line))
        self.allowance = min(self._limit, self.allowance + _READ_AHEAD * len(content))
        return lines[0].offset, content

    def waste(self, size: int) -> None:
        """Count bytes that were read ahead in vain."""
        self.allowance = max(0, self.allowance - size)

    def drop(self) -> None:
        """Take one entry."""
        self._waiting.popleft()


def reader(delimiter: str) -> Reader:
    """Return the reader of a format whose delimiter is `delimiter`, if the recipe names no other."""

    def read(stream: ByteReader, options: ReadOptions) -> Iterator[Item]:
        return _read(stream, options, options.csv.delimiter or delimiter)

    return read


def _read(stream: ByteReader, options: ReadOptions, delimiter: str) -> Iterator[Item]:
    csv.field_size_limit(sys.maxsize)  # the limit is the recipe's, on whole records
    lines = _Lookahead(
        read_lines(stream, options, lambda offset, line, _: _Line(offset, line)), options.max_record_bytes
    )
    columns = options.csv.columns
    while (entry := lines.at(0)) is not None:
        if isinstance(entry, BadRecord):
            lines.drop()
            yield entry
            continue
        values, count, error = _parse(lines, options, delimiter)
        if values is not None and columns is not None and values and len(values) != len(columns):
            error = f"got {len(values)} values; expected {len(columns)}, one per column"
            values = None
        offset, content = lines.take(count if values is not None else 1)
        if values is None:
            yield BadRecord(offset, len(content), "broken_row", f"row is broken: {error}", content[:RAW_BYTES])
        elif not values:
            yield NonDocument(offset, len(content), "blank")
        elif columns is None:
            columns = tuple(values)
            yield NonDocument(offset, len(content), "header")
        else:
            yield _row(dict(zip(columns, values, strict=True)), offset, content, options)


def _parse(lines: _Lookahead, options: ReadOptions, delimiter: str) -> tuple[list[str] | None, int, str]:
    """Parse the record that starts at the first line that waits.

    Returns:
        Its values (None if it is not sound), the lines that it takes, and what is wrong.
    """
    taken, size = 0, 0

    def feed() -> Iterator[str]:
        nonlocal taken, size
        while isinstance(line := lines.at(taken), _Line) and size <= lines.allowance:
            taken, size = taken + 1, size + len(line.content) + (_LINE_BYTES if taken else 0)
            content = line.content if line.offset else line.content.removeprefix(BYTE_ORDER_MARK)
            yield content.decode(options.encoding or "utf-8")

    quoting = csv.QUOTE_NONE if options.csv.quote is None else csv.QUOTE_MINIMAL
    rows = csv.reader(feed(), delimiter=delimiter, quotechar=options.csv.quote, quoting=quoting, strict=True)
    try:
        return next(rows), taken, ""
    except csv.Error as error:
        lines.waste(size)
        return None, taken, f"got {error} (after {taken} lines); expected values as in RFC 4180"
    except UnicodeDecodeError as error:
        return (
            None,
            taken,
            f"got byte 0x{error.object[error.start]:02x} at byte {error.start}; expected {error.encoding}",
        )


def _row(values: dict[str, str], offset: int, content: bytes, options: ReadOptions) -> Item:
    """Make the item of a row; an empty value is no value, except in the text."""
    known = {name: value or None for name, value in values.items() if name != options.fields.text}
    if options.fields.text in values:
        known[options.fields.text] = values[options.fields.text]
    return row_item(known, offset, len(content), content, options)
