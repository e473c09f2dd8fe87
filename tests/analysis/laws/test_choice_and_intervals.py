"""Choice by cross-validation, and the coverage of CV+ intervals by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from analysis.laws.choice import ChosenLaw, choose, folds_of, mean_spearman, out_of_fold
from analysis.laws.exponential import ExponentialLaw
from analysis.laws.intervals import fit_with_intervals
from analysis.laws.linear import LinearLaw, LogLinearLaw
from analysis.laws.power import PowerLaw
from pipelines.contracts.errors import InputError
from tests.analysis.laws.swarms import SLICES, TARGETS, mixtures, power_losses

FEW = {"linear": (LinearLaw(1e-4),), "power": (PowerLaw(1e-4),)}


def test_mean_spearman_equals_scipy_with_ties() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 5, (30, 4)), rng.integers(0, 5, (30, 4))
    assert mean_spearman(a, b) == pytest.approx(np.mean([spearmanr(a[:, t], b[:, t])[0] for t in range(4)]))
    assert mean_spearman(np.ones((30, 4)), b) == 0


def test_every_fold_has_its_share() -> None:
    assert sorted(np.bincount(folds_of(52))) == [10, 10, 10, 11, 11]
    with pytest.raises(InputError, match="at least 10"):
        folds_of(9)


def test_a_run_does_not_predict_itself() -> None:
    weights = mixtures(40)
    values, fold = power_losses(weights, 0.02), folds_of(40)
    changed = values.copy()
    changed[fold == 2] += np.random.default_rng(0).standard_normal(changed[fold == 2].shape)
    before, after = (out_of_fold(LinearLaw(), weights, one, fold)[fold == 2] for one in (values, changed))
    np.testing.assert_array_equal(before, after)


def test_the_law_that_made_the_runs_is_chosen() -> None:
    weights = mixtures(60)
    assert choose(weights, power_losses(weights, 0.01), FEW).best.name == "power"
    slopes = np.random.default_rng(2).standard_normal((TARGETS, SLICES))
    noise = 0.1 * np.random.default_rng(3).standard_normal((60, TARGETS))
    choice = choose(
        weights, 3 + weights @ slopes.T + noise, {"linear": FEW["linear"], "exponential": (ExponentialLaw(1e-5),)}
    )
    assert choice.best.name == "linear"
    assert choice.best_of("exponential").spearman <= choice.best.spearman


def test_the_chosen_law_is_the_best_candidate_fitted_on_all_runs() -> None:
    weights = mixtures(40)
    values, fresh = power_losses(weights, 0.02), mixtures(9, 9)
    expected = choose(weights, values, FEW).best.law.fit(weights, values).mean(fresh)
    np.testing.assert_array_equal(ChosenLaw(FEW).fit(weights, values).mean(fresh), expected)


@pytest.mark.parametrize("noise", ["normal", "t3"])
def test_intervals_cover_swarm_points(noise: str) -> None:
    """400 swarms of 40 runs, 20 fresh points each, alpha .1: about 90 %, and never under 1 - 2 alpha."""
    rng, inside, far = np.random.default_rng(5), [], []
    for _ in range(400):
        weights = rng.dirichlet(np.full(SLICES, 0.7), 60)
        error = rng.standard_normal((60, TARGETS)) if noise == "normal" else rng.standard_t(3, (60, TARGETS))
        values = power_losses(weights) + 0.05 * error
        found = fit_with_intervals(LinearLaw(), weights[:40], values[:40], alpha=0.1).predict(weights[40:])
        inside.append(((values[40:] >= found.lo) & (values[40:] <= found.hi)).mean())
        far.append((found.lo <= found.mean).mean())
    assert 0.89 <= np.mean(inside) <= 0.95
    assert np.mean(far) > 0.999


def test_intervals_cover_after_the_law_was_chosen() -> None:
    """The choice is made anew in each fold, so choosing among laws costs no coverage."""
    laws = {"linear": (LinearLaw(1e-5), LinearLaw(1e-2)), "log-linear": (LogLinearLaw(1e-5), LogLinearLaw(1e-2))}
    rng, inside = np.random.default_rng(6), []
    for _ in range(100):
        weights = rng.dirichlet(np.full(SLICES, 0.7), 60)
        values = power_losses(weights) + 0.02 * rng.standard_normal((60, TARGETS))
        found = fit_with_intervals(ChosenLaw(laws), weights[:40], values[:40], alpha=0.1).predict(weights[40:])
        inside.append(((values[40:] >= found.lo) & (values[40:] <= found.hi)).mean())
    assert 0.88 <= np.mean(inside) <= 0.96


def test_too_few_runs_for_the_level_are_refused() -> None:
    weights = mixtures(18)
    with pytest.raises(InputError, match="at least 19"):
        fit_with_intervals(LinearLaw(), weights, power_losses(weights))
