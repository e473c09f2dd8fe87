"""The leader scan over more documents than fit into memory: the same leaders as one scan.

Documents are taken in blocks, best first. A block is compared with everything that earlier blocks kept,
again in blocks and best first, so that a document goes to the first kept document that it matches; what is
left is scanned alone. Kept documents do not match each other and are not compared again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from pipelines.contracts.dedup import Near
from pipelines.kernels.leader_scan import leader_scan
from pipelines.kernels.lsh import band_keys


class Sketches(NamedTuple):
    """What documents are compared by.

    Attributes:
        signatures: uint32 [rows, num_perm].
        shingles: uint64 [total], sorted and unique per document.
        offsets: int64 [rows + 1] into `shingles`.
    """

    signatures: np.ndarray
    shingles: np.ndarray
    offsets: np.ndarray


def scan_in_blocks(
    load: Callable[[np.ndarray], Sketches],
    groups: np.ndarray,
    sizes: np.ndarray,
    near: Near,
    block_bytes: int,
    pinned: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the kept leader of every document, holding about two blocks at a time.

    Args:
        load: returns the sketches of some documents, given as ascending numbers int64.
        groups: [rows] ascending; documents of different groups match nothing of each other (components).
        sizes: int64 [rows], bytes that the sketches of each document take.
        near: bands and threshold.
        block_bytes: bytes of a block; one document is the least.
        pinned: bool [rows], documents that are kept, whatever they match, and lead before the others.

    Returns:
        leader int64 [rows] and similarity float64 [rows], as `leader_scan` returns them.
    """
    leader = np.arange(len(groups))
    similarity = np.ones(len(groups))
    free = np.arange(len(groups)) if pinned is None else np.flatnonzero(~pinned)
    first = np.zeros(0, np.int64) if pinned is None else np.flatnonzero(pinned)
    pins = [first[block] for block in cut_blocks(sizes[first], block_bytes)]
    kept: list[np.ndarray] = []
    for block in cut_blocks(sizes[free], block_bytes):
        undecided = free[block]
        for leaders in (*pins, *kept):
            if (
                len(undecided)
                and groups[leaders[-1]] >= groups[undecided[0]]
                and groups[leaders[0]] <= groups[undecided[-1]]
            ):
                found, value = _scan(load, np.concatenate([leaders, undecided]), near, len(leaders))
                hit = found[len(leaders) :] >= 0
                leader[undecided[hit]] = leaders[found[len(leaders) :][hit]]
                similarity[undecided[hit]] = value[len(leaders) :][hit]
                undecided = undecided[~hit]
        found, value = _scan(load, undecided, near, 0)
        leader[undecided], similarity[undecided] = undecided[found], value
        kept = _with_block(kept, undecided[found == np.arange(len(found))], sizes, block_bytes)
    return leader, similarity


def cut_blocks(sizes: np.ndarray, block_bytes: int) -> Iterator[np.ndarray]:
    """Yield consecutive numbers of documents whose sizes sum to at most `block_bytes`, or single ones."""
    total = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = total[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(total, before + block_bytes, side="right")))
        yield np.arange(start, end)
        start = end


def _with_block(kept: list[np.ndarray], more: np.ndarray, sizes: np.ndarray, block_bytes: int) -> list[np.ndarray]:
    """Add kept documents as a block, or to the last block if there is room for them."""
    if not len(more):
        return kept
    if kept and sizes[kept[-1]].sum() + sizes[more].sum() <= block_bytes:
        return [*kept[:-1], np.concatenate([kept[-1], more])]
    return [*kept, more]


def _scan(
    load: Callable[[np.ndarray], Sketches], rows: np.ndarray, near: Near, n_leaders: int
) -> tuple[np.ndarray, np.ndarray]:
    sketches = load(rows)
    keys = band_keys(sketches.signatures, near.bands, near.rows)
    return leader_scan(keys, *sketches, near.threshold, n_leaders=n_leaders)
