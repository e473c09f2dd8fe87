"""Mixtures: weights stay a distribution, what is taken goes where it is said to go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.mixtures import Mixture, leave_out, normalised, slice_weight, swap, with_pools
from pipelines.contracts.errors import ConfigError

WEIGHTS = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0.01, 100), min_size=2)


@given(WEIGHTS)
def test_a_proportional_fill_keeps_the_ratios_of_the_others(weights: dict[str, float]) -> None:
    full = normalised(weights)
    out = min(weights)
    left = leave_out(full, [out])
    assert sum(left.weights.values()) == pytest.approx(1)
    assert out not in left.weights
    for atom, weight in left.weights.items():
        assert weight == pytest.approx(full.weights[atom] / (1 - full.weights[out]))


@given(WEIGHTS)
def test_a_named_fill_changes_only_the_takers(weights: dict[str, float]) -> None:
    full = normalised(weights)
    out, taker = min(weights), max(weights)
    left = leave_out(full, [out], "named", [taker])
    assert left.weights[taker] == pytest.approx(full.weights[taker] + full.weights[out])
    for atom in set(weights) - {out, taker}:
        assert left.weights[atom] == pytest.approx(full.weights[atom])


@given(WEIGHTS, st.floats(0.05, 1))
def test_a_swap_moves_the_stated_share(weights: dict[str, float], share: float) -> None:
    full = normalised(weights)
    source = min(weights)
    swapped = swap(full, [(source, "new"), ("absent", "never")], share)
    assert slice_weight(swapped, ["new"]) == pytest.approx(share * full.weights[source])
    assert slice_weight(swapped, [source]) == pytest.approx((1 - share) * full.weights[source], abs=1e-12)
    assert "never" not in swapped.weights


def test_pools_are_merged_and_kept() -> None:
    pooled = with_pools(with_pools(normalised({"a": 1, "b": 1}), {"a": 0.5}), {"b": 0.25})
    assert leave_out(pooled, ["b"]).pools == {"a": 0.5, "b": 0.25}


def test_what_is_no_mixture_is_refused() -> None:
    for weights in ({"a": 0.5}, {"a": 1.5, "b": -0.5}, {"a": 1.0, "b": float("nan")}, {}):
        with pytest.raises(ConfigError, match="not a mixture"):
            Mixture(weights)
    full = normalised({"a": 1, "b": 1})
    with pytest.raises(ConfigError, match="nothing left"):
        leave_out(full, ["a", "b"])
    with pytest.raises(ConfigError, match="unknown fill"):
        leave_out(full, ["a"], "none")
    with pytest.raises(ConfigError, match="nothing to fill with"):
        leave_out(full, ["a"], "named", ["a"])
