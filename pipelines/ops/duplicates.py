"""Who is removed as a duplicate of whom, among documents that were linked: address, text, near-duplicates."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contracts.recipe import Recipe
from pipelines.ops.block_scan import Sketches, scan_in_blocks
from pipelines.ops.splits import is_heldout

KINDS = ("url", "exact", "near")


class Verdicts(NamedTuple):
    """What became of each document.

    Attributes:
        kind: int8 [rows]: index into KINDS if it is removed, -1 if not.
        leader: int64 [rows]: the kept document in whose favour it is removed; itself if it is not.
        similarity: float64 [rows]: exact Jaccard similarity with the leader; 1 for what is not removed.
        cluster_size: int64 [rows]: a kept document and those removed in its favour; 0 for the others.
    """

    kind: np.ndarray
    leader: np.ndarray
    similarity: np.ndarray
    cluster_size: np.ndarray


def find_duplicates(
    members: pa.Table, load: Callable[[np.ndarray], Sketches], sizes: np.ndarray, recipe: Recipe
) -> Verdicts:
    """Decide, in the order of the rows, who is removed as a duplicate of whom; eligible documents only.

    First, of documents with one address all but the newest go; then, of documents with one text, all but the
    first; then the leader scan runs over what is left. A removed document's leader is always kept: where its
    own is removed later, it follows. Documents of earlier builds are never removed, and lead before any other.

    Args:
        members: [rows] sorted by component and then best first, with component, build, eligible, url_hash (null
            without an address), instant, content_hash and n_words.
        load: returns the sketches of some rows (ascending numbers).
        sizes: int64 [rows], bytes of the sketches of each row.
        recipe: thresholds and which phases there are.
    """
    dedup = recipe.dedup
    rows = np.arange(members.num_rows)
    eligible = members["eligible"].to_numpy()
    earlier = members["build"].to_numpy() < len(dedup.against)
    alive, newest, first = eligible, rows, rows
    if dedup.url:
        age = np.where(earlier, -(2**63), -members["instant"].to_numpy())
        newest = np.where(earlier, rows, first_of_each(members["url_hash"], alive, age))
        alive = alive & (newest == rows)
    if dedup.exact:
        first = np.where(earlier, rows, first_of_each(members["content_hash"], alive, rows))
        alive = alive & (first == rows)
    leader, similarity = rows.copy(), np.ones(len(rows))
    if dedup.near is not None:
        scanned = np.flatnonzero(may_be_near(alive, members["n_words"].to_numpy(), recipe))
        found, value = scan_in_blocks(
            lambda chosen: load(scanned[chosen]),
            members["component"].to_numpy()[scanned],
            sizes[scanned],
            dedup.near,
            dedup.partition_mb * 1_000_000,
            earlier[scanned],
        )
        leader[scanned], similarity[scanned] = scanned[found], value
    leader, similarity = leader[first], similarity[first]
    leader, similarity = leader[newest], similarity[newest]
    removed = leader != rows
    codes = members["content_hash"].combine_chunks().dictionary_encode().indices.to_numpy()
    kind = np.where(codes == codes[leader], KINDS.index("exact"), KINDS.index("near"))
    kind = np.where(newest != rows, KINDS.index("url"), kind)
    cluster_size = np.where(eligible & ~removed, np.bincount(leader, minlength=len(rows)), 0)
    return Verdicts(np.where(removed, kind, -1).astype(np.int8), leader, similarity, cluster_size)


def may_be_near(eligible: np.ndarray, n_words: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Say which documents are compared by their shingles, if no other phase removes them first.

    Args:
        eligible: bool [rows].
        n_words: int32 [rows].
        recipe: whether there is a search for near-duplicates, and how long its shingles are.

    Returns:
        bool [rows].
    """
    near = recipe.dedup.near
    return np.zeros(len(eligible), bool) if near is None else eligible & (n_words >= near.ngram)


def first_of_each(keys: pa.ChunkedArray, alive: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return, per row, the best living row with the same key: the least by `order`, then by row.

    Args:
        keys: [rows] of any type; a row without a key, or that is not alive, is its own best.
        alive: bool [rows].
        order: int64 [rows].

    Returns:
        int64 [rows].
    """
    best = np.arange(len(keys))
    column = keys.combine_chunks()
    rows = np.flatnonzero(alive & column.is_valid().to_numpy(zero_copy_only=False))
    codes = column.take(pa.array(rows)).dictionary_encode().indices.to_numpy()
    by_key = np.lexsort((rows, order[rows], codes))
    starts = np.flatnonzero(np.diff(codes[by_key], prepend=-1))
    best[rows[by_key]] = np.repeat(rows[by_key[starts]], np.diff(np.append(starts, len(rows))))
    return best


class Components(NamedTuple):
    """What the rows of a component share.

    Attributes:
        id: least content_hash of the members [rows].
        size: int32 [rows], members.
        heldout: bool [rows], the split.
    """

    id: pa.Array
    size: np.ndarray
    heldout: np.ndarray


def describe_components(members: pa.Table, recipe: Recipe) -> Components:
    """Name, count and split components.

    A component with a held-out document of an earlier build is held out, whatever its size; one with others of them only
    is not.

    Args:
        members: [rows] sorted by component, with component, content_hash, share (held-out share of its source) and
            earlier_split (of documents of earlier builds).
        recipe: its split.
    """
    labels, shares = members["component"].to_numpy(), members["share"].to_numpy()
    hashes = members["content_hash"].combine_chunks()
    starts = np.flatnonzero(np.diff(labels, prepend=np.uint64(0)) != 0)
    starts = np.union1d(starts, [0]) if len(labels) else starts
    count = np.diff(np.append(starts, len(labels)))
    position = np.repeat(np.arange(len(starts)), count)
    by_hash = pc.sort_indices(hashes).to_numpy()
    least = by_hash[np.unique(position[by_hash], return_index=True)[1]]
    names = hashes.take(pa.array(least))
    share = np.minimum.reduceat(shares, starts) if len(starts) else shares
    heldout = np.array(
        [
            size <= recipe.split.max_component and is_heldout(name, float(value), recipe.split)
            for name, size, value in zip(names.to_pylist(), count.tolist(), share.tolist(), strict=True)
        ],
        bool,
    )
    split = members["earlier_split"].to_pylist()
    was_heldout, was_train = (
        np.bincount(position, np.array([s == name for s in split]), len(starts)) > 0 for name in ("heldout", "train")
    )
    heldout = np.where(was_heldout, True, np.where(was_train, False, heldout))
    return Components(names.take(pa.array(position)), count[position].astype(np.int32), heldout[position])
