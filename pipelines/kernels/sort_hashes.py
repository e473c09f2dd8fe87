"""Sorting hashes: spread them by their leading bits, which are uniform, then put what is left in order by insertion."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import int64, njit, uint64

from pipelines.kernels.compile import KERNEL

_MOST_BITS: Final = 20
_SMALL: Final = 32
"""Buckets above this size (equal hashes, or hashes that somebody made) are left to a sort that needs no luck."""


@njit(**KERNEL)
def sort_room(most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the room that `sort_hashes` needs for up to `most` values."""
    return np.empty(most, np.uint64), np.empty(_buckets(most) + 1, np.int32)


@njit(**KERNEL)
def _buckets(values: int) -> int:
    """Return the number of buckets: the least power of two that is not less than the values, twice, within limits."""
    bits = 1
    while bits < _MOST_BITS and (1 << bits) < values:
        bits += 1
    return 2 << bits


@njit(**KERNEL)
def sort_hashes(values: np.ndarray, spread: np.ndarray, ends: np.ndarray) -> None:
    """Sort uint64 hashes in place, in time proportional to their number if their leading bits are uniform.

    Args:
        values: uint64 `[n]`.
        spread: from `sort_room`.
        ends: from `sort_room`.
    """
    n = len(values)
    buckets = _buckets(n)
    shift = uint64(64)
    size = buckets
    while size > 1:
        size >>= 1
        shift -= uint64(1)
    ends[: buckets + 1] = 0
    for i in range(n):
        ends[int64(values[i] >> shift) + 1] += 1
    largest = int64(0)
    for bucket in range(buckets):
        largest = max(largest, int64(ends[bucket + 1]))
        ends[bucket + 1] += ends[bucket]
    for i in range(n):
        bucket = int64(values[i] >> shift)
        spread[ends[bucket]] = values[i]
        ends[bucket] += 1
    if largest > _SMALL:
        start = int64(0)
        for bucket in range(buckets):
            end = int64(ends[bucket])
            if end - start > _SMALL:
                spread[start:end].sort()
            start = end
    _insert(spread, n)  # over all buckets at once: they are small, and a loop over each costs more than the sort
    values[:] = spread[:n]


@njit(**KERNEL)
def _insert(values: np.ndarray, n: int) -> None:
    """Sort the first `n` values, of which none is far from its place."""
    for i in range(1, n):
        value = values[i]
        place = i
        while place > 0 and values[place - 1] > value:
            values[place] = values[place - 1]
            place -= 1
        values[place] = value
