"""The vector of a text: the mean of the rows that fastText adds for its words, with a cache of word vectors.

A word's rows are summed once per process and then cost one cache row instead of about 25 hashed ones. The cache
changes no result, because a text is always the sum of its words' sums, in their order. Where the score is a step
function (loss ova and ns read a table of the sigmoid), rows are added one by one, in fastText's own order: the
rounding of another order would move some texts by a step. So they are in texts of many rows, where the roundings of
two orders add up to more than 2e-5 of a probability.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import int32, njit, uint8, uint64

from pipelines.kernels.compile import INLINE, KERNEL
from pipelines.kernels.hashing import load_u64, mix64
from pipelines.kernels.language_model import FNV_START, LABEL_PREFIX, FastTextModel, fnv_hash, fnv_step

_CACHE_BYTES: Final = 48 << 20
_LONGEST_CACHED: Final = 255
_MOST_ROWS: Final = 1 << 15
_LABEL: Final = np.frombuffer(LABEL_PREFIX.encode(), np.uint8).copy()
_END_OF_SENTENCE: Final = np.frombuffer(b"</s>", np.uint8).copy()


def word_arrays(model: FastTextModel) -> tuple:
    """Return what the kernels of this module read of a model."""
    return (
        model.rows,
        model.bucket_row,
        np.packbits(model.bucket_row >= 0, bitorder="little"),
        model.word_slot,
        model.word_offset,
        model.word_bytes,
        model.n_words,
        model.min_n,
        model.max_n,
        model.word_ngrams,
        model.end_of_sentence,
        model.loss in ("hs", "softmax"),
    )


def make_cache(model: FastTextModel, rows: int | None = None) -> tuple[np.ndarray, ...]:
    """Make an empty cache: keys, numbers of rows + 1, vectors, and how many are in use.

    Args:
        model: the model.
        rows: a power of two; by default what fits into 48 MB.
    """
    dim = model.rows.shape[1]
    if rows is None:
        rows = 1 << ((_CACHE_BYTES // (20 + 4 * dim)).bit_length() - 1)
    return (
        np.zeros((rows, 2), np.uint64),
        np.zeros(rows, np.int32),
        np.zeros((rows, dim), np.float32),
        np.zeros(1, np.int64),
    )


@njit(**INLINE)
def is_separator(byte: int) -> bool:
    """Say whether fastText ends a word here: white space of ASCII, or NUL."""
    return byte == 32 or 9 <= byte <= 13 or byte == 0


@njit(**KERNEL)
def _find_word(
    data: np.ndarray, start: int, end: int, word_slot: np.ndarray, word_offset: np.ndarray, word_bytes: np.ndarray
) -> int:
    """Return the number of a word or label in the dictionary, or -1."""
    mask = word_slot.shape[0] - 1
    at = np.int64(fnv_hash(data, start, end)) & mask
    while word_slot[at] >= 0:
        word = word_slot[at]
        if word_offset[word + 1] - word_offset[word] == end - start:
            same = True
            for i in range(end - start):
                if word_bytes[word_offset[word] + i] != data[start + i]:
                    same = False
                    break
            if same:
                return word
        at = (at + 1) & mask
    return -1


@njit(**KERNEL)
def _add_ngrams(framed: np.ndarray, size: int, arrays: tuple, vector: np.ndarray) -> int:
    """Add the vectors of all character n-grams of `<word>`; return how many rows were added.

    Most buckets of a pruned model are empty: one bit each says so from the near cache, before 8 MB of row numbers.
    """
    rows, bucket_row, has_row, _, _, _, _, min_n, max_n, _, _, _ = arrays
    count = 0
    buckets = np.uint32(bucket_row.shape[0])
    for i in range(size):
        if (framed[i] & 0xC0) == 0x80:
            continue
        value = FNV_START
        j = i
        n = 1
        while j < size and n <= max_n:
            value = fnv_step(value, framed[j])
            j += 1
            while j < size and (framed[j] & 0xC0) == 0x80:
                value = fnv_step(value, framed[j])
                j += 1
            if n >= min_n and not (n == 1 and (i == 0 or j == size)):
                bucket = value % buckets
                if has_row[bucket >> np.uint32(3)] >> (bucket & np.uint32(7)) & 1:
                    row = bucket_row[bucket]
                    for k in range(vector.shape[0]):
                        vector[k] += rows[row, k]
                    count += 1
            n += 1
    return count


@njit(**KERNEL)
def _is_label(data: np.ndarray, start: int, end: int, number: int, n_words: int) -> bool:
    """Say whether fastText takes a token for a label, which is no word of the text."""
    if number >= 0:
        return number >= n_words
    if end - start < _LABEL.shape[0]:
        return False
    same = True
    for i in range(_LABEL.shape[0]):
        same &= data[start + i] == _LABEL[i]
    return same


@njit(**KERNEL)
def _add_rows(data: np.ndarray, start: int, end: int, arrays: tuple, framed: np.ndarray, vector: np.ndarray) -> int:
    """Add the rows of one word; return their number, or -1 for a label."""
    rows, _, _, word_slot, word_offset, word_bytes, n_words, _, max_n, _, _, _ = arrays
    number = _find_word(data, start, end, word_slot, word_offset, word_bytes)
    if _is_label(data, start, end, number, n_words):
        return -1
    count = 0
    if number >= 0:
        for k in range(vector.shape[0]):
            vector[k] += rows[number, k]
        count = 1
    if max_n <= 0:
        return count
    size = end - start
    framed[0] = uint8(60)  # <
    for i in range(size):
        framed[i + 1] = data[start + i]
    framed[size + 1] = uint8(62)  # >
    return count + _add_ngrams(framed, size + 2, arrays, vector)


@njit(**INLINE)
def _word_key(data: np.ndarray, start: int, size: int) -> tuple[int, int]:
    """Return 128 bits that name a word: its exact bytes up to 15, else two hashes and a tag."""
    if size <= 15:
        low = load_u64(data, start)
        high = uint64(0)
        if size < 8:
            low &= (uint64(1) << uint64(8 * size)) - uint64(1)
        elif size > 8:
            high = load_u64(data, start + 8) & ((uint64(1) << uint64(8 * (size - 8))) - uint64(1))
        return low, high | (uint64(size) << uint64(56))
    low = uint64(size)
    high = uint64(size) * uint64(0x9E3779B97F4A7C15)
    at = start
    while at + 8 <= start + size:
        value = load_u64(data, at)
        low = mix64(low ^ value)
        high = mix64(high + value * uint64(0xD6E8FEB86659FD93))
        at += 8
    value = uint64(0)
    while at < start + size:
        value = (value << uint64(8)) | uint64(data[at])
        at += 1
    return mix64(low ^ value), mix64(high + value) | (uint64(0xFF) << uint64(56))


@njit(**INLINE)
def _cached_row(low: int, high: int, keys: np.ndarray, counts: np.ndarray) -> int:
    """Return the row of a word in the cache, or the empty row where it would go."""
    mask = counts.shape[0] - 1
    at = np.int64(mix64(low ^ (high * uint64(0x9E3779B97F4A7C15))) & uint64(mask))
    while counts[at] != 0 and (keys[at, 0] != low or keys[at, 1] != high):
        at = (at + 1) & mask
    return at


@njit(**KERNEL)
def _add_new_word(
    data: np.ndarray, start: int, end: int, at: int, key: tuple, arrays: tuple, cache: tuple, scratch: tuple
) -> int:
    """Sum the rows of a word in `scratch` and, at a row of the cache (or -1), there; return their number, or -1."""
    keys, counts, vectors, used = cache
    vector, framed = scratch
    vector[:] = 0
    count = _add_rows(data, start, end, arrays, framed, vector)
    if at >= 0 and 2 * used[0] < counts.shape[0]:
        keys[at, 0], keys[at, 1] = key
        counts[at] = count + 2
        vectors[at] = vector
        used[0] += 1
    return count


@njit(**KERNEL)
def _add_word_ngrams(hashes: np.ndarray, size: int, arrays: tuple, hidden: np.ndarray) -> int:
    """Add the rows of all n-grams of two or more words; return their number."""
    rows, bucket_row, longest = arrays[0], arrays[1], arrays[9]
    count = 0
    for i in range(size):
        value = uint64(hashes[i])
        for j in range(i + 1, min(size, i + longest)):
            value = value * uint64(116049371) + uint64(hashes[j])
            row = bucket_row[value % uint64(bucket_row.shape[0])]
            if row >= 0:
                for k in range(hidden.shape[0]):
                    hidden[k] += rows[row, k]
                count += 1
    return count


@njit(**INLINE)
def _next_word(data: np.ndarray, at: int, end: int) -> tuple[int, int]:
    """Return (first byte, byte after the last) of the next word; both are `end` if there is none."""
    while at < end and is_separator(data[at]):
        at += 1
    first = at
    while at < end and not is_separator(data[at]):
        at += 1
    return first, at


@njit(**KERNEL)
def _add_cached_words(
    data: np.ndarray,
    start: int,
    end: int,
    arrays: tuple,
    cache: tuple,
    scratch: tuple,
    hashes: np.ndarray,
    hidden: np.ndarray,
) -> tuple[int, int]:
    """Add the rows of all words, through the cache; return how many rows and words there are.

    It ends early when there are more than _MOST_ROWS rows.

    The hit is written out in the loop: a call with this many arrays costs more than the hit itself.
    """
    longest = arrays[9]
    keys, counts, vectors, _ = cache
    known, words = 0, 0
    first, at = _next_word(data, start, end)
    while first < end and known <= _MOST_ROWS:
        row, low, high = -1, uint64(0), uint64(0)
        if at - first <= _LONGEST_CACHED:
            low, high = _word_key(data, first, at - first)
            row = _cached_row(low, high, keys, counts)
        if row >= 0 and counts[row] != 0:
            count = counts[row] - 2
            for k in range(hidden.shape[0]):
                hidden[k] += vectors[row, k]
        else:
            count = _add_new_word(data, first, at, row, (low, high), arrays, cache, scratch)
            for k in range(hidden.shape[0]):
                hidden[k] += scratch[0][k]
        if count >= 0:
            known += count
            if longest > 1:
                hashes[words] = int32(fnv_hash(data, first, at))
            words += 1
        first, at = _next_word(data, at, end)
    return known, words


@njit(**KERNEL)
def _add_words(
    data: np.ndarray,
    start: int,
    end: int,
    arrays: tuple,
    framed: np.ndarray,
    hashes: np.ndarray,
    hidden: np.ndarray,
) -> tuple[int, int]:
    """Do what `_add_cached_words` does row by row, in fastText's own order."""
    known, words = 0, 0
    first, at = _next_word(data, start, end)
    while first < end:
        count = _add_rows(data, first, at, arrays, framed, hidden)
        if count >= 0:
            known += count
            if arrays[9] > 1:
                hashes[words] = int32(fnv_hash(data, first, at))
            words += 1
        first, at = _next_word(data, at, end)
    return known, words


