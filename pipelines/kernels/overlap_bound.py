"""How many shingles two documents can have in common at most, without comparing them.

Pages of one template have most of their shingles from it, and every pair of them that is just below the threshold
must be told apart: a comparison each, millions of them. But what does not come from the template is rare. A list
of the documents of each rare shingle gives the number of rare ones that two documents share, exactly, and of the
frequent ones they cannot share more than the lesser of their counts. (Bayardo, Ma, Srikant 2007,
doi:10.1145/1242572.1242591, bound by rare features, too, and walk lists of documents for all pairs.)
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba import njit, uint64

from pipelines.kernels.compile import KERNEL

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)


class OverlapBounds(NamedTuple):
    """What bounds the common shingles of two documents.

    Attributes:
        frequent: int64 `[n]`: frequent shingles of each document.
        rare: int64 `[total]`: numbers of the rare shingles that another document has, too.
        rare_starts: int64 `[n + 1]`; document i has `rare[rare_starts[i]:rare_starts[i + 1]]`.
        documents: int64 `[total]`: documents of each rare shingle, ascending.
        document_starts: int64 `[rare shingles + 1]`.
    """

    frequent: np.ndarray
    rare: np.ndarray
    rare_starts: np.ndarray
    documents: np.ndarray
    document_starts: np.ndarray


def no_bounds(offsets: np.ndarray) -> OverlapBounds:
    """Return bounds that count every shingle as frequent, which costs nothing and says next to nothing."""
    n = len(offsets) - 1
    nothing = np.zeros(0, np.int64)
    return OverlapBounds(np.diff(offsets), nothing, np.zeros(n + 1, np.int64), nothing, np.zeros(1, np.int64))


def overlap_bounds(shingles: np.ndarray, offsets: np.ndarray, max_documents: int) -> OverlapBounds:
    """Find rare and frequent shingles.

    Shingles are counted in slots of a table; two in one slot may both be taken for frequent, never for rare.
    Memory: 10 bytes per shingle, and 48 per rare one of a document.

    Args:
        shingles: uint64 `[total]`, unique per document.
        offsets: int64 `[n + 1]`; document i has `shingles[offsets[i]:offsets[i + 1]]`.
        max_documents: most documents of a rare shingle, < 65,535.
    """
    shift = 64 - max(8, len(shingles).bit_length() + 1)
    counts = np.zeros(1 << (64 - shift), np.uint16)
    kind = np.empty(len(shingles), np.uint8)
    _classify(shingles, np.uint64(shift), max_documents, counts, kind)
    up_to = np.zeros(len(shingles) + 1, np.int32)
    np.cumsum(kind == 2, out=up_to[1:])
    entries = np.flatnonzero(kind == 1)
    _, rare = np.unique(shingles[entries], return_inverse=True)
    rare_starts = np.searchsorted(entries, offsets)
    owner = np.repeat(np.arange(len(offsets) - 1), np.diff(rare_starts))
    order = np.argsort(rare, kind="stable")
    document_starts = np.append(0, np.cumsum(np.bincount(rare)))
    return OverlapBounds(
        (up_to[offsets[1:]] - up_to[offsets[:-1]]).astype(np.int64),
        rare.astype(np.int64),
        rare_starts.astype(np.int64),
        owner[order].astype(np.int64),
        document_starts.astype(np.int64),
    )


@njit(**KERNEL)
def _classify(shingles: np.ndarray, shift: int, max_documents: int, counts: np.ndarray, kind: np.ndarray) -> None:
    """Set `kind` to 0 for shingles of one document, 1 for rare and 2 for frequent ones."""
    for shingle in shingles:
        slot = (shingle * _GOLDEN) >> uint64(shift)
        counts[slot] = min(counts[slot] + 1, max_documents + 1)
    for i in range(len(shingles)):
        count = counts[(shingles[i] * _GOLDEN) >> uint64(shift)]
        kind[i] = 2 if count > max_documents else (1 if count > 1 else 0)


@njit(**KERNEL)
def count_rare(bounds: OverlapBounds, document: int, shared: np.ndarray, amount: int) -> None:
    """Add `amount` to `shared` of every document, once per rare shingle that it shares with a document."""
    for i in range(bounds.rare_starts[document], bounds.rare_starts[document + 1]):
        number = bounds.rare[i]
        for place in range(bounds.document_starts[number], bounds.document_starts[number + 1]):
            shared[bounds.documents[place]] += amount
