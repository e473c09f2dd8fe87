r"""WARC 1.0 and 1.1: our own record parser over the decompressed stream.

FastWARC is faster but reports compressed positions only, and drops what it cannot read; here every byte is
accounted for (FastWARC and warcio are the oracles of the tests). After a broken record, reading goes on at the
next `WARC/1.` that is a version line before a header.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipelines.readers.http import HttpError, Response, parse_headers, parse_response
from pipelines.readers.records import RAW_BYTES, BadRecord, Item, NonDocument, ReadOptions, Record, too_large
from pipelines.readers.stream import ByteReader, broken_by

_HEADER_END = b"\r\n\r\n"
_HEADER_BYTES = 1 << 16
_VERSION = b"WARC/1."
_RECORD_START = re.compile(rb"WARC/1\.[01]\r?\n[A-Za-z]")
_PROBE_BYTES = 12
_ARC_MARK = b"filedesc://"
_HTML_TYPES = ("text/html", "application/xhtml+xml")
_UNTYPED = ("", "application/octet-stream", "application/unknown", "unknown/unknown")
_SNIFF_BYTES = 1024
_TYPE_CLASSES = ("application", "audio", "font", "image", "message", "model", "multipart", "text", "video")


def read(stream: ByteReader, options: ReadOptions) -> Iterator[Item]:
    """Read the records of a WARC file.

    Responses with status 200 and an HTML or plain-text payload are records, and so are `resource` and
    `conversion` records of these types; everything else is a non-document by kind.
    """
    if stream.peek(len(_ARC_MARK)) == _ARC_MARK:
        yield from _refuse_arc(stream)
        return
    while True:
        offset = stream.position
        if stream.at_end():
            fault = stream.next_segment()
            if fault is None:
                return
            yield broken_by(fault, offset, 0, b"")
        elif stream.peek(len(_VERSION)) == _VERSION:
            yield _record(stream, offset, options)
        elif stream.peek(2) == b"\r\n":  # some writers put more than two line ends between records
            yield NonDocument(offset, stream.skip(2), "blank")
        else:
            yield _resynchronise(stream, offset, "not_a_record", "got other bytes; expected a line `WARC/1.`")


def _refuse_arc(stream: ByteReader) -> Iterator[Item]:
    """Pass over an ARC file, the format before WARC: one bad record for each of its segments."""
    fault = None
    while not stream.at_end() or fault is not None:
        offset = stream.position
        taken = stream.rest(RAW_BYTES)
        if taken.length:
            text = "ARC files are not read: got `filedesc://`; expected `WARC/1.` (`warcio recompress` converts them)"
            yield BadRecord(offset, taken.length, "arc_file", text, taken.content[:RAW_BYTES])
        offset = stream.position
        fault = stream.next_segment()
        if fault is not None:
            yield broken_by(fault, offset, 0, b"")


def _resynchronise(stream: ByteReader, offset: int, error: str, text: str) -> BadRecord:
    """Pass over everything up to the start of the next record; one bad record."""
    raw, length = stream.peek(RAW_BYTES), stream.skip(1)
    while True:
        taken = stream.until(_VERSION, 0, give_back=len(_VERSION))
        length += taken.length
        if not taken.found or _RECORD_START.match(stream.peek(_PROBE_BYTES)):
            break
        length += stream.skip(1)
    fault = None if taken.found else stream.next_segment()
    if fault is not None:
        return broken_by(fault, offset, length, raw[:length])
    return BadRecord(offset, length, error, f"broken WARC record: {text}", raw[:length])


def _record(stream: ByteReader, offset: int, options: ReadOptions) -> Item:
    """Read one record, from its version line to the two line ends after its block."""
    head = stream.peek(_HEADER_BYTES)
    header_end = head.find(_HEADER_END)
    if header_end < 0 or _RECORD_START.search(head, 1, header_end):  # cut short, and the next one follows at once
        return _resynchronise(stream, offset, "truncated", "got no end of the header; expected an empty line")
    header_bytes = header_end + len(_HEADER_END)
    headers = parse_headers(head[:header_end])
    size = headers.get("content-length", "")
    if not (size.isascii() and size.isdigit() and len(size) < 16):
        return _resynchronise(stream, offset, "no_length", f"got Content-Length {size[:40]!r}; expected a number")
    length = header_bytes + int(size)
    if length > options.max_record_bytes:
        return _large_record(stream, offset, length, headers, head[header_bytes:], options)
    held = stream.hold(length + len(_HEADER_END))  # and no copy yet: every record may claim 64 MB
    if held < length:
        return _resynchronise(stream, offset, "truncated", f"got {held} bytes; expected {length}")
    trailer = stream.peek(len(_HEADER_END), length)
    if trailer != _HEADER_END[: len(trailer)]:
        return _resynchronise(
            stream, offset, "wrong_length", f"got {trailer!r} after the block; expected two line ends"
        )
    block = stream.peek(int(size), header_bytes)
    stream.skip(held)
    return _classify(offset, held, headers, block, options)


def _large_record(
    stream: ByteReader, offset: int, length: int, headers: dict[str, str], head: bytes, options: ReadOptions
) -> Item:
    """Pass over a record beyond the limit; its end is searched for, because a wrong length looks the same."""
    mark = _HEADER_END + b"WARC/1."
    taken = stream.until(mark, RAW_BYTES, give_back=len(mark) - len(_HEADER_END))
    fault = None if taken.found else stream.next_segment()
    if fault is not None:
        return broken_by(fault, offset, taken.length, taken.content)
    if taken.length not in (length, length + len(_HEADER_END)):
        text = f"broken WARC record: got {taken.length} bytes; expected {length} by its Content-Length"
        return BadRecord(offset, taken.length, "wrong_length", text, taken.content[:RAW_BYTES])
    try:
        kind = _kind_without_payload(headers, head)
    except HttpError as error:
        return BadRecord(offset, taken.length, error.error, str(error), taken.content[:RAW_BYTES])
    if kind is not None:
        return NonDocument(offset, taken.length, kind)
    return too_large(offset, taken.length, options.max_record_bytes, taken.content)


def _kind_without_payload(headers: dict[str, str], head: bytes) -> str | None:
    """Return the kind of a non-document that can be told from headers alone, None for a possible document."""
    record_type = headers.get("warc-type", "unknown").lower()
    if record_type in ("resource", "conversion"):
        return _kind_of_type(record_type, _mime(headers))
    if record_type != "response":
        known = ("warcinfo", "request", "metadata", "revisit", "continuation")
        return record_type if record_type in known else "other"
    if not _mime(headers).startswith("application/http"):
        return "response:not_http"
    response = parse_response(head, 0, head_only=True)
    if response.status != 200:
        return "response:status"
    return _kind_of_type("response", _mime(response.headers))


def _mime(headers: dict[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _kind_of_type(record_type: str, mime: str) -> str | None:
    if mime in (*_HTML_TYPES, "text/plain", *_UNTYPED):
        return None
    top = mime.partition("/")[0]
    return f"{record_type}:{top if top in _TYPE_CLASSES else 'unknown'}"


def _classify(offset: int, length: int, headers: dict[str, str], block: bytes, options: ReadOptions) -> Item:
    """Turn a sound WARC record into an item."""

    def bad(error: str, text: str) -> BadRecord:
        return BadRecord(offset, length, error, text, block[:RAW_BYTES])

    try:
        kind = _kind_without_payload(headers, block)
        if kind is not None:
            return NonDocument(offset, length, kind)
        if headers["warc-type"].lower() == "response":
            response = parse_response(block, min(options.max_page_bytes, options.max_record_bytes))
        else:
            response = Response(200, headers, block)
    except HttpError as error:
        return bad(error.error, str(error))
    mime = _mime(response.headers)
    if mime in _UNTYPED:
        mime = _sniff(response.body)
        if not mime:
            return NonDocument(offset, length, f"{headers['warc-type'].lower()}:unknown")
    return Record(
        offset,
        length,
        response.body,
        "html" if mime in _HTML_TYPES else "text",
        headers.get("warc-record-id"),
        headers.get("warc-target-uri", "").strip("<>") or None,
        headers.get("warc-date"),
        response.charset,
    )


def _sniff(body: bytes) -> str:
    """Tell HTML by its first bytes, as browsers do for untyped responses; "" for anything else."""
    start = body[:_SNIFF_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return "text/html" if start.startswith((b"<!doctype html", b"<html", b"<head")) or b"<html" in start else ""
