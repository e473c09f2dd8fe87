"""What the blocks of a page hold: characters, words, links, sentences, and a hash of the text.

Nothing depends on a language: no words are looked up in the text, and East Asian characters, which carry about
twice as much, count twice.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit, uint64

from pipelines.kernels.compile import KERNEL
from pipelines.kernels.html_scan import E_STATE, R_BEGIN, R_BLOCK, R_ELEMENT, R_END
from pipelines.kernels.html_tags import BOLD, CODE, HIDDEN, LINK, PRE

_FNV, _FNV_PRIME = uint64(0xCBF29CE484222325), uint64(0x100000001B3)

# Statistics per block.
(
    S_CHARS,
    S_WORDS,
    S_LINK,
    S_BOLD,
    S_CODE,
    S_HIDDEN,
    S_UPPER,
    S_DIGITS,
    S_COMMAS,
    S_SENTENCES,
    S_SYMBOLS,
    S_BREAKS,
    S_LINKS,
    S_STARTS_UPPER,
    S_ENDS_TERMINAL,
    S_ENDS_COLON,
) = range(16)
_N_STATISTICS: Final = 16


@njit(**KERNEL)
def _is_blank(point: int) -> bool:
    return point in (32, 160) or (point >= 9 and point <= 13)


@njit(**KERNEL)
def _decode(data: np.ndarray, at: int, end: int) -> tuple[int, int]:
    """Return (code point, place after it); an entity is one character."""
    byte = np.int64(data[at])
    if byte == 38:  # "&"
        k = at + 1
        while k < end and k < at + 8:
            if data[k] == 59:
                return (160 if data[at + 1] == 110 else np.int64(data[at + 1])), k + 1
            k += 1
        return byte, at + 1
    if byte < 0x80:
        return byte, at + 1
    if byte < 0xE0:
        return ((byte & 0x1F) << 6) | (np.int64(data[min(at + 1, end - 1)]) & 0x3F), at + 2
    if byte < 0xF0:
        high = ((byte & 0x0F) << 12) | ((np.int64(data[min(at + 1, end - 1)]) & 0x3F) << 6)
        return high | (np.int64(data[min(at + 2, end - 1)]) & 0x3F), at + 3
    return 0x10000, at + 4


@njit(**KERNEL)
def _is_terminal(point: int) -> bool:
    return point in (46, 33, 63, 0x3002, 0xFF01, 0xFF1F, 0x2026, 0x0964, 0x061F, 0x06D4)


@njit(**KERNEL)
def _is_closing(point: int) -> bool:
    return point in (34, 39, 41, 0x201D, 0x2019, 0xBB)


@njit(**KERNEL)
def _is_symbol(point: int) -> bool:
    return point in (124, 0xBB, 0x203A, 0x2022, 0xB7, 0xA9, 0x2192, 62)


@njit(**KERNEL)
def _is_wide(point: int) -> bool:
    return point >= 0x2E80 and point < 0xFFE0


@njit(**KERNEL)
def _count_markup(row: np.ndarray, state: int, weight: float) -> None:
    """Count a character for the markup that it stands in."""
    if state & LINK:
        row[S_LINK] += weight
    if state & BOLD:
        row[S_BOLD] += weight
    if state & (CODE | PRE):
        row[S_CODE] += weight
    if state & HIDDEN:
        row[S_HIDDEN] += weight


@njit(**KERNEL)
def _count_character(row: np.ndarray, point: int, state: int, in_word: bool) -> None:
    wide = _is_wide(point)
    weight = 2.0 if wide else 1.0
    row[S_CHARS] += weight
    row[S_WORDS] += 0.5 if wide else (0.0 if in_word else 1.0)
    _count_markup(row, state, weight)
    row[S_UPPER] += point >= 65 and point <= 90
    row[S_DIGITS] += point >= 48 and point <= 57
    row[S_COMMAS] += point in (44, 0x3001, 0xFF0C, 0x060C)
    row[S_SENTENCES] += _is_terminal(point)
    row[S_SYMBOLS] += _is_symbol(point)


@njit(**KERNEL)
def _close(row: np.ndarray, last: int, before: int) -> None:
    """Note how a block ends: its last character, and the one before."""
    row[S_ENDS_TERMINAL] = _is_terminal(last) or (_is_closing(last) and _is_terminal(before))
    row[S_ENDS_COLON] = last in (58, 0xFF1A)


@njit(**KERNEL)
def block_statistics(
    data: np.ndarray, elements: np.ndarray, runs: np.ndarray, n_blocks: int
) -> tuple[np.ndarray, np.ndarray]:
    """Count what the blocks hold.

    Returns:
        float64 [blocks, 16], and uint64 [blocks] hash of the text (white space left out).
    """
    counts = np.zeros((n_blocks, _N_STATISTICS))
    hashes = np.full(n_blocks, _FNV)
    block, in_word, last, before, link = -1, False, 0, 0, -1
    for r in range(runs.shape[0]):
        if runs[r, R_BLOCK] != block:
            if block >= 0:
                _close(counts[block], last, before)
            block, in_word, last, before, link = runs[r, R_BLOCK], False, 0, 0, -1
        row = counts[block]
        at, end = runs[r, R_BEGIN], runs[r, R_END]
        state = elements[runs[r, R_ELEMENT], E_STATE]
        if at == end:
            row[S_BREAKS] += 1
            in_word = False
        if state & LINK and runs[r, R_ELEMENT] != link:
            link = runs[r, R_ELEMENT]
            row[S_LINKS] += 1
        while at < end:
            point, at = _decode(data, at, end)
            if _is_blank(point):
                in_word = False
                continue
            hashes[block] = (hashes[block] ^ uint64(point)) * _FNV_PRIME
            if row[S_CHARS] == 0:
                row[S_STARTS_UPPER] = point >= 65 and point <= 90
            _count_character(row, point, state, in_word)
            in_word = not _is_wide(point)
            before, last = last, point
    if block >= 0:
        _close(counts[block], last, before)
    return counts, hashes
