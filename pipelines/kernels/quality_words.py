"""Words: splitting, kinds, and repeated word n-grams by prefix hashes."""

from __future__ import annotations

import numpy as np
from numba import njit, uint64

from pipelines.kernels.compile import INLINE, KERNEL
from pipelines.kernels.hashing import mix64
from pipelines.kernels.unicode_tables import ALPHA, MARK, PUNCT, SPACE, WORD, decode_utf8

_BASE = np.uint64(0x9E3779B97F4A7C15)  # powers of it are given as `powers`
_SEQUENCE_BASE = np.uint64(0xD1342543DE82EF95)


@njit(**INLINE)
def _joins(byte: int) -> bool:
    """Say whether a character between two word characters belongs to the word: . ' @ & (and _, a word character)."""
    return byte == 46 or byte == 39 or byte == 64 or byte == 38


@njit(**KERNEL)
def split_words(data: np.ndarray, start: int, end: int, bits: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> int:
    """Split a text into words nearly as spaCy's English tokenizer does.

    A word is a run of word characters (and the marks on them, without which words of Hindi or Bengali would
    fall apart at every vowel sign), in which single . ' @ & between word characters stay; a symbol, or
    a run of the same symbol, is a word, too. With datatrove's thresholds the verdicts of the Gopher quality
    rules agree with spaCy's words on 94 % of a corpus rich in code and tables (with white-space splitting
    on 54 %).

    Returns:
        The number of words; `starts` and `ends` are filled.
    """
    words = 0
    at = start
    while at < end:
        point, length = decode_utf8(data, at)
        kind = bits[point]
        if kind & SPACE:
            at += length
            continue
        starts[words] = at
        at += length
        if kind & WORD:
            while at < end:
                following, size = decode_utf8(data, at)
                if bits[following] & (WORD | MARK):
                    at += size
                elif at + 1 < end and _joins(data[at]) and bits[decode_utf8(data, at + 1)[0]] & WORD:
                    at += 1
                else:
                    break
        else:
            while at < end:
                following, size = decode_utf8(data, at)
                if following != point:
                    break
                at += size
        ends[words] = at
        words += 1
    return words


@njit(**KERNEL)
def hash_words(
    data: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    words: int,
    powers: np.ndarray,
    joined: np.ndarray,
    sequence: np.ndarray,
    char_sum: np.ndarray,
    byte_sum: np.ndarray,
) -> None:
    """Fill prefix hashes over the joined bytes and over the sequence of words, and prefix lengths."""
    joined[0] = sequence[0] = 0
    char_sum[0] = byte_sum[0] = 0
    for i in range(words):
        value = uint64(0)
        chars = 0
        for at in range(starts[i], ends[i]):
            value = value * _BASE + uint64(data[at]) + uint64(1)
            chars += (data[at] & 0xC0) != 0x80
        size = ends[i] - starts[i]
        joined[i + 1] = joined[i] * powers[size] + value
        sequence[i + 1] = sequence[i] * _SEQUENCE_BASE + mix64(value ^ (uint64(size) << uint64(56)))
        char_sum[i + 1] = char_sum[i] + chars
        byte_sum[i + 1] = byte_sum[i] + size


@njit(**KERNEL)
def count_word_kinds(
    data: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    words: int,
    bits: np.ndarray,
    stop_keys: np.ndarray,
    char_sum: np.ndarray,
    out: np.ndarray,
) -> None:
    """Fill words that are not pure punctuation, their characters, words with a letter, distinct stop words."""
    plain = plain_chars = alpha = stops = 0
    for i in range(words):
        has_alpha = has_plain = False
        at = starts[i]
        while at < ends[i]:
            point, length = decode_utf8(data, at)
            has_alpha |= (bits[point] & ALPHA) != 0
            has_plain |= (bits[point] & PUNCT) == 0
            if has_alpha and has_plain:
                break
            at += length
        alpha += has_alpha
        if has_plain:
            plain += 1
            plain_chars += char_sum[i + 1] - char_sum[i]
        if 2 <= ends[i] - starts[i] <= 4:
            key = uint64(0)
            for at in range(starts[i], ends[i]):
                key = (key << uint64(8)) | uint64(data[at])
            for j in range(stop_keys.shape[0]):
                if stop_keys[j] == key:
                    stops |= 1 << j
    found = 0
    while stops:
        found += stops & 1
        stops >>= 1
    out[0], out[1], out[2], out[3] = plain, plain_chars, alpha, found


@njit(**KERNEL)
def ngram_power(n: int) -> int:
    """Return what a prefix hash of the sequence of words is multiplied by to take it from the one n words later."""
    power = uint64(1)
    for _ in range(n):
        power *= _SEQUENCE_BASE
    return power


@njit(**KERNEL)
def top_ngram_chars(
    n: int,
    words: int,
    sequence: np.ndarray,
    char_sum: np.ndarray,
    keys: np.ndarray,
    epochs: np.ndarray,
    counts: np.ndarray,
    slots: np.ndarray,
    firsts: np.ndarray,
    epoch: int,
) -> int:
    """Return length (with spaces) x count of the commonest n-gram; of equals the one that comes first."""
    if words < n:
        return 0
    power = ngram_power(n)
    mask = keys.shape[0] - 1
    distinct = 0
    for i in range(words - n + 1):
        key = mix64(sequence[i + n] - sequence[i] * power)
        at = np.int64(key & uint64(mask))
        while epochs[at] == epoch and keys[at] != key:
            at = (at + 1) & mask
        if epochs[at] == epoch:
            counts[at] += np.uint32(1)
        else:
            epochs[at], keys[at], counts[at] = epoch, key, 1
            slots[distinct], firsts[distinct] = at, i
            distinct += 1
    best = first = 0
    for j in range(distinct):
        if counts[slots[j]] > best:
            best, first = np.int64(counts[slots[j]]), firsts[j]
    return best * (char_sum[first + n] - char_sum[first] + n - 1)


@njit(**KERNEL)
def dup_ngram_chars(
    n: int,
    words: int,
    joined: np.ndarray,
    powers: np.ndarray,
    char_sum: np.ndarray,
    byte_sum: np.ndarray,
    keys: np.ndarray,
    epochs: np.ndarray,
    epoch: int,
) -> int:
    """Return the characters of n-grams seen before, in a scan that jumps over each one found."""
    mask = keys.shape[0] - 1
    total = 0
    i = 0
    while i < words - n + 1:
        key = mix64(joined[i + n] - joined[i] * powers[byte_sum[i + n] - byte_sum[i]])
        at = np.int64(key & uint64(mask))
        found = False
        while epochs[at] == epoch:
            if keys[at] == key:
                found = True
                break
            at = (at + 1) & mask
        if found:
            total += char_sum[i + n] - char_sum[i]
            i += n
        else:
            epochs[at], keys[at] = epoch, key
            i += 1
    return total
