"""Equivalence: two one-sided tests (Schuirmann 1987, doi:10.1007/BF01068419)."""

from __future__ import annotations

import numpy as np
from scipy import stats


def tost_p(mean: np.ndarray, se: np.ndarray, df: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """Test "the effect lies outside (-delta, delta)"; a small p says that it is negligible.

    p <= .05 exactly when the 90 % interval lies inside the bounds.

    Args:
        mean: [contrasts] estimates.
        se: [contrasts] standard errors.
        df: [contrasts] degrees of freedom.
        delta: [contrasts] half widths of what counts as negligible, > 0.
    """
    with np.errstate(divide="ignore"):
        above, below = (mean + delta) / se, (delta - mean) / se
    return np.maximum(stats.t.sf(above, df), stats.t.sf(below, df))
