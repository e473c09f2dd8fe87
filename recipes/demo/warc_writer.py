"""Write pages as a WARC/1.0 file (ISO 28500): one gzip member per record, the same bytes for the same pages."""

from __future__ import annotations

import base64
import gzip
import hashlib
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

WARC_DATE = "2024-01-01T00:00:00Z"  # fixed: a wall clock would change the bytes of every record
HTTP_DATE = "Mon, 01 Jan 2024 00:00:00 GMT"
REQUEST_EVERY_PAGES = 50  # so that a reader meets records that are no documents


@dataclass(frozen=True)
class Page:
    """One web page as a server would have sent it.

    Attributes:
        uri: its address.
        body: HTML in the page's own encoding.
    """

    uri: str
    body: bytes


@dataclass(frozen=True)
class WarcCounts:
    """Records written: responses are documents, others are not."""

    responses: int
    others: int
    bytes: int


def write_warc(path: Path, pages: Iterable[Page]) -> WarcCounts:
    """Write a warcinfo record, a response per page, and a request and a metadata record for every 50th page."""
    responses = others = 0
    with path.open("wb") as out:
        fields = b"software: mixtrace demo corpora\r\nformat: WARC File Format 1.0\r\n"
        out.write(_record("warcinfo", path.name, "application/warc-fields", fields, name_field="WARC-Filename"))
        others += 1
        for number, page in enumerate(pages):
            if number % REQUEST_EVERY_PAGES == 0:
                out.write(_record("request", page.uri, "application/http; msgtype=request", _http_request(page.uri)))
                others += 1
            out.write(_record("response", page.uri, "application/http; msgtype=response", _http_response(page.body)))
            responses += 1
            if number % REQUEST_EVERY_PAGES == 0:
                out.write(_record("metadata", page.uri, "application/warc-fields", b"fetchTimeMs: 0\r\n"))
                others += 1
        return WarcCounts(responses, others, out.tell())


def gzip_member(data: bytes) -> bytes:
    """Gzip without a time or a file name, so that equal data are equal bytes."""
    return gzip.compress(data, compresslevel=6, mtime=0)


def _record(kind: str, target: str, content_type: str, block: bytes, name_field: str = "WARC-Target-URI") -> bytes:
    """One compressed record; its id is derived from its kind and target, of which a file has one each."""
    name = target if kind == "response" else f"{kind} {target}"
    header = (
        "WARC/1.0\r\n"
        f"WARC-Type: {kind}\r\n"
        f"WARC-Record-ID: <urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, name)}>\r\n"
        f"WARC-Date: {WARC_DATE}\r\n"
        f"{name_field}: {target}\r\n"
        f"WARC-Block-Digest: sha1:{base64.b32encode(hashlib.sha1(block).digest()).decode()}\r\n"
        f"Content-Type: {content_type}\r\n"
        f"Content-Length: {len(block)}\r\n\r\n"
    )
    return gzip_member(header.encode() + block + b"\r\n\r\n")


def _http_request(uri: str) -> bytes:
    host, _, path = uri.split("://", 1)[1].partition("/")
    return f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\n\r\n".encode()


def _http_response(body: bytes) -> bytes:
    """Status line, header and body; no charset is named, as on many real servers."""
    header = f"HTTP/1.1 200 OK\r\nDate: {HTTP_DATE}\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n\r\n"
    return header.encode() + body
