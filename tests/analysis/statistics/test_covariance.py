"""Derived contrasts: against plain t tests of the combined differences, and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.covariance import combine, moderated_covariance, structural_correlation
from analysis.statistics.moderated_t import Prior, moderated_paired_t

SHARED = np.hstack([np.eye(6), -np.ones((6, 1))])  # six cells against one baseline
ONE_MINUS_OTHER = np.array([[1.0, -1, 0, 0, 0, 0], [0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 0, 1]])


def draw(rng: np.random.Generator, blocks: int) -> np.ndarray:
    """Return [6 contrasts, blocks] differences of independent cells of sd 1 from a shared baseline; effects 0 to 5."""
    runs = rng.standard_normal((7, blocks)) + rng.normal(0, 3, blocks)
    return SHARED @ runs + np.arange(6)[:, None]


def test_without_a_prior_it_is_the_t_test_of_the_combined_differences() -> None:
    differences = draw(np.random.default_rng(0), 5)
    found = combine(differences, SHARED, ONE_MINUS_OTHER, Prior(0.0, 1.0))
    for at, row in enumerate(ONE_MINUS_OTHER @ differences):
        plain = stats.ttest_1samp(row, 0)
        assert found.p[at] == pytest.approx(plain.pvalue)
        assert (found.lo[at], found.hi[at]) == pytest.approx(tuple(plain.confidence_interval()))


def test_single_contrasts_are_the_moderated_t_test() -> None:
    differences = draw(np.random.default_rng(1), 4)
    alone = moderated_paired_t(differences, np.zeros(6))
    derived = combine(differences, SHARED, np.eye(6))
    assert np.allclose(derived.se, alone.se)
    assert np.allclose(derived.p, alone.p)


def test_a_shared_baseline_correlates_by_one_half_and_other_cells_by_nothing() -> None:
    apart = np.array([[1, -1, 0, 0], [0, 0, 1, -1.0]])
    assert structural_correlation(SHARED)[0, 1] == pytest.approx(0.5)
    assert structural_correlation(apart)[0, 1] == 0
    covariance, df = moderated_covariance(draw(np.random.default_rng(2), 5), SHARED, Prior(np.inf, 2.0))
    assert np.allclose(covariance * 5, np.where(np.eye(6) > 0, 2.0, 1.0))
    assert 4 < df < 24  # six contrasts of one baseline are not six times as much evidence


@pytest.mark.parametrize("blocks", [3, 5])
def test_derived_intervals_cover_and_independence_would_not(blocks: int) -> None:
    """800 repetitions: Monte-Carlo se .8 points of coverage."""
    rng = np.random.default_rng(blocks)
    truth = ONE_MINUS_OTHER @ np.arange(6)
    covered, naive = np.zeros(3), np.zeros(3)
    for _ in range(800):
        differences = draw(rng, blocks)
        found = combine(differences, SHARED, ONE_MINUS_OTHER)
        covered += (found.lo <= truth) & (truth <= found.hi)
        covariance, df = moderated_covariance(differences, SHARED)
        se = np.sqrt((ONE_MINUS_OTHER**2) @ np.diag(covariance))
        naive += np.abs(found.mean - truth) <= stats.t.ppf(0.975, df) * se
    assert covered / 800 == pytest.approx([0.95] * 3, abs=0.03)
    assert naive[0] / 800 > 0.97  # the difference: a baseline that cancels is counted twice
    assert naive[1] / 800 < 0.93  # the sum: a baseline that adds up is taken for independent


def test_missing_runs_are_refused() -> None:
    differences = draw(np.random.default_rng(3), 5)
    differences[2, 1] = np.nan
    with pytest.raises(ValueError, match="complete blocks"):
        combine(differences, SHARED, np.eye(6))
