"""Raw files from texts: WARC, MediaWiki XML and JSON lines, byte for byte reproducible."""

from __future__ import annotations

import bz2
import gzip
import html
import json
import lzma
import uuid
from xml.sax.saxutils import escape

import zstandard

_DATE = "2024-05-06T07:08:09Z"


def compress(data: bytes, suffix: str) -> bytes:
    """Compress one member, frame or stream, by file name extension."""
    if suffix.endswith(".gz"):
        return gzip.compress(data, 6, mtime=0)
    if suffix.endswith(".zst"):
        return zstandard.ZstdCompressor(level=3, write_checksum=True).compress(data)
    if suffix.endswith(".bz2"):
        return bz2.compress(data)
    return lzma.compress(data) if suffix.endswith(".xz") else data


def json_line(text: object, **fields: object) -> bytes:
    """Write one JSON line."""
    return json.dumps({"text": text, **fields}, ensure_ascii=False, sort_keys=True).encode() + b"\n"


def warc_record(
    record_type: str,
    url: str,
    block: bytes,
    content_type: str,
    *,
    record_id: str = "",
    length: int | None = None,
) -> bytes:
    """Write one WARC 1.0 record; `length` overrides Content-Length."""
    record_id = record_id or f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, record_type + url)}>"
    head = (
        f"WARC/1.0\r\nWARC-Type: {record_type}\r\nWARC-Record-ID: {record_id}\r\nWARC-Date: {_DATE}\r\n"
        f"WARC-Target-URI: {url}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(block) if length is None else length}\r\n\r\n"
    )
    return head.encode() + block + b"\r\n\r\n"


def http_response(
    body: bytes, content_type: str = "text/html; charset=utf-8", status: int = 200, headers: str = ""
) -> bytes:
    """Write one HTTP response; `headers` are whole lines with "\\r\\n"."""
    return f"HTTP/1.1 {status} OK\r\nContent-Type: {content_type}\r\n{headers}\r\n".encode() + body


def html_page(title: str, text: str) -> str:
    """Write a page with navigation, an article and a footer."""
    paragraphs = "".join(f"<p>{html.escape(p)}</p>\n" for p in text.split("\n\n"))
    return (
        f"<!DOCTYPE html>\n<html><head><title>{html.escape(title)}</title><script>var a = '<p>no</p>';</script></head>\n"
        '<body><nav><ul><li><a href="/">Home</a></li><li><a href="/all">All</a></li></ul></nav>\n'
        f"<main><article><h1>{html.escape(title)}</h1>\n{paragraphs}</article></main>\n"
        "<footer><p>Contact</p></footer></body></html>\n"
    )


def page_record(url: str, title: str, text: str, *, record_id: str = "") -> bytes:
    """Write the WARC record of one HTML page."""
    block = http_response(html_page(title, text).encode())
    return warc_record("response", url, block, "application/http; msgtype=response", record_id=record_id)


WIKI_HEAD = (
    b'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="en">\n'
    b"  <siteinfo>\n    <sitename>Test</sitename>\n    <base>https://wiki.example/wiki/Main_Page</base>\n  </siteinfo>\n"
)
WIKI_TAIL = b"</mediawiki>\n"


def wiki_page(number: int, title: str, wikitext: str, *, namespace: int = 0, redirect: bool = False) -> bytes:
    """Write one `<page>`."""
    target = '    <redirect title="Other" />\n' if redirect else ""
    return (
        f"  <page>\n    <title>{escape(title)}</title>\n    <ns>{namespace}</ns>\n    <id>{number}</id>\n{target}"
        f"    <revision>\n      <id>{number + 1000}</id>\n      <timestamp>{_DATE}</timestamp>\n"
        "      <model>wikitext</model>\n      <format>text/x-wiki</format>\n"
        f'      <text bytes="{len(wikitext.encode())}" xml:space="preserve">{escape(wikitext)}</text>\n'
        "    </revision>\n  </page>\n"
    ).encode()


def wikitext(title: str, text: str) -> str:
    """Dress a text as an article: infobox, references, links, table, file, category."""
    first, *rest = text.split("\n\n")
    head = f"{{{{Infobox|name={title}|born={{{{date|1815}}}}}}}}\n'''{title}'''<ref name=\"a\">{{{{cite|x}}}}</ref> {first}\n\n"
    table = '{| class="wikitable"\n! a !! b\n|-\n| 1 || {{n}}\n|}\n'
    body = "\n\n".join(rest)
    return f"{head}[[File:A.jpg|thumb|''caption'' of [[x]]]]\n== [[Section|History]] ==\n{body}\n{table}[[Category:Tests]]\n"
