"""False discovery rate, equivalence, power and bootstrap against scipy, statsmodels and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.statistics.equivalence import tost_p
from analysis.statistics.multiple_testing import (
    benjamini_hochberg,
    benjamini_yekutieli,
    level_of_next,
    within_families,
)
from analysis.statistics.power import blocks_to_decide, equivalence_power, minimum_detectable_effect, power_of

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
    assert within_families(p, np.array(["a", "a", "a", "b"]), "by")[:2] == pytest.approx([0.03, 0.06])


def test_families_along_the_last_axis_are_corrected_each_alone() -> None:
    p = np.random.default_rng(0).random((7, 3, 5))
    for adjust in (benjamini_hochberg, benjamini_yekutieli):
        assert np.array_equal(adjust(p)[4, 1], adjust(p[4, 1]))
    assert benjamini_yekutieli(np.zeros(0)).shape == (0,)


@given(P_VALUES, st.sampled_from(["bh", "by"]))
def test_the_level_of_the_next_test_is_where_it_becomes_significant(p: np.ndarray, method: str) -> None:
    alpha = 0.05
    q = within_families(p, np.zeros(len(p)), method)
    found, largest = int((q <= alpha).sum()), int(np.argmax(p))
    level = level_of_next(len(p), found, alpha, method)
    moved = p.copy()
    moved[largest] = level * (1 - 1e-9)
    if found < len(p):
        assert within_families(moved, np.zeros(len(p)), method)[largest] <= alpha


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


@pytest.mark.parametrize("effect", [0.0, 0.5, 1.0])
def test_power_of_equivalence_is_what_simulation_finds(effect: float) -> None:
    rng = np.random.default_rng(1)
    draws = rng.standard_normal((20_000, 6)) + effect
    mean, se = draws.mean(1), draws.std(1, ddof=1) / 6**0.5
    found = tost_p(mean, se, np.full(20_000, 5.0), np.full(20_000, 1.5)) <= 0.05
    assert equivalence_power(effect, 1 / 6**0.5, 5, 1.5) == pytest.approx(found.mean(), abs=0.01)


def test_the_blocks_that_decide_are_the_least_that_do() -> None:
    sd, delta = 0.02, 0.01
    for effect in (0.0, 0.004, 0.02, -0.05):
        more = blocks_to_decide(effect, sd, 5, 4, delta)
        assert more is not None
        reached = []
        for total in (5 + more - 1, 5 + more):
            se, df = sd / total**0.5, 4 + total - 5
            reached.append(max(power_of(effect / se, df, 0.05), equivalence_power(effect, se, df, delta)))
        assert reached[1] >= 0.8
        assert more == 1 or reached[0] < 0.8


def test_an_effect_at_the_bound_is_never_decided_within_the_cap() -> None:
    assert blocks_to_decide(0.01, 0.1, 5, 4, 0.01, cap=100) is None
    few, many = (blocks_to_decide(0.03, 0.02, 5, 4, 0.01, alpha) for alpha in (0.05, 0.05 / 60))
    assert few is not None
    assert many is not None
    assert few < many
