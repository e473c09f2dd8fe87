r"""Word n-gram shingles of a text column, their MinHash signatures and their 64-bit hashes.

The definition is plain Python, and the results are bit-identical to it:

    words    = re.findall(r"\w+", text.lower())
    shingles = {" ".join(words[i : i + n])}       (0 < words < n: one shingle of all words)
    MinHash(num_perm, seed, hashfunc=xxhash.xxh32_intdigest, scheme="affine32") of datasketch 2.0

Hand a row back to datasketch with `LeanMinHash(seed=params.seed, hashvalues=row, scheme="affine32")`.

MinHash: Broder 1997, doi:10.1109/SEQUEN.1997.666900; affine permutations of 32-bit hashes: h -> a h + b
mod 2^32 with odd a, after one fmix32 (datasketch 2.0).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from numba import int64, njit, uint8, uint32

from pipelines.kernels.arrow_strings import StringBuffers, string_buffers
from pipelines.kernels.compile import KERNEL
from pipelines.kernels.hashing import fmix32, xxh32, xxh64
from pipelines.kernels.unicode_tables import decode_utf8, put_utf8, word_table

EMPTY: Final = np.uint32(0xFFFFFFFF)
"""Every value of the signature of a document without words."""
_SPACE: Final = np.uint8(ord(" "))
_DOTTED_I: Final = tuple("İ".encode())
_SIGMA: Final = tuple("Σ".encode())


@dataclass(frozen=True)
class MinHashParams:
    """What a signature depends on besides the text.

    Attributes:
        num_perm: Values per signature.
        ngram: Words per shingle.
        seed: Seed of the permutations.
    """

    num_perm: int = 112
    ngram: int = 5
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse what datasketch or the shingles do not define."""
        if self.num_perm < 1 or self.ngram < 1 or not 0 <= self.seed < 2**32:
            raise ValueError(
                f"MinHashParams: out of range: got num_perm={self.num_perm}, ngram={self.ngram}, "
                f"seed={self.seed}; expected num_perm >= 1, ngram >= 1, 0 <= seed < 2**32"
            )


class Signatures(NamedTuple):
    """Signatures of a batch of documents.

    Attributes:
        signatures: uint32 `[rows, num_perm]`; all EMPTY without words.
        n_words: int32 `[rows]`. Fewer than `ngram` words: the one shingle is the whole text, so that any
            two such documents are equal or share nothing; let them take part by content hash only.
        n_shingles: int32 `[rows]`, with repeats: `max(n_words - ngram + 1, 1)`, 0 without words.
    """

    signatures: np.ndarray
    n_words: np.ndarray
    n_shingles: np.ndarray


class ShingleSets(NamedTuple):
    """The shingle set of each document, for exact Jaccard similarities.

    Attributes:
        hashes: uint64 `[total]`: xxh64 of each shingle, per document sorted and unique.
        offsets: int64 `[rows + 1]`; document i has `hashes[offsets[i]:offsets[i + 1]]`, nothing without words.
    """

    hashes: np.ndarray
    offsets: np.ndarray


