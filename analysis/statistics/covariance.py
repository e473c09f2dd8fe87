"""Derived contrasts: intervals of linear combinations of effects that share runs.

Effects against one baseline are correlated (rho = 1/2 if all cells are equally noisy), so the error of a sum or a
difference of them is not that of independent numbers. The covariance of the differences is moderated as the
variances are: (d0 S0 + d S) / (d0 + d), where S is the sample covariance over blocks and S0 is what equally noisy,
independent cells give, scaled to the common variance. On the diagonal this is Smyth's (2004) moderated variance.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from analysis.statistics.moderated_t import PairedT, Prior, dependences, fit_prior, planned_df


def structural_correlation(cells: np.ndarray) -> np.ndarray:
    """Return the correlation of contrasts whose cells are independent and equally noisy.

    Args:
        cells: [contrasts, cells] coefficients.

    Returns:
        [contrasts, contrasts].

    >>> structural_correlation(np.array([[1, 0, -1], [0, 1, -1]])).round(2).tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    unit = cells / np.linalg.norm(cells, axis=1, keepdims=True)
    return unit @ unit.T


def moderated_covariance(
    differences: np.ndarray, cells: np.ndarray, prior: Prior | None = None
) -> tuple[np.ndarray, float]:
    """Estimate the covariance of the mean differences.

    Args:
        differences: [contrasts, blocks] within-block differences, complete.
        cells: [contrasts, cells] coefficients of the cells in each.
        prior: of the variances; fitted to these contrasts by default.

    Returns:
        ([contrasts, contrasts] covariance of the means, its degrees of freedom).

    Raises:
        ValueError: if a run is missing, or there are fewer than two blocks.
    """
    contrasts, blocks = differences.shape
    if blocks < 2 or not np.isfinite(differences).all():
        raise ValueError(f"covariance: complete blocks, at least two, are needed: got {blocks} blocks")
    sample = np.atleast_2d(np.cov(differences))
    d = blocks - 1
    dependence = dependences(differences, np.zeros(contrasts, np.int64), 1)
    if prior is None:
        prior = fit_prior(np.diag(sample), np.full(contrasts, d), float(dependence[0]))
    weight = 1.0 if np.isinf(prior.d0) else prior.d0 / (prior.d0 + d)
    common = prior.s0_squared * structural_correlation(cells)
    return (weight * common + (1 - weight) * sample) / blocks, min(
        prior.d0 + d, planned_df(contrasts, blocks, float(dependence[0]))
    )


def combine(
    differences: np.ndarray,
    cells: np.ndarray,
    combinations: np.ndarray,
    prior: Prior | None = None,
    level: float = 0.95,
) -> PairedT:
    """Estimate linear combinations of contrasts, with the covariance that shared runs give them.

    Args:
        differences: [contrasts, blocks] within-block differences, complete.
        cells: [contrasts, cells] coefficients of the cells in each.
        combinations: [derived, contrasts] coefficients.
        prior: of the variances of the contrasts; fitted to them by default.
        level: coverage of the intervals.

    Returns:
        Estimates of [derived].
    """
    covariance, df = moderated_covariance(differences, cells, prior)
    mean = combinations @ differences.mean(axis=1)
    se = np.sqrt(np.einsum("dc,ce,de->d", combinations, covariance, combinations))
    p = 2 * stats.t.sf(np.abs(mean) / se, df)
    half = stats.t.ppf(0.5 + level / 2, df) * se
    return PairedT(mean, se, np.full(len(mean), df), p, mean - half, mean + half)
