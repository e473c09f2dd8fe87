r"""Pre-tokenizers of byte-level BPE as state machines: where the piece of text that is merged on its own ends.

Each machine equals a regular expression as `tokenizers` runs it. All of them look at every character a bounded number
of times, so no text is slow. What they know of Unicode are the classes of `unicode_tables`, asked of the
library itself.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from pipelines.kernels.compile import INLINE, KERNEL
from pipelines.kernels.pretokenizer_model import CL100K, DEEPSEEK, GPT2, Machine
from pipelines.kernels.unicode_tables import (
    CJK,
    COMBINING,
    LETTER,
    NUMBER,
    PUNCTUATION,
    SYMBOL,
    WHITE_SPACE,
    decode_utf8,
    pretokenizer_categories,
    pretokenizer_classes,
)

_LINE_FEED, _RETURN, _SPACE, _APOSTROPHE = 10, 13, 32, 39


def machine_classes(machine: Machine) -> np.ndarray:
    """Return the classes of code points that a machine reads, `uint8 [TABLE_SIZE]`."""
    return pretokenizer_categories() if machine.kind == DEEPSEEK else pretokenizer_classes()


@njit(**INLINE)
def _is_line_end(byte: int) -> bool:
    return byte in (_LINE_FEED, _RETURN)


@njit(**KERNEL)
def _space_end(data: np.ndarray, start: int, end: int, classes: np.ndarray, line_ends: bool, inside: int) -> int:
    r"""Return where white space ends: `\s*[\r\n]+` (only if `line_ends`), else `\s+(?!\S)`, else `\s+`.

    Args:
        data: UTF-8.
        start: first white space.
        end: end of the text.
        classes: class of every code point.
        line_ends: whether white space is cut after its last line end.
        inside: a character that is a NUMBER, or in CJK other than this, ends the text; -1: none does.
    """
    last, line_end = start, start
    at = start
    followed = False
    while at < end:
        point, width = decode_utf8(data, at)
        kind = classes[point]
        if kind & ~CJK != WHITE_SPACE:
            followed = inside < 0 or (kind != NUMBER and kind & CJK == inside)
            break
        last = at
        at += width
        if _is_line_end(data[last]):
            line_end = at
    if line_ends and line_end > start:
        return line_end
    return last if followed and last > start else at


@njit(**INLINE)
def _run_end(data: np.ndarray, at: int, end: int, classes: np.ndarray, kind: int) -> int:
    """Return where the characters of one class end."""
    while at < end:
        point, width = decode_utf8(data, at)
        if classes[point] != kind:
            break
        at += width
    return at


@njit(**KERNEL)
def _numbers_end(data: np.ndarray, at: int, end: int, classes: np.ndarray, most: int) -> int:
    """Return where numbers end, of which at most `most` are taken."""
    while at < end and most > 0:
        point, width = decode_utf8(data, at)
        if classes[point] != NUMBER:
            break
        at += width
        most -= 1
    return at


@njit(**KERNEL)
def _line_ends_end(data: np.ndarray, at: int, end: int) -> int:
    while at < end and _is_line_end(data[at]):
        at += 1
    return at


@njit(**INLINE)
def _contraction_end(data: np.ndarray, start: int, end: int, any_case: bool) -> int:
    """Return where 's, 't, 're, 've, 'm, 'll or 'd ends that starts here, or `start`."""
    if data[start] != _APOSTROPHE or start + 1 >= end:
        return start
    low = 0x20 if any_case else 0  # ASCII letters in lower case; nothing else becomes one of those below
    c1 = data[start + 1] | low
    if c1 == ord("s") or c1 == ord("t") or c1 == ord("m") or c1 == ord("d"):
        return start + 2
    if start + 2 < end:
        c2 = data[start + 2] | low
        if (c1 == ord("r") or c1 == ord("v")) and c2 == ord("e"):
            return start + 3
        if c1 == ord("l") and c2 == ord("l"):
            return start + 3
        if any_case and data[start + 1] == 0xC5 and data[start + 2] == 0xBF:  # ſ is an s without case
            return start + 3
    return start


