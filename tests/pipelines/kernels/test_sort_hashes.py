"""Sorting by leading bits against numpy, on uniform and on the least uniform values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.sort_hashes import sort_hashes, sort_room


def ours(values: np.ndarray) -> np.ndarray:
    found = values.copy()
    sort_hashes(found, *sort_room(len(values) + 5))
    return found


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**63, 2**64 - 1]), max_size=60))
def test_any_values(values: list[int]) -> None:
    assert ours(np.array(values, np.uint64)).tolist() == sorted(values)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 255, 256, 257, 70_000, 300_000])
def test_uniform_values_of_any_number(size: int) -> None:
    values = np.random.default_rng(size).integers(0, 2**64, size, np.uint64, endpoint=False)
    np.testing.assert_array_equal(ours(values), np.sort(values))


@pytest.mark.parametrize("distinct", [1, 3, 20_000])
def test_values_of_one_bucket(distinct: int) -> None:
    values = np.random.default_rng(1).integers(0, distinct, 20_000).astype(np.uint64)
    np.testing.assert_array_equal(ours(values), np.sort(values))
