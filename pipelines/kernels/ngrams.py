r"""Word n-grams of a text column as 64-bit keys, and where those of an index occur.

Words are runs of `\w` of the lower-cased text; in scripts without spaces (Chinese, Japanese, Thai, Lao,
Khmer, Burmese) every letter is a word of its own. Two different n-grams get one key with probability 2^-64.
"""

from __future__ import annotations

import functools
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from numba import njit, uint32, uint64

from pipelines.kernels.arrow_strings import string_buffers
from pipelines.kernels.compile import INLINE, KERNEL
from pipelines.kernels.hashing import mix64
from pipelines.kernels.unicode_tables import decode_utf8, word_table

_WORD_BASE: Final = np.uint64(0x9E3779B97F4A7C15)
_SEQUENCE_BASE: Final = np.uint64(0xD1342543DE82EF95)
_IS_WORD: Final = np.uint32(1 << 24)
_ALONE: Final = np.uint32(1 << 25)
ALONE_RANGES: Final = (
    (0x0E00, 0x0F00), (0x1000, 0x10A0), (0x1780, 0x1800), (0x3040, 0x3100), (0x31F0, 0x3200), (0x3400, 0x4DC0),
    (0x4E00, 0xA000), (0xF900, 0xFB00), (0x20000, 0x32400),
)  # fmt: skip
"""Thai and Lao; Burmese; Khmer; kana; kana extensions; ideographs."""
_FIRST_HITS: Final = 1024


class NgramIndex(NamedTuple):
    """A set of n-grams, fast to look up.

    Attributes:
        keys: uint64 `[distinct]`, sorted.
        lengths: int64 `[lengths]`: the n that occur, ascending.
        slots: int32 `[power of two]`: position in `keys` by open addressing, -1 if free.
        bits: uint64 `[power of two]`: one bit per key, eight times as many bits as keys; it lies in the cache where
            `slots` does not, and answers most misses.
        nested: whether every n-gram begins with a shorter one of the index, if it is not of the least n.
    """

    keys: np.ndarray
    lengths: np.ndarray
    slots: np.ndarray
    bits: np.ndarray
    nested: bool


class NgramHits(NamedTuple):
    """Where n-grams of an index occur; in the order of rows and of the texts.

    Attributes:
        row: int64 `[hits]`.
        key: int64 `[hits]`: position in the keys of the index.
        start: int64 `[hits]`: first byte in the text.
        end: int64 `[hits]`: one past the last byte.
    """

    row: np.ndarray
    key: np.ndarray
    start: np.ndarray
    end: np.ndarray


@functools.cache
def ngram_table() -> np.ndarray:
    """Return the word table with letters that are words alone (bit 25), and with one sigma.

    `str.lower` writes capital sigma as one of two letters, by its place in the word, and U+0130 as two; here they are
    the small sigma and "i", so that no text has to be lowered beforehand and byte offsets stay.
    """
    table = word_table().copy()
    for capital, small in ((0x3A3, 0x3C3), (0x3C2, 0x3C3), (0x130, ord("i"))):
        table[capital] = np.uint32(small) | _IS_WORD
    for start, end in ALONE_RANGES:
        piece = table[start:end]
        piece[(piece & _IS_WORD) != 0] |= _ALONE
    table.flags.writeable = False
    return table


@njit(**INLINE)
def _word_hashes(
    data: np.ndarray,
    start: int,
    end: int,
    table: np.ndarray,
    sequence: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
) -> int:
    """Fill the prefix hashes over the words of one text, and where these lie; return their number."""
    words = 0
    value, in_word = uint64(0), False
    at = start
    while at < end:
        point, length = decode_utf8(data, at)
        entry = table[point]
        alone = (entry & _ALONE) != 0
        if in_word and (alone or not entry & _IS_WORD):
            ends[words] = at
            sequence[words + 1] = sequence[words] * _SEQUENCE_BASE + mix64(value)
            words += 1
            in_word = False
        if entry & _IS_WORD:
            if not in_word:
                starts[words], value, in_word = at, uint64(0), True
            value = (value + uint64(entry & uint32(0xFFFFFF)) + uint64(1)) * _WORD_BASE
            if alone:
                ends[words] = at + length
                sequence[words + 1] = sequence[words] * _SEQUENCE_BASE + mix64(value)
                words += 1
                in_word = False
        at += length
    if in_word:
        ends[words] = end
        sequence[words + 1] = sequence[words] * _SEQUENCE_BASE + mix64(value)
        words += 1
    return words


@njit(**INLINE)
def _power(n: int) -> int:
    power = uint64(1)
    for _ in range(n):
        power *= _SEQUENCE_BASE
    return power


@njit(**INLINE)
def _key(sequence: np.ndarray, i: int, n: int, power: int) -> int:
    """Return the key of the n words from word i; n is mixed in."""
    return mix64((sequence[i + n] - sequence[i] * power) ^ (uint64(n) << uint64(56)))


@njit(**KERNEL)
def _all_keys(
    data: np.ndarray, offsets: np.ndarray, table: np.ndarray, n: int, longest: int, keys: np.ndarray, counts: np.ndarray
) -> int:
    """Fill the keys of all n-grams, row after row, and their number per row; return their sum."""
    sequence = np.zeros(longest + 2, np.uint64)
    starts, ends = np.empty(longest + 1, np.int64), np.empty(longest + 1, np.int64)
    power = _power(n)
    total = 0
    for row in range(len(offsets) - 1):
        words = _word_hashes(data, offsets[row], offsets[row + 1], table, sequence, starts, ends)
        for i in range(words - n + 1):
            keys[total + i] = _key(sequence, i, n, power)
        counts[row] = max(words - n + 1, 0)
        total += counts[row]
    return total


