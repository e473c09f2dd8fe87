"""HTTP responses inside WARC records: status, headers, transfer and content encodings."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

import brotli
import zstandard

# Possessive: 64 KiB of spaces must not be tried in every way (10 s).
_CHARSET = re.compile(r"charset\s*+=\s*+[\"']?\s*+([A-Za-z0-9_:.-]+)", re.IGNORECASE)
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(rb"HTTP/\d(?:\.\d)?\s+(\d{3})\b")
_CHUNK_SIZE = re.compile(rb"\s*+([0-9A-Fa-f]{1,8})[ \t]*+(?:;[^\r\n]*+)?\r?\n")
_MAX_HEAD_BYTES = 1 << 16
_MAX_ENCODINGS = 4  # one after another; real servers send at most two


class HttpError(ValueError):
    """A response that cannot be read."""

    def __init__(self, error: str, text: str) -> None:
        super().__init__(text)
        self.error = error


@dataclass(frozen=True, slots=True)
class Response:
    """A decoded response: status, headers (names in lower case) and body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def charset(self) -> str | None:
        """The charset that `Content-Type` declares."""
        found = _CHARSET.search(self.headers.get("content-type", ""))
        return found[1] if found else None


def parse_headers(block: bytes) -> dict[str, str]:
    """Parse `Name: value` lines (the first line is skipped); names in lower case, the first of a name wins."""
    headers: dict[str, list[bytes]] = {}
    values: list[bytes] = []
    for line in block.split(b"\n")[1:]:
        if line[:1] in (b" ", b"\t"):
            values.append(line.strip())
            continue
        key, colon, value = line.partition(b":")
        if colon:
            values = [value.strip()]
            headers.setdefault(key.strip().decode("utf-8", "replace").lower(), values)
    return {name: b" ".join(values).decode("utf-8", "replace") for name, values in headers.items()}


def parse_response(block: bytes, max_body_bytes: int, *, head_only: bool = False) -> Response:
    """Parse a response and undo its encodings.

    Args:
        block: the block of the WARC record.
        max_body_bytes: a body that is larger when decoded is refused.
        head_only: leave the body empty.

    Raises:
        HttpError: if there is no status line or no end of the headers, or the body cannot be decoded.
    """
    status = _STATUS.match(block)
    if status is None:
        raise HttpError("not_http", f"no HTTP response: got {block[:20]!r}; expected a status line")
    end = _HEAD_END.search(block, 0, _MAX_HEAD_BYTES)
    if end is None:
        raise HttpError("truncated_http", f"no end of the HTTP headers: got {len(block)} bytes; expected an empty line")
    headers = parse_headers(block[: end.start()])
    body = b"" if head_only else _decode(block[end.end() :], headers, max_body_bytes)
    return Response(int(status[1]), headers, body)


def _decode(body: bytes, headers: dict[str, str], limit: int) -> bytes:
    """Undo chunked transfer and content encodings.

    Crawlers often store decoded bodies under the original headers, so an encoding whose mark is missing in the
    bytes is taken as undone already.
    """
    if "chunked" in headers.get("transfer-encoding", "").lower() and _CHUNK_SIZE.match(body):
        body = _dechunk(body)
    encodings = [name.strip() for name in headers.get("content-encoding", "").lower().split(",")]
    if len(encodings) > _MAX_ENCODINGS:
        text = f"too many content encodings: got {len(encodings)}; expected at most {_MAX_ENCODINGS}"
        raise HttpError("content_encoding", text)
    for encoding in reversed(encodings):
        body = _decompress(body, encoding, limit)
    if len(body) > limit:
        raise _too_large(str(len(body)), limit)
    return body


def _too_large(got: str, limit: int) -> HttpError:
    text = f"HTTP body too large: got {got} bytes once decoded; expected at most {limit}"
    return HttpError("too_large", f"{text} (limits.max_page_mb = {limit / 1e6:g})")


def _dechunk(body: bytes) -> bytes:
    joined, at = bytearray(), 0  # and no list: there may be a chunk for every byte
    while True:
        size = _CHUNK_SIZE.match(body, at)
        if size is None:
            raise HttpError("bad_chunks", f"broken chunked body: got {body[at : at + 20]!r}; expected a chunk size")
        length = int(size[1], 16)
        if length == 0:
            return bytes(joined)
        start = size.end()
        if start + length > len(body):
            raise HttpError("bad_chunks", f"broken chunked body: got {len(body) - start} bytes; expected {length}")
        joined += body[start : start + length]
        at = start + length + (2 if body[start + length : start + length + 2] == b"\r\n" else 0)


def _decompress(body: bytes, encoding: str, limit: int) -> bytes:
    if encoding in ("", "identity"):
        return body
    if encoding in ("gzip", "x-gzip"):
        return _inflate(body, zlib.MAX_WBITS | 16, limit) if body[:2] == b"\x1f\x8b" else body
    if encoding == "deflate":
        wrapped = body[:1] == b"\x78"  # RFC 9110 means zlib; some servers send the bare stream
        if not wrapped and body[:512].lstrip()[:1] == b"<":
            return body
        return _inflate(body, zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS, limit)
    if encoding == "zstd":
        if body[:4] != b"\x28\xb5\x2f\xfd":
            return body
        return _unzstd(body, limit)
    if body[:512].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        return body
    if encoding == "br":
        return _unbrotli(body, limit)
    raise HttpError(
        "content_encoding", f"unknown content encoding: got {encoding[:40]!r}; expected gzip, deflate, br or zstd"
    )


def _inflate(body: bytes, window_bits: int, limit: int) -> bytes:
    decoder = zlib.decompressobj(window_bits)
    try:
        output = decoder.decompress(body, limit + 1)
    except zlib.error as error:
        raise HttpError("content_encoding", f"broken compressed body: got {error}; expected a valid stream") from error
    if len(output) > limit:
        raise _too_large(f"more than {limit}", limit)
    if not decoder.eof:
        raise HttpError(
            "content_encoding",
            f"broken compressed body: got {len(body)} bytes; expected the end of the stream",
        )
    return output


def _unzstd(body: bytes, limit: int) -> bytes:
    try:
        with zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(body) as reader:
            output = reader.read(limit + 1)
    except zstandard.ZstdError as error:
        raise HttpError("content_encoding", f"broken compressed body: got {error}; expected a valid stream") from error
    if len(output) > limit:
        raise _too_large(f"more than {limit}", limit)
    return output


def _unbrotli(body: bytes, limit: int) -> bytes:
    decoder, output = brotli.Decompressor(), bytearray()
    try:
        output += decoder.process(body, output_buffer_limit=limit + 1)
        while len(output) <= limit and not decoder.can_accept_more_data():
            output += decoder.process(b"", output_buffer_limit=limit + 1 - len(output))
    except brotli.error as error:
        raise HttpError("content_encoding", f"broken compressed body: got {error}; expected a valid stream") from error
    if len(output) > limit:
        raise _too_large(f"more than {limit}", limit)
    if not decoder.is_finished():
        raise HttpError(
            "content_encoding",
            f"broken compressed body: got {len(body)} bytes; expected the end of the stream",
        )
    return bytes(output)
