from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.influence.lds import ceiling, gain, linear_datamodelling_score, predict_subsets, slope, spearman_columns


def study(noise: float, repeats: int = 2, seed: int = 0):
    """Make retrains of a linear truth: [units, queries] tau, [subsets, units] members, [repeats, subsets, queries]."""
    rng = np.random.default_rng(seed)
    tau = rng.normal(size=(24, 10))
    members = np.stack([rng.permutation(24) < 12 for _ in range(50)])
    truth = predict_subsets(tau, members)
    return tau, members, truth + rng.normal(size=(repeats, *truth.shape)) * noise * truth.std(0)


def test_the_truth_scores_one_without_noise_and_the_sign_is_that_of_removal() -> None:
    tau, members, measured = study(noise=0)
    assert linear_datamodelling_score(predict_subsets(tau, members), measured, resamples=20).lds == pytest.approx(1)
    assert linear_datamodelling_score(predict_subsets(-tau, members), measured, resamples=20).lds == pytest.approx(-1)
    assert ceiling(measured) == pytest.approx(1)
    helps = predict_subsets(np.array([[1.0]]), np.array([[True], [False]]))
    assert helps[0] < helps[1]  # with a unit that helps, the loss is lower


def test_the_truth_reaches_the_ceiling_under_noise() -> None:
    tau, members, measured = study(noise=1.0, repeats=2)
    found = linear_datamodelling_score(predict_subsets(tau, members), measured, resamples=50)
    assert found.ceiling == pytest.approx(np.sqrt(2 / 3), abs=0.05)  # signal 1, noise 1/2 after two repeats
    assert found.lds == pytest.approx(found.ceiling, abs=0.08)
    assert found.usable
    assert (found.n_subsets, found.n_queries, found.n_repeats) == (50, 10, 2)


def test_scores_without_truth_are_not_usable_and_the_interval_holds_95_percent() -> None:
    """The two-way interval covers 0 for random scores; over queries alone it would be too narrow."""
    covered, naive = 0, 0
    trials = 60
    for seed in range(trials):
        rng = np.random.default_rng(1000 + seed)
        shared = rng.normal(size=(30, 1))  # one factor of the subsets moves all queries alike, as real retrains do
        measured = (shared + 0.5 * rng.normal(size=(30, 12)))[None]
        predicted = rng.normal(size=(30, 1)) + 0.5 * rng.normal(size=(30, 12))
        found = linear_datamodelling_score(predicted, measured, seed=seed, resamples=150)
        covered += found.lo <= 0 <= found.hi
        each = spearman_columns(predicted, measured[0])
        naive += abs(each.mean()) <= 1.96 * each.std(ddof=1) / np.sqrt(len(each))
    assert covered >= 0.85 * trials
    assert naive < 0.6 * trials


def test_a_gain_is_paired_and_a_slope_tells_sizes() -> None:
    tau, members, measured = study(noise=1.0)
    truth = predict_subsets(tau, members)
    rough = truth + np.random.default_rng(5).normal(size=truth.shape) * truth.std(0)
    found, lo, hi = gain(truth, rough, measured, resamples=100)
    assert 0 < lo < found < hi
    assert gain(truth, truth, measured, resamples=20) == (0, 0, 0)
    assert slope(3 * truth, truth) == pytest.approx(1 / 3)


def test_columns_agree_with_scipy() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 6, (20, 3)).astype(float), rng.normal(size=(20, 3))
    a[:, 2] = 1
    expected = [stats.spearmanr(a[:, i], b[:, i]).statistic for i in range(2)]
    np.testing.assert_allclose(spearman_columns(a, b), [*expected, 0.0])


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        linear_datamodelling_score(np.zeros((5, 2)), np.zeros((2, 5, 3)))
    with pytest.raises(ValueError, match="too few subsets"):
        linear_datamodelling_score(np.zeros((2, 2)), np.zeros((2, 2, 2)))
    assert np.isnan(ceiling(np.zeros((1, 5, 2))))
