"""Topics: texts of one slice grouped by their words, deterministically and into units of equal size.

Words are hashed token pairs; groups come from spherical k-means that starts at texts far from each other. Units of
equal size are filled greedily, most typical text first, so every subset of units holds the same tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FEATURES = 512
ROUNDS = 25
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def hashed_features(texts: Sequence[np.ndarray], features: int = FEATURES) -> np.ndarray:
    """Count hashed tokens and token pairs.

    Args:
        texts: [tokens] int64 each.
        features: buckets.

    Returns:
        [texts, features] float64 rows of length 1: square roots of counts, weighted by how rare a bucket is among the texts.
    """
    counts = np.zeros((len(texts), features))
    for at, text in enumerate(texts):
        ids = np.asarray(text).astype(np.uint64)
        keys = np.concatenate([ids + np.uint64(1), (ids[:-1] << np.uint64(20)) + ids[1:] + np.uint64(1 << 41)])
        np.add.at(counts[at], ((keys * _MULTIPLIER) >> np.uint64(40)) % np.uint64(features), 1.0)
    rarity = np.log((1 + len(texts)) / (1 + (counts > 0).sum(0))) + 1
    weighted = np.sqrt(counts) * rarity
    weighted -= weighted.mean(0)  # what all texts share tells nothing apart
    return weighted / np.maximum(np.linalg.norm(weighted, axis=1, keepdims=True), 1e-12)


def spherical_kmeans(features: np.ndarray, groups: int) -> np.ndarray:
    """Find centres of groups.

    Args:
        features: [texts, features] rows of length 1.
        groups: how many; <= texts.

    Returns:
        [groups, features] centres of length 1, ordered as they were found: the text nearest to the mean of all first,
        then each time the text farthest from those before.
    """
    if groups > len(features):
        raise ValueError(f"topics: fewer texts than topics: got {len(features)}; expected >= {groups}")
    chosen = [int(np.argmax(features @ features.mean(0)))]
    nearest = features @ features[chosen[0]]
    while len(chosen) < groups:
        chosen.append(int(np.argmin(nearest)))
        nearest = np.maximum(nearest, features @ features[chosen[-1]])
    centres = features[chosen]
    for _ in range(ROUNDS):
        owner = np.argmax(features @ centres.T, axis=1)
        sums = np.stack([features[owner == k].sum(0) if (owner == k).any() else centres[k] for k in range(groups)])
        moved = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
        if np.allclose(moved, centres):
            break
        centres = moved
    return centres


def equal_groups(features: np.ndarray, groups: int, sizes: np.ndarray, quota: int) -> list[np.ndarray]:
    """Fill groups of texts, each with the most typical of its topic that no other group took first.

    Args:
        features: [texts, features] rows of length 1.
        groups: how many.
        sizes: [texts] int64 tokens of each text.
        quota: a group is full when its texts have so many tokens.

    Returns:
        Per group, indices of its texts, ascending; no text is in two groups.

    Raises:
        ValueError: if there is too little text.
    """
    similarity = features @ spherical_kmeans(features, groups).T
    taken = np.zeros(len(features), bool)
    filled: list[list[int]] = [[] for _ in range(groups)]
    held = np.zeros(groups, np.int64)
    for flat in np.argsort(-similarity, axis=None, kind="stable"):
        text, group = divmod(int(flat), groups)
        if not taken[text] and held[group] < quota:
            taken[text] = True
            filled[group].append(text)
            held[group] += sizes[text]
    if (held < quota).any():
        raise ValueError(f"topics: too little text: got {held.min()} tokens in a group; expected {quota}")
    return [np.array(sorted(group), np.int64) for group in filled]
