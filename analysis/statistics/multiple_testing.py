"""False discovery rate: Benjamini-Hochberg (1995) and Benjamini-Yekutieli (2001) adjusted p values."""

from __future__ import annotations

import numpy as np


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Adjust p values for independent or positively dependent tests.

    Args:
        p: [tests], no NaN.

    Returns:
        [tests] q values.

    >>> benjamini_hochberg(np.array([0.01, 0.02, 0.5])).tolist()
    [0.03, 0.03, 0.5]
    """
    return _step_up(p, 1.0)


def benjamini_yekutieli(p: np.ndarray) -> np.ndarray:
    """Adjust p values for tests with any dependence (more conservative)."""
    return _step_up(p, float((1 / np.arange(1, len(p) + 1)).sum()) if len(p) else 1.0)


def _step_up(p: np.ndarray, factor: float) -> np.ndarray:
    order = np.argsort(p, kind="stable")
    scaled = p[order] * len(p) * factor / np.arange(1, len(p) + 1)
    q = np.empty(len(p))
    q[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return q


def within_families(p: np.ndarray, families: np.ndarray) -> np.ndarray:
    """Adjust within each family by Benjamini-Hochberg; NaN stays NaN and counts in no family.

    Args:
        p: [tests].
        families: [tests] labels.
    """
    q = np.full(len(p), np.nan)
    for family in np.unique(families):
        mine = (families == family) & np.isfinite(p)
        q[mine] = benjamini_hochberg(p[mine])
    return q
