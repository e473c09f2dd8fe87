"""Moderated paired t: variances of many contrasts lend each other strength (Smyth 2004, limma).

Each contrast's variance s^2 with d degrees of freedom is drawn to a common s0^2 with weight d0:
s~^2 = (d0 s0^2 + d s^2) / (d0 + d), and t has d0 + d degrees of freedom. d0 and s0 are estimated from
the spread of log s^2 by the method of moments (fitFDist), doi:10.2202/1544-6115.1027.

limma takes the variances for independent. Contrasts that share a baseline are correlated (rho = 1/2), and so are the targets of
one run: their variances move together by rho^2. Then log s^2 spreads less than trigamma(d / 2) over the contrasts, so that d0 comes
out too large, and k contrasts are worth not k d degrees of freedom but k d / (1 + (k - 1) rho^2). Both are corrected
here (decision 43); with rho^2 = 0 the formulas are limma's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special, stats

SHARED_BASELINE = 0.25
"""rho^2 of two contrasts that share a baseline and whose cells are equally noisy."""


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


def fit_prior(variances: np.ndarray, df: np.ndarray, dependence: float = 0.0) -> Prior:
    """Estimate the prior of the variances.

    Args:
        variances: [contrasts] sample variances; zeros are left out.
        df: [contrasts] their degrees of freedom.
        dependence: mean squared correlation between contrasts.

    Returns:
        The prior; d0 = 0 if there are fewer than two positive variances (nothing is borrowed).
    """
    group = np.zeros(len(variances), np.int64)
    d0, s0_squared = fit_priors(variances, df, group, np.array([dependence]))
    return Prior(float(d0[0]), float(s0_squared[0]))


def fit_priors(
    variances: np.ndarray, df: np.ndarray, group: np.ndarray, dependence: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate the prior of every group, as `fit_prior` does for one.

    Args:
        variances: [contrasts] sample variances; zeros are left out.
        df: [contrasts] their degrees of freedom.
        group: [contrasts] int numbers from 0.
        dependence: [groups] mean squared correlation between the contrasts of a group.

    Returns:
        ([groups] d0, [groups] s0 squared).
    """
    groups = len(dependence)
    usable = (variances > 0) & (df > 0)
    s2, d, group = variances[usable], df[usable].astype(float), group[usable]
    count = np.bincount(group, minlength=groups)

    def mean_of(values: np.ndarray) -> np.ndarray:
        return np.bincount(group, values, groups) / np.maximum(count, 1)

    e = np.log(s2) - special.digamma(d / 2) + np.log(d / 2)
    centre = mean_of(e)
    found = mean_of((e - centre[group]) ** 2) * count / np.maximum(count - 1, 1)
    spread = found - mean_of(special.polygamma(1, d / 2)) * (1 - dependence)
    finite = spread > 0
    d0 = np.where(finite, 2 * trigamma_inverse(np.where(finite, spread, 1.0)), np.inf)
    d0_or_one = np.where(finite, d0, 1.0)
    pull = np.where(finite, special.digamma(d0_or_one / 2) - np.log(d0_or_one / 2), 0.0)
    few = count < 2
    return np.where(few, 0.0, d0), np.where(few, mean_of(s2), np.exp(centre + pull))


def dependences(differences: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """Estimate the mean squared correlation between the contrasts of each group.

    From the residuals over blocks, less what chance gives (1 / d), drawn to that of a shared baseline with the weight
    of one degree of freedom: two blocks say nothing about it, ten nearly all.

    Args:
        differences: [contrasts, blocks]; NaN where a run is missing.
        group: [contrasts] int numbers from 0.
        groups: how many.

    Returns:
        [groups] in [0, 1].
    """
    blocks = differences.shape[1]
    residual = np.nan_to_num(differences - np.nanmean(differences, axis=1, keepdims=True))
    length = np.sqrt((residual**2).sum(axis=1))
    moving = length > 0
    unit, group = residual[moving] / length[moving, None], group[moving]
    order = np.argsort(group, kind="stable")
    count = np.bincount(group, minlength=groups)
    products = np.zeros((groups, blocks, blocks))
    if len(group):
        outer = unit[order, :, None] * unit[order, None, :]
        starts = np.cumsum(count) - count
        products[count > 0] = np.add.reduceat(outer, starts[count > 0], axis=0)
    pairs = np.maximum(count * (count - 1), 1)
    squared = ((products**2).sum(axis=(1, 2)) - count) / pairs  # the trace of (Z Z')^2 is that of (Z' Z)^2
    d = blocks - 1
    beyond_chance = np.clip((squared * d - 1) / max(d - 1, 1), 0.0, 1.0)
    return ((d - 1) * beyond_chance + SHARED_BASELINE) / d


def moderate(
    variances: np.ndarray, df: np.ndarray, groups: np.ndarray, dependence: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Moderate variances within groups (own-slice cells are noisier and must not lend to the others).

    Args:
        variances: [contrasts].
        df: [contrasts].
        groups: [contrasts] labels.
        dependence: [distinct labels, sorted] mean squared correlation within each group; 0 by default, as in limma.

    Returns:
        ([contrasts] moderated variances, [contrasts] degrees of freedom). The df of a group is at most that of its
        pooled variance: an infinite prior is still estimated from finite data.
    """
    names, group = np.unique(groups, return_inverse=True)
    dependence = np.zeros(len(names)) if dependence is None else dependence
    d0, s0_squared = (prior[group] for prior in fit_priors(variances, df, group, dependence))
    weight = np.where(np.isinf(d0), 1.0, d0 / (np.where(np.isinf(d0), 1.0, d0) + df))
    moderated = weight * s0_squared + (1 - weight) * variances
    pooled = np.bincount(group, df) / (1 + (np.bincount(group) - 1) * dependence)
    return np.where(d0 == 0, variances, moderated), np.minimum(d0 + df, np.maximum(pooled[group], df))


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
    names, group = np.unique(groups, return_inverse=True)
    moderated, df = moderate(variance, n - 1, groups, dependences(differences, group, len(names)))
    se = np.sqrt(moderated / n)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(se > 0, mean / se, np.where(mean == 0, 0.0, np.inf * np.sign(mean)))
    p = 2 * stats.t.sf(np.abs(t), df)
    half = stats.t.ppf(0.5 + level / 2, df) * se
    return PairedT(mean, se, df, p, mean - half, mean + half)


def planned_df(tests: int, blocks: int, dependence: float = SHARED_BASELINE) -> float:
    """Return the degrees of freedom that a planned test will have if its family is equally noisy.

    >>> planned_df(1, 5), round(planned_df(20, 5), 1)
    (4.0, 13.9)
    """
    return tests * (blocks - 1) / (1 + (tests - 1) * dependence)
