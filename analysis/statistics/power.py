"""Minimum detectable effect by the noncentral t distribution."""

from __future__ import annotations

import numpy as np
from scipy import optimize, stats

_QUANTILES = (np.arange(4000) + 0.5) / 4000


def power_of(shift: float, df: float, alpha: float) -> float:
    """Return the power of a two-sided t test.

    The noncentral t is integrated over the chi of its denominator; scipy's own `nct` gives NaN in places
    (scipy 1.17, df 120, shift 7).

    Args:
        shift: noncentrality, effect / standard error.
        df: degrees of freedom.
        alpha: two-sided level.
    """
    critical = stats.t.ppf(1 - alpha / 2, df)
    scale = np.sqrt(stats.chi2.ppf(_QUANTILES, df) / df)
    return float((stats.norm.cdf(shift - critical * scale) + stats.norm.cdf(-shift - critical * scale)).mean())


def minimum_detectable_effect(blocks: int, df: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the least effect found with the given power, in sd of the paired difference.

    Args:
        blocks: paired differences per contrast, at least 2.
        df: degrees of freedom of the (moderated) variance.
        alpha: two-sided level; alpha / tests for the worst case of a corrected family.
        power: probability to find the effect.

    >>> round(minimum_detectable_effect(5, 4), 2)
    1.68
    """
    return float(optimize.brentq(lambda effect: power_of(effect * blocks**0.5, df, alpha) - power, 1e-3, 1e3))
