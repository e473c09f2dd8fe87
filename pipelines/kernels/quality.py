r"""Gopher and FineWeb statistics of a text column in one pass, as integers.

Each column is what datatrove 0.10.1's functions count, given the same words:

    paragraphs      re.split(r"\n{2,}", text.strip());  line runs  re.split(r"\n+", text)
    duplicates      find_duplicates: second and later occurrences, and their characters
    top n-grams     find_top_duplicate: len(" ".join(words)) x count of the commonest (the first of equals)
    dup n-grams     find_all_duplicate: greedy scan, "".join(words), jump n words after a hit
    lines           str.splitlines for bullets and ellipses (Gopher), split("\n") for full lines (FineWeb)
    the rest        GopherQualityFilter and FineWebQualityFilter

Gopher: Rae et al. 2021, arXiv:2112.11446; FineWeb: Penedo et al. 2024, arXiv:2406.17557.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
from numba import njit, uint64

from pipelines.kernels.arrow_strings import string_buffers
from pipelines.kernels.compile import KERNEL
from pipelines.kernels.punctuation import PUNCTUATION, TERMINAL
from pipelines.kernels.quality_lines import line_statistics, segment_duplicates, splitlines_statistics
from pipelines.kernels.quality_words import (
    count_word_kinds,
    dup_ngram_chars,
    hash_words,
    split_words,
    top_ngram_chars,
)
from pipelines.kernels.unicode_tables import class_bits

STOP_WORDS: Final = ("the", "be", "to", "of", "and", "that", "have", "with")
STOP_KEYS: Final = np.array([int.from_bytes(word.encode(), "big") for word in STOP_WORDS], np.uint64)

COLUMNS: Final = (
    "chars", "newlines", "hashes", "ellipses",
    "paragraphs", "dup_paragraphs", "dup_paragraph_chars", "line_runs", "dup_line_runs", "dup_line_run_chars",
    "lines", "bullet_lines", "ellipsis_lines", "full_lines", "terminal_lines", "short_lines", "dup_full_line_chars",
    "words", "non_symbol_words", "non_symbol_chars", "alpha_words", "stop_words",
    "top_2gram_chars", "top_3gram_chars", "top_4gram_chars",
    "dup_5gram_chars", "dup_6gram_chars", "dup_7gram_chars", "dup_8gram_chars", "dup_9gram_chars", "dup_10gram_chars",
)  # fmt: skip
_LINES_AT, _WORDS_AT, _TOP_AT, _DUP_AT = 4, 17, 22, 25


@njit(**KERNEL)
def _characters(data: np.ndarray, start: int, end: int, out: np.ndarray) -> bool:
    """Count characters, line ends, number signs and ellipses; say whether str.splitlines may see other line ends."""
    chars = newlines = hashes = ellipses = breaks = 0
    at = start
    for at in range(start, end):
        byte = data[at]
        chars += (byte & 0xC0) != 0x80
        newlines += byte == 10
        hashes += byte == 35
        breaks += ((byte >= 11) & (byte <= 13)) | ((byte >= 28) & (byte <= 30))
        after = data[at + 1]
        breaks += ((byte == 0xC2) & (after == 0x85)) | ((byte == 0x80) & ((after & 0xFE) == 0xA8))
    at = start
    while at + 2 < end:
        dots = data[at] == 46 and data[at + 1] == 46 and data[at + 2] == 46
        sign = data[at] == 0xE2 and data[at + 1] == 0x80 and data[at + 2] == 0xA6
        ellipses += dots or sign
        at += 3 if dots or sign else 1
    out[0], out[1], out[2], out[3] = chars, newlines, hashes, ellipses
    return breaks != 0


@njit(**KERNEL)
def grown(size: int, needed: int) -> int:
    """Return the least power of two that is at least `size` and `needed`."""
    while size < needed:
        size *= 2
    return size


@njit(**KERNEL)
def _statistics(
    data: np.ndarray,
    offsets: np.ndarray,
    given: np.ndarray,
    given_offsets: np.ndarray,
    first_word: np.ndarray,
    use_given: bool,
    bits: np.ndarray,
    stop_keys: np.ndarray,
    longest: int,
    out: np.ndarray,
) -> None:
    """Fill `out` [rows, columns]; words are split here, or given as pieces of `given`."""
    capacity = 1024
    keys, epochs, counts = np.empty(capacity, np.uint64), np.zeros(capacity, np.uint32), np.empty(capacity, np.uint32)
    slots, firsts = np.empty(capacity, np.int64), np.empty(capacity, np.int64)
    size = 1024
    starts, ends = np.empty(size, np.int64), np.empty(size, np.int64)
    joined, sequence = np.empty(size + 1, np.uint64), np.empty(size + 1, np.uint64)
    char_sum, byte_sum = np.empty(size + 1, np.int64), np.empty(size + 1, np.int64)
    powers = np.empty(longest + 2, np.uint64)
    powers[0] = 1
    for i in range(1, longest + 2):
        powers[i] = powers[i - 1] * uint64(0x9E3779B97F4A7C15)
    epoch = np.uint32(0)
    for row in range(offsets.shape[0] - 1):
        start, end = offsets[row], offsets[row + 1]
        other_breaks = _characters(data, start, end, out[row, :_LINES_AT])
        most_words = first_word[row + 1] - first_word[row] if use_given else end - start
        if most_words > size:
            size = grown(size, most_words)
            starts, ends = np.empty(size, np.int64), np.empty(size, np.int64)
        words = most_words
        if use_given:
            for i in range(words):
                starts[i], ends[i] = given_offsets[first_word[row] + i], given_offsets[first_word[row] + i + 1]
        else:
            words = split_words(data, start, end, bits, starts, ends)
        if words + 1 > joined.shape[0]:
            length = grown(joined.shape[0], words + 1)
            joined, sequence = np.empty(length, np.uint64), np.empty(length, np.uint64)
            char_sum, byte_sum = np.empty(length, np.int64), np.empty(length, np.int64)
        needed = 2 * max(words, out[row, 1] + 2)
        if needed > capacity:
            capacity = grown(capacity, needed)
            keys, epochs, counts = (
                np.empty(capacity, np.uint64),
                np.zeros(capacity, np.uint32),
                np.empty(capacity, np.uint32),
            )
            slots, firsts = np.empty(capacity, np.int64), np.empty(capacity, np.int64)
            epoch = np.uint32(0)
        epoch = segment_duplicates(data, start, end, bits, keys, epochs, epoch, out[row, _LINES_AT : _LINES_AT + 6])
        epoch = line_statistics(data, start, end, bits, keys, epochs, epoch, out[row, _LINES_AT + 6 : _WORDS_AT])
        if other_breaks:
            splitlines_statistics(data, start, end, bits, out[row, _LINES_AT + 6 : _LINES_AT + 9])
        source = given if use_given else data
        out[row, _WORDS_AT] = words
        hash_words(source, starts, ends, words, powers, joined, sequence, char_sum, byte_sum)
        count_word_kinds(source, starts, ends, words, bits, stop_keys, char_sum, out[row, _WORDS_AT + 1 : _TOP_AT])
        for n in range(2, 5):
            epoch += np.uint32(1)
            out[row, _TOP_AT + n - 2] = top_ngram_chars(
                n, words, sequence, char_sum, keys, epochs, counts, slots, firsts, epoch
            )
        found = 1
        for n in range(5, 11):  # without a repeated n-gram there is no longer one
            epoch += np.uint32(1)
            found = dup_ngram_chars(n, words, joined, powers, char_sum, byte_sum, keys, epochs, epoch) if found else 0
            out[row, _DUP_AT + n - 5] = found


def _measure(text: pa.Array, words: pa.ListArray | None) -> pa.RecordBatch:
    buffers = string_buffers(text)
    out = np.zeros((buffers.rows, len(COLUMNS)), np.int64)
    given, first_word = string_buffers(pa.array([], pa.string())), np.zeros(buffers.rows + 1, np.int64)
    longest = buffers.longest_bytes
    if words is not None:
        given = string_buffers(words.flatten())
        np.cumsum(words.value_lengths().to_numpy(zero_copy_only=False), out=first_word[1:])
        longest = max(longest, int(np.diff(given.offsets[first_word]).max(initial=0)))
    bits = class_bits(PUNCTUATION, TERMINAL)
    use_given = words is not None
    _statistics(
        buffers.data, buffers.offsets, given.data, given.offsets, first_word, use_given, bits, STOP_KEYS, longest, out
    )
    return pa.record_batch([pa.array(out[:, i].copy()) for i in range(len(COLUMNS))], names=list(COLUMNS))


def quality_statistics(text: pa.Array) -> pa.RecordBatch:
    """Count everything that the Gopher and FineWeb rules look at.

    Args:
        text: [rows] strings without nulls.

    Returns:
        [rows] int64 columns named COLUMNS.
    """
    return _measure(text, None)


def quality_statistics_of_words(text: pa.Array, words: pa.ListArray) -> pa.RecordBatch:
    """Count with words from another splitter (the exact mode that oracles use).

    Args:
        text: [rows] strings without nulls.
        words: [rows] lists of the words of each text.

    Returns:
        [rows] int64 columns named COLUMNS.
    """
    return _measure(text, words)
