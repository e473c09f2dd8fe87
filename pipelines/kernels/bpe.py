"""Byte-level BPE as a kernel: Arrow strings in, token ids out.

Ids equal those of `tokenizers`. Text is cut into pre-tokens by a state machine; a pre-token's ids are
cached, so a repeated word costs one cache row instead of its merges. The cache only remembers what the
merges gave, so neither its size nor what was encoded before changes a result.
"""

from __future__ import annotations

import threading
import unicodedata
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from numba import int64, njit, uint32, uint64

from pipelines.kernels.arrow_strings import string_buffers
from pipelines.kernels.bpe_merge import Scratch, make_scratch, merge_bytes
from pipelines.kernels.bpe_model import PAIR_MULTIPLIER, BpeModel, Merges, WholeTokens, find_whole, low_bytes
from pipelines.kernels.compile import INLINE, KERNEL
from pipelines.kernels.hashing import load_u64, mix64
from pipelines.kernels.pretokenizer_model import Machine
from pipelines.kernels.pretokenizers import machine_classes, pretoken_end

_EXACT_BYTES: Final = 15
_LONGEST_CACHED: Final = 255
_INLINE_IDS: Final = 3
_POOL_IDS_PER_ROW: Final = 2


class Cache(NamedTuple):
    """Pre-tokens seen before.

    Attributes:
        row: `uint64 [rows, 4]`: key, key, `first id << 32 | ids` (0: empty), and the second and third id
            or where the ids start in `pool`.
        pool: `int32 [ids]`, ids of pre-tokens with more than three.
        used: `int64 [2]`: rows, ids of the pool.
    """

    row: np.ndarray
    pool: np.ndarray
    used: np.ndarray


@njit(**INLINE)
def _cache_key(data: np.ndarray, start: int, end: int) -> tuple[int, int]:
    """Return 128 bits: up to 15 bytes exactly, with their number on top; else 120 hashed bits under 0xFF."""
    size = end - start
    if size <= 8:
        return low_bytes(load_u64(data, start), size), uint64(size) << uint64(56)
    if size <= _EXACT_BYTES:
        return load_u64(data, start), low_bytes(load_u64(data, start + 8), size - 8) | (uint64(size) << uint64(56))
    low = mix64(uint64(size))
    high = mix64(uint64(size) * PAIR_MULTIPLIER)
    at = start
    while at < end:
        value = low_bytes(load_u64(data, at), end - at)
        low = mix64(low ^ value)
        high = mix64(high + value * PAIR_MULTIPLIER)
        at += 8
    return low, high | (uint64(0xFF) << uint64(56))


@njit(**INLINE)
def _find_row(low: int, high: int, rows: np.ndarray) -> int:
    """Return the row of a key, or the empty row where it would go."""
    mask = rows.shape[0] - 1
    at = int64(mix64(low ^ (high * PAIR_MULTIPLIER))) & mask
    while rows[at, 2] != 0 and (rows[at, 0] != low or rows[at, 1] != high):
        at = (at + 1) & mask
    return at


@njit(**KERNEL)
def _remember(low: int, high: int, at: int, count: int, symbol: np.ndarray, cache: Cache) -> None:
    """Put the ids of a pre-token into an empty row, while there is space (half of the rows, all of the pool)."""
    if 2 * (cache.used[0] + 1) > cache.row.shape[0]:
        return
    tail = uint64(0)
    if count > _INLINE_IDS:
        start = cache.used[1]
        if start + count > cache.pool.shape[0]:
            return
        for i in range(count):
            cache.pool[start + i] = symbol[i]
        cache.used[1] += count
        tail = uint64(start)
    elif count > 1:
        tail = uint64(symbol[1])
        if count > 2:
            tail |= uint64(symbol[2]) << uint64(32)
    cache.row[at, 0] = low
    cache.row[at, 1] = high
    cache.row[at, 2] = (uint64(symbol[0]) << uint64(32)) | uint64(count)
    cache.row[at, 3] = tail
    cache.used[0] += 1


