"""Exact similarities against Python sets."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.jaccard import jaccard, jaccard_pairs


def arrays(sets: list[frozenset[int]]) -> tuple[np.ndarray, np.ndarray]:
    shingles = np.array([h for each in sets for h in sorted(each)], np.uint64)
    return shingles, np.cumsum([0, *map(len, sets)], dtype=np.int64)


@settings(deadline=None)
@given(st.lists(st.frozensets(st.integers(0, 12), max_size=12), min_size=1, max_size=8))
def test_jaccard(sets: list[frozenset[int]]) -> None:
    shingles, offsets = arrays(sets)
    left, right = (np.array(side) for side in zip(*itertools.product(range(len(sets)), repeat=2), strict=True))
    expected = [len(a & b) / len(a | b) if a and b else 0.0 for a, b in itertools.product(sets, repeat=2)]
    assert jaccard_pairs(shingles, offsets, left, right).tolist() == expected
    assert jaccard(shingles[: offsets[1]], shingles[: offsets[1]]) == (1.0 if sets[0] else 0.0)


def test_wrong_arguments() -> None:
    shingles, offsets = arrays([frozenset({1})])
    with pytest.raises(IndexError, match=r"outside \[0, 1\)"):
        jaccard_pairs(shingles, offsets, np.array([0]), np.array([1]))
    with pytest.raises(ValueError, match="lengths differ"):
        jaccard_pairs(shingles, offsets, np.array([0]), np.array([0, 0]))