@functools.cache
def permutations(num_perm: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the multipliers and addends of datasketch 2.0's `affine32` scheme.

    They are repeated here because importing datasketch costs a process 1.6 s.

    Returns:
        Two read-only uint32 arrays `[num_perm]`: odd a, and b, of h -> a h + b mod 2^32.
    """
    generator = np.random.RandomState(seed)
    a = generator.randint(0, 1 << 31, num_perm, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    b = generator.randint(0, 1 << 32, num_perm, dtype=np.uint32)
    a.flags.writeable = b.flags.writeable = False
    return a, b


def minhash_signatures(
    text: pa.StringArray | pa.LargeStringArray | pa.ChunkedArray, params: MinHashParams | None = None
) -> Signatures:
    """Compute the MinHash signature of every document of a batch.

    Memory besides the result: about 14 bytes per byte of the longest document.

    Args:
        text: Texts without nulls `[rows]`.
        params: The signature's parameters; the defaults if None.

    Returns:
        Signatures, word counts and shingle counts.
    """
    params = params or MinHashParams()
    buffers = _exactly_lowerable(text)
    signatures = np.full((buffers.rows, params.num_perm), EMPTY, np.uint32)
    n_words = np.zeros(buffers.rows, np.int32)
    a, b = permutations(params.num_perm, params.seed)
    _sign_rows(buffers.data, buffers.offsets, word_table(), params.ngram, a, b, signatures, n_words)
    n_shingles = np.where(n_words > 0, np.maximum(n_words - params.ngram + 1, 1), 0).astype(np.int32)
    return Signatures(signatures, n_words, n_shingles)


def shingle_hashes(
    text: pa.StringArray | pa.LargeStringArray | pa.ChunkedArray, params: MinHashParams | None = None
) -> ShingleSets:
    """Hash the shingles of every document of a batch to 64 bits.

    Two different shingles of n documents' vocabulary get one hash with probability 2^-64 per pair, so
    similarities of these sets are the exact ones for any corpus that fits a machine.

    Memory: 4 bytes per byte of text while it runs, then 8 per distinct shingle of each document.

    Args:
        text: Texts without nulls `[rows]`.
        params: Only `ngram` matters here; the defaults if None.

    Returns:
        Sorted unique hashes per document.
    """
    params = params or MinHashParams()
    buffers = _exactly_lowerable(text)
    most_words = (np.diff(buffers.offsets) + 1) // 2  # single letters between single spaces
    hashes = np.empty(int(most_words.sum()), np.uint64)
    offsets = np.zeros(buffers.rows + 1, np.int64)
    _hash_rows(buffers.data, buffers.offsets, word_table(), params.ngram, hashes, offsets)
    return ShingleSets(hashes[: offsets[-1]].copy(), offsets)


def _exactly_lowerable(text: pa.StringArray | pa.LargeStringArray | pa.ChunkedArray) -> StringBuffers:
    """Lower-case the texts that `word_table` cannot (those with U+0130 or U+03A3) and return all.

    Lower-casing twice is lower-casing once, so the kernels treat these texts like all others.
    """
    buffers = string_buffers(text)
    needs_python = np.zeros(buffers.rows, np.bool_)
    _find_context_letters(buffers.data, buffers.offsets, needs_python)
    if not needs_python.any():
        return buffers
    texts = text.to_pylist()
    for row in np.flatnonzero(needs_python):
        texts[row] = texts[row].lower()
    return string_buffers(pa.array(texts, pa.large_string()))


@njit(**KERNEL)
def _find_context_letters(data: np.ndarray, offsets: np.ndarray, found: np.ndarray) -> None:
    """Mark the rows that hold İ or Σ. No early exit: LLVM makes the loop one of SIMD compares."""
    for row in range(len(found)):
        hits = uint8(0)
        for p in range(offsets[row], offsets[row + 1]):
            first, second = data[p], data[p + 1]  # the padding allows to read one byte more
            dotted_i = (first == _DOTTED_I[0]) & (second == _DOTTED_I[1])
            sigma = (first == _SIGMA[0]) & (second == _SIGMA[1])
            hits |= uint8(dotted_i | sigma)
        found[row] = hits != 0


@njit(**KERNEL)
def _join_words(
    data: np.ndarray, start: int, end: int, table: np.ndarray, out: np.ndarray, word_ends: np.ndarray
) -> int:
    """Write the lower-cased words of one text, one space between them, into `out`.

    ASCII, most of most texts, runs without a data-dependent branch: every byte writes a character and a
    word end, and only the counters say whether they count (2.2 -> 1.75 s per 100k documents).

    Returns:
        The number of words; word i is `out[word_ends[i - 1] + 1 : word_ends[i]]`, the first from 0.
    """
    p, o, n_words, in_word = start, int64(0), int64(0), int64(0)
    while p < end:
        if data[p] < 0x80:
            entry = table[data[p]]
            is_word = int64(entry >> uint32(24))
            out[o] = uint8(entry & uint32(0xFF))
            word_ends[n_words] = o
            n_words += in_word & (is_word ^ 1)
            o += is_word | in_word
            p += 1
        else:
            point, length = decode_utf8(data, p)
            entry = table[point]
            is_word = int64(entry >> uint32(24))
            if is_word:
                o = put_utf8(int64(entry & uint32(0xFFFFFF)), out, o)
            else:
                out[o] = _SPACE
                word_ends[n_words] = o
                n_words += in_word
                o += in_word
            p += length
        in_word = is_word
    word_ends[n_words] = o
    return n_words + in_word


@njit(**KERNEL)
def _scratch(offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return room for the joined words and the word ends of the longest text.

    Lower case is at most half as long again (two bytes become three, as of Ⱥ); word i needs 2 i + 1 bytes.
    """
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    return np.empty(longest * 3 // 2 + 8, np.uint8), np.empty(longest // 2 + 8, np.int64)


@njit(**KERNEL)
def _sign_rows(
    data: np.ndarray,
    offsets: np.ndarray,
    table: np.ndarray,
    ngram: int,
    a: np.ndarray,
    b: np.ndarray,
    signatures: np.ndarray,
    n_words: np.ndarray,
) -> None:
    """Fill `signatures` and `n_words`."""
    joined, word_ends = _scratch(offsets)
    hashes = np.empty(len(word_ends), np.uint32)
    for row in range(len(n_words)):
        words = _join_words(data, offsets[row], offsets[row + 1], table, joined, word_ends)
        n_words[row] = words
        if words == 0:
            continue
        shingles = max(words - ngram + 1, 1)
        start = 0
        for i in range(shingles):
            hashes[i] = fmix32(xxh32(joined, start, word_ends[min(i + ngram, words) - 1]))
            start = word_ends[i] + 1
        for k in range(len(a)):  # hashes inside: one SIMD minimum over all shingles per permutation
            ak, bk, least = a[k], b[k], EMPTY
            for i in range(shingles):
                least = min(least, uint32(ak * hashes[i] + bk))
            signatures[row, k] = least


@njit(**KERNEL)
def _hash_rows(
    data: np.ndarray,
    offsets: np.ndarray,
    table: np.ndarray,
    ngram: int,
    hashes: np.ndarray,
    hash_offsets: np.ndarray,
) -> None:
    """Fill `hashes` with sorted unique shingle hashes, one document after the other."""
    joined, word_ends = _scratch(offsets)
    total = 0
    for row in range(len(offsets) - 1):
        words = _join_words(data, offsets[row], offsets[row + 1], table, joined, word_ends)
        shingles = max(words - ngram + 1, 1) if words else 0
        start = 0
        for i in range(shingles):
            hashes[total + i] = xxh64(joined, start, word_ends[min(i + ngram, words) - 1])
            start = word_ends[i] + 1
        of_row = hashes[total : total + shingles]
        of_row.sort()
        unique = 0
        for i in range(shingles):
            if unique == 0 or of_row[i] != of_row[unique - 1]:
                of_row[unique] = of_row[i]
                unique += 1
        total += unique
        hash_offsets[row + 1] = total