@njit(**INLINE)
def _put_cached(at: int, cache: Cache, out: np.ndarray, end: int) -> int:
    """Write the ids of a cache row; return the new end."""
    head, tail = cache.row[at, 2], cache.row[at, 3]
    count = int64(head & uint64(0xFFFFFFFF))
    if count > _INLINE_IDS:
        for i in range(count):
            out[end + i] = cache.pool[int64(tail) + i]
        return end + count
    out[end] = uint32(head >> uint64(32))
    if count > 1:
        out[end + 1] = uint32(tail)
        if count > 2:
            out[end + 2] = uint32(tail >> uint64(32))
    return end + count


@njit(**KERNEL)
def _encode(
    data: np.ndarray,
    offsets: np.ndarray,
    machine: Machine,
    classes: np.ndarray,
    merges: Merges,
    whole: WholeTokens,
    cache: Cache,
    scratch: Scratch,
    out: np.ndarray,
    out_offsets: np.ndarray,
) -> int:
    """Encode all rows into `out`; return the number of ids."""
    filled = int64(0)
    for row in range(offsets.shape[0] - 1):
        start, end = offsets[row], offsets[row + 1]
        while start < end:
            stop = pretoken_end(data, start, end, classes, machine.kind, machine.digits)
            cached = stop - start <= _LONGEST_CACHED
            low, high, at = uint64(0), uint64(0), int64(0)
            if cached:
                low, high = _cache_key(data, start, stop)
                at = _find_row(low, high, cache.row)
            if cached and cache.row[at, 2] != 0:
                filled = _put_cached(at, cache, out, filled)
            else:
                scratch.symbol[0] = find_whole(data, start, stop, whole)
                count = 1
                if scratch.symbol[0] < 0:
                    count = merge_bytes(data, start, stop, merges, scratch)
                for i in range(count):
                    out[filled + i] = scratch.symbol[i]
                filled += count
                if cached:
                    _remember(low, high, at, count, scratch.symbol, cache)
            start = stop
        out_offsets[row + 1] = filled
    return filled


def compose(text: pa.StringArray | pa.LargeStringArray | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Bring texts into Unicode NFC as `tokenizers` does; texts that are in it, the usual case, are not copied.

    Args:
        text: [rows] without nulls.
    """
    rows = text.to_pylist()
    if all(unicodedata.is_normalized("NFC", row) for row in rows):
        return text
    from tokenizers import normalizers

    to_nfc = normalizers.NFC().normalize_str
    return pa.array([row if unicodedata.is_normalized("NFC", row) else to_nfc(row) for row in rows], text.type)


class BytePairEncoder:
    """Encode columns of texts. Threads may share one; they then take turns."""

    def __init__(self, model: BpeModel, cache_rows: int = 1 << 20) -> None:
        """Prepare an encoder.

        Args:
            model: tokenizer.
            cache_rows: rows (40 bytes each) of the cache of pre-tokens, a power of 2, at least 2.

        Raises:
            ValueError: `cache_rows` is no power of 2.
        """
        if cache_rows < 2 or cache_rows & (cache_rows - 1):
            raise ValueError(f"BytePairEncoder: wrong cache_rows: got {cache_rows}; expected a power of 2 from 2")
        self._model = model
        self._classes = machine_classes(model.machine)
        pool = np.zeros(_POOL_IDS_PER_ROW * cache_rows, np.int32)
        self._cache = Cache(np.zeros((cache_rows, 4), np.uint64), pool, np.zeros(2, np.int64))
        self._turn = threading.Lock()

    def encode(self, text: pa.StringArray | pa.LargeStringArray | pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
        """Encode texts; special tokens in them are ordinary text.

        Args:
            text: [rows] without nulls.

        Returns:
            Token ids [total], uint16 for up to 65,536 ids, else uint32; offsets `int64 [rows + 1]`.

        Raises:
            TypeError: Not a column of strings.
            ValueError: The column holds nulls.
        """
        model = self._model
        buffers = string_buffers(compose(text) if model.compose else text)
        scratch = make_scratch(buffers.longest_bytes)
        out = np.empty(int(buffers.offsets[-1]), model.id_type)  # a token has at least one byte
        offsets = np.zeros(buffers.rows + 1, np.int64)
        with self._turn:
            total = _encode(
                buffers.data,
                buffers.offsets,
                model.machine,
                self._classes,
                model.merges,
                model.whole,
                self._cache,
                scratch,
                out,
                offsets,
            )
        return out[:total].copy(), offsets
