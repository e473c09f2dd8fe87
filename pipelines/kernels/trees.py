"""Sums of decision trees (gradient boosting; Friedman 2001), evaluated in a fixed order: the same bits everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from pipelines.kernels.compile import KERNEL


@dataclass(frozen=True)
class Forest:
    """Trees in arrays; a child below zero is the leaf `-1 - child`.

    Attributes:
        roots: int32 [trees], first node of every tree.
        feature: int32 [nodes], what a node looks at.
        threshold: float64 [nodes]; values up to it go left.
        left: int32 [nodes].
        right: int32 [nodes].
        leaves: float64 [leaves].
    """

    roots: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    leaves: np.ndarray

    def score(self, rows: np.ndarray) -> np.ndarray:
        """Return the sums of the trees, float64 [rows], for float64 [rows, features]."""
        return _score(rows, self.roots, self.feature, self.threshold, self.left, self.right, self.leaves)


@njit(**KERNEL)
def _score(
    rows: np.ndarray,
    roots: np.ndarray,
    feature: np.ndarray,
    threshold: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    leaves: np.ndarray,
) -> np.ndarray:
    scores = np.zeros(rows.shape[0])
    for t in range(roots.shape[0]):
        for r in range(rows.shape[0]):
            node = roots[t]
            while node >= 0:
                node = left[node] if rows[r, feature[node]] <= threshold[node] else right[node]
            scores[r] += leaves[-1 - node]
    return scores
