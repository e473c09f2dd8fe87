"""The merges of byte-pair encoding: the bytes of one pre-token in, token ids out.

Lowest rank first and of equal ranks the leftmost, as in `tokenizers`. Up to 64 symbols a scan finds it; longer
pre-tokens (text without spaces, base64) take a heap, so that 1 MB costs n log n and not n^2.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba import int32, int64, njit, uint64

from pipelines.kernels.bpe_model import NO_RANK, Merges, merge_slot
from pipelines.kernels.compile import INLINE, KERNEL

_POSITION_BITS: Final = 6
_SCAN_SYMBOLS: Final = 1 << _POSITION_BITS


class Scratch(NamedTuple):
    """Work space for one pre-token of up to n bytes: `int32 [n]` each, and `uint64 [3 n]` for the heap."""

    symbol: np.ndarray
    rank: np.ndarray
    merged: np.ndarray
    before: np.ndarray
    after: np.ndarray
    heap: np.ndarray


@njit(**INLINE)
def _find_pair(left: int, right: int, merges: Merges) -> tuple[int, int]:
    """Return the rank and the id of a merge; NO_RANK if the two do not merge."""
    key = (uint64(left) << uint64(32)) | uint64(right)
    value = merges.table[merge_slot(key, merges.table), 1]
    return int64(value >> uint64(32)), int64(value & uint64(0xFFFFFFFF))


@njit(**INLINE)
def _rank_at(at: int, right: int, merges: Merges, scratch: Scratch) -> None:
    """Note rank and id of the symbol at `at` and a right neighbour, as `rank << 6 | at`."""
    rank, merged = _find_pair(scratch.symbol[at], right, merges)
    scratch.rank[at] = NO_RANK if rank == NO_RANK else (rank << _POSITION_BITS) | at
    scratch.merged[at] = merged


@njit(**KERNEL)
def _merge_by_scan(count: int, merges: Merges, scratch: Scratch) -> int:
    """Merge the symbols, lowest rank and then leftmost first; return how many are left. O(count^2), in vectors.

    Symbols stay where they are; `rank` holds `rank << 6 | position`, so the least one names the place as well.
    """
    symbol, rank, before, after = scratch.symbol, scratch.rank, scratch.before, scratch.after
    for i in range(count):
        before[i] = i - 1
        after[i] = i + 1
    rank[count - 1] = NO_RANK
    while True:
        lowest = int32(NO_RANK)
        for i in range(count):
            lowest = min(lowest, rank[i])
        if lowest == NO_RANK:
            break
        at = int64(lowest) & ((1 << _POSITION_BITS) - 1)
        symbol[at] = scratch.merged[at]
        gone = after[at]
        rank[gone] = NO_RANK
        right = after[gone]
        after[at] = right
        if right < count:
            before[right] = at
            _rank_at(at, symbol[right], merges, scratch)
        else:
            rank[at] = NO_RANK
        if before[at] >= 0:
            _rank_at(before[at], symbol[at], merges, scratch)
    left, at = 0, 0
    while at < count:  # left <= at, so nothing unread is overwritten
        symbol[left] = symbol[at]
        left += 1
        at = after[at]
    return left


@njit(**KERNEL)
def _push(heap: np.ndarray, size: int, value: int) -> int:
    """Add a value to a binary min-heap; return its new size."""
    at = size
    while at > 0:
        parent = (at - 1) >> 1
        if heap[parent] <= value:
            break
        heap[at] = heap[parent]
        at = parent
    heap[at] = value
    return size + 1


@njit(**KERNEL)
def _drop_least(heap: np.ndarray, size: int) -> int:
    """Remove the least value of a binary min-heap; return its new size."""
    size -= 1
    value = heap[size]
    at = 0
    child = 1
    while child < size:
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if value <= heap[child]:
            break
        heap[at] = heap[child]
        at = child
        child = 2 * at + 1
    heap[at] = value
    return size


@njit(**KERNEL)
def _rank_pair(at: int, heap: np.ndarray, size: int, merges: Merges, scratch: Scratch) -> int:
    """Note the rank of the symbol at `at` and the one after it, and queue their merge; return the heap's size."""
    found, merged = _find_pair(scratch.symbol[at], scratch.symbol[scratch.after[at]], merges)
    scratch.rank[at] = found
    scratch.merged[at] = merged
    if found == NO_RANK:
        return size
    return _push(heap, size, (uint64(found) << uint64(32)) | uint64(at))


@njit(**KERNEL)
def _merge_by_heap(count: int, merges: Merges, scratch: Scratch) -> int:
    """Do what `_merge_by_scan` does in O(count log count): linked symbols, a heap of (rank, position)."""
    symbol, rank, heap = scratch.symbol, scratch.rank, scratch.heap
    before, after = scratch.before, scratch.after
    size = 0
    for i in range(count):
        before[i] = i - 1
        after[i] = i + 1
    rank[count - 1] = NO_RANK
    for i in range(count - 1):
        size = _rank_pair(i, heap, size, merges, scratch)
    while size > 0:
        at = int64(heap[0] & uint64(0xFFFFFFFF))
        queued = int64(heap[0] >> uint64(32))
        size = _drop_least(heap, size)
        if rank[at] != queued:  # one of the two has merged since; a pair's rank is unique
            continue
        gone = after[at]
        symbol[at] = scratch.merged[at]
        rank[at] = NO_RANK
        rank[gone] = NO_RANK
        after[at] = after[gone]
        if after[at] < count:
            before[after[at]] = at
            size = _rank_pair(at, heap, size, merges, scratch)
        if before[at] >= 0:
            size = _rank_pair(before[at], heap, size, merges, scratch)
    left = 0
    at = 0
    while at < count:  # left <= at, so nothing unread is overwritten
        symbol[left] = symbol[at]
        left += 1
        at = after[at]
    return left


@njit(**KERNEL)
def merge_bytes(data: np.ndarray, start: int, end: int, merges: Merges, scratch: Scratch) -> int:
    """Encode one pre-token into `scratch.symbol`; return its number of ids."""
    count = end - start
    for i in range(count):
        scratch.symbol[i] = merges.byte_id[data[start + i]]
    if count > _SCAN_SYMBOLS:
        return _merge_by_heap(count, merges, scratch)
    for i in range(count - 1):
        value = merges.of_bytes[(int64(data[start + i]) << 8) | int64(data[start + i + 1])]
        found = int64(value >> uint64(32))
        scratch.rank[i] = NO_RANK if found == NO_RANK else (found << _POSITION_BITS) | i
        scratch.merged[i] = value & uint64(0xFFFFFFFF)
    return _merge_by_scan(count, merges, scratch)


def make_scratch(longest_bytes: int) -> Scratch:
    """Return work space for pre-tokens of up to `longest_bytes`; pages that are not used cost no memory."""
    work = [np.empty(longest_bytes, np.int32) for _ in range(5)]
    return Scratch(*work, np.empty(3 * longest_bytes, np.uint64))  # n - 1 pairs, two more per merge
