"""Agreement of rungs: against counting by hand, against simulated ladders whose truth is known, and its interval."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from analysis.influence.rungs import Agreement, agreement, orders, pair_differences, pairs_of, with_intervals

CELLS = np.repeat([f"without_{i}" for i in range(6)], 2)
TARGETS = np.tile(["books", "code"], 6)
PAIRS = pairs_of(TARGETS, CELLS)


def ladder(effects: np.ndarray, blocks: int, noise: float, seed: int) -> np.ndarray:
    return effects[:, None] + np.random.default_rng(seed).normal(0, noise, (len(effects), blocks))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz")), min_size=2, max_size=9))
def test_pairs_are_those_of_nested_loops(labels: list[tuple[str, str]]) -> None:
    groups, cells = (np.array(column) for column in zip(*labels, strict=True))
    found = pairs_of(groups, cells)
    expected = [
        (i, j)
        for i, j in itertools.combinations(range(len(labels)), 2)
        if groups[i] == groups[j] and cells[i] != cells[j]
    ]
    assert list(zip(found.first.tolist(), found.second.tolist(), strict=True)) == expected


def test_orders_are_those_of_a_corrected_t() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(0, 1, (40, 5)) + np.repeat([0.0, 3.0], 20)[:, None]
    pairs = pairs_of(np.array(["t"] * 9), np.arange(9).astype(str))
    found = pair_differences(values[:9], pairs)
    mean = found.values.mean(axis=1)
    p = 2 * stats.t.sf(np.abs(mean / found.se), found.df)
    rejected = multipletests(p, 0.05, "fdr_bh")[0]
    assert orders(mean, found.se, found.df).tolist() == np.where(rejected, np.sign(mean), 0).tolist()


def test_a_pair_without_noise_is_determined_if_it_differs() -> None:
    assert orders(np.array([0.1, 0.0, -0.1]), np.zeros(3), np.full(3, 4.0)).tolist() == [1, 0, -1]


def test_agreement_counts_and_weights() -> None:
    top, other = np.array([1, 1, -1, 0, -1]), np.array([1, -1, 0, 1, -1])
    assert agreement(top, other) == Agreement(2, 1, 1)
    assert agreement(top, other).share == 0.5
    assert agreement(top, other, np.array([3, 0, 2, 9, 0])) == Agreement(3, 0, 2)
    assert agreement(np.zeros(3, int), np.ones(3, int)).share is None


def measured(top: np.ndarray, other: np.ndarray) -> dict[str, Agreement]:
    rungs = [pair_differences(values, PAIRS) for values in (top, other)]
    return with_intervals(rungs[0], rungs[1] if other is not top else rungs[0], PAIRS, CELLS, TARGETS, draws=200)


def test_a_rung_with_the_same_effects_agrees_and_one_with_others_does_not() -> None:
    effects = np.linspace(-0.3, 0.3, 12)
    top = ladder(effects, 5, 0.005, 0)
    same = measured(top, ladder(effects, 5, 0.005, 1))
    assert list(same) == ["books", "code", "all"]
    assert same["all"].pairs == 30
    assert same["all"].share == 1.0
    assert same["all"].claimed
    upside_down = measured(top, ladder(-effects, 5, 0.005, 1))["all"]
    assert (upside_down.agree, upside_down.undetermined, upside_down.hi) == (0, 0, 0.0)
    blind = measured(top, ladder(effects, 5, 5.0, 1))["all"]
    assert blind.undetermined == 30
    assert not blind.claimed


def test_90_percent_is_not_claimed_on_the_estimate_alone() -> None:
    found = Agreement(95, 5, 0, 0.84, 0.99)
    assert found.share == 0.95
    assert not found.claimed
    assert Agreement(95, 5, 0, 0.91, 0.99).claimed


def test_the_interval_holds_another_ladder_of_the_same_kind() -> None:
    """Between a rung and one that shares half of its effects, other cells and seeds land inside about 95 % of the time."""
    rng = np.random.default_rng(5)

    def draw(seed: int) -> tuple[np.ndarray, np.ndarray]:
        shared = rng.normal(0, 0.05, 12)
        other = shared + rng.normal(0, 0.05, 12)
        return ladder(shared, 5, 0.015, 2 * seed), ladder(other, 5, 0.015, 2 * seed + 1)

    population = [share for seed in range(150) if (share := _share(*draw(seed))) is not None]
    truth = float(np.mean(population))
    covered = [
        found.lo <= truth <= found.hi
        for seed in range(150, 190)
        if (found := measured(*draw(seed))["all"]).lo is not None
    ]
    assert np.mean(covered) >= 0.85


def _share(top: np.ndarray, other: np.ndarray) -> float | None:
    rungs = [pair_differences(values, PAIRS) for values in (top, other)]
    held, found = (orders(rung.values.mean(axis=1), rung.se, rung.df) for rung in rungs)
    return agreement(held, found).share


def test_the_top_rung_against_itself_is_the_ceiling() -> None:
    effects = np.linspace(-0.06, 0.06, 12)
    top = ladder(effects, 5, 0.03, 0)
    found = measured(top, top)["all"]
    assert found.share == 1.0
    assert 0.2 < found.redrawn < 1.0
    assert found.lo <= found.redrawn <= found.hi
    assert measured(top, top) == measured(top, top)


def test_without_a_determined_pair_there_is_no_interval() -> None:
    nothing = ladder(np.zeros(12), 5, 0.02, 3)
    found = measured(nothing, nothing)["all"]
    if found.pairs:
        pytest.fail("noise alone determined a pair")
    assert (found.share, found.lo, found.claimed) == (None, None, False)
