"""Bounds on common shingles against sets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.overlap_bound import OverlapBounds, count_rare, no_bounds, overlap_bounds

SETS = st.lists(st.frozensets(st.integers(0, 30), max_size=20), min_size=1, max_size=12)


def arrays(sets: list[frozenset[int]], spread: int) -> tuple[np.ndarray, np.ndarray]:
    shingles = np.array([h * spread for each in sets for h in sorted(each)], np.uint64)
    return shingles, np.cumsum([0, *map(len, sets)], dtype=np.int64)


def bound(bounds: OverlapBounds, i: int, j: int) -> int:
    shared = np.zeros(len(bounds.frequent), np.int64)
    count_rare(bounds, i, shared, 1)
    return int(shared[j] + min(bounds.frequent[i], bounds.frequent[j]))


@settings(deadline=None, max_examples=150)
@given(sets=SETS, max_documents=st.sampled_from([1, 2, 3, 64]), spread=st.sampled_from([1, 2**55 + 1]))
def test_no_two_documents_share_more(sets: list[frozenset[int]], max_documents: int, spread: int) -> None:
    bounds = overlap_bounds(*arrays(sets, spread), max_documents)
    for i in range(len(sets)):
        for j in range(len(sets)):
            if i != j:
                assert len(sets[i] & sets[j]) <= bound(bounds, i, j) <= min(len(sets[i]), len(sets[j]))


def test_what_is_rare_is_counted_exactly() -> None:
    template = frozenset(range(1000, 1200))
    rng = np.random.default_rng(1)
    sets = [template | frozenset(rng.integers(0, 400, 40).tolist()) for _ in range(100)]
    bounds = overlap_bounds(*arrays(sets, int(rng.integers(1, 2**50)) * 2 + 1), 64)
    exact = [bound(bounds, i, i + 1) - len(sets[i] & sets[i + 1]) for i in range(99)]
    assert np.mean(exact) < 2  # shingles that meet in a slot of the table are taken for frequent ones
    shared = np.zeros(100, np.int64)
    count_rare(bounds, 3, shared, 1)
    count_rare(bounds, 3, shared, -1)
    assert not shared.any()


def test_bounds_that_say_nothing() -> None:
    sets = [frozenset({1, 2}), frozenset(), frozenset({2, 3, 4})]
    bounds = no_bounds(arrays(sets, 1)[1])
    assert [bound(bounds, i, j) for i, j in ((0, 1), (0, 2), (2, 0))] == [0, 2, 2]


@pytest.mark.parametrize("sets", [[], [frozenset()]])
def test_nothing_to_bound(sets: list[frozenset[int]]) -> None:
    assert len(overlap_bounds(*arrays(sets, 1), 64).rare) == 0
