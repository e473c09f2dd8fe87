"""Moderated t: limma's formulas against a slow restatement, and coverage by simulation."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

from analysis.statistics.moderated_t import (
    dependences,
    fit_prior,
    moderate,
    moderated_paired_t,
    planned_df,
    trigamma_inverse,
)


def slow_prior(s2: np.ndarray, d: float) -> tuple[float, float]:
    """fitFDist of limma (Smyth 2004), solved with a root finder instead of Newton's method."""
    e = np.log(s2) - special.digamma(d / 2) + np.log(d / 2)
    spread = np.mean((e - e.mean()) ** 2) * len(e) / (len(e) - 1) - special.polygamma(1, d / 2)
    if spread <= 0:
        return np.inf, float(np.exp(e.mean()))
    d0 = 2 * optimize.brentq(lambda x: special.polygamma(1, x) - spread, 1e-8, 1e8)
    return d0, float(np.exp(e.mean() + special.digamma(d0 / 2) - np.log(d0 / 2)))


@pytest.mark.parametrize("y", [1e-8, 1e-3, 0.1, 1.0, 10.0, 1e9])
def test_trigamma_is_inverted(y: float) -> None:
    assert special.polygamma(1, trigamma_inverse(y)) == pytest.approx(y, rel=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_the_prior_equals_the_restated_formula(seed: int) -> None:
    rng = np.random.default_rng(seed)
    s2 = (
        0.02**2
        * stats.invgamma.rvs(3, scale=3, size=40, random_state=rng)
        * stats.chi2.rvs(4, size=40, random_state=rng)
        / 4
    )
    prior = fit_prior(s2, np.full(40, 4))
    d0, s0 = slow_prior(s2, 4)
    assert prior.d0 == pytest.approx(d0, rel=1e-5)
    assert prior.s0_squared == pytest.approx(s0, rel=1e-6)


@pytest.mark.parametrize("df", [2, 4, 9])
def test_the_prior_equals_a_computation_with_fifty_digits(df: int) -> None:
    """Smyth 2004, section 6.2, by mpmath's polygammas and root finder: nothing of scipy or of ours."""
    rng = np.random.default_rng(df)
    s2 = 4e-4 * 3 / rng.chisquare(3, 60) * rng.chisquare(df, 60) / df
    with mpmath.workdps(50):
        half = mpmath.mpf(df) / 2
        e = [mpmath.log(float(value)) - mpmath.digamma(half) + mpmath.log(half) for value in s2]
        mean = mpmath.fsum(e) / 60
        spread = mpmath.fsum((value - mean) ** 2 for value in e) / 59 - mpmath.psi(1, half)
        d0 = 2 * mpmath.findroot(
            lambda x: mpmath.psi(1, x) - spread, (mpmath.mpf("0.01"), mpmath.mpf(1000)), solver="anderson"
        )
        s0 = mpmath.exp(mean + mpmath.digamma(d0 / 2) - mpmath.log(d0 / 2))
    prior = fit_prior(s2, np.full(60, df))
    assert prior.d0 == pytest.approx(float(d0), rel=1e-7)
    assert prior.s0_squared == pytest.approx(float(s0), rel=1e-7)


def test_the_moments_that_are_fitted_are_those_of_the_f_distribution() -> None:
    """s^2 / s0^2 is F(d, d0): mean and variance of its log by numerical integration of scipy's density."""
    d, d0 = 4, 7.0
    law = stats.f(d, d0)
    mean = integrate.quad(lambda u: u * law.pdf(np.exp(u)) * np.exp(u), -30, 30, limit=200)[0]
    variance = integrate.quad(lambda u: (u - mean) ** 2 * law.pdf(np.exp(u)) * np.exp(u), -30, 30, limit=200)[0]
    assert mean == pytest.approx(
        special.digamma(d / 2) - np.log(d / 2) - special.digamma(d0 / 2) + np.log(d0 / 2), rel=1e-6
    )
    assert variance == pytest.approx(special.polygamma(1, d / 2) + special.polygamma(1, d0 / 2), rel=1e-6)


@pytest.mark.parametrize(("d", "d0", "s2", "s0"), [(4, 3.0, 0.5, 2.0), (2, 12.0, 3.0, 0.1)])
def test_the_moderated_variance_is_the_inverse_of_the_posterior_mean_precision(
    d: int, d0: float, s2: float, s0: float
) -> None:
    """1 / sigma^2 is chi2(d0) / (d0 s0^2) a priori; its posterior mean given s^2 by numerical integration."""

    def posterior(precision: float) -> float:
        return stats.chi2.pdf(precision * d0 * s0, d0) * stats.chi2.pdf(precision * d * s2, d) * precision

    top = 60 / s2
    mean = integrate.quad(lambda x: x * posterior(x), 0, top)[0] / integrate.quad(posterior, 0, top)[0]
    assert (d0 * s0 + d * s2) / (d0 + d) == pytest.approx(1 / mean, rel=1e-5)


def test_many_groups_at_once_equal_each_alone() -> None:
    rng = np.random.default_rng(4)
    variances, df = rng.chisquare(4, 300), rng.integers(1, 6, 300)
    variances[::17] = 0
    groups = np.repeat(np.arange(60), 5)
    moderated, total = moderate(variances, df, groups)
    for group in range(60):
        mine = groups == group
        alone, alone_df = moderate(variances[mine], df[mine], np.zeros(5))
        assert np.allclose(moderated[mine], alone)
        assert np.allclose(total[mine], alone_df)


def shared_baseline(rng: np.random.Generator, repetitions: int, contrasts: int, blocks: int) -> np.ndarray:
    cells = rng.standard_normal((repetitions, contrasts + 1, blocks))
    return (cells[:, 1:] - cells[:, :1]).reshape(-1, blocks)


def test_squared_correlations_are_those_of_numpy_less_what_chance_gives() -> None:
    rng = np.random.default_rng(0)
    differences, group = rng.standard_normal((12, 6)), np.repeat([0, 1], [8, 4])
    found = dependences(differences, group, 2)
    for number, mine in enumerate((differences[:8], differences[8:])):
        squared = np.corrcoef(mine)[np.triu_indices(len(mine), 1)] ** 2
        expected = max(0.0, (squared.mean() * 5 - 1) / 4)
        assert found[number] == pytest.approx((4 * expected + 0.25) / 5)
    assert dependences(differences[:, :2], group, 2) == pytest.approx([0.25, 0.25])
    assert dependences(np.zeros((3, 5)), np.zeros(3, int), 1)[0] == pytest.approx(0.25 / 4)


@pytest.mark.parametrize("blocks", [3, 5, 10])
def test_a_shared_baseline_is_found_and_costs_degrees_of_freedom(blocks: int) -> None:
    rng = np.random.default_rng(blocks)
    group = np.repeat(np.arange(300), 20)
    found = dependences(shared_baseline(rng, 300, 20, blocks), group, 300)
    assert found.mean() == pytest.approx(0.25, abs=0.07)
    pooled = shared_baseline(rng, 4000, 20, blocks).var(axis=1, ddof=1).reshape(4000, 20).mean(axis=1)
    df = 2 * pooled.mean() ** 2 / pooled.var()  # of a variance: 2 mean^2 / variance
    assert planned_df(20, blocks) == pytest.approx(df, rel=0.1)
    assert df < 20 * (blocks - 1) / 4


@pytest.mark.parametrize("blocks", [3, 5])
def test_false_positives_stay_nominal_with_a_shared_baseline(blocks: int) -> None:
    """2,000 studies of 20 contrasts: Monte-Carlo error .25 points; limma's degrees of freedom give 6.3 % at 3 blocks."""
    draws = shared_baseline(np.random.default_rng(blocks), 2000, 20, blocks)
    assert (moderated_paired_t(draws, np.repeat(np.arange(2000), 20)).p <= 0.05).mean() <= 0.0575


def test_equal_variances_are_pooled_without_limit() -> None:
    prior = fit_prior(np.full(10, 0.5), np.full(10, 4))
    assert np.isinf(prior.d0)
    moderated, df = moderate(np.full(10, 0.5), np.full(10, 4), np.zeros(10))
    assert np.allclose(moderated, prior.s0_squared)
    assert df.tolist() == [40] * 10


def test_one_row_and_zero_variances_borrow_nothing() -> None:
    moderated, df = moderate(np.array([0.3]), np.array([4]), np.zeros(1))
    assert (moderated.tolist(), df.tolist()) == ([0.3], [4])
    found = moderated_paired_t(np.array([[1.0, 1.0, 1.0]]), np.zeros(1))
    assert found.p.tolist() == [0.0]
    assert moderated_paired_t(np.zeros((1, 3)), np.zeros(1)).p.tolist() == [1.0]


def test_groups_do_not_lend_to_each_other() -> None:
    rng = np.random.default_rng(1)
    quiet, loud = rng.normal(0, 0.01, (8, 5)), rng.normal(0, 1.0, (8, 5))
    alone = moderated_paired_t(quiet, np.zeros(8))
    together = moderated_paired_t(np.vstack([quiet, loud]), np.repeat([0, 1], 8))
    assert np.allclose(alone.se, together.se[:8])


def test_missing_blocks_count_less() -> None:
    rng = np.random.default_rng(2)
    differences = rng.normal(0.1, 0.05, (6, 5))
    differences[0, 3:] = np.nan
    found = moderated_paired_t(differences, np.zeros(6))
    assert np.isfinite(found.p).all()
    assert found.mean[0] == pytest.approx(differences[0, :3].mean())


@pytest.mark.parametrize("blocks", [3, 5])
@pytest.mark.parametrize("noise", ["normal", "t5", "heteroscedastic"])
def test_intervals_cover_what_they_say(blocks: int, noise: str) -> None:
    """2,000 repetitions x 20 contrasts; the Monte-Carlo error is .11 points for independent contrasts."""
    rng = np.random.default_rng(blocks)
    shape = (2000 * 20, blocks)
    draws = rng.standard_t(5, shape) if noise == "t5" else rng.standard_normal(shape)
    scale = np.exp(rng.uniform(0, np.log(25), shape[0]))[:, None] if noise == "heteroscedastic" else 1.0
    found = moderated_paired_t(0.3 + draws * scale, np.repeat(np.arange(2000), 20))
    assert ((found.lo <= 0.3) & (found.hi >= 0.3)).mean() == pytest.approx(0.95, abs=0.015)
