"""Serialised HTML -> elements, blocks and runs of text, in one pass over the bytes.

The input is what an HTML5 parser writes out again: well-formed, every end tag there, attributes in double quotes,
`&`, `<`, `>` and no-break spaces escaped. So tags can be scanned without knowing the rules of HTML, at memory speed,
and the tree is exactly the tree that a browser sees.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit, uint64

from pipelines.kernels.compile import KERNEL
from pipelines.kernels.html_tags import (
    BLOCK,
    CODE_OF,
    HIDDEN,
    RAW,
    SKIP,
    VOID,
)

_BR: Final = CODE_OF["br"]
_LT, _GT, _SLASH, _BANG, _QUOTE, _SPACE = 60, 62, 47, 33, 34, 32
_FNV, _FNV_PRIME = uint64(0xCBF29CE484222325), uint64(0x100000001B3)
MAX_DEPTH: Final = 512  # deeper elements count as text of the element at this depth, as in browsers

# Columns of the arrays that `scan` returns.
E_TAG, E_PARENT, E_DEPTH, E_STATE, E_BLOCK = range(5)
R_BEGIN, R_END, R_ELEMENT, R_BLOCK = range(4)


@njit(**KERNEL)
def _is_space(byte: int) -> bool:
    return byte == 32 or (byte >= 9 and byte <= 13)


@njit(**KERNEL)
def _tag_code(data: np.ndarray, at: int, table: np.ndarray) -> tuple[int, int]:
    """Return (code, end) of the tag name that starts at `at`."""
    value = _FNV
    while at < data.shape[0]:
        byte = data[at]
        if _is_space(byte) or byte == _GT or byte == _SLASH:
            break
        if byte >= 65 and byte <= 90:
            byte += 32
        value = (value ^ uint64(byte)) * _FNV_PRIME
        at += 1
    slot = np.int64(value % uint64(table.shape[0]))
    while table[slot, 1]:
        if table[slot, 0] == value:
            return np.int64(table[slot, 1]), at
        slot = (slot + 1) % table.shape[0]
    return 0, at


@njit(**KERNEL)
def _starts_with(data: np.ndarray, at: int, word: np.ndarray) -> bool:
    if at + word.shape[0] > data.shape[0]:
        return False
    for k in range(word.shape[0]):
        byte = data[at + k]
        if byte >= 65 and byte <= 90:
            byte += 32
        if byte != word[k]:
            return False
    return True


@njit(**KERNEL)
def _attributes(
    data: np.ndarray, at: int, steps: np.ndarray, found: np.ndarray, words: np.ndarray
) -> tuple[int, int, bool]:
    """Read attributes up to the end of the tag.

    Returns:
        (place after ">", groups of words found in class, id, role and itemprop, whether the element is hidden).
    """
    n = data.shape[0]
    hints, hidden = uint64(0), False
    while at < n:
        while at < n and (_is_space(data[at]) or data[at] == _SLASH):
            at += 1
        if at >= n or data[at] == _GT:
            return at + 1, hints, hidden
        name = at
        while at < n and data[at] != 61 and data[at] != _GT and not _is_space(data[at]):
            at += 1
        size = at - name
        value, end = at, at
        if at < n and data[at] == 61:
            at += 1
            if at < n and data[at] == _QUOTE:
                value = at + 1
                at = value
                while at < n and data[at] != _QUOTE:
                    at += 1
                end = at
                at += 1
        named = (
            _starts_with(data, name, words[0, :5])  # class
            or (size == 2 and _starts_with(data, name, words[1, :2]))  # id
            or (size == 4 and _starts_with(data, name, words[2, :4]))  # role
            or (size == 8 and _starts_with(data, name, words[3, :8]))  # itemprop
        )
        if named:
            state = 0
            for k in range(value, min(end, value + 512)):
                state = steps[state, data[k]]
                hints |= found[state]
        elif size == 6 and _starts_with(data, name, words[4, :6]):  # hidden
            hidden = True
        elif size == 5 and _starts_with(data, name, words[5, :5]):  # style
            hidden = hidden or _hides(data, value, min(end, value + 512), words)
        elif size == 11 and _starts_with(data, name, words[6, :11]):  # aria-hidden
            hidden = hidden or (end - value == 4 and _starts_with(data, value, words[7, :4]))
    return n, hints, hidden


@njit(**KERNEL)
def _hides(data: np.ndarray, at: int, end: int, words: np.ndarray) -> bool:
    """Say whether a style has `display:none` or `visibility:hidden`."""
    while at < end:
        is_display = _starts_with(data, at, words[8, :8])
        if is_display or _starts_with(data, at, words[9, :11]):
            at += 8 if is_display else 11
            while at < end and _is_space(data[at]):
                at += 1
            return _starts_with(data, at, words[10, :4]) if is_display else _starts_with(data, at, words[4, :6])
        at += 1
    return False


ATTRIBUTE_WORDS: Final = np.zeros((11, 16), dtype=np.uint8)
for _row, _word in enumerate(
    ["class", "id", "role", "itemprop", "hidden", "style", "aria-hidden", "true", "display:", "visibility:", "none"]
):
    ATTRIBUTE_WORDS[_row, : len(_word)] = np.frombuffer(_word.encode(), np.uint8)


@njit(**KERNEL)
def _raw_end(data: np.ndarray, at: int, begin: int, end: int) -> int:
    """Return where the end tag of a raw element starts; `data[begin:end]` is its name."""
    n, size = data.shape[0], end - begin
    while at + size + 2 <= n:
        if data[at] == _LT and data[at + 1] == _SLASH:
            k = 0
            while k < size and (data[at + 2 + k] | 32) == (data[begin + k] | 32):
                k += 1
            if k == size:
                return at
        at += 1
    return n


@njit(**KERNEL)
def _after_comment(data: np.ndarray, at: int) -> int:
    """Return the place after the comment or declaration that starts at `at` (`<!…` or `<?…`)."""
    n = data.shape[0]
    if at + 3 < n and data[at + 2] == 45 and data[at + 3] == 45:
        k = at + 4
        while k + 2 < n:
            if data[k] == 45 and data[k + 1] == 45 and data[k + 2] == _GT:
                return k + 3
            k += 1
        return n
    while at < n and data[at] != _GT:
        at += 1
    return min(n, at + 1)


@njit(**KERNEL)
def _text_end(data: np.ndarray, at: int) -> tuple[int, bool]:
    """Return where the text that starts at `at` ends, and whether it is white space only."""
    blank = True
    while at < data.shape[0] and data[at] != _LT:
        blank = blank and _is_space(data[at])
        at += 1
    return at, blank


@njit(**KERNEL)
def scan(
    data: np.ndarray,
    table: np.ndarray,
    classes: np.ndarray,
    steps: np.ndarray,
    found: np.ndarray,
    words: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scan a page.

    Args:
        data: uint8 [bytes], the serialised page.
        table: tag names; see `html_tags.TAG_TABLE`.
        classes: classes of the tags.
        steps: automaton of the words in class names.
        found: groups of words by state.
        words: names of attributes that matter.

    Returns:
        elements int32 [elements, 5] (tag, parent, depth, inherited classes, nearest block-level ancestor or itself),
        groups of words uint64 [elements] of every element, runs int32 [runs, 4] (begin, end, element, block; a line
        break is an empty run), and blocks int32 [blocks] (element). Element 0 is the document.
    """
    n = data.shape[0]
    tags = 1
    for k in range(n):
        tags += data[k] == _LT
    elements = np.zeros((tags + 1, 5), dtype=np.int32)
    hints = np.zeros(tags + 1, dtype=np.uint64)
    runs = np.zeros((2 * tags + 1, 4), dtype=np.int32)
    blocks = np.zeros(2 * tags + 1, dtype=np.int32)
    n_elements, n_runs, n_blocks = 1, 0, 0
    current, at, breaks, too_deep = 0, 0, 2, 0
    while at < n:
        if data[at] != _LT:
            end, blank = _text_end(data, at)
            if not elements[current, E_STATE] & SKIP:
                if not blank and breaks >= 2:
                    blocks[n_blocks] = elements[current, E_BLOCK]
                    n_blocks += 1
                if not blank or breaks < 2:
                    runs[n_runs] = at, end, current, n_blocks - 1
                    n_runs += 1
                if not blank:
                    breaks = 0
            at = end
        elif at + 1 < n and (data[at + 1] == _BANG or data[at + 1] == 63):
            at = _after_comment(data, at)
        elif at + 1 < n and data[at + 1] == _SLASH:
            code, at = _tag_code(data, at + 2, table)
            while at < n and data[at] != _GT:
                at += 1
            at += 1
            if classes[code] & BLOCK:
                breaks = 2
            if too_deep > 0:
                too_deep -= 1
            elif current > 0:
                current = elements[current, E_PARENT]
        else:
            begin = at + 1
            code, end = _tag_code(data, begin, table)
            at, words_found, hidden = _attributes(data, end, steps, found, words)
            kind = classes[code]
            if code == _BR and breaks < 2 and not elements[current, E_STATE] & SKIP:
                runs[n_runs] = begin, begin, current, n_blocks - 1
                n_runs += 1
                breaks += 1
            if kind & BLOCK:
                breaks = 2
            deep = elements[current, E_DEPTH] >= MAX_DEPTH and not kind & VOID
            if not deep:
                state = elements[current, E_STATE] | (kind & ~(BLOCK | VOID | RAW)) | (HIDDEN if hidden else 0)
                block = n_elements if kind & BLOCK else elements[current, E_BLOCK]
                elements[n_elements] = code, current, elements[current, E_DEPTH] + 1, state, block
                hints[n_elements] = words_found
                n_elements += 1
            if kind & RAW:
                stop = _raw_end(data, at, begin, end)
                if not kind & SKIP and stop > at and not deep:
                    blocks[n_blocks] = n_elements - 1
                    runs[n_runs] = at, stop, n_elements - 1, n_blocks
                    n_runs, n_blocks = n_runs + 1, n_blocks + 1
                at = stop
            if not kind & VOID:
                if deep:
                    too_deep += 1
                else:
                    current = n_elements - 1
    return elements[:n_elements], hints[:n_elements], runs[:n_runs], blocks[:n_blocks]