@njit(**KERNEL)
def _count_words(data: np.ndarray, offsets: np.ndarray, table: np.ndarray, longest: int, words: np.ndarray) -> None:
    """Fill the number of words per row."""
    sequence = np.zeros(longest + 2, np.uint64)
    starts, ends = np.empty(longest + 1, np.int64), np.empty(longest + 1, np.int64)
    for row in range(len(offsets) - 1):
        words[row] = _word_hashes(data, offsets[row], offsets[row + 1], table, sequence, starts, ends)


@njit(**INLINE)
def _bit(key: int, bits: np.ndarray) -> tuple[int, int]:
    """Return word and bit of a key; from its upper half, because the lower one chooses the slot."""
    place = (key >> uint64(24)) & uint64(64 * len(bits) - 1)
    return np.int64(place >> uint64(6)), uint64(1) << (place & uint64(63))


@njit(**KERNEL)
def _fill_slots(keys: np.ndarray, slots: np.ndarray, bits: np.ndarray) -> None:
    mask = uint64(len(slots) - 1)
    for i in range(len(keys)):
        at = np.int64(keys[i] & mask)
        while slots[at] >= 0:
            at = (at + 1) & np.int64(mask)
        slots[at] = i
        word, bit = _bit(keys[i], bits)
        bits[word] |= bit


@njit(**INLINE)
def _look_up(key: int, keys: np.ndarray, slots: np.ndarray, bits: np.ndarray) -> int:
    """Return the position of a key, or -1."""
    word, bit = _bit(key, bits)
    if not bits[word] & bit:
        return -1
    mask = np.int64(len(slots) - 1)
    at = np.int64(key & uint64(mask))
    while slots[at] >= 0 and keys[slots[at]] != key:
        at = (at + 1) & mask
    return np.int64(slots[at])


@njit(**KERNEL)
def _find(
    data: np.ndarray,
    offsets: np.ndarray,
    table: np.ndarray,
    keys: np.ndarray,
    lengths: np.ndarray,
    slots: np.ndarray,
    bits: np.ndarray,
    nested: bool,
    longest: int,
    hits: np.ndarray,
) -> int:
    """Fill (row, key, start, end) of every hit; return their number, which may be more than there is room for."""
    sequence = np.zeros(longest + 2, np.uint64)
    starts, ends = np.empty(longest + 1, np.int64), np.empty(longest + 1, np.int64)
    powers = np.empty(len(lengths), np.uint64)
    for j in range(len(lengths)):
        powers[j] = _power(lengths[j])
    found = 0
    for row in range(len(offsets) - 1):
        words = _word_hashes(data, offsets[row], offsets[row + 1], table, sequence, starts, ends)
        for i in range(words):
            for j in range(len(lengths)):
                n = lengths[j]
                if i + n > words:
                    break
                key = _key(sequence, i, n, powers[j])
                slot = _look_up(key, keys, slots, bits)
                if slot >= 0:
                    if found < len(hits):
                        hits[found, 0], hits[found, 1] = row, slot
                        hits[found, 2] = starts[i] - offsets[row]
                        hits[found, 3] = ends[i + n - 1] - offsets[row]
                    found += 1
                elif nested:
                    break
    return found


def count_words(text: pa.Array) -> np.ndarray:
    """Count the words of texts.

    Returns:
        int64 `[rows]`.
    """
    buffers = string_buffers(text)
    words = np.zeros(buffers.rows, np.int64)
    _count_words(buffers.data, buffers.offsets, ngram_table(), buffers.longest_bytes, words)
    return words


def ngram_keys(text: pa.Array, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Hash all n-grams of texts, with repeats.

    Args:
        text: `[rows]` strings without nulls.
        n: words per n-gram.

    Returns:
        Keys uint64 `[total]`, row after row, and their number int64 `[rows]`.
    """
    buffers = string_buffers(text)
    keys = np.empty(int(buffers.offsets[-1]), np.uint64)
    counts = np.zeros(buffers.rows, np.int64)
    total = _all_keys(buffers.data, buffers.offsets, ngram_table(), n, buffers.longest_bytes, keys, counts)
    return keys[:total].copy(), counts


def make_index(keys: np.ndarray, lengths: tuple[int, ...], *, nested: bool = False) -> NgramIndex:
    """Make an index of keys.

    Args:
        keys: uint64 `[any]`; repeats and order do not matter.
        lengths: the n of the n-grams behind them.
        nested: look for a longer n-gram only where the next shorter one was found.
    """
    distinct = np.unique(keys)
    size = 1 << max(4, int(2 * len(distinct)).bit_length())  # at most half full: 1.5 probes for a miss
    slots, bits = np.full(size, -1, np.int32), np.zeros(max(1, size // 16), np.uint64)
    _fill_slots(distinct, slots, bits)
    return NgramIndex(distinct, np.array(sorted(lengths), np.int64), slots, bits, nested)


def find_ngrams(text: pa.Array, index: NgramIndex) -> NgramHits:
    """Find every occurrence of the n-grams of an index.

    Args:
        text: `[rows]` strings without nulls.
        index: what to look for.
    """
    buffers = string_buffers(text)
    arguments = (buffers.data, buffers.offsets, ngram_table(), *index, buffers.longest_bytes)
    hits = np.empty((_FIRST_HITS, 4), np.int64)
    found = _find(*arguments, hits)
    if found > len(hits):
        hits = np.empty((found, 4), np.int64)
        _find(*arguments, hits)
    return NgramHits(*(hits[:found, column].copy() for column in range(4)))
