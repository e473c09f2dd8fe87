r"""Formats in which a line is a record. Lines end in "\n" only: texts may hold U+2028, U+0085 and other line ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from pipelines.readers.records import BadRecord, ReadOptions, too_large
from pipelines.readers.stream import ByteReader, broken_by

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_T = TypeVar("_T")


def read_lines(
    stream: ByteReader, options: ReadOptions, parse: Callable[[int, bytes, ReadOptions], _T]
) -> Iterator[_T | BadRecord]:
    r"""Read the lines that start in [options.start, options.end); the last line needs no line end.

    Args:
        stream: the bytes.
        options: the piece, and the limit of a line.
        parse: makes what a line becomes, from its offset and its bytes with the line end.
    """
    if options.start:
        stream.drop_until(b"\n")
    while options.end is None or stream.position < options.end:
        offset = stream.position
        if stream.at_end():
            fault = stream.next_segment()
            if fault is None:
                return
            yield broken_by(fault, offset, 0, b"")
            continue
        taken = stream.until(b"\n", options.max_record_bytes)
        fault = None if taken.found else stream.next_segment()
        if fault is not None:
            yield broken_by(fault, offset, taken.length, taken.content)
        elif not taken.whole:
            yield too_large(offset, taken.length, options.max_record_bytes, taken.content)
        else:
            yield parse(offset, taken.content, options)
