"""Alpha spending against published boundaries and against the multivariate normal integral."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.statistics.alpha_spending import Spending, nominal_levels, spent

KINDS: tuple[Spending, ...] = ("obrien_fleming", "pocock")
LOOKS = st.lists(st.integers(1, 40), min_size=1, max_size=6, unique=True).map(sorted)


@pytest.mark.parametrize(
    ("kind", "bounds"),
    [
        ("obrien_fleming", [4.8769, 3.3570, 2.6803, 2.2898, 2.0310]),
        ("pocock", [2.4380, 2.4268, 2.4102, 2.3966, 2.3860]),
    ],
)
def test_five_equal_looks_have_the_published_bounds(kind: Spending, bounds: list[float]) -> None:
    assert stats.norm.isf(nominal_levels([1, 2, 3, 4, 5], 5, 0.05, kind) / 2) == pytest.approx(bounds, abs=1e-4)


def crossing_probability(blocks: list[int], levels: np.ndarray) -> float:
    """Integrate the joint normal of the z values, corr sqrt(t_i / t_j), over the box inside of all bounds."""
    n = np.array(blocks, float)
    correlation = np.sqrt(np.minimum.outer(n, n) / np.maximum.outer(n, n))
    bound = np.minimum(stats.norm.isf(levels / 2), 12.0)
    inside = stats.multivariate_normal(cov=correlation, abseps=1e-7, releps=1e-7, maxpts=2_000_000, seed=1)
    return 1 - float(inside.cdf(bound, lower_limit=-bound))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("blocks", [[5, 10], [3, 5, 10], [2, 3, 7, 8, 10]])
def test_all_looks_together_reject_a_true_null_as_often_as_was_spent(kind: Spending, blocks: list[int]) -> None:
    levels = nominal_levels(blocks, 10, 0.05, kind)
    assert crossing_probability(blocks, levels) == pytest.approx(0.05, abs=1e-4)
    part = crossing_probability(blocks[:2], levels[:2])
    assert part == pytest.approx(spent(np.array([blocks[1] / 10]), 0.05, kind)[0], abs=1e-4)


@settings(max_examples=30)
@given(LOOKS, st.sampled_from(KINDS), st.floats(0.001, 0.2))
def test_levels_never_exceed_alpha_nor_depend_on_later_looks(blocks: list[int], kind: Spending, alpha: float) -> None:
    levels = nominal_levels(blocks, 40, alpha, kind)
    assert ((levels >= 0) & (levels <= alpha * (1 + 1e-9))).all()
    assert np.array_equal(nominal_levels(blocks[:-1], 40, alpha, kind), levels[:-1])
    assert levels[0] == pytest.approx(spent(np.array([blocks[0] / 40]), alpha, kind)[0], rel=1e-6, abs=1e-280)


def test_nothing_is_left_after_the_planned_blocks() -> None:
    assert nominal_levels([5, 8], 5).tolist() == pytest.approx([0.05, 0.0])
    late = nominal_levels([3, 8, 9], 5)
    assert 0 < late[0] < late[1] < 0.05
    assert late[2] == 0


def test_looks_that_go_back_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must increase: got \[5, 5\] blocks"):
        nominal_levels([5, 5], 10)
