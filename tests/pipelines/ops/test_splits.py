"""Held-out shares and draws."""

from __future__ import annotations

import numpy as np

from pipelines.contracts.recipe import Split
from pipelines.ops.splits import heldout_fractions, is_heldout


def test_shares_have_a_floor_in_bytes_and_a_ceiling() -> None:
    split = Split(heldout_fraction=0.01, min_heldout_bytes=200_000, max_heldout_fraction=0.1)
    shares = heldout_fractions({"big": 100_000_000, "mid": 10_000_000, "small": 50_000, "none": 0}, split)
    assert shares == {"big": 0.01, "mid": 0.02, "none": 0.1, "small": 0.1}


def test_draws_follow_the_share_and_the_seed() -> None:
    keys = [f"{i:032x}" for i in range(5000)]
    drawn = np.array([is_heldout(key, 0.1, Split()) for key in keys])
    other = np.array([is_heldout(key, 0.1, Split(seed=1)) for key in keys])
    assert abs(drawn.mean() - 0.1) < 0.015
    assert (drawn & other).mean() < 0.02
