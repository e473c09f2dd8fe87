"""The exact Jaccard similarity of sets of shingles, as sorted arrays of hashes."""

from __future__ import annotations

import numpy as np
from numba import njit

from pipelines.kernels.compile import KERNEL, read_only


@njit(**KERNEL)
def jaccard_from(a: np.ndarray, b: np.ndarray, threshold: float) -> float:
    """Return the Jaccard similarity of two sorted sets, or 0 as soon as it must be below the threshold.

    `similarity >= threshold` is decided by the same floating-point division with and without the exit:
    c / (sizes - c) does not decrease with c, so a least sufficient c exists.
    """
    sizes = len(a) + len(b)
    if len(a) == 0 or len(b) == 0:
        return 0.0
    least_common = int(threshold * sizes / (1.0 + threshold))
    while least_common > 0 and (least_common - 1) / (sizes - least_common + 1) >= threshold:
        least_common -= 1
    while least_common <= sizes // 2 and least_common / (sizes - least_common) < threshold:
        least_common += 1
    i, j, common = 0, 0, 0
    while i < len(a) and j < len(b):
        if common + min(len(a) - i, len(b) - j) < least_common:
            return 0.0
        x, y = a[i], b[j]
        common += x == y
        i += x <= y
        j += y <= x
    return common / (sizes - common)


@njit(**KERNEL)
def _jaccard_pairs(
    shingles: np.ndarray, offsets: np.ndarray, left: np.ndarray, right: np.ndarray, similarity: np.ndarray
) -> None:
    """Fill `similarity`."""
    for pair in range(len(left)):
        a = shingles[offsets[left[pair]] : offsets[left[pair] + 1]]
        b = shingles[offsets[right[pair]] : offsets[right[pair] + 1]]
        similarity[pair] = jaccard_from(a, b, 0.0)


def jaccard_pairs(shingles: np.ndarray, offsets: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the exact Jaccard similarity of pairs of documents.

    Args:
        shingles: uint64 `[total]`, sorted and unique per document.
        offsets: int64 `[n + 1]`; document i has `shingles[offsets[i]:offsets[i + 1]]`.
        left: int64 `[pairs]`, documents.
        right: int64 `[pairs]`, documents.

    Returns:
        float64 `[pairs]`: |A & B| / |A | B|, and 0 where a set is empty.

    Raises:
        IndexError: There is no such document.
        ValueError: `left` and `right` differ in length.
    """
    n = len(offsets) - 1
    if len(left) != len(right):
        raise ValueError(f"jaccard_pairs: lengths differ: got {len(left)} and {len(right)}; expected pairs")
    if len(left) and not (min(left.min(), right.min()) >= 0 and max(left.max(), right.max()) < n):
        raise IndexError(f"jaccard_pairs: no such document: got numbers outside [0, {n}); expected documents")
    similarity = np.empty(len(left), np.float64)
    _jaccard_pairs(
        read_only(shingles, np.uint64),
        read_only(offsets, np.int64),
        read_only(left, np.int64),
        read_only(right, np.int64),
        similarity,
    )
    return similarity


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """Return the exact Jaccard similarity of two sorted sets of unique uint64 hashes, 0 if one is empty."""
    return float(jaccard_from(read_only(a, np.uint64), read_only(b, np.uint64), 0.0))
