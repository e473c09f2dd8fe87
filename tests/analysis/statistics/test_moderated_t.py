"""Moderated t: limma's formulas against a slow restatement, and coverage by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, special, stats

from analysis.statistics.moderated_t import fit_prior, moderate, moderated_paired_t, trigamma_inverse


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
    covered = []
    for _ in range(2000):
        draws = rng.standard_t(5, (20, blocks)) if noise == "t5" else rng.standard_normal((20, blocks))
        scale = np.exp(rng.uniform(0, np.log(25), 20))[:, None] if noise == "heteroscedastic" else 1.0
        found = moderated_paired_t(0.3 + draws * scale, np.zeros(20))
        covered.append(((found.lo <= 0.3) & (found.hi >= 0.3)).mean())
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)
