"""The leader scan: which near-duplicates stay, and the exact Jaccard similarity that it decides by.

Documents are walked in a given order, best first. Each one that is still undecided is kept and removes
every later undecided candidate that is similar enough to it. In contrast to "keep one per connected
component", no document is removed that is unlike what is kept in its place, and in contrast to "remove
what resembles anything earlier", no document is removed because of one that is itself removed.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from pipelines.kernels.compile import KERNEL, read_only
from pipelines.kernels.lsh import group_by_key
from pipelines.kernels.overlap_bound import OverlapBounds, count_rare, no_bounds, overlap_bounds

SLACK: Final = 0.15
"""How far below the threshold the estimate of a pair may be that is compared exactly."""


def leader_scan(
    band_keys: np.ndarray,
    signatures: np.ndarray,
    shingles: np.ndarray,
    offsets: np.ndarray,
    threshold: float,
    slack: float = SLACK,
    n_leaders: int = 0,
    max_documents: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the kept leader of every document.

    Two documents *match* if they have an equal band key, the share of equal values in their signatures
    is >= threshold - slack, and the exact Jaccard similarity of their shingle sets is >= threshold.
    An empty shingle set matches nothing. It is guaranteed that

    - every removed document matches its leader, and the leader is kept and earlier;
    - no two kept documents match;
    - the result depends on the order of the documents only: unrelated documents (other components) may be
      scanned in the same call, in any interleaving.

    More documents than fit into memory are scanned in blocks (pipelines/ops/block_scan.py): with `n_leaders`,
    only the first documents lead, which are known to be kept; the others get a leader among them, or none.

    The estimate saves exact comparisons: its standard error at s = .8 and 112 values is .038, so a slack
    of .15 misses 1 true match in 12,500 there and fewer above. Time is proportional to the candidate pairs between kept
    documents and what is undecided when they are reached: linear for duplicates, quadratic for many
    variants of one template that are below the threshold to each other. For these, a bound on the shingles that
    they share (pipelines/kernels/overlap_bound.py) decides most pairs in a few nanoseconds.

    Args:
        band_keys: uint64 `[n, bands]`; the band number must be mixed in, as `lsh.band_keys` does.
        signatures: uint32 `[n, num_perm]`.
        shingles: uint64 `[total]`, sorted and unique per document.
        offsets: int64 `[n + 1]`; document i has `shingles[offsets[i]:offsets[i + 1]]`.
        threshold: Least Jaccard similarity of a match, in (0, 1].
        slack: How far below the threshold the estimate may be, >= 0.
        n_leaders: 0, or the number of kept documents that alone may lead; they are not compared with each other.
        max_documents: most documents that have a rare shingle, for the bound (the result does not depend on it); None
            is what is fast.

    Returns:
        leader: int64 `[n]`, `leader[i] == i` for kept documents; with `n_leaders`, -1 for what none of them matches.
        similarity: float64 `[n]`, exact Jaccard similarity to the leader; 1 for kept documents.

    Raises:
        ValueError: A parameter is out of range or the arrays are of different numbers of documents.
    """
    n = len(band_keys)
    _check_arguments(n, len(signatures), len(offsets), threshold, slack)
    members, starts, buckets = _buckets(read_only(band_keys, np.uint64, ndim=2))
    leader = np.full(n, -1, np.int64)
    leader[:n_leaders] = np.arange(n_leaders)
    similarity = np.ones(n, np.float64)
    shingles, offsets = read_only(shingles, np.uint64), read_only(offsets, np.int64)
    bounds = _bounds(shingles, offsets, int((np.diff(starts) ** 2).sum()), max_documents)
    num_perm = signatures.shape[1]
    passing = np.flatnonzero(np.arange(num_perm + 1) / max(num_perm, 1) >= threshold - slack)
    least_equal = int(passing[0]) if len(passing) else num_perm + 1
    _scan(
        members,
        starts,
        buckets,
        read_only(signatures, np.uint32, ndim=2),
        least_equal,
        shingles,
        offsets,
        bounds,
        float(threshold),
        n_leaders,
        leader,
        similarity,
    )
    return leader, similarity


