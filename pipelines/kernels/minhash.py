r"""Shingles of a text column, their MinHash signatures and their 64-bit hashes.

The definition is plain Python, and the results are bit-identical to it:

    units    = re.findall(r"\w+", text.lower())   (unit: words)
    shingles = {" ".join(units[i : i + n])}       (0 < units < n: one shingle of all units)
    MinHash(num_perm, seed, hashfunc=xxhash.xxh32_intdigest, scheme="affine32") of datasketch 2.0

`unit: auto` cuts by script: a word where words stand between spaces, a character where they do not
(`unicode_tables.UNSPACED`); combining marks belong to what they follow. A character counts as half a
word, so that a shingle is the shortest run of units from i on that counts n words: 5 English words, 10
Chinese characters, or what is between in a mixed text. No threshold decides what a document "is", so two
documents that are alike are always cut alike. `unit: characters` makes every word character a unit, and n
counts characters.

pipelines/exports/datasketch.py hands rows to datasketch and back.

MinHash: Broder 1997, doi:10.1109/SEQUEN.1997.666900; affine permutations of 32-bit hashes: h -> a h + b
mod 2^32 with odd a, after one fmix32 (datasketch 2.0).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numba import int64, njit, uint8, uint32

from pipelines.kernels.arrow_strings import string_buffers
from pipelines.kernels.compile import KERNEL, read_only
from pipelines.kernels.context_letters import exactly_lowerable
from pipelines.kernels.hashing import fmix32, xxh32, xxh64
from pipelines.kernels.sort_hashes import sort_hashes, sort_room
from pipelines.kernels.unicode_tables import JOINED, SINGLE, decode_utf8, put_utf8, unit_table

EMPTY: Final = np.uint32(0xFFFFFFFF)
"""Every value of the signature of a document without words."""
Unit = Literal["auto", "words", "characters"]
WORD_WEIGHT: Final = 2
"""How many characters of a script without spaces count as one word (docs/decisions/0024)."""
_SPACE: Final = np.uint8(ord(" "))
_A: Final = ord("a")


@dataclass(frozen=True)
class MinHashParams:
    """What a signature depends on besides the text.

    Attributes:
        num_perm: Values per signature.
        ngram: Words per shingle; characters if `unit` is characters.
        seed: Seed of the permutations.
        unit: What a shingle is made of.
    """

    num_perm: int = 112
    ngram: int = 5
    seed: int = 1
    unit: Unit = "auto"

    def __post_init__(self) -> None:
        """Refuse what datasketch or the shingles do not define."""
        if self.num_perm < 1 or self.ngram < 1 or not 0 <= self.seed < 2**32:
            raise ValueError(
                f"MinHashParams: out of range: got num_perm={self.num_perm}, ngram={self.ngram}, "
                f"seed={self.seed}; expected num_perm >= 1, ngram >= 1, 0 <= seed < 2**32"
            )
        if self.unit not in ("auto", "words", "characters"):
            raise ValueError(f"MinHashParams: unknown unit: got {self.unit!r}; expected auto, words or characters")

    @property
    def needed_weight(self) -> int:
        """Weight of the units of a full shingle: a word weighs WORD_WEIGHT, a character 1."""
        return self.ngram if self.unit == "characters" else self.ngram * WORD_WEIGHT


class Signatures(NamedTuple):
    """Signatures of a batch of documents.

    Attributes:
        signatures: uint32 `[rows, num_perm]`; all EMPTY without words.
        n_words: int32 `[rows]`; two characters of a script without spaces count as one word (`unit` is
            characters: the characters). Fewer than `ngram`: the one shingle is the whole text, so that any
            two such documents are equal or share nothing; let them take part by content hash only.
        n_shingles: int32 `[rows]`, with repeats; 0 without words.
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

    Memory besides the result: about 31 bytes per byte of the longest document.

    Args:
        text: Texts without nulls `[rows]`.
        params: The signature's parameters; the defaults if None.

    Returns:
        Signatures, word counts and shingle counts.
    """
    params = params or MinHashParams()
    buffers = string_buffers(text, padded=False)
    buffers = exactly_lowerable(text, buffers, read_only(np.arange(buffers.rows), np.int64))
    signatures = np.full((buffers.rows, params.num_perm), EMPTY, np.uint32)
    n_words, n_shingles = np.zeros(buffers.rows, np.int32), np.zeros(buffers.rows, np.int32)
    table = unit_table(params.unit)
    a, b = permutations(params.num_perm, params.seed)
    given = buffers.data, buffers.offsets, buffers.longest_bytes, table, params.needed_weight
    _sign_rows(*given, a, b, signatures, n_words, n_shingles)
    if params.unit != "characters":
        n_words //= WORD_WEIGHT
    return Signatures(signatures, n_words, n_shingles)


def shingle_hashes(
    text: pa.StringArray | pa.LargeStringArray | pa.ChunkedArray,
    params: MinHashParams | None = None,
    rows: np.ndarray | None = None,
) -> ShingleSets:
    """Hash the shingles of documents of a batch to 64 bits.

    Two different shingles of n documents' vocabulary get one hash with probability 2^-64 per pair, so
    similarities of these sets are the exact ones for any corpus that fits a machine.

    Memory: 4 bytes per byte of text while it runs, then 8 per distinct shingle of each document.

    Args:
        text: Texts without nulls `[rows]`.
        params: Only `ngram` and `unit` matter here; the defaults if None.
        rows: int64 `[chosen]`: the documents to hash, in this order; all of them if None.

    Returns:
        Sorted unique hashes per chosen document.
    """
    params = params or MinHashParams()
    buffers = string_buffers(text, padded=False)
    rows = read_only(np.arange(buffers.rows) if rows is None else rows, np.int64)
    buffers = exactly_lowerable(text, buffers, rows)
    sizes = np.diff(buffers.offsets)[rows]
    most_units = sizes if params.unit == "characters" else (sizes + 1) // 2  # single letters between single spaces
    hashes = np.empty(int(most_units.sum()), np.uint64)
    offsets = np.zeros(len(rows) + 1, np.int64)
    longest = int(sizes.max(initial=0))
    table = unit_table(params.unit)
    _hash_rows(buffers.data, buffers.offsets, rows, longest, table, params.needed_weight, hashes, offsets)
    return ShingleSets(hashes[: offsets[-1]].copy(), offsets)


@njit(**KERNEL)
def _join_units(
    data: np.ndarray,
    start: int,
    end: int,
    table: np.ndarray,
    out: np.ndarray,
    unit_ends: np.ndarray,
    weights: np.ndarray,
) -> int:
    """Write the lower-cased units of one text, one space between them, into `out`.

    ASCII, most of most texts, runs without a data-dependent branch: every byte writes a character and a
    word end, and only the counters say whether they count (2.2 -> 1.75 s per 100k documents).

    Args:
        data: texts; this one is `data[start:end]`.
        start: its first byte.
        end: behind its last byte.
        table: from `unit_table`.
        out: the joined units.
        unit_ends: unit i is `out[unit_ends[i - 1] + 1 : unit_ends[i]]`, the first from 0.
        weights: uint8; set to 1 for characters, left alone for words.

    Returns:
        The number of units.
    """
    p, o, units, in_word = start, int64(0), int64(0), int64(0)
    ascii_is_words = table[_A] >> uint32(24) == 1
    while p < end:
        if data[p] < 0x80 and ascii_is_words:
            entry = table[data[p]]
            is_word = int64(entry >> uint32(24))
            out[o] = uint8(entry & uint32(0xFF))
            unit_ends[units] = o
            units += in_word & (is_word ^ 1)
            o += is_word | in_word
            p += 1
        else:
            point, length = decode_utf8(data, p)
            entry = table[point]
            kind = entry >> uint32(24)
            is_word = int64(kind == 1 or (kind == JOINED and in_word == 1))
            if is_word:
                o = put_utf8(int64(entry & uint32(0xFFFFFF)), out, o)
            else:
                out[o] = _SPACE
                unit_ends[units] = o
                units += in_word
                o += in_word
            p += length
            if kind == SINGLE:
                o = put_utf8(int64(entry & uint32(0xFFFFFF)), out, o)
                while p < end:
                    point, length = decode_utf8(data, p)
                    entry = table[point]
                    if entry >> uint32(24) != JOINED:
                        break
                    o = put_utf8(int64(entry & uint32(0xFFFFFF)), out, o)
                    p += length
                out[o] = _SPACE
                unit_ends[units] = o
                weights[units] = 1
                units += 1
                o += 1
        in_word = is_word
    unit_ends[units] = o
    return units + in_word


@njit(**KERNEL)
def _find_shingles(
    unit_ends: np.ndarray, weights: np.ndarray, units: int, needed: int, starts: np.ndarray, ends: np.ndarray
) -> tuple[int, int]:
    """Find where shingles start and end in the joined units, and make `weights` those of words again.

    Returns:
        The number of shingles and the weight of all units.
    """
    last, weight, total, start, shingles = int64(-1), int64(0), int64(0), int64(0), int64(0)
    for unit in range(units):
        while weight < needed and last + 1 < units:
            last += 1
            weight += weights[last]
            total += weights[last]
        if weight < needed and unit > 0:
            break
        starts[shingles], ends[shingles] = start, unit_ends[last]
        shingles += 1
        start = unit_ends[unit] + 1
        weight -= weights[unit]
    weights[:units] = WORD_WEIGHT
    return shingles, total


@njit(**KERNEL)
def _scratch(longest: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return room for the joined units, their ends and weights, and the shingles of a text of `longest` bytes.

    Lower case is at most half as long again (two bytes become three, as of Ⱥ), and then a space follows.
    """
    units = longest + 8
    weights = np.full(units, WORD_WEIGHT, np.uint8)
    bounds = np.empty((3, units), np.int64)
    return np.empty(units * 2, np.uint8), bounds[0], weights, bounds[1], bounds[2]


