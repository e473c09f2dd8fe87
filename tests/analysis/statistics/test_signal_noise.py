"""The ratio against its definition pair by pair, against numpy, and against what noise alone gives."""

import itertools

import numpy as np
import pytest

from analysis.statistics.signal_noise import expected_range, signal_to_noise


def test_signal_is_the_largest_difference_and_noise_the_pooled_sd():
    rng = np.random.default_rng(4)
    values = rng.normal(0, 0.1, (6, 4)) + np.arange(6)[:, None] * 0.3
    found = signal_to_noise(values)
    pairs = [abs(np.mean(a) - np.mean(b)) for a, b in itertools.combinations(values, 2)]
    assert found.signal == pytest.approx(max(pairs))
    residuals = values - values.mean(1, keepdims=True)
    assert found.noise == pytest.approx(np.sqrt((residuals**2).sum() / (6 * 3)))
    assert found.ratio == pytest.approx(found.signal / found.noise)
    assert (found.cells, found.blocks) == (6, 4)
    shifted = signal_to_noise(values * 7 + 3)
    assert shifted.ratio == pytest.approx(found.ratio)


@pytest.mark.parametrize(("cells", "blocks", "shared"), [(4, 3, 0.0), (12, 5, 0.0), (12, 5, 3.0)])
def test_noise_alone_gives_the_stated_signal(cells, blocks, shared):
    rng = np.random.default_rng(cells)
    signals, stated = [], []
    for _ in range(2000):
        found = signal_to_noise(rng.normal(0, 1, (cells, blocks)) + shared * rng.normal(0, 1, blocks))
        signals.append(found.ratio * found.noise)
        stated.append(found.ratio_of_noise * found.noise)
    assert np.mean(signals) == pytest.approx(np.sqrt(np.mean(np.square(stated))), rel=0.03)


def test_expected_range_is_that_of_draws():
    draws = np.random.default_rng(0).normal(size=(200_000, 7))
    assert expected_range(7) == pytest.approx(np.ptp(draws, axis=1).mean(), abs=0.01)


def test_blocks_with_a_missing_run_are_left_out():
    values = np.random.default_rng(1).normal(size=(3, 5))
    broken = values.copy()
    broken[1, 2] = np.nan
    assert signal_to_noise(broken) == signal_to_noise(np.delete(values, 2, 1))
    broken[0, [0, 1, 3]] = np.nan
    assert signal_to_noise(broken) is None
    assert signal_to_noise(values[:1]) is None
    assert signal_to_noise(np.ones((3, 3))) is None
