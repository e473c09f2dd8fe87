"""How much scores move from block to block, as a number with its interval, and what pairing takes away of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Spread:
    """A pooled standard deviation, its degrees of freedom and 95 % interval."""

    sd: float
    df: int
    lo: float
    hi: float


def pooled_sd(values: np.ndarray, level: float = 0.95) -> Spread | None:
    """Pool the standard deviation within rows; the interval is that of chi squared.

    Rows of one run are correlated, so the interval counts the blocks of one row only: it is too wide rather than too narrow.

    Args:
        values: [series, blocks]; NaN where a run is missing.
        level: coverage of the interval.

    Returns:
        The spread, or None if no row has two values.
    """
    n = np.isfinite(values).sum(axis=1)
    rows = values[n >= 2]
    if not len(rows):
        return None
    df_rows = n[n >= 2] - 1
    sd = float(np.sqrt((np.nanvar(rows, axis=1, ddof=1) * df_rows).sum() / df_rows.sum()))
    df = int(df_rows.max())
    low, high = stats.chi2.ppf([0.5 - level / 2, 0.5 + level / 2], df)
    return Spread(sd, df, sd * (df / high) ** 0.5, sd * (df / low) ** 0.5)


def achieved_correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    """Return the correlation over blocks that pairing achieved, pooled over series.

    Each series is centred first: differences between targets are no correlation between blocks.

    Args:
        a: [series, blocks] scores of one cell; NaN where a run is missing.
        b: [series, blocks] scores of the other.

    Returns:
        The correlation, or None if there are no two complete blocks or one side does not move.
    """
    complete = np.isfinite(a) & np.isfinite(b)
    usable = complete.sum(axis=1) >= 2
    a, b = (np.where(complete, side, np.nan)[usable] for side in (a, b))
    if not len(a):
        return None
    a, b = (np.nan_to_num(side - np.nanmean(side, axis=1, keepdims=True)) for side in (a, b))
    scale = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum() / scale) if scale > 0 else None
