r"""The lines or paragraphs of a text column as spans and 64-bit keys: equal keys, equal normalised units.

A line ends before "\n". A paragraph is a run of lines of which none is blank (spaces and tabs only). Two different
units get one key with probability 2^-64.
"""

from __future__ import annotations

import functools
from typing import Final, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numba import njit, uint32, uint64

from pipelines.kernels.arrow_strings import string_buffers
from pipelines.kernels.compile import INLINE, KERNEL
from pipelines.kernels.hashing import P64_1, P64_4, mix64, rotl64, xxh64
from pipelines.kernels.ngrams import ngram_table
from pipelines.kernels.unicode_tables import DIGIT, class_bits, decode_utf8, marks

Unit = Literal["line", "paragraph"]
Normalise = Literal["exact", "words", "digits"]

_NEWLINE, _SPACE, _TAB = 10, 32, 9
_CHARACTER: Final = np.uint32(1 << 24)


class LineUnits(NamedTuple):
    """Units in the order of rows and of the texts.

    Attributes:
        row: int64 `[units]`.
        start: int64 `[units]`, first byte in the text of the row.
        end: int64 `[units]`, one past the last byte; the line end is not in it.
        key: uint64 `[units]`, hash of the normalised unit.
    """

    row: np.ndarray
    start: np.ndarray
    end: np.ndarray
    key: np.ndarray


@functools.cache
def unit_table(digits: bool) -> np.ndarray:
    r"""Return what the characters of a unit are compared as.

    Args:
        digits: write every decimal digit as 0.

    Returns:
        `uint32 [TABLE_SIZE]`, read-only: bit 24 is set for letters, numbers, "_" and combining marks; the low 24 bits are
        the character in lower case. Everything else separates words.
    """
    table = ngram_table() & np.uint32(0x1FFFFFF)
    points = np.array([ord(mark) for mark in marks()])
    table[points] = points.astype(np.uint32) | _CHARACTER
    if digits:
        table[(class_bits() & DIGIT) != 0] = np.uint32(ord("0")) | _CHARACTER
    table.flags.writeable = False
    return table


@njit(**INLINE)
def _is_blank(data: np.ndarray, start: int, end: int) -> bool:
    while start < end and (data[start] == _SPACE or data[start] == _TAB):
        start += 1
    return start == end


@njit(**INLINE)
def _words_key(data: np.ndarray, start: int, end: int, table: np.ndarray) -> tuple[int, int]:
    """Hash the words of a unit, one separator between them; return the key and the characters of the words."""
    key, characters, separated = uint64(P64_4), 0, False
    at = start
    while at < end:
        point, length = decode_utf8(data, at)
        entry = table[point]
        if entry & _CHARACTER:
            if separated and characters:
                key = uint64(rotl64(key, 29) ^ uint64(_SPACE)) * P64_1
            key = uint64(rotl64(key, 29) ^ uint64(entry & uint32(0xFFFFFF))) * P64_1
            characters += 1
            separated = False
        else:
            separated = True
        at += length
    return mix64(key), characters


@njit(**INLINE)
def _exact_key(data: np.ndarray, start: int, end: int) -> tuple[int, int]:
    """Hash the bytes of a unit without blanks at its ends; return the key and its code points."""
    while start < end and (data[start] == _SPACE or data[start] == _TAB):
        start += 1
    while start < end and (data[end - 1] == _SPACE or data[end - 1] == _TAB):
        end -= 1
    characters = 0
    for at in range(start, end):
        characters += (data[at] & 0xC0) != 0x80
    return xxh64(data, start, end), characters


@njit(**KERNEL)
def _fill(
    data: np.ndarray,
    offsets: np.ndarray,
    paragraphs: bool,
    exact: bool,
    table: np.ndarray,
    min_chars: int,
    row: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    key: np.ndarray,
) -> int:
    """Fill the units of all rows; return their number."""
    units = 0
    for text in range(len(offsets) - 1):
        first, last = offsets[text], offsets[text + 1]
        at = first
        while at < last:
            line_end = at
            while line_end < last and data[line_end] != _NEWLINE:
                line_end += 1
            unit_end, following = line_end, line_end + 1
            blank = _is_blank(data, at, line_end)
            if paragraphs and not blank:
                while following < last:
                    line_end = following
                    while line_end < last and data[line_end] != _NEWLINE:
                        line_end += 1
                    if _is_blank(data, following, line_end):
                        break
                    unit_end, following = line_end, line_end + 1
            if not blank:
                if exact:
                    value, characters = _exact_key(data, at, unit_end)
                else:
                    value, characters = _words_key(data, at, unit_end, table)
                if characters >= min_chars:
                    row[units], start[units], end[units], key[units] = text, at - first, unit_end - first, value
                    units += 1
            at = following
    return units


def line_units(
    text: pa.Array | pa.ChunkedArray, unit: Unit = "line", normalise: Normalise = "words", min_chars: int = 1
) -> LineUnits:
    """Cut texts into units and hash these.

    Args:
        text: [rows] strings without nulls.
        unit: what a unit is.
        normalise: what is compared: `exact` (the unit without spaces and tabs at its ends), `words` (its letters,
            numbers, "_" and combining marks in lower case; whatever stands between words counts as one separator) or
            `digits` (the same with every decimal digit as 0).
        min_chars: units of fewer characters are left out: of those that are compared, separators not counted.

    Raises:
        ValueError: `min_chars` is less than 1.
    """
    if min_chars < 1:
        raise ValueError(f"line_units: out of range: got min_chars={min_chars}; expected at least 1")
    buffers = string_buffers(text)
    size = int(buffers.offsets[-1])
    most = int(np.count_nonzero(buffers.data[:size] == _NEWLINE)) + buffers.rows
    row, start, end = (np.empty(most, np.int64) for _ in range(3))
    key = np.empty(most, np.uint64)
    table = unit_table(normalise == "digits")
    count = _fill(
        *(buffers.data, buffers.offsets, unit == "paragraph", normalise == "exact", table, min_chars),
        *(row, start, end, key),
    )
    return LineUnits(row[:count], start[:count], end[:count], key[:count])
