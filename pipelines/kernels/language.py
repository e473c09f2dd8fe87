"""Language identification: fastText's lid.176 as a kernel over Arrow strings, with a cache of word vectors.

Labels equal fastText's, probabilities to 2e-5. A word's summed n-gram vector is cached per process, so a
repeated word costs one cache row instead of about 25 hashed rows; the cache changes no result, because a
document is always the sum of its words' sums, in their order. exp and log are written out in plain IEEE
arithmetic: the C library picks its own by processor, and a score that decides must not depend on that.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from numba import int32, njit, uint8, uint32, uint64

from pipelines.kernels.arrow_strings import string_buffers
from pipelines.kernels.compile import INLINE, KERNEL
from pipelines.kernels.hashing import load_u64, mix64
from pipelines.kernels.language_model import LABEL_PREFIX, FastTextModel, load_model

UNKNOWN: Final = "und"
_CACHE_ROWS: Final = 1 << 19
_LONGEST_CACHED: Final = 255
_FNV_START: Final = np.uint32(2166136261)
_FNV_PRIME: Final = np.uint32(16777619)
_LABEL: Final = np.frombuffer(LABEL_PREFIX, np.uint8).copy()
_LN2_HIGH: Final = 6.93147180369123816490e-01
_LN2_LOW: Final = 1.90821492927058770002e-10
_POWERS: Final = 2.0 ** np.arange(-1022, 1024)


@njit(**INLINE)
def exp_ieee(x: float) -> float:
    """Compute e^x for |x| < 700 by range reduction and a Taylor polynomial (error below 1e-15 relative)."""
    k = math.floor(x * 1.4426950408889634 + 0.5)
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    total = 1.0
    for n in range(14, 0, -1):
        total = 1.0 + total * r / n
    return total * _POWERS[int(k) + 1022]


@njit(**INLINE)
def log_ieee(x: float) -> float:
    """Compute ln x for positive normal x by the series of 2 atanh((m - 1) / (m + 1))."""
    m, e = math.frexp(x)
    if m < 0.7071067811865476:
        m *= 2.0
        e -= 1
    s = (m - 1.0) / (m + 1.0)
    square = s * s
    total = 0.0
    for n in range(23, 0, -2):
        total = total * square + 1.0 / n
    return 2.0 * s * total + e * (_LN2_HIGH + _LN2_LOW)


@njit(**INLINE)
def _is_separator(byte: int) -> bool:
    """Say whether fastText ends a word here: white space of ASCII, or NUL."""
    return byte == 32 or 9 <= byte <= 13 or byte == 0


@njit(**INLINE)
def _fnv_step(value: int, byte: int) -> int:
    return uint32((value ^ uint32(int32(np.int8(byte)))) * _FNV_PRIME)


@njit(**KERNEL)
def _find_word(
    data: np.ndarray, start: int, end: int, word_slot: np.ndarray, word_offset: np.ndarray, word_bytes: np.ndarray
) -> int:
    """Return the number of a word in the dictionary, or -1."""
    value = _FNV_START
    for i in range(start, end):
        value = _fnv_step(value, data[i])
    mask = word_slot.shape[0] - 1
    at = np.int64(value) & mask
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
def _add_ngrams(
    framed: np.ndarray, size: int, rows: np.ndarray, bucket_row: np.ndarray, min_n: int, max_n: int, vector: np.ndarray
) -> int:
    """Add the vectors of all character n-grams of `<word>`; return how many rows were added."""
    count = 0
    buckets = uint32(bucket_row.shape[0])
    for i in range(size):
        if (framed[i] & 0xC0) == 0x80:
            continue
        value = _FNV_START
        j = i
        n = 1
        while j < size and n <= max_n:
            value = _fnv_step(value, framed[j])
            j += 1
            while j < size and (framed[j] & 0xC0) == 0x80:
                value = _fnv_step(value, framed[j])
                j += 1
            if n >= min_n and not (n == 1 and (i == 0 or j == size)):
                row = bucket_row[value % buckets]
                if row >= 0:
                    for k in range(vector.shape[0]):
                        vector[k] += rows[row, k]
                    count += 1
            n += 1
    return count


@njit(**KERNEL)
def _word_vector(data: np.ndarray, start: int, end: int, model: tuple, vector: np.ndarray, framed: np.ndarray) -> int:
    """Sum the rows that fastText adds for one word; return their number (0 for labels)."""
    rows, bucket_row, word_slot, word_offset, word_bytes, min_n, max_n = model
    for k in range(vector.shape[0]):
        vector[k] = 0
    size = end - start
    if size >= _LABEL.shape[0]:
        is_label = True
        for i in range(_LABEL.shape[0]):
            if data[start + i] != _LABEL[i]:
                is_label = False
                break
        if is_label:
            return 0
    count = 0
    word = _find_word(data, start, end, word_slot, word_offset, word_bytes)
    if word >= 0:
        for k in range(vector.shape[0]):
            vector[k] += rows[word, k]
        count = 1
    framed[0] = uint8(60)  # <
    for i in range(size):
        framed[i + 1] = data[start + i]
    framed[size + 1] = uint8(62)  # >
    return count + _add_ngrams(framed, size + 2, rows, bucket_row, min_n, max_n, vector)


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


@njit(**KERNEL)
def _add_word(
    data: np.ndarray,
    start: int,
    end: int,
    model: tuple,
    keys: np.ndarray,
    counts: np.ndarray,
    vectors: np.ndarray,
    used: np.ndarray,
    vector: np.ndarray,
    framed: np.ndarray,
    hidden: np.ndarray,
) -> int:
    """Add one word to the hidden vector, through the cache; return the number of rows."""
    size = end - start
    at = -1
    if size <= _LONGEST_CACHED:
        low, high = _word_key(data, start, size)
        mask = counts.shape[0] - 1
        at = np.int64(mix64(low ^ (high * uint64(0x9E3779B97F4A7C15))) & uint64(mask))
        while counts[at] != 0:
            if keys[at, 0] == low and keys[at, 1] == high:
                for k in range(hidden.shape[0]):
                    hidden[k] += vectors[at, k]
                return counts[at] - 1
            at = (at + 1) & mask
    count = _word_vector(data, start, end, model, vector, framed)
    for k in range(hidden.shape[0]):
        hidden[k] += vector[k]
    if at >= 0 and 2 * used[0] < counts.shape[0]:
        keys[at, 0] = low
        keys[at, 1] = high
        counts[at] = count + 1
        for k in range(hidden.shape[0]):
            vectors[at, k] = vector[k]
        used[0] += 1
    return count


@njit(**KERNEL)
def _best_leaf(
    hidden: np.ndarray, nodes: np.ndarray, left: np.ndarray, right: np.ndarray, stack: np.ndarray, scores: np.ndarray
) -> tuple[int, float]:
    """Search the tree for the likeliest leaf; return (leaf, log probability)."""
    leaves = (left.shape[0] + 1) // 2
    best, found = -1e30, -1
    stack[0] = left.shape[0] - 1
    scores[0] = 0.0
    top = 1
    while top:
        top -= 1
        node, score = stack[top], scores[top]
        if score < best:
            continue
        if left[node] < 0:
            if score > best:
                best, found = score, node
            continue
        dot = np.float32(0)
        for k in range(hidden.shape[0]):
            dot += nodes[node - leaves, k] * hidden[k]
        share = 1.0 / (1.0 + exp_ieee(-float(dot)))
        to_left = score + log_ieee(1.0 - share + 1e-5)
        to_right = score + log_ieee(share + 1e-5)
        first, second = (right[node], left[node]) if to_left > to_right else (left[node], right[node])
        stack[top], scores[top] = first, min(to_left, to_right)
        stack[top + 1], scores[top + 1] = second, max(to_left, to_right)
        top += 2
    return found, best


@njit(**KERNEL)
def _predict(
    data: np.ndarray,
    offsets: np.ndarray,
    longest: int,
    model: tuple,
    nodes: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    end_row: int,
    cache: tuple,
    leaf: np.ndarray,
    probability: np.ndarray,
) -> None:
    """Identify every text; leaf -1 where nothing is known."""
    rows = model[0]
    keys, counts, vectors, used = cache
    dim = rows.shape[1]
    hidden = np.zeros(dim, np.float32)
    vector = np.zeros(dim, np.float32)
    framed = np.empty(longest + 2, np.uint8)
    stack = np.empty(left.shape[0] + 2, np.int32)
    scores = np.empty(left.shape[0] + 2, np.float64)
    for document in range(offsets.shape[0] - 1):
        at, end = offsets[document], offsets[document + 1]
        hidden[:] = 0
        total = 0
        while at < end:
            if _is_separator(data[at]):
                at += 1
                continue
            start = at
            while at < end and not _is_separator(data[at]):
                at += 1
            total += _add_word(data, start, at, model, keys, counts, vectors, used, vector, framed, hidden)
        leaf[document], probability[document] = -1, 0
        if total == 0:
            continue
        if end_row >= 0:  # fastText ends every line with </s>
            for k in range(dim):
                hidden[k] += rows[end_row, k]
            total += 1
        for k in range(dim):
            hidden[k] /= np.float32(total)
        found, score = _best_leaf(hidden, nodes, left, right, stack, scores)
        leaf[document] = found
        probability[document] = np.float32(exp_ieee(score))


class LanguageIdentifier:
    """A loaded model and its cache of word vectors; make one per process and keep it.

    Args:
        model: the model.
        cache_rows: rows of the cache, a power of two (72 bytes and the vector each).
    """

    def __init__(self, model: FastTextModel, cache_rows: int = _CACHE_ROWS) -> None:
        self.labels = pa.array([*model.labels, UNKNOWN], pa.string())
        self._nodes, self._left, self._right = model.nodes, model.left, model.right
        self._end_row = model.end_of_sentence
        self._model = (
            model.rows,
            model.bucket_row,
            model.word_slot,
            model.word_offset,
            model.word_bytes,
            model.min_n,
            model.max_n,
        )
        self._cache = (
            np.zeros((cache_rows, 2), np.uint64),
            np.zeros(cache_rows, np.int32),
            np.zeros((cache_rows, model.rows.shape[1]), np.float32),
            np.zeros(1, np.int64),
        )

    @classmethod
    def load(cls, path: Path | None = None) -> LanguageIdentifier:
        """Load a model file; lid.176.ftz by default.

        Raises:
            ConfigError: if the file is not a readable model.
        """
        return cls(load_model(path))

    def predict(self, text: pa.Array) -> tuple[pa.Array, np.ndarray]:
        """Identify the language of every text.

        Line ends count as spaces; fastText itself refuses them.

        Args:
            text: [rows] strings without nulls.

        Returns:
            (labels [rows] string, "und" for a text without words; probabilities [rows] float32).
        """
        buffers = string_buffers(text)
        leaf = np.empty(buffers.rows, np.int32)
        probability = np.empty(buffers.rows, np.float32)
        _predict(
            buffers.data,
            buffers.offsets,
            buffers.longest_bytes,
            self._model,
            self._nodes,
            self._left,
            self._right,
            self._end_row,
            self._cache,
            leaf,
            probability,
        )
        index = np.where(leaf < 0, len(self.labels) - 1, leaf).astype(np.int64)
        return self.labels.take(pa.array(index)), probability
