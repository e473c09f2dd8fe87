"""False discovery rate: Benjamini-Hochberg (1995) and Benjamini-Yekutieli (2001) adjusted p values."""

from __future__ import annotations

from typing import Literal

import numpy as np

Correction = Literal["bh", "by"]


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Adjust p values for independent or positively dependent tests.

    Args:
        p: [..., tests], no NaN; tests of one family lie along the last axis.

    Returns:
        [..., tests] q values.

    >>> benjamini_hochberg(np.array([0.01, 0.02, 0.5])).tolist()
    [0.03, 0.03, 0.5]
    """
    return _step_up(p, 1.0)


def benjamini_yekutieli(p: np.ndarray) -> np.ndarray:
    """Adjust p values for tests with any dependence (more conservative by about ln(tests) + .58)."""
    return _step_up(p, harmonic(p.shape[-1]))


def harmonic(tests: int) -> float:
    """Return 1 + 1/2 + ... + 1/tests: what Benjamini-Yekutieli costs; 1 without tests."""
    return float((1 / np.arange(1, tests + 1)).sum()) if tests else 1.0


def _step_up(p: np.ndarray, factor: float) -> np.ndarray:
    order = np.argsort(p, axis=-1, kind="stable")
    tests = p.shape[-1]
    scaled = np.take_along_axis(p, order, -1) * tests * factor / np.arange(1, tests + 1)
    q = np.empty(p.shape)
    running = np.minimum.accumulate(scaled[..., ::-1], axis=-1)[..., ::-1]
    np.put_along_axis(q, order, np.minimum(running, 1.0), -1)
    return q


def within_families(p: np.ndarray, families: np.ndarray, method: Correction = "bh") -> np.ndarray:
    """Adjust within each family; NaN stays NaN and counts in no family.

    Args:
        p: [tests].
        families: [tests] labels.
        method: Benjamini-Hochberg, or Benjamini-Yekutieli for any dependence.
    """
    adjust = benjamini_hochberg if method == "bh" else benjamini_yekutieli
    q = np.full(len(p), np.nan)
    for family in np.unique(families):
        mine = (families == family) & np.isfinite(p)
        q[mine] = adjust(p[mine])
    return q


def level_of_next(tests: int, found: int, alpha: float, method: Correction = "bh") -> float:
    """Return the p that one more test of a family must reach.

    Args:
        tests: tests of the family.
        found: those that are significant already; 0 gives the worst case of a family without any effect.
        alpha: false discovery rate.
        method: as in `within_families`.

    >>> level_of_next(60, 0, 0.06)
    0.001
    """
    return min(found + 1, tests) * alpha / (tests * (harmonic(tests) if method == "by" else 1.0))
