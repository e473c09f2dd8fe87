"""MediaWiki XML dumps of any version, streamed page by page: memory is one page, whatever the size of the dump.

Inside `<text>` every "<" is escaped, so the bytes `<page>` and `</page>` are markup wherever they occur.

A bz2 multistream dump with its index beside it is read in pieces. Every stream of it (100 pages) then starts at a
multiple of 2^24: its compressed offset times 2^24, so that the offsets of its pages do not depend on the pieces.
"""

from __future__ import annotations

import re
import urllib.parse
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.readers.compression import read_members
from pipelines.readers.records import RAW_BYTES, BadRecord, Item, NonDocument, ReadOptions, Record, too_large
from pipelines.readers.stream import ByteReader, broken_by, open_stream
from pipelines.readers.transcode import open_text

_START, _END = b"<page>", b"</page>"
_HEAD_BYTES = 1 << 16
_DECLARATION = re.compile(rb"<\?xml[^>]*encoding\s*=\s*[\"']([A-Za-z0-9._-]+)[\"']")
_BASE = re.compile(rb"<base>\s*([^<\s]+)\s*</base>")
_NAMESPACE = re.compile(rb"<namespace\s+key=\"(-?\d+)\"[^<>]*>([^<]+)</namespace>")
_READABLE = ("utf-8", "utf8", "us-ascii", "ascii", "utf-16")  # UTF-16 was made UTF-8 before it came here
_REDIRECT = re.compile(
    r"\s*+#\w++\s*+:?\s*+\[\["  # possessive: a megabyte of spaces must not be tried in every way
)  # dumps before version 0.4 have no <redirect>, and every language its word
_MAX_MARKS = 2_000_000  # of a page: an element takes up to 250 bytes of memory for 4 bytes of the dump
_STREAM_STEP = 1 << 24  # bz2 makes at most 2^15 bytes of one


@dataclass(frozen=True)
class _Site:
    """What the head of a dump says.

    Attributes:
        base: address under which titles lie.
        namespaces: number of every namespace by its name (dumps before version 0.6 have no `<ns>`).
    """

    base: str | None
    namespaces: dict[str, str]


class Streams:
    """The streams of a multistream dump that lie in a piece, as one opened file.

    Attributes:
        bytes_read: bytes of the streams so far.
        head: first bytes of the dump, with `<siteinfo>`.
    """

    def __init__(self, path: str, options: ReadOptions) -> None:
        self.bytes_read = 0
        self._path, self._options = path, options
        self._done = False
        self.head = open_stream(path, options).peek(_HEAD_BYTES)

    def finished(self) -> bool:
        """Say whether the reader has come to the end of the piece."""
        return self._done

    def after(self, item: Item) -> int:
        """Return the place after an item of a stream."""
        return item.offset + item.length

    def streams(self) -> Iterator[ByteReader]:
        """Yield every stream of the piece."""
        options = self._options
        for member, blocks in read_members(self._path, options.start, options.end or 0, options.inflation):
            stream = ByteReader(blocks, member * _STREAM_STEP)
            yield stream
            self.bytes_read += stream.bytes_read
        self._done = True


def open_dump(path: str, options: ReadOptions) -> ByteReader | Streams:
    """Open a dump, or the piece of a multistream dump."""
    return open_text(path, options) if options.end is None else Streams(path, options)


def read(opened: ByteReader | Streams, options: ReadOptions) -> Iterator[Item]:
    """Read the pages of a dump or of a piece of it.

    Pages of namespace 0 with wikitext are records; redirects, other namespaces and content models are
    non-documents, and so is everything between pages. A dump that is neither UTF-8 nor UTF-16 is one bad record.
    """
    if isinstance(opened, Streams):
        site = _site(opened.head)
        for stream in opened.streams():
            yield from _pages(stream, site, options)
        return
    head = opened.peek(_HEAD_BYTES)
    foreign = _foreign_encoding(head)
    if foreign:
        yield from _refuse(opened, foreign)
    else:
        yield from _pages(opened, _site(head), options)


def _pages(stream: ByteReader, site: _Site, options: ReadOptions) -> Iterator[Item]:
    while True:
        if stream.at_end():
            offset = stream.position
            fault = stream.next_segment()
            if fault is None:
                return
            yield broken_by(fault, offset, 0, b"")
        elif stream.peek(len(_START)) == _START:
            yield _page(stream, site, options)
        else:
            yield _between(stream)


def _foreign_encoding(head: bytes) -> str:
    """Name the encoding of a dump if it cannot be read."""
    declared = _DECLARATION.match(head.removeprefix(b"\xef\xbb\xbf"))
    name = declared[1].decode("ascii") if declared else "utf-8"
    return "" if name.lower() in _READABLE else name


