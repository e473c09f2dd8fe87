r"""Dolma's Gopher statistics (`gopher_v1`, dolma 1.2.1, `taggers/gopher.py`) of a text column, as integers.

They differ from datatrove's in every measurement: words by white space, the median of their lengths, every
occurrence of a repeated line or n-gram counts, characters are those of words without spaces.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
from numba import njit, uint64

from pipelines.kernels.arrow_strings import string_buffers
from pipelines.kernels.compile import KERNEL
from pipelines.kernels.hashing import mix64
from pipelines.kernels.quality import STOP_KEYS, grown
from pipelines.kernels.quality_lines import hash_segment, last_character
from pipelines.kernels.quality_words import hash_words, ngram_power
from pipelines.kernels.unicode_tables import ALPHA, SPACE, class_bits, decode_utf8

COLUMNS: Final = (
    "chars", "words", "word_chars", "twice_median_word_chars", "symbol_words", "alpha_words", "stop_words",
    "lines", "bullet_lines", "ellipsis_lines", "dup_lines", "dup_line_chars",
    "top_2gram_chars", "top_3gram_chars", "top_4gram_chars",
    *(f"dup_{n}gram_chars" for n in range(5, 11)),
    *(f"all_{n}gram_chars" for n in range(5, 11)),
)  # fmt: skip
_LINES_AT, _TOP_AT, _DUP_AT, _ALL_AT = 7, 12, 15, 21


@njit(**KERNEL)
def split_on_space(
    data: np.ndarray, start: int, end: int, bits: np.ndarray, starts: np.ndarray, ends: np.ndarray
) -> int:
    """Split as str.split() does; returns the number of words, fills `starts` and `ends`."""
    words = 0
    inside = False
    at = start
    while at < end:
        point, length = decode_utf8(data, at)
        if bits[point] & SPACE:
            if inside:
                ends[words] = at
                words += 1
            inside = False
        elif not inside:
            starts[words] = at
            inside = True
        at += length
    if inside:
        ends[words] = end
        words += 1
    return words


@njit(**KERNEL)
def _word_statistics(
    data: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    words: int,
    bits: np.ndarray,
    stop_keys: np.ndarray,
    char_sum: np.ndarray,
    out: np.ndarray,
) -> None:
    """Fill words, their characters, twice the median length, words with a symbol, with a letter, stop words."""
    symbols = alphas = stops = 0
    for i in range(words):
        has_symbol = has_alpha = False
        at = starts[i]
        while at < ends[i]:
            point, length = decode_utf8(data, at)
            has_alpha |= (bits[point] & ALPHA) != 0
            has_symbol |= point == 35 or point == 0x2026  # number sign and ellipsis
            at += length
        symbols += has_symbol
        alphas += has_alpha
        if 2 <= ends[i] - starts[i] <= 4:
            key = uint64(0)
            for at in range(starts[i], ends[i]):
                key = (key << uint64(8)) | uint64(data[at])
            for stop in stop_keys:
                stops += stop == key
    out[0], out[1], out[3], out[4], out[5] = words, char_sum[words], symbols, alphas, stops
    out[2] = 0
    if words:
        lengths = np.sort(np.diff(char_sum[: words + 1]))
        out[2] = lengths[(words - 1) // 2] + lengths[words // 2]


@njit(**KERNEL)
def _count(
    hashes: np.ndarray,
    items: int,
    keys: np.ndarray,
    epochs: np.ndarray,
    counts: np.ndarray,
    slots: np.ndarray,
    epoch: int,
) -> None:
    """Count equal hashes: afterwards `counts[slots[i]]` is how often `hashes[i]` occurs."""
    mask = keys.shape[0] - 1
    for i in range(items):
        at = np.int64(hashes[i] & uint64(mask))
        while epochs[at] == epoch and keys[at] != hashes[i]:
            at = (at + 1) & mask
        if epochs[at] != epoch:
            epochs[at], keys[at], counts[at] = epoch, hashes[i], 0
        counts[at] += 1
        slots[i] = at


@njit(**KERNEL)
def _repeated(weights: np.ndarray, items: int, counts: np.ndarray, slots: np.ndarray) -> tuple[int, int, int]:
    """Return (items that occur more than once, their weight, weight of all items); every occurrence counts."""
    repeated = repeated_weight = weight = 0
    for i in range(items):
        weight += weights[i]
        if counts[slots[i]] > 1:
            repeated += 1
            repeated_weight += weights[i]
    return repeated, repeated_weight, weight


@njit(**KERNEL)
def _top(weights: np.ndarray, items: int, counts: np.ndarray, slots: np.ndarray) -> int:
    """Return count x weight of the commonest item, of equals the first."""
    best = first = 0
    for i in range(items):
        if counts[slots[i]] > best:
            best, first = counts[slots[i]], i
    return best * weights[first] if items else 0


@njit(**KERNEL)
def _cut_lines(data: np.ndarray, start: int, end: int, hashes: np.ndarray, weights: np.ndarray, out: np.ndarray) -> int:
    r"""Fill lines, bullets and ellipses, and the hash and characters of every line of split("\n"); returns lines."""
    lines = bullets = ellipses = 0
    at = start
    while at <= end:
        stop = at
        while stop < end and data[stop] != 10:
            stop += 1
        hashes[lines], weights[lines] = hash_segment(data, at, stop)
        lines += 1
        if stop > at:
            bullets += data[at] == 42 or data[at] == 45  # * and -
            ellipses += last_character(data, at, stop)[1] == 0x2026
        at = stop + 1
    out[0], out[1], out[2] = lines, bullets, ellipses
    return lines


@njit(**KERNEL)
def _statistics(
    data: np.ndarray, offsets: np.ndarray, bits: np.ndarray, stop_keys: np.ndarray, longest: int, out: np.ndarray
) -> None:
    """Fill `out` [rows, columns]."""
    size = longest + 2
    capacity = grown(1024, 2 * size)
    keys, epochs = np.empty(capacity, np.uint64), np.zeros(capacity, np.uint32)
    counts, slots = np.empty(capacity, np.int64), np.empty(size, np.int64)
    hashes, weights = np.empty(size, np.uint64), np.empty(size, np.int64)
    starts, ends = np.empty(size, np.int64), np.empty(size, np.int64)
    joined, sequence = np.empty(size, np.uint64), np.empty(size, np.uint64)
    char_sum, byte_sum = np.empty(size, np.int64), np.empty(size, np.int64)
    powers = np.ones(size, np.uint64)  # the joined hash is not used
    epoch = np.uint32(0)
    for row in range(offsets.shape[0] - 1):
        start, end = offsets[row], offsets[row + 1]
        if start == end:
            continue
        used = grown(1024, 2 * (end - start + 2))  # short documents stay in a part of the table that caches hold
        _, out[row, 0] = hash_segment(data, start, end)
        words = split_on_space(data, start, end, bits, starts, ends)
        hash_words(data, starts, ends, words, powers, joined, sequence, char_sum, byte_sum)
        _word_statistics(data, starts, ends, words, bits, stop_keys, char_sum, out[row, 1:_LINES_AT])
        items = _cut_lines(data, start, end, hashes, weights, out[row, _LINES_AT : _LINES_AT + 3])
        epoch += np.uint32(1)
        _count(hashes, items, keys[:used], epochs[:used], counts, slots, epoch)
        out[row, 10], out[row, 11], _ = _repeated(weights, items, counts, slots)
        for n in range(2, 11):
            epoch += np.uint32(1)
            power = ngram_power(n)
            items = max(words - n + 1, 0)
            for i in range(items):
                hashes[i] = mix64(sequence[i + n] - sequence[i] * power)
                weights[i] = char_sum[i + n] - char_sum[i]
            _count(hashes, items, keys[:used], epochs[:used], counts, slots, epoch)
            if n < 5:
                out[row, _TOP_AT + n - 2] = _top(weights, items, counts, slots)
            else:
                _, repeated, everything = _repeated(weights, items, counts, slots)
                out[row, _DUP_AT + n - 5], out[row, _ALL_AT + n - 5] = repeated, everything


def dolma_statistics(text: pa.Array) -> pa.RecordBatch:
    """Count everything that Dolma's Gopher tagger looks at.

    Args:
        text: [rows] strings without nulls.

    Returns:
        [rows] int64 columns named COLUMNS.
    """
    buffers = string_buffers(text)
    out = np.zeros((buffers.rows, len(COLUMNS)), np.int64)
    _statistics(buffers.data, buffers.offsets, class_bits(), STOP_KEYS, buffers.longest_bytes, out)
    return pa.record_batch([pa.array(out[:, i].copy()) for i in range(len(COLUMNS))], names=list(COLUMNS))
