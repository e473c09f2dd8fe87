"""Spread and achieved correlation against plain formulas."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.statistics.spread import achieved_correlation, pooled_sd


def test_one_series_has_the_sd_and_interval_of_its_variance() -> None:
    values = np.array([1.0, 2.0, 4.0, 4.5, 6.0])
    found = pooled_sd(values[None])
    assert found is not None
    assert (found.sd, found.df) == (pytest.approx(values.std(ddof=1)), 4)
    # quantiles of chi squared with 4 df from a table: .4844 and 11.1433
    assert (found.lo, found.hi) == pytest.approx(
        (found.sd * (4 / 11.1433) ** 0.5, found.sd * (4 / 0.48442) ** 0.5), rel=1e-4
    )


def test_series_are_pooled_by_their_blocks_and_levels_do_not_enter() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0, 0.02, (50, 6)) + rng.normal(0, 5, (50, 1))
    values[0, 3:] = np.nan
    values[1, 1:] = np.nan
    found = pooled_sd(values)
    assert found is not None
    assert found.sd == pytest.approx(0.02, rel=0.1)
    assert found.df == 5
    assert found.lo < found.sd < found.hi
    assert pooled_sd(values[1:2]) is None


def test_the_interval_of_a_spread_covers() -> None:
    rng = np.random.default_rng(1)
    found = [pooled_sd(rng.normal(0, 2, (1, 5))) for _ in range(2000)]
    assert np.mean([one.lo <= 2 <= one.hi for one in found if one]) == pytest.approx(0.95, abs=0.02)


def test_correlation_of_one_series_is_pearsons() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2, 1, 8))
    assert achieved_correlation(a, b) == pytest.approx(np.corrcoef(a[0], b[0])[0, 1])


def test_levels_of_targets_are_no_correlation() -> None:
    rng = np.random.default_rng(3)
    level = rng.normal(0, 10, (200, 1))
    a, b = (level + rng.normal(size=(200, 6)) for _ in range(2))
    assert abs(achieved_correlation(a, b) or 0) < 0.15
    shared = rng.normal(size=(200, 6))
    assert achieved_correlation(a + shared, b + shared) == pytest.approx(0.5, abs=0.1)


def test_nothing_to_correlate_is_none() -> None:
    gaps = np.array([[1.0, np.nan, 2.0], [np.nan, 2.0, 3.0]])
    assert achieved_correlation(gaps, gaps[::-1]) is None
    assert achieved_correlation(np.ones((1, 4)), np.arange(4.0)[None]) is None