def _check_arguments(n: int, n_signatures: int, n_offsets: int, threshold: float, slack: float) -> None:
    """Refuse what `leader_scan` does not define."""
    if not 0 < threshold <= 1 or slack < 0:
        raise ValueError(
            f"leader_scan: out of range: got threshold={threshold}, slack={slack}; "
            "expected 0 < threshold <= 1 and slack >= 0"
        )
    if n_signatures != n or n_offsets != n + 1:
        raise ValueError(
            f"leader_scan: arrays differ in length: got {n} band keys, {n_signatures} signatures and "
            f"{n_offsets} offsets; expected n, n and n + 1"
        )


def _bounds(shingles: np.ndarray, offsets: np.ndarray, pairs: int, max_documents: int | None) -> OverlapBounds:
    """Return bounds on common shingles where so many pairs may be met that these are worth their cost."""
    if pairs <= len(shingles):
        return no_bounds(offsets)
    bounds = overlap_bounds(shingles, offsets, max_documents or min(max(64, len(offsets) // 32), 60_000))
    walked = int((np.diff(bounds.document_starts) ** 2).sum())
    return bounds if walked <= 100 * pairs else no_bounds(offsets)


def _buckets(band_keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Collect the documents of each band key that more than one document has.

    Returns:
        members: int64 `[entries]`: documents, bucket by bucket.
        starts: int64 `[buckets + 1]`.
        buckets: int64 `[n, bands]`: the bucket of each document and band, -1 if it is alone.
    """
    n, bands = band_keys.shape
    order, starts = group_by_key(band_keys.ravel())
    sizes = np.diff(starts)
    shared = sizes > 1
    entries = order[np.repeat(shared, sizes)]
    sizes = sizes[shared]
    buckets = np.full(n * bands, -1, np.int64)
    buckets[entries] = np.repeat(np.arange(len(sizes)), sizes)
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    return entries // max(bands, 1), starts, buckets.reshape(n, bands)


@njit(**KERNEL)
def _scan(
    members: np.ndarray,
    starts: np.ndarray,
    buckets: np.ndarray,
    signatures: np.ndarray,
    least_equal: int,
    shingles: np.ndarray,
    offsets: np.ndarray,
    bounds: OverlapBounds,
    threshold: float,
    n_leaders: int,
    leader: np.ndarray,
    similarity: np.ndarray,
) -> None:
    """Walk the documents; drop what is decided from every bucket that is passed, so that it is met once."""
    sizes = starts[1:] - starts[:-1]
    compared_with = np.full(len(leader), -1, np.int64)
    rare = np.zeros(len(leader), np.int64)
    for document in range(n_leaders if n_leaders > 0 else len(leader)):
        if leader[document] >= 0 and document >= n_leaders:
            continue
        leader[document] = document
        own = shingles[offsets[document] : offsets[document + 1]]
        count_rare(bounds, document, rare, 1)
        for bucket in buckets[document]:
            if bucket < 0:
                continue
            start, undecided = starts[bucket], starts[bucket]
            for entry in range(start, start + sizes[bucket]):
                other = members[entry]
                if leader[other] >= 0:
                    continue
                if compared_with[other] != document:
                    compared_with[other] = document
                    most = rare[other] + min(bounds.frequent[document], bounds.frequent[other])
                    both = len(own) + offsets[other + 1] - offsets[other]
                    if both > most and most / (both - most) < threshold:
                        pass  # whatever they share, it is too little
                    elif _count_equal(signatures, document, other) >= least_equal:
                        theirs = shingles[offsets[other] : offsets[other + 1]]
                        jaccard_other = _jaccard_from(own, theirs, threshold)
                        if jaccard_other >= threshold:
                            leader[other] = document
                            similarity[other] = jaccard_other
                            continue
                members[undecided] = other
                undecided += 1
            sizes[bucket] = undecided - start
        count_rare(bounds, document, rare, -1)


@njit(**KERNEL)
def _count_equal(signatures: np.ndarray, row: int, other: int) -> int:
    """Count the equal values of two signatures."""
    equal = 0
    for k in range(signatures.shape[1]):
        equal += signatures[row, k] == signatures[other, k]
    return equal


@njit(**KERNEL)
def _jaccard_from(a: np.ndarray, b: np.ndarray, threshold: float) -> float:
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
        similarity[pair] = _jaccard_from(a, b, 0.0)


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
    return float(_jaccard_from(read_only(a, np.uint64), read_only(b, np.uint64), 0.0))
