"""Diverged runs: the complete blocks stand, and the worst case stands beside them."""

from __future__ import annotations

import numpy as np
import pytest

from analysis import records
from analysis.diverged import add_worst_case, worst_case
from analysis.effects import Study, measure
from tests.analysis.test_noise import contrast, run

BLOCKS = 5


def study(*lost: tuple[str, int], effect: float = 0.1) -> Study:
    rng = np.random.default_rng(1)
    level = {"full": 3.0, "x": 3.0 + effect, "y": 3.02}
    values = {
        (cell, block, "bpb", "a", "kept"): mean + rng.normal(0, 0.003)
        for cell, mean in level.items() for block in range(BLOCKS) if (cell, block) not in lost
    }  # fmt: skip
    runs = [
        run(cell, block, status="diverged" if (cell, block) in lost else "finished")
        for cell in level
        for block in range(BLOCKS)
    ]
    return Study(records.from_rows(runs, "runs"), values, {})


def measured(found: Study) -> list[dict]:
    contrasts = [contrast(cell, "decisions", "a") for cell in ("x", "y")]
    rows = measure(found, contrasts, BLOCKS, "d")
    add_worst_case(rows, found, contrasts, BLOCKS, "d")
    return rows


def test_without_a_diverged_run_there_is_no_worst_case() -> None:
    assert worst_case(study()) is None
    assert all("worst_estimate" not in row for row in measured(study()))


def test_a_diverged_treatment_counts_as_the_worst_run_that_finished() -> None:
    lost = ("y", 2)
    found = study(lost)
    worst = max(value for value in found.values.values())
    filled = worst_case(found)
    assert filled is not None
    assert filled.values["y", 2, "bpb", "a", "kept"] == worst
    x, y = measured(found)
    assert "worst_estimate" not in x  # no run of it is missing
    assert y["n_blocks"] == BLOCKS - 1
    assert y["estimate"] == pytest.approx(0.02, abs=0.005)
    assert y["worst_estimate"] == pytest.approx((4 * 0.02 + worst - 3) / 5, abs=0.006)
    assert y["worst_lo"] < y["worst_estimate"] < y["worst_hi"]
    records.from_rows(
        [{"dilution": None, **y, "q": None, "tost_q": None, "verdict": "undetermined", "interval_population": ""}],
        "effects",
    )


def test_a_diverged_baseline_can_take_the_sign_away() -> None:
    x, y = measured(study(("full", 1)))
    assert y["worst_estimate"] < y["estimate"]
    assert "with diverged runs at their worst, the sign is not sure" in y["reason"]
    assert x["worst_lo"] < x["estimate"]