@njit(**INLINE)
def _same_bytes(one: np.ndarray, first: int, other: np.ndarray, start: int, size: int) -> bool:
    same = True
    for i in range(size):
        same &= one[first + i] == other[start + i]
    return same


@njit(**KERNEL)
def _add_whole_words(
    data: np.ndarray, start: int, end: int, arrays: tuple, hashes: np.ndarray, hidden: np.ndarray
) -> tuple[int, int]:
    """Do what `_add_cached_words` does for a model without n-grams of characters: a word is one row, if any.

    The look-up is written out in the loop, and the hash serves the n-grams of words, too.
    """
    rows, word_slot, word_offset, word_bytes, n_words, longest = (
        arrays[0], arrays[3], arrays[4], arrays[5], arrays[6], arrays[9]
    )  # fmt: skip
    mask = word_slot.shape[0] - 1
    known, words = 0, 0
    at = start
    while at < end:
        if is_separator(data[at]):
            at += 1
            continue
        first, value = at, FNV_START
        while at < end and not is_separator(data[at]):
            value = fnv_step(value, data[at])
            at += 1
        slot, number = np.int64(value) & mask, -1
        while word_slot[slot] >= 0 and number < 0:
            word = word_slot[slot]
            offset, size = word_offset[word], at - first
            if word_offset[word + 1] - offset == size and _same_bytes(word_bytes, offset, data, first, size):
                number = word
            slot = (slot + 1) & mask
        if _is_label(data, first, at, number, n_words):
            continue
        if number >= 0:
            for k in range(hidden.shape[0]):
                hidden[k] += rows[number, k]
            known += 1
        if longest > 1:
            hashes[words] = int32(value)
        words += 1
    return known, words


