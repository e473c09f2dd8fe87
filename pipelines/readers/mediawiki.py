"""MediaWiki XML dumps, streamed page by page: memory is one page, whatever the size of the dump.

Inside `<text>` every "<" is escaped, so the bytes `<page>` and `</page>` are markup wherever they occur.
"""

from __future__ import annotations

import re
import urllib.parse
import xml.etree.ElementTree as ET
from collections.abc import Iterator

from pipelines.readers.records import RAW_BYTES, BadRecord, Item, NonDocument, ReadOptions, Record, too_large
from pipelines.readers.stream import ByteReader, broken_by

_START, _END = b"<page>", b"</page>"
_HEAD_BYTES = 1 << 16
_DECLARATION = re.compile(rb"<\?xml[^>]*encoding\s*=\s*[\"']([A-Za-z0-9._-]+)[\"']")
_BASE = re.compile(rb"<base>\s*([^<\s]+)\s*</base>")
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<")


def read(stream: ByteReader, options: ReadOptions) -> Iterator[Item]:
    """Read the pages of a dump.

    Pages of namespace 0 with wikitext are records; redirects, other namespaces and content models are
    non-documents, and so is everything between pages. A dump that is not UTF-8 is one bad record.
    """
    head = stream.peek(_HEAD_BYTES)
    foreign = _foreign_encoding(head)
    if foreign:
        yield from _refuse(stream, foreign)
        return
    base = _base_url(head)
    while True:
        if stream.at_end():
            offset = stream.position
            fault = stream.next_segment()
            if fault is None:
                return
            yield broken_by(fault, offset, 0, b"")
        elif stream.peek(len(_START)) == _START:
            yield from _page(stream, base, options)
        else:
            yield _between(stream)


def _foreign_encoding(head: bytes) -> str:
    """Name the encoding of a dump if it is not UTF-8."""
    if head[:2] in _UTF16_MARKS:
        return "UTF-16"
    declared = _DECLARATION.match(head.removeprefix(b"\xef\xbb\xbf"))
    name = declared[1].decode("ascii") if declared else "utf-8"
    return "" if name.lower() in ("utf-8", "utf8", "us-ascii", "ascii") else name


def _refuse(stream: ByteReader, encoding: str) -> Iterator[Item]:
    fault = None
    while not stream.at_end() or fault is not None:
        offset = stream.position
        taken = stream.rest(RAW_BYTES)
        text = f"encoding of the dump cannot be read: got {encoding}; expected UTF-8"
        if taken.length:
            yield BadRecord(offset, taken.length, "unsupported_encoding", text, taken.content)
        offset = stream.position
        fault = stream.next_segment()
        if fault is not None:
            yield broken_by(fault, offset, 0, b"")


def _base_url(head: bytes) -> str | None:
    """Return the address under which titles lie, from `<siteinfo>` (`…/wiki/Main_Page` -> `…/wiki/`)."""
    found = _BASE.search(head)
    return found[1].decode("utf-8", "replace").rpartition("/")[0] + "/" if found else None


def _between(stream: ByteReader) -> Item:
    """Take everything up to the next page."""
    offset = stream.position
    taken = stream.until(_START, _HEAD_BYTES, give_back=len(_START))
    fault = None if taken.found else stream.next_segment()
    if fault is not None:
        return broken_by(fault, offset, taken.length, taken.content)
    if _END in taken.content:
        text = "end of a page without its start: got </page>; expected <page> before it"
        return BadRecord(offset, taken.length, "broken_page", text, taken.content[:RAW_BYTES])
    return NonDocument(offset, taken.length, "markup")


def _page(stream: ByteReader, base: str | None, options: ReadOptions) -> Iterator[Item]:
    """Read one page; a page that is cut short by the start of the next one is a bad record of its own."""
    offset = stream.position
    taken = stream.until(_END, options.max_record_bytes)
    fault = None if taken.found else stream.next_segment()
    if not taken.whole and fault is None:
        yield too_large(offset, taken.length, options.max_record_bytes, taken.content)
        return
    last = taken.content.rfind(_START)
    if last > 0:
        text = "page without an end: got <page>; expected </page> before it"
        yield BadRecord(offset, last, "broken_page", text, taken.content[: min(last, RAW_BYTES)])
    content = taken.content[last:]
    if fault is not None:
        yield broken_by(fault, offset + last, taken.length - last, content)
    elif not taken.found:
        text = "page without an end: got the end of the file; expected </page>"
        yield BadRecord(offset + last, taken.length - last, "truncated", text, content[:RAW_BYTES])
    else:
        yield _parse(offset + last, content, base)


def _parse(offset: int, content: bytes, base: str | None) -> Item:
    """Parse one page.

    The fragment has no DOCTYPE (one after the root's start is an error), so no entity can be defined or expanded.
    """
    length = len(content)
    try:
        page = ET.fromstring(content)
    except ET.ParseError as error:
        text = f"page is no sound XML: got {error}; expected a <page> element"
        return BadRecord(offset, length, "broken_page", text, content[:RAW_BYTES])
    namespace = (page.findtext("ns") or "0").strip()
    if namespace != "0":
        known = namespace.lstrip("-").isdecimal() and len(namespace) < 6
        return NonDocument(offset, length, f"namespace:{namespace if known else 'unknown'}")
    if page.find("redirect") is not None:
        return NonDocument(offset, length, "redirect")
    revisions = page.findall("revision")
    if not revisions:
        text = "page has no text: got no <revision>; expected one"
        return BadRecord(offset, length, "missing_field", text, content[:RAW_BYTES])
    revision = revisions[-1]  # a full-history dump lists them oldest first
    model = (revision.findtext("model") or "wikitext").strip()
    if model != "wikitext":
        return NonDocument(offset, length, "content_model")
    body = revision.find("text")
    if body is None or body.get("deleted") is not None:
        return NonDocument(offset, length, "deleted")
    title = (page.findtext("title") or "").strip()
    url = base + urllib.parse.quote(title.replace(" ", "_"), safe="/:@!$*(),;~") if base and title else None
    text = body.text or ""
    return Record(
        offset,
        length,
        text.encode(),
        "wikitext",
        page.findtext("id"),
        url,
        revision.findtext("timestamp"),
        "utf-8",
    )
