"""Power by the noncentral t distribution: what can be detected, and how many more blocks would decide."""

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


def equivalence_power(effect: float, se: float, df: float, delta: float, alpha: float = 0.05) -> float:
    """Return the probability that two one-sided tests find an effect negligible.

    Both tests share one variance, so their joint power is integrated over its chi (Phillips 1990,
    doi:10.1007/BF01063556, by another route).

    Args:
        effect: true effect.
        se: its standard error.
        df: degrees of freedom of the variance.
        delta: half width of what counts as negligible.
        alpha: level of each test.
    """
    scale = np.sqrt(stats.chi2.ppf(_QUANTILES, df) / df) * stats.t.ppf(1 - alpha, df)
    inside = stats.norm.cdf((delta - effect) / se - scale) - stats.norm.cdf(-(delta + effect) / se + scale)
    return float(np.maximum(inside, 0.0).mean())


def blocks_to_decide(
    effect: float,
    sd: float,
    blocks: int,
    df: float,
    delta: float,
    alpha: float = 0.05,
    alpha_equivalence: float = 0.05,
    power: float = 0.8,
    cap: int = 200,
) -> int | None:
    """Return how many more blocks decide an effect, if it is what it was estimated to be.

    Decided is: found to differ from 0, or found to be negligible, whichever needs fewer blocks.

    Args:
        effect: the estimate, taken for the truth.
        sd: sd of a paired difference, > 0.
        blocks: blocks that there are.
        df: degrees of freedom of the variance now; every further block adds one.
        delta: half width of what counts as negligible.
        alpha: two-sided level that a difference must reach.
        alpha_equivalence: level that each test of equivalence must reach.
        power: probability with which it is decided.
        cap: total number of blocks beyond which nobody goes.

    Returns:
        Further blocks, at least 1; None if `cap` blocks do not decide it: near +-delta, none ever would.

    >>> blocks_to_decide(0.02, 0.02, 5, 4, 0.005)
    5
    >>> blocks_to_decide(0.005, 0.02, 5, 4, 0.005, cap=100) is None
    True
    """

    def decides(total: int) -> bool:
        se, df_then = sd / total**0.5, df + total - blocks
        return (
            power_of(effect / se, df_then, alpha) >= power
            or equivalence_power(effect, se, df_then, delta, alpha_equivalence) >= power
        )

    low, high = blocks, max(cap, blocks + 1)  # the power of either test grows with the blocks
    if not decides(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return high - blocks
