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


def trigamma_inverse(y: np.ndarray) -> np.ndarray:
    """Solve trigamma(x) = y for y > 0 by Newton's method on 1 / trigamma (Smyth 2004, appendix).

    Args:
        y: [any shape] values, > 0.
    """
    y = np.asarray(y, float)
    x = 0.5 + 1.0 / y
    for _ in range(50):
        value = special.polygamma(1, x)
        step = value * (1 - value / y) / special.polygamma(2, x)
        x = x + step
        if np.all(-step / x < 1e-8):
            break
    return np.where(y > 1e7, 1 / np.sqrt(y), np.where(y < 1e-6, 1 / y, x))


def fit_prior(variances: np.ndarray, df: np.ndarray) -> Prior:
    """Estimate the prior of the variances.

    Args:
        variances: [contrasts] sample variances; zeros are left out.
        df: [contrasts] their degrees of freedom.

    Returns:
        The prior; d0 = 0 if there are fewer than two positive variances (nothing is borrowed).
    """
    d0, s0_squared = fit_priors(variances, df, np.zeros(len(variances), np.int64), 1)
    return Prior(float(d0[0]), float(s0_squared[0]))


def fit_priors(variances: np.ndarray, df: np.ndarray, group: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Estimate the prior of every group, as `fit_prior` does for one.

    Args:
        variances: [contrasts] sample variances; zeros are left out.
        df: [contrasts] their degrees of freedom.
        group: [contrasts] int numbers from 0.
        groups: how many.

    Returns:
        ([groups] d0, [groups] s0 squared).
    """
    usable = (variances > 0) & (df > 0)
    s2, d, group = variances[usable], df[usable].astype(float), group[usable]
    count = np.bincount(group, minlength=groups)

    def mean_of(values: np.ndarray) -> np.ndarray:
        return np.bincount(group, values, groups) / np.maximum(count, 1)

    e = np.log(s2) - special.digamma(d / 2) + np.log(d / 2)
    centre = mean_of(e)
    spread = mean_of((e - centre[group]) ** 2) * count / np.maximum(count - 1, 1) - mean_of(special.polygamma(1, d / 2))
    finite = spread > 0
    d0 = np.where(finite, 2 * trigamma_inverse(np.where(finite, spread, 1.0)), np.inf)
    d0_or_one = np.where(finite, d0, 1.0)
    pull = np.where(finite, special.digamma(d0_or_one / 2) - np.log(d0_or_one / 2), 0.0)
    few = count < 2
    return np.where(few, 0.0, d0), np.where(few, mean_of(s2), np.exp(centre + pull))


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
    names, group = np.unique(groups, return_inverse=True)
    d0, s0_squared = (prior[group] for prior in fit_priors(variances, df, group, len(names)))
    weight = np.where(np.isinf(d0), 1.0, d0 / (np.where(np.isinf(d0), 1.0, d0) + df))
    moderated = weight * s0_squared + (1 - weight) * variances
    return np.where(d0 == 0, variances, moderated), np.minimum(d0 + df, np.bincount(group, df)[group])


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