@njit(**KERNEL)
def _sign_rows(
    data: np.ndarray,
    offsets: np.ndarray,
    longest: int,
    table: np.ndarray,
    needed: int,
    a: np.ndarray,
    b: np.ndarray,
    signatures: np.ndarray,
    weight: np.ndarray,
    n_shingles: np.ndarray,
) -> None:
    """Fill `signatures`, `weight` and `n_shingles`."""
    joined, unit_ends, weights, starts, ends = _scratch(longest)
    hashes = np.empty(len(weights), np.uint32)
    for row in range(len(weight)):
        units = _join_units(data, offsets[row], offsets[row + 1], table, joined, unit_ends, weights)
        shingles, weight[row] = _find_shingles(unit_ends, weights, units, needed, starts, ends)
        n_shingles[row] = shingles
        if shingles == 0:
            continue
        for i in range(shingles):
            hashes[i] = fmix32(xxh32(joined, starts[i], ends[i]))
        for k in range(len(a)):  # hashes inside: one SIMD minimum over all shingles per permutation
            ak, bk, least = a[k], b[k], EMPTY
            for i in range(shingles):
                least = min(least, uint32(ak * hashes[i] + bk))
            signatures[row, k] = least


@njit(**KERNEL)
def _hash_rows(
    data: np.ndarray,
    offsets: np.ndarray,
    rows: np.ndarray,
    longest: int,
    table: np.ndarray,
    needed: int,
    hashes: np.ndarray,
    hash_offsets: np.ndarray,
) -> None:
    """Fill `hashes` with sorted unique shingle hashes, one chosen document after the other."""
    joined, unit_ends, weights, starts, ends = _scratch(longest)
    spread, ends_of_buckets = sort_room(len(weights))
    total = 0
    for place in range(len(rows)):
        row = rows[place]
        units = _join_units(data, offsets[row], offsets[row + 1], table, joined, unit_ends, weights)
        shingles, _ = _find_shingles(unit_ends, weights, units, needed, starts, ends)
        for i in range(shingles):
            hashes[total + i] = xxh64(joined, starts[i], ends[i])
        of_row = hashes[total : total + shingles]
        sort_hashes(of_row, spread, ends_of_buckets)
        unique = 0
        for i in range(shingles):
            if unique == 0 or of_row[i] != of_row[unique - 1]:
                of_row[unique] = of_row[i]
                unique += 1
        total += unique
        hash_offsets[place + 1] = total
