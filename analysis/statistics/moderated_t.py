"""Moderated paired t: variances of many contrasts lend each other strength (Smyth 2004, limma).

Each contrast's variance s^2 with d degrees of freedom is drawn to a common s0^2 with weight d0:
s~^2 = (d0 s0^2 + d s^2) / (d0 + d), and t has d0 + d degrees of freedom. d0 and s0 are estimated from
the spread of log s^2 by the method of moments (fitFDist), doi:10.2202/1544-6115.1027.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special, stats


@dataclass(frozen=True)
class Prior:
    """The common variance `s0_squared` and how many degrees of freedom it is worth (may be infinite)."""

    d0: float
    s0_squared: float


@dataclass(frozen=True)
class PairedT:
    """Estimates of [contrasts] from paired differences: mean, standard error, df, p and 95 % interval."""

    mean: np.ndarray
    se: np.ndarray
    df: np.ndarray
    p: np.ndarray
    lo: np.ndarray
    hi: np.ndarray


def trigamma_inverse(y: float) -> float:
    """Solve trigamma(x) = y for y > 0 by Newton's method on 1 / trigamma (Smyth 2004, appendix)."""
    if y > 1e7:
        return 1.0 / np.sqrt(y)
    if y < 1e-6:
        return 1.0 / y
    x = 0.5 + 1.0 / y
    for _ in range(50):
        value = special.polygamma(1, x)
        step = value * (1 - value / y) / special.polygamma(2, x)
        x += step
        if -step / x < 1e-8:
            break
    return float(x)


def fit_prior(variances: np.ndarray, df: np.ndarray) -> Prior:
    """Estimate the prior of the variances.

    Args:
        variances: [contrasts] sample variances; zeros are left out.
        df: [contrasts] their degrees of freedom.

    Returns:
        The prior; d0 = 0 if there are fewer than two positive variances (nothing is borrowed).
    """
    usable = (variances > 0) & (df > 0)
    s2, d = variances[usable], df[usable].astype(float)
    if len(s2) < 2:
        return Prior(0.0, float(s2[0]) if len(s2) else 0.0)
    e = np.log(s2) - special.digamma(d / 2) + np.log(d / 2)
    spread = e.var(ddof=1) - special.polygamma(1, d / 2).mean()
    if spread <= 0:
        return Prior(np.inf, float(np.exp(e.mean())))
    d0 = 2 * trigamma_inverse(spread)
    return Prior(d0, float(np.exp(e.mean() + special.digamma(d0 / 2) - np.log(d0 / 2))))


def moderate(variances: np.ndarray, df: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Moderate variances within groups (own-slice cells are noisier and must not lend to the others).

    Args:
        variances: [contrasts].
        df: [contrasts].
        groups: [contrasts] labels.

    Returns:
        ([contrasts] moderated variances, [contrasts] degrees of freedom). The df of a group is at most
        the sum of its members' df, as in limma: an infinite prior is still estimated from finite data.
    """
    moderated, total = variances.astype(float).copy(), df.astype(float).copy()
    for group in np.unique(groups):
        mine = groups == group
        prior = fit_prior(variances[mine], df[mine])
        if prior.d0 == 0:
            continue
        if np.isinf(prior.d0):
            moderated[mine] = prior.s0_squared
        else:
            moderated[mine] = (prior.d0 * prior.s0_squared + df[mine] * variances[mine]) / (prior.d0 + df[mine])
        total[mine] = np.minimum(prior.d0 + df[mine], df[mine].sum())
    return moderated, total


def moderated_paired_t(differences: np.ndarray, groups: np.ndarray, level: float = 0.95) -> PairedT:
    """Test the means of paired differences against zero.

    Args:
        differences: [contrasts, blocks] within-block differences; NaN where a run is missing. Every
            contrast needs at least two.
        groups: [contrasts] labels within which variances are moderated.
        level: coverage of the interval.
    """
    n = np.isfinite(differences).sum(axis=1)
    mean = np.nanmean(differences, axis=1)
    variance = np.nanvar(differences, axis=1, ddof=1)
    moderated, df = moderate(variance, n - 1, groups)
    se = np.sqrt(moderated / n)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(se > 0, mean / se, np.where(mean == 0, 0.0, np.inf * np.sign(mean)))
    p = 2 * stats.t.sf(np.abs(t), df)
    half = stats.t.ppf(0.5 + level / 2, df) * se
    return PairedT(mean, se, df, p, mean - half, mean + half)
