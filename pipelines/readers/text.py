"""Plain text: a document is a file, a line, a chapter, or what lies between separators.

An empty file is a document with empty text (the rules then drop it, and so it is accounted for).
Decoding, and the detection of encodings other than UTF-8, is left to extraction.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from pipelines.readers.lines import read_lines
from pipelines.readers.records import RAW_BYTES, BadRecord, Item, NonDocument, ReadOptions, Record, too_large
from pipelines.readers.stream import ByteReader, broken_by


def read(stream: ByteReader, options: ReadOptions) -> Iterator[Item]:
    """Read one file as the recipe says (`text.unit`)."""
    match options.text.unit:
        case "line":
            return read_lines(stream, options, _line)
        case "separator":
            return _between_separators(stream, options)
        case _:
            return _whole(stream, options)


def _whole(stream: ByteReader, options: ReadOptions) -> Iterator[Item]:
    """Read a file as a whole; a damaged file gives bad records only (half a text is not a text)."""
    offset, limit = stream.position, options.max_record_bytes
    taken = stream.rest(limit)
    fault = stream.next_segment()
    if fault is None:
        if not taken.whole:
            yield too_large(offset, taken.length, limit, taken.content)
        elif options.text.unit == "chapter":
            yield from _chapters(offset, taken.content, options)
        else:
            yield Record(offset, taken.length, taken.content, "text", charset=options.encoding)
        return
    while fault is not None:
        yield broken_by(fault, offset, taken.length, taken.content)
        offset, taken, fault = stream.position, stream.rest(limit), stream.next_segment()
    if taken.length:
        text = "text after a damaged place: got the rest of a file; expected a whole file"
        yield BadRecord(offset, taken.length, "incomplete", text, taken.content[:RAW_BYTES])


def _chapters(offset: int, content: bytes, options: ReadOptions) -> Iterator[Item]:
    """Cut a book where a line starts a chapter; what lies before the first is a document, too.

    A heading that follows another with nothing but blank lines between them (a table of contents, a part and its
    first chapter) starts no document of its own.
    """
    pattern = re.compile(options.text.chapter.encode(), re.MULTILINE)
    cuts, last_end = [0], 0
    for heading in pattern.finditer(content):
        if content[last_end : heading.start()].strip():
            cuts.append(heading.start())
        last_end = heading.end()
    for start, end in itertools.pairwise([*cuts, len(content)]):
        body = content[start:end]
        if body.strip() or len(cuts) == 1:
            heading = pattern.match(body)
            name = heading[0].strip().decode("utf-8", "replace")[:200] if heading else None
            yield Record(offset + start, len(body), body, "text", name, charset=options.encoding)
        else:
            yield NonDocument(offset + start, len(body), "blank")


def _line(offset: int, line: bytes, options: ReadOptions) -> Item:
    body = line.rstrip(b"\r\n")
    if not body.strip():
        return NonDocument(offset, len(line), "blank")
    return Record(offset, len(line), body, "text", charset=options.encoding)


def _between_separators(stream: ByteReader, options: ReadOptions) -> Iterator[Item]:
    """Read what lies between separators; damage costs the document that it lies in."""
    mark, limit = (options.text.separator or "").encode(), options.max_record_bytes
    while True:
        offset = stream.position
        if stream.at_end():
            fault = stream.next_segment()
            if fault is None:
                return
            yield broken_by(fault, offset, 0, b"")
            continue
        taken = stream.until(mark, limit)
        fault = None if taken.found else stream.next_segment()
        body = taken.content.removesuffix(mark) if taken.found else taken.content
        if fault is not None:
            yield broken_by(fault, offset, taken.length, taken.content)
        elif not taken.whole:
            yield too_large(offset, taken.length, limit, taken.content)
        elif not body.strip():
            yield NonDocument(offset, taken.length, "blank")
        else:
            yield Record(offset, taken.length, body, "text", charset=options.encoding)
