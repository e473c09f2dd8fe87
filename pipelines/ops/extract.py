"""From the bytes of a record to text: decoding, HTML extraction, wikitext.

A text is never decoded with guesses that lose bytes: UTF-8 first, then what is declared, then detection. Only a
page that declares an encoding which its bytes contradict is decoded with U+FFFD, and that is counted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

from pipelines.contracts.recipe import Extract
from pipelines.ops.pages.content import page_content
from pipelines.ops.pages.metadata import Metadata
from pipelines.ops.wikitext import plain_text
from pipelines.readers.records import Record

_META_BYTES = 1024  # the HTML standard looks for <meta charset> in the first 1024 bytes
_META_CHARSET = re.compile(rb"""<meta[^>]+charset\s*=\s*["']?\s*([A-Za-z0-9_:.-]+)""", re.IGNORECASE)
_DETECT_BYTES = 1 << 16
_SOUND = re.compile("[^\x00-\x7f\ufffd]")
_BINARY = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")


class ExtractionError(ValueError):
    """A record holds no text that can be read."""

    def __init__(self, error: str, text: str) -> None:
        super().__init__(text)
        self.error = error


@dataclass(frozen=True)
class Extracted:
    """The text of a record (not cleaned yet), what was lost on the way, and what a page says of itself."""

    text: str
    edits: dict[str, int]
    metadata: Metadata


def extract(record: Record, options: Extract) -> Extracted:
    """Extract the text of a record.

    Args:
        record: a record of any kind.
        options: how HTML becomes text.

    Raises:
        ExtractionError: if the bytes cannot be decoded.
    """
    if record.kind == "html":
        html, edits = decode_html(record.content, record.charset)
        content = page_content(html, options)
        return Extracted(content.text, edits, content.metadata)
    text = decode_text(record.content, record.charset)
    return Extracted(plain_text(text) if record.kind == "wikitext" else text, {}, Metadata())


def decode_text(content: bytes, charset: str | None = None) -> str:
    """Decode plain text: UTF-8, else the declared encoding, else a detected one; strictly.

    Raises:
        ExtractionError: if no encoding fits, or if the bytes are not text.
    """
    text = _strict(content, "utf-8")
    if text is not None:
        return text
    damage = _utf8_damage(content)
    encoding = _python_name(charset) or (None if damage else detect_encoding(content[:_DETECT_BYTES]))
    text = None if encoding in (None, "utf-8") else _strict(content, encoding)
    if text is None:
        got = damage or f"bytes that are no {encoding or 'known encoding'}"
        raise ExtractionError("undecodable", f"cannot decode: got {got}; expected UTF-8 or a detectable encoding")
    controls = len(_BINARY.findall(text[:_DETECT_BYTES]))
    if controls * 100 > min(len(text), _DETECT_BYTES):
        raise ExtractionError("binary", f"not a text: got {controls} control characters as {encoding}; expected text")
    return text


def decode_html(content: bytes, charset: str | None) -> tuple[str, dict[str, int]]:
    """Decode a page: UTF-8, else the encoding of the HTTP header, else of `<meta>`, else a detected one.

    Returns:
        The page and `{"undecodable_bytes": n}` if a declared encoding did not fit n places.

    Raises:
        ExtractionError: if nothing is declared and no encoding fits.
    """
    text = _strict(content, "utf-8")
    if text is not None:
        return text, {}
    meta = _META_CHARSET.search(content[:_META_BYTES])
    declared = [name for name in map(_python_name, (charset, meta and meta[1].decode("ascii"))) if name]
    for encoding in (*declared, detect_encoding(content[:_DETECT_BYTES])):
        text = None if encoding == "utf-8" else _strict(content, encoding)
        if text is not None:
            return text, {}
    if not declared:
        raise ExtractionError(
            "undecodable", "cannot decode the page: got no fitting encoding; expected a declared one or UTF-8"
        )
    text = content.decode(declared[0], "replace")
    return text, {"undecodable_bytes": text.count("\ufffd")}


def _python_name(charset: str | None) -> str | None:
    """Map a declared charset to a codec name as browsers do (latin-1 means windows-1252)."""
    return map_encoding_to_html5(charset.strip().lower(), fallback_utf8=False) if charset else None


def _strict(content: bytes, encoding: str) -> str | None:
    try:
        return content.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return None


def _utf8_damage(content: bytes) -> str | None:
    """Describe the fault if the bytes are mostly UTF-8: one broken byte must not turn a text into mojibake."""
    text = content.decode("utf-8", "replace")
    faults = text.count("\ufffd")
    if len(_SOUND.findall(text)) < faults:
        return None
    head = text[: text.index("\ufffd")].encode()
    return f"{faults} invalid places in UTF-8, the first (0x{content[len(head)]:02x}) at byte {len(head)}"
