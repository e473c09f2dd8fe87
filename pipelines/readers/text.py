"""Plain text: one document per file.

An empty file is a document with empty text (the rules then drop it, and so it is accounted for).
Decoding, and the detection of encodings other than UTF-8, is left to extraction.
"""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.readers.records import RAW_BYTES, BadRecord, Item, ReadOptions, Record, too_large
from pipelines.readers.stream import ByteReader, broken_by


def read(stream: ByteReader, options: ReadOptions) -> Iterator[Item]:
    """Read one file as one document; a damaged file gives bad records only (half a text is not a text)."""
    offset, limit = stream.position, options.max_record_bytes
    taken = stream.rest(limit)
    fault = stream.next_segment()
    if fault is None:
        if taken.whole:
            yield Record(offset, taken.length, taken.content, "text")
        else:
            yield too_large(offset, taken.length, limit, taken.content)
        return
    while fault is not None:
        yield broken_by(fault, offset, taken.length, taken.content)
        offset, taken, fault = stream.position, stream.rest(limit), stream.next_segment()
    if taken.length:
        text = "text after a damaged place: got the rest of a file; expected a whole file"
        yield BadRecord(offset, taken.length, "incomplete", text, taken.content[:RAW_BYTES])
