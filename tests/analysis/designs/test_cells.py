"""Cells with their own tokens and rate, contrasts with coefficients, and what enters the id of a design."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis import records
from analysis.design_file import DesignSpec, SliceSpec
from analysis.designs import Cell, Contrast, Design, difference
from analysis.effects import Study, measure
from analysis.mixtures import normalised
from pipelines.contracts.errors import ConfigError

MIXTURE = normalised({"a": 1, "b": 1})
CELLS = tuple(Cell(name, MIXTURE, "treatment", "full", name) for name in ("full", "x", "y", "xy"))
SPEC = DesignSpec(name="n", slices={"a": SliceSpec(where="true")})


def contrast(coef: dict[str, float]) -> Contrast:
    return Contrast("c", "decisions", "x:y", "a", "kept", "bpb", "named", coef, 0.02, 0, "interaction")


def design(*cells: Cell, **changes: object) -> Design:
    return Design(SPEC.model_copy(update=changes), ("a",), cells, (contrast(difference("x", "full")),), "corpus")


def test_an_interaction_is_a_sum_of_four_cells() -> None:
    rng = np.random.default_rng(0)
    truth = {"full": 0.0, "x": 0.2, "y": 0.3, "xy": 0.9}
    values = {
        (cell, block, "bpb", "a", "kept"): 2 + level + rng.normal(0, 1e-3)
        for block in range(4)
        for cell, level in truth.items()
        if (cell, block) != ("y", 3)
    }
    coef = {"xy": 1.0, "x": -1.0, "y": -1.0, "full": 1.0}
    found = measure(Study(records.RUNS.empty_table(), values, {}), [contrast(coef)], 4, "d")[0]
    assert found["estimate"] == pytest.approx(0.4, abs=5e-3)
    assert found["n_blocks"] == 3  # a block without one of its cells says nothing about the sum
    lone = {key: value for key, value in values.items() if key[1] == 0}
    reason = measure(Study(records.RUNS.empty_table(), lone, {}), [contrast(coef)], 4, "d")[0]["reason"]
    assert reason == "only 1 blocks in which all of xy, x, y, full finished"


def test_a_noisy_target_does_not_come_between_quiet_ones() -> None:
    rng = np.random.default_rng(1)
    targets = ("own", *(f"t{n}" for n in range(6)))
    values = {}
    for block in range(4):
        for target in targets:
            base = 3 + rng.normal(0, 0.05)
            values["full", block, "bpb", target, "kept"] = base
            values["x", block, "bpb", target, "kept"] = base + rng.normal(0, 0.5 if target == "own" else 0.002)
    study = Study(records.RUNS.empty_table(), values, {})

    def shared_df(group: str) -> float:
        made = [
            replace(contrast(difference("x", "full")), name=t, target=t, noise_group=group if t == "own" else "")
            for t in targets
        ]
        return measure(study, made, 4, "d")[1]["df"]

    assert shared_df("") < 6  # one outlier, and the quiet ones take each other for no guide
    assert shared_df("own") > 10


@pytest.mark.parametrize("coef", [{}, {"x": 1.0}, {"x": 1.0, "y": -0.5}, {"x": float("nan"), "y": 1.0}])
def test_what_does_not_sum_to_zero_is_no_contrast(coef: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="not a contrast"):
        contrast(coef)


def test_tokens_and_rate_of_a_cell_and_the_coefficients_enter_the_id() -> None:
    base = design(*CELLS)
    assert base.tokens(CELLS[1]) == SPEC.tokens
    others = [
        design(CELLS[0], replace(CELLS[1], **change), *CELLS[2:])
        for change in ({"tokens": 4096}, {"lr": 1e-3}, {"share": 0.1}, {"transform": "sham"})
    ]
    others.append(replace(base, contrasts=(contrast({"x": 2.0, "full": -2.0}),)))
    assert others[0].tokens(others[0].cell("x")) == 4096
    assert len({base.design_id, *(other.design_id for other in others)}) == 6
    assert design(*CELLS).design_id == base.design_id
    assert design(*CELLS, max_runs=7).design_id != base.design_id
