"""Texts with letters whose lower case depends on what stands around them, made ready for `unit_table`."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
from numba import njit, uint8, uint64

from pipelines.kernels.arrow_strings import StringBuffers, string_buffers
from pipelines.kernels.compile import KERNEL
from pipelines.kernels.hashing import load_u64

_DOTTED_I: Final = tuple("İ".encode())
_SIGMA: Final = tuple("Σ".encode())
_HIGH_BITS: Final = np.uint64(0x8080808080808080)


def exactly_lowerable(
    text: pa.StringArray | pa.LargeStringArray | pa.ChunkedArray, buffers: StringBuffers, rows: np.ndarray
) -> StringBuffers:
    """Lower-case the texts that `unit_table` cannot (those with U+0130 or U+03A3) and return all.

    Lower-casing twice is lower-casing once, so the kernels treat these texts like all others.

    Args:
        text: all texts.
        buffers: the same.
        rows: int64 `[chosen]`; the others are returned as they are.
    """
    needs_python = np.zeros(buffers.rows, np.bool_)
    _find(buffers.data, buffers.offsets, rows, needs_python)
    if not needs_python.any():
        return buffers
    texts = text.to_pylist()
    for row in np.flatnonzero(needs_python):
        texts[row] = texts[row].lower()
    return string_buffers(pa.array(texts, pa.large_string()), padded=False)


@njit(**KERNEL)
def _find(data: np.ndarray, offsets: np.ndarray, rows: np.ndarray, found: np.ndarray) -> None:
    """Mark which of some rows hold İ or Σ. No early exit: LLVM makes the loop one of SIMD compares."""
    for row in rows:
        if _is_ascii(data, offsets[row], offsets[row + 1]):
            continue
        first, second = data[offsets[row] : offsets[row + 1] - 1], data[offsets[row] + 1 : offsets[row + 1]]
        hits = uint8(0)
        for p in range(len(first)):
            dotted_i = (first[p] == _DOTTED_I[0]) & (second[p] == _DOTTED_I[1])
            sigma = (first[p] == _SIGMA[0]) & (second[p] == _SIGMA[1])
            hits |= uint8(dotted_i | sigma)
        found[row] = hits != 0


@njit(**KERNEL)
def _is_ascii(data: np.ndarray, start: int, end: int) -> bool:
    """Say whether a text is ASCII, 32 bytes at a time (0.02 ns per byte)."""
    seen = uint64(0)
    while start + 32 <= end:
        seen |= load_u64(data, start) | load_u64(data, start + 8) | load_u64(data, start + 16)
        seen |= load_u64(data, start + 24)
        start += 32
    while start < end:
        seen |= uint64(data[start])
        start += 1
    return seen & _HIGH_BITS == 0
