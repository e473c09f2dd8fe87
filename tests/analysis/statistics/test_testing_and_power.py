"""False discovery rate, equivalence, power and bootstrap against scipy, statsmodels and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.statistics.equivalence import tost_p
from analysis.statistics.multiple_testing import benjamini_hochberg, benjamini_yekutieli, within_families
from analysis.statistics.power import minimum_detectable_effect, power_of
from analysis.statistics.resampling import bootstrap_ratio_difference

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=30).map(np.array)


@given(P_VALUES)
def test_adjusted_p_values_equal_scipys(p: np.ndarray) -> None:
    assert np.allclose(benjamini_hochberg(p), stats.false_discovery_control(p, method="bh"))
    assert np.allclose(benjamini_yekutieli(p), stats.false_discovery_control(p, method="by"))


def test_families_are_corrected_apart_and_missing_tests_do_not_count() -> None:
    p = np.array([0.01, 0.04, np.nan, 0.04])
    q = within_families(p, np.array(["a", "a", "a", "b"]))
    assert q[:2].tolist() == [0.02, 0.04]
    assert np.isnan(q[2])
    assert q[3] == 0.04


def test_false_discoveries_stay_below_q_under_correlation() -> None:
    rng = np.random.default_rng(0)
    share = []
    for _ in range(2000):
        common = rng.standard_normal()
        z = np.sqrt(0.5) * common + np.sqrt(0.5) * rng.standard_normal(40)
        z[:10] += 4
        found = benjamini_hochberg(2 * stats.norm.sf(np.abs(z))) <= 0.05
        share.append(found[10:].sum() / max(1, found.sum()))
    assert np.mean(share) <= 0.055


@given(st.floats(-0.05, 0.05), st.floats(0.001, 0.03), st.floats(2, 60))
def test_equivalence_is_the_90_percent_interval(mean: float, se: float, df: float) -> None:
    delta = 0.02
    p = tost_p(np.array([mean]), np.array([se]), np.array([df]), np.array([delta]))[0]
    half = stats.t.ppf(0.95, df) * se
    inside = -delta < mean - half and mean + half < delta
    assert (p < 0.05) == inside


@pytest.mark.parametrize(
    ("blocks", "df", "alpha", "expected"),
    [(3, 2, 0.05, 3.26), (3, 2, 0.05 / 60, 25), (3, 20, 0.05, 1.70), (3, 20, 0.05 / 60, 2.81),
     (5, 4, 0.05, 1.68), (5, 4, 0.05 / 60, 5.0), (5, 40, 0.05, 1.29), (5, 40, 0.05 / 60, 2.01)],
)  # fmt: skip
def test_detectable_effects_equal_the_published_table(blocks: int, df: float, alpha: float, expected: float) -> None:
    assert minimum_detectable_effect(blocks, df, alpha) == pytest.approx(expected, rel=0.02)


def test_power_is_what_simulation_finds() -> None:
    rng = np.random.default_rng(0)
    effect = minimum_detectable_effect(5, 4)
    draws = rng.standard_normal((20_000, 5)) + effect
    t = draws.mean(1) / (draws.std(1, ddof=1) / 5**0.5)
    assert (np.abs(t) > stats.t.ppf(0.975, 4)).mean() == pytest.approx(0.8, abs=0.01)
    assert power_of(0.0, 4, 0.05) == pytest.approx(0.05, abs=1e-3)


def test_the_component_bootstrap_has_the_mean_and_spread_of_a_plain_one() -> None:
    rng = np.random.default_rng(3)
    blocks, components = 4, 12
    size = rng.integers(100, 1000, components).astype(float)
    baseline = size * rng.uniform(1, 2, (blocks, components))
    treatment = baseline + size * rng.normal(0.05, 0.1, (blocks, components))
    draws = bootstrap_ratio_difference(treatment, baseline, size, 4000, seed=1)
    slow = []
    for _ in range(4000):
        c, b = rng.integers(0, components, components), rng.integers(0, blocks, blocks)
        slow.append(np.mean([(treatment - baseline)[i, c].sum() / size[c].sum() for i in b]))
    assert draws.mean() == pytest.approx(np.mean(slow), abs=0.004)
    assert draws.std() == pytest.approx(np.std(slow), rel=0.1)
    assert np.array_equal(draws, bootstrap_ratio_difference(treatment, baseline, size, 4000, seed=1))