@njit(**KERNEL)
def text_vector(
    data: np.ndarray,
    start: int,
    end: int,
    arrays: tuple,
    cache: tuple,
    scratch: tuple,
    hashes: np.ndarray,
    hidden: np.ndarray,
) -> int:
    """Fill the mean of the rows of a text; return how many rows its words and their characters have.

    Args:
        data: bytes, with padding after `end`.
        start: first byte of the text.
        end: byte after its last.
        arrays: `word_arrays`.
        cache: `make_cache`.
        scratch: [dim] float32 and [longest word + 2] uint8.
        hashes: [words + 1] int64, used only for n-grams of words.
        hidden: [dim] float32, the result.
    """
    rows, longest, end_row, cached = arrays[0], arrays[9], arrays[10], arrays[11]
    hidden[:] = 0
    known, words = 0, 0
    is_whole = arrays[8] <= 0
    if is_whole:
        known, words = _add_whole_words(data, start, end, arrays, hashes, hidden)
    elif cached:
        known, words = _add_cached_words(data, start, end, arrays, cache, scratch, hashes, hidden)
    if not is_whole and (not cached or known > _MOST_ROWS):
        hidden[:] = 0
        known, words = _add_words(data, start, end, arrays, scratch[1], hashes, hidden)
    total = known
    if end_row >= 0:  # fastText ends every line with </s>
        hidden += rows[end_row]
        total += 1
    if longest > 1:
        hashes[words] = int32(fnv_hash(_END_OF_SENTENCE, 0, 4))
        total += _add_word_ngrams(hashes, words + 1, arrays, hidden)
    hidden *= np.float32(1.0 / max(total, 1))
    return known
