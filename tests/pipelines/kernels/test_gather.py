"""Runs are copied to where they belong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.gather import gather_runs


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 10)), max_size=8))
def test_runs_follow_each_other(runs: list[tuple[int, int]]) -> None:
    source = np.arange(30, dtype=np.uint64)
    starts, sizes = (np.array([run[i] for run in runs], np.int64) for i in (0, 1))
    places = np.cumsum(sizes) - sizes
    target = np.full(sizes.sum(), 99, np.uint64)
    gather_runs(source, starts, target, places, sizes)
    assert target.tolist() == [value for start, size in runs for value in range(start, start + size)]


@pytest.mark.parametrize(("start", "place", "size"), [(25, 0, 6), (0, 5, 6), (-1, 0, 2), (0, -1, 2)])
def test_a_run_outside_is_an_error(start: int, place: int, size: int) -> None:
    run = [np.array([value], np.int64) for value in (start, place, size)]
    with pytest.raises(IndexError, match="runs within"):
        gather_runs(np.zeros(30, np.uint64), run[0], np.zeros(10, np.uint64), *run[1:])
