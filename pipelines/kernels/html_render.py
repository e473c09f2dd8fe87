"""Blocks that are kept -> text or Markdown: paragraphs, headings, lists, tables as rows of cells, code as it was."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from pipelines.kernels.compile import KERNEL
from pipelines.kernels.html_scan import E_PARENT, E_STATE, E_TAG, R_BEGIN, R_BLOCK, R_ELEMENT, R_END
from pipelines.kernels.html_tags import CODE_OF, PRE

_LI, _OL, _UL, _TR, _TD, _TH, _TABLE = (CODE_OF[name] for name in ("li", "ol", "ul", "tr", "td", "th", "table"))
_H1, _H6, _QUOTE = CODE_OF["h1"], CODE_OF["h6"], CODE_OF["blockquote"]
_CELL_CHARS: Final = 150.0  # longer cells are layout, and paragraphs
_MAX_LIST_DEPTH: Final = 8
_NEWLINE, _SPACE = 10, 32
# What lies around a block: one row of `_around`.
_A_ITEM, _A_LIST_DEPTH, _A_ORDERED, _A_ROW, _A_CELL, _A_HEADING, _A_QUOTES, _A_TABLE = range(8)


@njit(**KERNEL)
def _around(element: int, elements: np.ndarray, out: np.ndarray) -> None:
    """Find the list item, table row and cell, heading and quotations that a block lies in."""
    out[:] = 0
    open_item = 0
    while element > 0:
        tag = elements[element, E_TAG]
        if tag == _LI and out[_A_LIST_DEPTH] == 0 and open_item == 0:
            open_item = element
            out[_A_ITEM] = element
        elif tag in (_OL, _UL):
            if out[_A_LIST_DEPTH] == 0:
                out[_A_ORDERED] = tag == _OL
            out[_A_LIST_DEPTH] += 1
        elif tag in (_TD, _TH) and out[_A_ROW] == 0 and out[_A_CELL] == 0:
            out[_A_CELL] = element
        elif tag == _TR and out[_A_ROW] == 0:
            out[_A_ROW] = element
        elif tag == _TABLE and out[_A_TABLE] == 0:
            out[_A_TABLE] = element
        elif tag >= _H1 and tag <= _H6 and out[_A_HEADING] == 0:
            out[_A_HEADING] = tag - _H1 + 1
        elif tag == _QUOTE:
            out[_A_QUOTES] += 1
        element = elements[element, E_PARENT]


@njit(**KERNEL)
def _entity(data: np.ndarray, at: int, end: int) -> tuple[int, int]:
    """Return (byte, place after it) of the entity at `at`: the serialiser writes five."""
    k = at + 1
    while k < end and k < at + 7 and data[k] != 59:
        k += 1
    if k >= end or data[k] != 59:
        return 38, at + 1
    first = data[at + 1]
    if first == 110:  # nbsp
        return _SPACE, k + 1
    if first == 108:  # lt
        return 60, k + 1
    if first == 103:  # gt
        return 62, k + 1
    return (34 if first == 113 else 38), k + 1  # quot, amp


@njit(**KERNEL)
def _put_run(data: np.ndarray, at: int, end: int, is_pre: bool, out: np.ndarray, to: int, start: int) -> int:
    """Copy a run; outside of `pre`, white space becomes one space, and none after a line end."""
    while at < end:
        byte = data[at]
        if byte == 38:
            byte, at = _entity(data, at, end)
        elif byte == 0xC2 and at + 1 < end and data[at + 1] == 0xA0:
            byte = _SPACE
            at += 2
        else:
            at += 1
        if not is_pre and (byte == 32 or (byte >= 9 and byte <= 13)):
            if to > start and out[to - 1] != _SPACE and out[to - 1] != _NEWLINE:
                out[to] = _SPACE
                to += 1
        elif byte != 13:
            out[to] = byte
            to += 1
    return to


@njit(**KERNEL)
def _trim(out: np.ndarray, to: int, start: int) -> int:
    while to > start and (out[to - 1] == _SPACE or out[to - 1] == _NEWLINE or out[to - 1] == 9):
        to -= 1
    return to


@njit(**KERNEL)
def _put_block(
    data: np.ndarray, elements: np.ndarray, runs: np.ndarray, first: int, last: int, out: np.ndarray, to: int
) -> int:
    """Copy the runs `first` to `last` of one block; an empty run is a line break."""
    start = to
    for r in range(first, last):
        if runs[r, R_BEGIN] == runs[r, R_END]:
            to = _trim(out, to, start)
            if to > start:
                out[to] = _NEWLINE
                to += 1
        else:
            is_pre = elements[runs[r, R_ELEMENT], E_STATE] & PRE != 0
            to = _put_run(data, runs[r, R_BEGIN], runs[r, R_END], is_pre, out, to, start)
    return _trim(out, to, start)


@njit(**KERNEL)
def _item_numbers(elements: np.ndarray) -> np.ndarray:
    """Return the place of every list item among its siblings, from 1."""
    numbers = np.zeros(elements.shape[0], dtype=np.int32)
    items = np.zeros(elements.shape[0], dtype=np.int32)
    for e in range(1, elements.shape[0]):
        if elements[e, E_TAG] == _LI:
            items[elements[e, E_PARENT]] += 1
            numbers[e] = items[elements[e, E_PARENT]]
    return numbers


@njit(**KERNEL)
def _put_number(out: np.ndarray, to: int, number: int) -> int:
    digits = 1
    while number >= 10**digits:
        digits += 1
    for k in range(digits - 1, -1, -1):
        out[to] = 48 + (number // 10**k) % 10
        to += 1
    return to


@njit(**KERNEL)
def _put_prefix(here: np.ndarray, starts_item: bool, number: int, markdown: bool, out: np.ndarray, to: int) -> int:
    """Write what a block begins with: quotation marks and heading marks (Markdown), indentation and list marks."""
    if markdown:
        for _ in range(min(here[_A_QUOTES], _MAX_LIST_DEPTH)):
            out[to], out[to + 1] = 62, _SPACE
            to += 2
        if here[_A_HEADING] and not here[_A_ITEM] and not here[_A_ROW]:
            for _ in range(here[_A_HEADING]):
                out[to] = 35
                to += 1
            out[to] = _SPACE
            to += 1
    if here[_A_ITEM]:
        for _ in range(2 * (min(here[_A_LIST_DEPTH], _MAX_LIST_DEPTH) - (1 if starts_item else 0))):
            out[to] = _SPACE
            to += 1
    if starts_item and here[_A_ORDERED]:
        to = _put_number(out, to, number)
        out[to], out[to + 1] = 46, _SPACE
        to += 2
    elif starts_item:
        out[to], out[to + 1] = 45, _SPACE
        to += 2
    return to


@njit(**KERNEL)
def _put_gap(here: np.ndarray, before: np.ndarray, cells: bool, out: np.ndarray, to: int) -> int:
    """Write what lies between two blocks: " | " between cells, a line end in lists and tables, else an empty line."""
    if cells and here[_A_ROW] == before[_A_ROW]:
        out[to] = _SPACE
        if here[_A_CELL] == before[_A_CELL]:
            return to + 1
        out[to + 1], out[to + 2] = 124, _SPACE
        return to + 3
    out[to] = _NEWLINE
    if (cells and here[_A_TABLE] == before[_A_TABLE]) or (here[_A_ITEM] and before[_A_ITEM]):
        return to + 1
    out[to + 1] = _NEWLINE
    return to + 2


@njit(**KERNEL)
def _end_row(cells: int, is_first: bool, out: np.ndarray, to: int) -> int:
    """Close a row of a Markdown table; the line below the first makes it a table."""
    out[to], out[to + 1] = _SPACE, 124
    to += 2
    if is_first:
        out[to], out[to + 1] = _NEWLINE, 124
        to += 2
        for _ in range(cells):
            out[to], out[to + 4], out[to + 5] = _SPACE, _SPACE, 124
            out[to + 1 : to + 4] = 45
            to += 6
    return to


@njit(**KERNEL)
def _capacity(runs: np.ndarray, keep: np.ndarray) -> int:
    size = 64
    for r in range(runs.shape[0]):
        if keep[runs[r, R_BLOCK]]:
            size += runs[r, R_END] - runs[r, R_BEGIN] + 1
    return size + 160 * keep.sum()


@njit(**KERNEL)
def _put_fence(out: np.ndarray, to: int, is_open: bool) -> int:
    """Write the line of three back ticks before or after code."""
    if not is_open:
        out[to] = _NEWLINE
        to += 1
    for _ in range(3):
        out[to] = 96
        to += 1
    if is_open:
        out[to] = _NEWLINE
        to += 1
    return to


@njit(**KERNEL)
def render(
    data: np.ndarray,
    elements: np.ndarray,
    runs: np.ndarray,
    blocks: np.ndarray,
    chars: np.ndarray,
    keep: np.ndarray,
    markdown: bool,
) -> np.ndarray:
    """Write the blocks that are kept.

    Args:
        data: uint8 [bytes], the serialised page.
        elements: int32 [elements, 5] of `html_scan.scan`.
        runs: int32 [runs, 4].
        blocks: int32 [blocks].
        chars: float64 [blocks] of text.
        keep: bool [blocks].
        markdown: whether headings, code, quotations and tables are marked as in Markdown.

    Returns:
        uint8 [bytes] of UTF-8.
    """
    out = np.empty(_capacity(runs, keep), dtype=np.uint8)
    numbers = _item_numbers(elements)
    here, before = np.zeros(8, dtype=np.int64), np.zeros(8, dtype=np.int64)
    to, item, r, cell_before, cells, table = 0, 0, 0, False, 0, 0
    for b in range(blocks.shape[0]):
        first = r
        while r < runs.shape[0] and runs[r, R_BLOCK] == b:
            r += 1
        if not keep[b]:
            continue
        _around(blocks[b], elements, here)
        cell = here[_A_ROW] > 0 and chars[b] <= _CELL_CHARS
        same_row = to > 0 and cell and cell_before and here[_A_ROW] == before[_A_ROW]
        if markdown and cell_before and not same_row:
            to = _end_row(cells, before[_A_TABLE] != table, out, to)
            table = before[_A_TABLE]
        if to > 0:
            to = _put_gap(here, before, cell and cell_before, out, to)
        cells = cells + (here[_A_CELL] != before[_A_CELL]) if same_row else 1
        fenced = markdown and elements[blocks[b], E_STATE] & PRE != 0 and not cell
        if not same_row:
            starts = here[_A_ITEM] > 0 and here[_A_ITEM] != item
            item = here[_A_ITEM]
            if markdown and cell:
                out[to], out[to + 1] = 124, _SPACE
                to += 2
            else:
                to = _put_prefix(here, starts, numbers[item], markdown and not fenced, out, to)
        if fenced:
            to = _put_fence(out, to, True)
        to = _put_block(data, elements, runs, first, r, out, to)
        if fenced:
            to = _put_fence(out, to, False)
        before[:] = here
        cell_before = cell
    if markdown and cell_before:
        to = _end_row(cells, before[_A_TABLE] != table, out, to)
    return out[:to]
