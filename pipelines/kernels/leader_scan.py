"""The leader scan: which near-duplicates stay.

Documents are walked in a given order, best first. Each one that is still undecided is kept and removes
every later undecided candidate that is similar enough to it. In contrast to "keep one per connected
component", no document is removed that is unlike what is kept in its place, and in contrast to "remove
what resembles anything earlier", no document is removed because of one that is itself removed.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba import njit

from pipelines.kernels.compile import KERNEL, read_only
from pipelines.kernels.jaccard import jaccard_from
from pipelines.kernels.lsh import group_by_key, repeated_keys
from pipelines.kernels.overlap_bound import OverlapBounds, count_rare, no_bounds, overlap_bounds

_SHINGLES_PER_FAILURE: Final = 8
"""A pair compared in vain costs about what bounds cost for so many shingles: these are made when as much is lost."""
_NO_LIMIT: Final = 1 << 62
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
    they share (pipelines/kernels/overlap_bound.py) decides most pairs in a few nanoseconds; it is made once so many pairs
    were compared in vain that it is worth its cost.

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
    sketches = Compared(
        read_only(signatures, np.uint32, ndim=2),
        _least_equal(signatures.shape[1], threshold - slack),
        read_only(shingles, np.uint64),
        read_only(offsets, np.int64),
        float(threshold),
    )
    walk = Walk(members, starts, buckets, np.diff(starts), np.full(n, -1, np.int64), leader, similarity)
    to_lead = n_leaders if n_leaders > 0 else n
    reached = _scan(sketches, walk, no_bounds(offsets), n_leaders, 0, to_lead, len(shingles) // _SHINGLES_PER_FAILURE)
    if reached < to_lead:
        bounds = _bounds(sketches.shingles, sketches.offsets, int((np.diff(starts) ** 2).sum()), max_documents)
        _scan(sketches, walk, bounds, n_leaders, reached, to_lead, _NO_LIMIT)
    return leader, similarity


class Compared(NamedTuple):
    """What documents are compared by, and when they match.

    Attributes:
        signatures: uint32 `[n, num_perm]`.
        least_equal: least number of equal values.
        shingles: uint64 `[total]`, sorted and unique per document.
        offsets: int64 `[n + 1]`.
        threshold: least Jaccard similarity.
    """

    signatures: np.ndarray
    least_equal: int
    shingles: np.ndarray
    offsets: np.ndarray
    threshold: float


class Walk(NamedTuple):
    """Where a scan stands; the kernel changes all but the first three.

    Attributes:
        members: int64 `[entries]`: documents, bucket by bucket.
        starts: int64 `[buckets + 1]`.
        buckets: int64 `[n, bands]`: the bucket of each document and band, -1 if it is alone.
        sizes: int64 `[buckets]`: undecided documents of each bucket, the first of its entries.
        compared_with: int64 `[n]`: the leader that each document was compared with last.
        leader: int64 `[n]`: what is found.
        similarity: float64 `[n]`: what is found.
    """

    members: np.ndarray
    starts: np.ndarray
    buckets: np.ndarray
    sizes: np.ndarray
    compared_with: np.ndarray
    leader: np.ndarray
    similarity: np.ndarray


def _least_equal(num_perm: int, least_share: float) -> int:
    """Return how many values must be equal for a share of at least `least_share`; one more than all if none suffices."""
    passing = np.flatnonzero(np.arange(num_perm + 1) / max(num_perm, 1) >= least_share)
    return int(passing[0]) if len(passing) else num_perm + 1


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
    """Return bounds on common shingles, or none where lists of documents are longer than what they may save."""
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
    keys = band_keys.ravel()
    chosen = repeated_keys(keys)
    order, starts = group_by_key(keys[chosen])
    sizes = np.diff(starts)
    shared = sizes > 1
    entries = chosen[order[np.repeat(shared, sizes)]]
    sizes = sizes[shared]
    buckets = np.full(n * bands, -1, np.int64)
    buckets[entries] = np.repeat(np.arange(len(sizes)), sizes)
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    return entries // max(bands, 1), starts, buckets.reshape(n, bands)


@njit(**KERNEL)
def _scan(
    sketches: Compared, walk: Walk, bounds: OverlapBounds, n_leaders: int, first: int, last: int, most_failures: int
) -> int:
    """Walk documents `first` to `last`; drop what is decided from every bucket that is passed, so that it is met once.

    Returns:
        `last`, or the next document once more than `most_failures` pairs were compared that do not match.
    """
    leader, offsets = walk.leader, sketches.offsets
    rare = np.zeros(len(leader), np.int64)
    failures = 0
    for document in range(first, last):
        if leader[document] >= 0 and document >= n_leaders:
            continue
        if failures > most_failures:
            return document
        leader[document] = document
        own = sketches.shingles[offsets[document] : offsets[document + 1]]
        count_rare(bounds, document, rare, 1)
        for bucket in walk.buckets[document]:
            if bucket < 0:
                continue
            start, undecided = walk.starts[bucket], walk.starts[bucket]
            for entry in range(start, start + walk.sizes[bucket]):
                other = walk.members[entry]
                if leader[other] >= 0:
                    continue
                if walk.compared_with[other] != document:
                    walk.compared_with[other] = document
                    most = rare[other] + min(bounds.frequent[document], bounds.frequent[other])
                    both = len(own) + offsets[other + 1] - offsets[other]
                    if both > most and most / (both - most) < sketches.threshold:
                        pass  # whatever they share, it is too little
                    else:
                        jaccard_other = _similarity(sketches, document, other)
                        if jaccard_other >= sketches.threshold:
                            leader[other] = document
                            walk.similarity[other] = jaccard_other
                            continue
                        failures += 1
                walk.members[undecided] = other
                undecided += 1
            walk.sizes[bucket] = undecided - start
        count_rare(bounds, document, rare, -1)
    return last


@njit(**KERNEL)
def _similarity(sketches: Compared, document: int, other: int) -> float:
    """Return the exact similarity of two documents, or 0 if it or the estimate is too low."""
    if _count_equal(sketches.signatures, document, other) < sketches.least_equal:
        return 0.0
    offsets, shingles = sketches.offsets, sketches.shingles
    own, theirs = shingles[offsets[document] : offsets[document + 1]], shingles[offsets[other] : offsets[other + 1]]
    return jaccard_from(own, theirs, sketches.threshold)


@njit(**KERNEL)
def _count_equal(signatures: np.ndarray, row: int, other: int) -> int:
    """Count the equal values of two signatures."""
    equal = 0
    for k in range(signatures.shape[1]):
        equal += signatures[row, k] == signatures[other, k]
    return equal
