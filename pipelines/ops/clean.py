"""Cleaning that every text gets: line ends, control characters, byte order marks, NFC, blank lines.

Nothing else is changed: spaces inside and at the end of lines stay, because code, tables and verse need them.
Every change is counted by rule.
"""

from __future__ import annotations

import functools
import re
import unicodedata

# Vertical tab, form feed and NEL end a line; U+2028 and U+2029 are kept, they are part of running text.
_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x85]")
# C0 except tab and line feed, DEL, C1: no meaning in text. Applied after _LINE_ENDS.
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f]+")
_SUSPECT_ASCII = bytes([*range(9), *range(0x0B, 0x20), 0x7F])
_SUSPECT_C1 = re.compile(b"\xc2[\x80-\x9f]")
_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n){3,}")
_BLANK = " \t\n"
# Longest run of combining marks (UAX #15, Stream-Safe Text Format). Normalisation sorts a run by insertion: 80,000 marks
# take 5 s, a megabyte of them minutes.
_MAX_MARKS = 30
_JOINER = "\u034f"  # COMBINING GRAPHEME JOINER: invisible, ends a run


def clean(text: str) -> tuple[str, dict[str, int]]:
    r"""Clean a text.

    Args:
        text: any text without surrogates.

    Returns:
        The text in NFC, and how often each rule changed it: `line_ends` (other line ends than "\n"),
        `control_characters` (characters removed), `byte_order_marks` (removed), `nfc` (1 if normalisation
        changed something), `stream_safe` (joiners put into runs of more than 30 combining marks), `blank_lines`
        (runs of more than two cut to two), `outer_blank_lines` (characters cut from both ends). Applying it
        again changes nothing.
    """
    edits: dict[str, int] = {}
    if _is_suspect(text):
        text = _remove_suspects(text, edits)
    if not text.isascii() and _run_of_marks(text):
        text = _end_runs(text, edits)
    if not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", text)
        edits["nfc"] = 1
    start, end = _inner(text)
    if end - start < len(text):
        edits["outer_blank_lines"] = len(text) - (end - start)
        text = text[start:end]
    if "\n\n" in text or "\n " in text or "\n\t" in text:
        text, count = _BLANK_LINES.subn("\n\n\n", text)
        if count:
            edits["blank_lines"] = count
    return text, edits


@functools.cache
def _marks() -> frozenset[str]:
    """Return the combining marks."""
    return frozenset(chr(point) for point in range(0x300, 0x1F000) if unicodedata.combining(chr(point)))


def _run_of_marks(text: str) -> bool:
    """Say whether a run of marks is too long: of 31 characters in a row, one is in any sample of every 31st."""
    marks, step = _marks(), _MAX_MARKS + 1
    if marks.isdisjoint(text[::step]):
        return False
    for at in range(0, len(text), step):
        if text[at] in marks:
            near = text[max(0, at - _MAX_MARKS) : at + step]
            before = min(at, _MAX_MARKS)
            left = next((n for n in range(before) if near[before - 1 - n] not in marks), before)
            right = next((n for n, mark in enumerate(near[before + 1 :]) if mark not in marks), len(near) - before - 1)
            if left + 1 + right > _MAX_MARKS:
                return True
    return False


def _end_runs(text: str, edits: dict[str, int]) -> str:
    marks = "".join(sorted(_marks()))
    run = re.compile(f"[{marks}]{{{_MAX_MARKS}}}(?=[{marks}])")
    while _run_of_marks(text):  # a second time if normalisation has made two marks of one (U+0344)
        text, count = run.subn(rf"\g<0>{_JOINER}", text)
        edits["stream_safe"] = edits.get("stream_safe", 0) + count
        text = unicodedata.normalize("NFC", text)
    return text


def _is_suspect(text: str) -> bool:
    """Say whether a text has other line ends, control characters or byte order marks.

    Over the UTF-8 bytes, because `bytes.translate` is four times as fast as a character class (1 GB/s).
    """
    data = text.encode()
    if len(data.translate(None, _SUSPECT_ASCII)) < len(data):
        return True
    return not text.isascii() and ("\ufeff" in text or _SUSPECT_C1.search(data) is not None)


def _remove_suspects(text: str, edits: dict[str, int]) -> str:
    text, count = _LINE_ENDS.subn("\n", text)
    if count:
        edits["line_ends"] = count
    removed = _CONTROL.sub("", text)
    if len(removed) < len(text):
        edits["control_characters"] = len(text) - len(removed)
    marks = removed.count("\ufeff")
    if marks:
        edits["byte_order_marks"] = marks
        removed = removed.replace("\ufeff", "")
    return removed


def _inner(text: str) -> tuple[int, int]:
    """Return the span of a text without blank lines at its ends (the first line keeps its indentation)."""
    tail = text.rstrip(_BLANK)
    if not tail:
        return (0, 0) if "\n" in text else (0, len(text))
    line_end = text.find("\n", len(tail))
    indent = len(tail) - len(tail.lstrip(_BLANK))
    return tail.rfind("\n", 0, indent) + 1, line_end if line_end >= 0 else len(text)
