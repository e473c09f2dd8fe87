"""Minimum detectable effect by the noncentral t distribution."""

from __future__ import annotations

from scipy import optimize, stats


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
    critical = stats.t.ppf(1 - alpha / 2, df)

    def missing(effect: float) -> float:
        shift = effect * blocks**0.5
        if shift > critical + 10:  # found for certain; scipy's nct gives NaN out there
            return 1 - power
        return stats.nct.sf(critical, df, shift) + stats.nct.cdf(-critical, df, shift) - power

    return float(optimize.brentq(missing, 1e-3, 1e3))