@njit(**INLINE)
def _gpt2_end(data: np.ndarray, start: int, end: int, classes: np.ndarray) -> int:
    r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+."""
    at = _contraction_end(data, start, end, False)
    if at > start:
        return at
    at = start + 1 if data[start] == _SPACE and start + 1 < end else start
    point, width = decode_utf8(data, at)
    kind = classes[point]
    if kind == WHITE_SPACE:
        return _space_end(data, start, end, classes, False, -1)
    return _run_end(data, at + width, end, classes, kind)


@njit(**KERNEL)
def _cl100k_end(data: np.ndarray, start: int, end: int, classes: np.ndarray, digits: int) -> int:
    r"""(?i:contractions)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+."""
    at = _contraction_end(data, start, end, True)
    if at > start:
        return at
    point, width = decode_utf8(data, start)
    kind = classes[point]
    at = start + width
    if kind == LETTER:
        return _run_end(data, at, end, classes, LETTER)
    if kind == NUMBER:
        return _numbers_end(data, at, end, classes, digits - 1)
    second = -1
    if at < end:
        point, width = decode_utf8(data, at)
        second = int(classes[point])
        if second == LETTER and not _is_line_end(data[start]):
            return _run_end(data, at + width, end, classes, LETTER)
    if kind == 0 or (data[start] == _SPACE and second == 0):
        return _line_ends_end(data, _run_end(data, at, end, classes, 0), end)
    return _space_end(data, start, end, classes, True, -1)


@njit(**INLINE)
def _is_ascii_letter(byte: int) -> bool:
    lower = byte | 0x20
    return lower >= ord("a") and lower <= ord("z")


@njit(**KERNEL)
def _pair_end(data: np.ndarray, at: int, end: int, classes: np.ndarray, first: int, second: int) -> int:
    """Return where the characters of two classes (both with the same CJK bit) end."""
    while at < end:
        point, width = decode_utf8(data, at)
        if classes[point] != first and classes[point] != second:
            break
        at += width
    return at


@njit(**KERNEL)
def _deepseek_match_end(data: np.ndarray, start: int, end: int, classes: np.ndarray) -> int:
    """Return where a match of DeepSeek's third expression ends that starts here, or `start` if none does.

    What the first two expressions have cut off ends the text for the third: numbers, and the other side of CJK.
    """
    point, width = decode_utf8(data, start)
    cjk = int(classes[point]) & CJK
    kind = int(classes[point]) & ~CJK
    letter, combining = LETTER | cjk, COMBINING | cjk
    punctuation, symbol = PUNCTUATION | cjk, SYMBOL | cjk
    at = start + width
    if kind in (LETTER, COMBINING):
        return _pair_end(data, at, end, classes, letter, combining)
    second, second_width = -1, 0
    if at < end:
        point, second_width = decode_utf8(data, at)
        second = int(classes[point])
    is_punctuation = kind in (PUNCTUATION, SYMBOL)
    if is_punctuation:
        if width == 1 and at < end and _is_ascii_letter(data[at]):
            while at < end and _is_ascii_letter(data[at]):
                at += 1
            return at
    elif second in (letter, combining) and not _is_line_end(data[start]):
        return _pair_end(data, at + second_width, end, classes, letter, combining)
    if is_punctuation or (data[start] == _SPACE and second in (punctuation, symbol)):
        at = _pair_end(data, at, end, classes, punctuation, symbol)
        return at if cjk else _line_ends_end(data, at, end)
    if kind == WHITE_SPACE:
        return _space_end(data, start, end, classes, True, cjk)
    return start


@njit(**KERNEL)
def _deepseek_end(data: np.ndarray, start: int, end: int, classes: np.ndarray, digits: int) -> int:
    r"""First \p{N}{1,3}, then runs of CJK, then in what lies between a third expression; its rest is kept whole."""
    point, width = decode_utf8(data, start)
    kind = classes[point]
    if kind == NUMBER:
        return _numbers_end(data, start + width, end, classes, digits - 1)
    at = _deepseek_match_end(data, start, end, classes)
    if at > start:
        return at
    at += width
    while at < end:  # unmatched up to the next match, or to the end of the piece
        point, width = decode_utf8(data, at)
        if (
            classes[point] == NUMBER
            or (classes[point] ^ kind) & CJK
            or _deepseek_match_end(data, at, end, classes) > at
        ):
            break
        at += width
    return at


@njit(**INLINE)
def pretoken_end(data: np.ndarray, start: int, end: int, classes: np.ndarray, kind: int, digits: int) -> int:
    """Return where the pre-token ends that starts at `start`.

    Args:
        data: UTF-8, `uint8 [bytes + padding]`.
        start: where the last one ended.
        end: end of the text, after `start`.
        classes: `machine_classes`.
        kind: of the Machine.
        digits: of the Machine.
    """
    if kind == GPT2:
        return _gpt2_end(data, start, end, classes)
    if kind == CL100K:
        return _cl100k_end(data, start, end, classes, digits)
    return _deepseek_end(data, start, end, classes, digits)
