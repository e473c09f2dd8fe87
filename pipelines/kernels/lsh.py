"""Locality-sensitive hashing of MinHash signatures: band keys, groups of equal keys, star edges.

Two documents are candidates if at least one of `bands` groups of `rows_per_band` signature values is
equal; at Jaccard similarity s that happens with probability 1 - (1 - s^rows)^bands (Broder 1997;
Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", section 3.4).
"""

from __future__ import annotations

import numpy as np
from numba import njit, uint64
from numpy.typing import ArrayLike

from pipelines.kernels.compile import KERNEL, read_only
from pipelines.kernels.hashing import mix64


def band_keys(signatures: np.ndarray, bands: int, rows_per_band: int) -> np.ndarray:
    """Hash each band of each signature to one key, into which the number of the band is mixed.

    Documents without words share every key with each other; leave them out beforehand.

    Args:
        signatures: uint32 `[rows, num_perm]`; values after `bands * rows_per_band` are not used.
        bands: Bands per signature.
        rows_per_band: Signature values per band.

    Returns:
        uint64 `[rows, bands]`. Keys of different bands differ, so all may go into one grouping (two
        different contents get one key with probability 2^-64).

    Raises:
        ValueError: There are fewer signature values than the bands need.
    """
    signatures = read_only(signatures, np.uint32, ndim=2)
    if bands < 1 or rows_per_band < 1 or bands * rows_per_band > signatures.shape[1]:
        raise ValueError(
            f"band_keys: bands do not fit the signature: got {bands} x {rows_per_band} for "
            f"{signatures.shape[1]} values; expected at least 1 x 1 and at most as many values as there are"
        )
    keys = np.empty((len(signatures), bands), np.uint64)
    _band_keys(signatures, rows_per_band, keys)
    return keys


@njit(**KERNEL)
def _band_keys(signatures: np.ndarray, rows_per_band: int, keys: np.ndarray) -> None:
    """Fill `keys`; a chain of bijections, so that a band of two values has no collision at all."""
    for row in range(keys.shape[0]):
        for band in range(keys.shape[1]):
            key = uint64(band)
            for i in range(band * rows_per_band, (band + 1) * rows_per_band):
                key = mix64(uint64(key + uint64(0x9E3779B97F4A7C15)) ^ uint64(signatures[row, i]))
            keys[row, band] = key


def repeated_keys(keys: np.ndarray) -> np.ndarray:
    """Find the keys that occur more than once, and few others: most keys of a corpus do not, and need no sorting.

    Args:
        keys: uint64 `[n]`, hashes.

    Returns:
        int64 `[chosen]`, ascending indices.
    """
    slots = 1 << max(8, (4 * len(keys)).bit_length())
    chosen = np.empty(len(keys), np.int64)
    return chosen[: _repeated_keys(read_only(keys, np.uint64), np.zeros(slots, np.uint8), chosen)]


@njit(**KERNEL)
def _repeated_keys(keys: np.ndarray, counts: np.ndarray, chosen: np.ndarray) -> int:
    """Fill `chosen`; two keys of one slot are taken for the same. Returns how many there are."""
    mask = uint64(len(counts) - 1)
    for key in keys:
        slot = key & mask
        counts[slot] = min(counts[slot] + 1, 2)
    found = 0
    for i in range(len(keys)):
        chosen[found] = i
        found += counts[keys[i] & mask] > 1
    return found


def group_by_key(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Group equal keys.

    Args:
        keys: uint64 `[n]`.

    Returns:
        order: int64 `[n]`, indices by ascending key; in no defined order among equal keys.
        starts: int64 `[groups + 1]`; group g is `order[starts[g]:starts[g + 1]]`.
    """
    order = np.argsort(keys)
    ordered = keys[order]
    is_start = np.ones(len(keys), np.bool_)
    is_start[1:] = ordered[1:] != ordered[:-1]
    return order, np.append(np.flatnonzero(is_start), len(keys))


def star_edges(keys: np.ndarray, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Connect the nodes of each key by edges from the least of them to the others.

    A star has the connected component of all pairs with one edge per node instead of n (n - 1) / 2.

    Args:
        keys: uint64 `[n]`.
        nodes: uint64 `[n]`: the node that has the key; a node may have many keys, and a key twice.

    Returns:
        least, other: uint64 `[edges]`, sorted by (least, other), each edge once, least < other; they
        depend on the set of (key, node) only, not on its order.
    """
    chosen = repeated_keys(keys)
    keys, nodes = keys[chosen], nodes[chosen]
    if len(keys) == 0:
        return np.zeros(0, np.uint64), np.zeros(0, np.uint64)
    order, starts = group_by_key(keys)
    other = nodes[order]
    least = np.repeat(np.minimum.reduceat(other, starts[:-1]), np.diff(starts))
    is_edge = least != other
    least, other = least[is_edge], other[is_edge]
    order = np.lexsort((other, least))
    least, other = least[order], other[order]
    is_new = np.ones(len(least), np.bool_)
    is_new[1:] = (least[1:] != least[:-1]) | (other[1:] != other[:-1])
    return least[is_new], other[is_new]


def collision_probability(similarity: ArrayLike, bands: int, rows_per_band: int) -> np.ndarray:
    """Return the probability that two documents share at least one band: 1 - (1 - s^rows)^bands.

    Args:
        similarity: Jaccard similarity s in [0, 1], of any shape.
        bands: Bands per signature.
        rows_per_band: Signature values per band.

    Returns:
        float64 of the shape of `similarity`.
    """
    return 1.0 - (1.0 - np.asarray(similarity, np.float64) ** rows_per_band) ** bands
