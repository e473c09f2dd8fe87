"""Serialised HTML -> elements, blocks and runs of text, in one pass over the bytes.

The input is what an HTML5 parser writes out again: well-formed, every end tag there, attributes in double quotes,
`&`, `<`, `>` and no-break spaces escaped. So tags can be scanned without knowing the rules of HTML, at memory speed,
and the tree is exactly the tree that a browser sees.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from pipelines.kernels.compile import KERNEL
from pipelines.kernels.html_attributes import is_space, read_attributes, tag_code
from pipelines.kernels.html_tags import (
    BLOCK,
    CODE_OF,
    HIDDEN,
    RAW,
    SKIP,
    VOID,
)

_BR: Final = CODE_OF["br"]
_LT, _GT, _SLASH, _BANG, _QUESTION, _DASH = 60, 62, 47, 33, 63, 45
MAX_DEPTH: Final = 512  # deeper elements count as text of the element at this depth, as in browsers

# Columns of the arrays that `scan` returns.
E_TAG, E_PARENT, E_DEPTH, E_STATE, E_BLOCK = range(5)
R_BEGIN, R_END, R_ELEMENT, R_BLOCK = range(4)


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
    if at + 3 < n and data[at + 2] == _DASH and data[at + 3] == _DASH:
        k = at + 4
        while k + 2 < n:
            if data[k] == _DASH and data[k + 1] == _DASH and data[k + 2] == _GT:
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
        blank = blank and is_space(data[at])
        at += 1
    return at, blank


# Where a scan stands: the current element, line breaks since the last text (2 and more part blocks), elements that are
# open below MAX_DEPTH, and how many elements, runs and blocks there are.
_CURRENT, _BREAKS, _TOO_DEEP, _ELEMENTS, _RUNS, _BLOCKS = range(6)


@njit(**KERNEL)
def _add_run(begin: int, end: int, here: np.ndarray, runs: np.ndarray) -> None:
    runs[here[_RUNS]] = begin, end, here[_CURRENT], here[_BLOCKS] - 1
    here[_RUNS] += 1


@njit(**KERNEL)
def _text(
    data: np.ndarray, at: int, here: np.ndarray, elements: np.ndarray, runs: np.ndarray, blocks: np.ndarray
) -> int:
    """Read the text at `at`; return where it ends."""
    end, blank = _text_end(data, at)
    if elements[here[_CURRENT], E_STATE] & SKIP:
        return end
    if not blank and here[_BREAKS] >= 2:
        blocks[here[_BLOCKS]] = elements[here[_CURRENT], E_BLOCK]
        here[_BLOCKS] += 1
    if not blank or here[_BREAKS] < 2:
        _add_run(at, end, here, runs)
    if not blank:
        here[_BREAKS] = 0
    return end


@njit(**KERNEL)
def _end_tag(
    data: np.ndarray, at: int, here: np.ndarray, elements: np.ndarray, table: np.ndarray, classes: np.ndarray
) -> int:
    """Read the end tag at `at`; return the place after it."""
    code, at = tag_code(data, at + 2, table)
    while at < data.shape[0] and data[at] != _GT:
        at += 1
    if classes[code] & BLOCK:
        here[_BREAKS] = 2
    if here[_TOO_DEEP] > 0:
        here[_TOO_DEEP] -= 1
    elif here[_CURRENT] > 0:
        here[_CURRENT] = elements[here[_CURRENT], E_PARENT]
    return at + 1


@njit(**KERNEL)
def _open(code: int, kind: int, hidden: bool, here: np.ndarray, elements: np.ndarray) -> bool:
    """Add an element; return false if it lies too deep."""
    parent = here[_CURRENT]
    if elements[parent, E_DEPTH] >= MAX_DEPTH and not kind & VOID:
        return False
    number = here[_ELEMENTS]
    state = elements[parent, E_STATE] | (kind & ~(BLOCK | VOID | RAW)) | (HIDDEN if hidden else 0)
    block = number if kind & BLOCK else elements[parent, E_BLOCK]
    elements[number] = code, parent, elements[parent, E_DEPTH] + 1, state, block
    here[_ELEMENTS] = number + 1
    return True


@njit(**KERNEL)
def _start_tag(
    data: np.ndarray,
    at: int,
    here: np.ndarray,
    elements: np.ndarray,
    hints: np.ndarray,
    runs: np.ndarray,
    blocks: np.ndarray,
    tables: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> int:
    """Read the start tag at `at`, and what a raw element holds; return the place after it."""
    table, classes, steps, found, words = tables
    begin = at + 1
    code, name_end = tag_code(data, begin, table)
    at, words_found, hidden = read_attributes(data, name_end, steps, found, words)
    kind = classes[code]
    if code == _BR and here[_BREAKS] < 2 and not elements[here[_CURRENT], E_STATE] & SKIP:
        _add_run(begin, begin, here, runs)
        here[_BREAKS] += 1
    if kind & BLOCK:
        here[_BREAKS] = 2
    opened = _open(code, kind, hidden, here, elements)
    element = here[_ELEMENTS] - 1
    if opened:
        hints[element] = words_found
    if kind & RAW:
        stop = _raw_end(data, at, begin, name_end)
        if not kind & SKIP and stop > at and opened:
            blocks[here[_BLOCKS]] = element
            runs[here[_RUNS]] = at, stop, element, here[_BLOCKS]
            here[_RUNS] += 1
            here[_BLOCKS] += 1
        at = stop
    if not kind & VOID:
        if opened:
            here[_CURRENT] = element
        else:
            here[_TOO_DEEP] += 1
    return at


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
    tables = (table, classes, steps, found, words)
    here = np.zeros(6, dtype=np.int64)
    here[_BREAKS], here[_ELEMENTS] = 2, 1
    at = 0
    while at < n:
        if data[at] != _LT:
            at = _text(data, at, here, elements, runs, blocks)
        elif at + 1 < n and data[at + 1] in (_BANG, _QUESTION):
            at = _after_comment(data, at)
        elif at + 1 < n and data[at + 1] == _SLASH:
            at = _end_tag(data, at, here, elements, table, classes)
        else:
            at = _start_tag(data, at, here, elements, hints, runs, blocks, tables)
    return elements[: here[_ELEMENTS]], hints[: here[_ELEMENTS]], runs[: here[_RUNS]], blocks[: here[_BLOCKS]]