def _refuse(stream: ByteReader, encoding: str) -> Iterator[Item]:
    fault = None
    while not stream.at_end() or fault is not None:
        offset = stream.position
        taken = stream.rest(RAW_BYTES)
        text = f"encoding of the dump cannot be read: got {encoding}; expected UTF-8 or UTF-16"
        if taken.length:
            yield BadRecord(offset, taken.length, "unsupported_encoding", text, taken.content)
        offset = stream.position
        fault = stream.next_segment()
        if fault is not None:
            yield broken_by(fault, offset, 0, b"")


def _site(head: bytes) -> _Site:
    """Read `<siteinfo>`; titles lie beside the main page (`…/wiki/Main_Page` -> `…/wiki/`)."""
    found = _BASE.search(head)
    base = found[1].decode("utf-8", "replace").rpartition("/")[0] + "/" if found else None
    names = {name.decode("utf-8", "replace"): key.decode() for key, name in _NAMESPACE.findall(head)}
    return _Site(base, names)


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


def _page(stream: ByteReader, site: _Site, options: ReadOptions) -> Item:
    """Read one page; a page that is cut short by the start of the next one is a bad record of its own."""
    offset = stream.position
    taken = stream.until(_END, options.max_record_bytes, stop=_START)
    if taken.stopped:
        text = "page without an end: got <page>; expected </page> before it"
        return BadRecord(offset, taken.length, "broken_page", text, taken.content[:RAW_BYTES])
    fault = None if taken.found else stream.next_segment()
    if fault is not None:
        return broken_by(fault, offset, taken.length, taken.content)
    if not taken.whole:
        return too_large(offset, taken.length, options.max_record_bytes, taken.content)
    if not taken.found:
        text = "page without an end: got the end of the file; expected </page>"
        return BadRecord(offset, taken.length, "truncated", text, taken.content[:RAW_BYTES])
    return _parse(offset, taken.content, site)


def _parse(offset: int, content: bytes, site: _Site) -> Item:
    """Parse one page.

    The fragment has no DOCTYPE (one after the root's start is an error), so no entity can be defined or expanded.
    """
    length = len(content)
    marks = content.count(b"<") + content.count(b'="') if length > _MAX_MARKS else 0
    if marks > _MAX_MARKS:
        text = f"page with too much markup: got {marks} tags and attributes; expected at most {_MAX_MARKS}"
        return BadRecord(offset, length, "too_many_values", text, content[:RAW_BYTES])
    try:
        page = ET.fromstring(content)
    except ET.ParseError as error:
        text = f"page is no sound XML: got {error}; expected a <page> element"
        return BadRecord(offset, length, "broken_page", text, content[:RAW_BYTES])
    revisions = page.findall("revision")
    title = (page.findtext("title") or "").strip()
    kind = _kind_without_revision(page, title, site)
    if kind is None and not revisions:
        text = "page has no text: got no <revision>; expected one"
        return BadRecord(offset, length, "missing_field", text, content[:RAW_BYTES])
    kind = kind or _kind_of_revision(revisions[-1])  # a full-history dump lists them oldest first
    if kind is not None:
        return NonDocument(offset, length, kind)
    quoted = urllib.parse.quote(title.replace(" ", "_"), safe="/:@!$*(),;~")
    url = site.base + quoted if site.base and title else None
    body = (revisions[-1].findtext("text") or "").encode()
    date = revisions[-1].findtext("timestamp")
    return Record(offset, length, body, "wikitext", page.findtext("id"), url, date, "utf-8")


def _kind_without_revision(page: ET.Element, title: str, site: _Site) -> str | None:
    """Return the kind of a page that is no document by its namespace or because it redirects, else None."""
    namespace = page.findtext("ns") or site.namespaces.get(title.partition(":")[0] if ":" in title else "", "0")
    namespace = namespace.strip()
    if namespace != "0":
        known = namespace.lstrip("-").isdecimal() and len(namespace) < 6
        return f"namespace:{namespace if known else 'unknown'}"
    return "redirect" if page.find("redirect") is not None else None


def _kind_of_revision(revision: ET.Element) -> str | None:
    """Return the kind of a page whose newest revision is no document, else None."""
    if (revision.findtext("model") or "wikitext").strip() != "wikitext":
        return "content_model"
    body = revision.find("text")
    if body is None or body.get("deleted") is not None:
        return "deleted"
    return "redirect" if _REDIRECT.match(body.text or "") else None
