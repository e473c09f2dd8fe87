"""Looks: what an extension logs and allows, and the level at which the next blocks are judged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydantic
import pytest

from analysis import records
from analysis.design_file import LooksSpec
from analysis.effects import Study, measure
from analysis.looks import ALPHA, Level, added_blocks, describe, extend_design, level_of, read_looks
from analysis.statistics.alpha_spending import nominal_levels
from analysis.verdicts import judge
from pipelines.contracts.errors import ConfigError, InputError
from tests.analysis.designs.made import design_of, spec_of
from tests.analysis.test_effects import TARGETS, contrast

LOOKS = {"max_blocks": 10}


def study_of(folder: Path, finished: int, looks: dict | None = LOOKS, cells: tuple[str, ...] = ("full", "x")) -> Path:
    spec = spec_of("demo", blocks=3, **({"looks": looks} if looks else {}))
    body = {
        "design_id": "d", "spec": spec.model_dump(mode="json"),
        "cells": [{"name": name, "blocks": 1 if name == "once" else None} for name in cells],
    }  # fmt: skip
    folder.mkdir(parents=True)
    (folder / "design.json").write_text(json.dumps(body))
    finish(folder, range(finished), cells)
    return folder


def finish(folder: Path, blocks: range, cells: tuple[str, ...] = ("full", "x")) -> None:
    for block in blocks:
        for cell in cells:
            if cell != "once" or block == 0:
                (folder / "runs" / f"{cell}-{block}").mkdir(parents=True)
                (folder / "runs" / f"{cell}-{block}" / "run.json").write_text("{}")


def test_every_look_is_logged_with_its_price(tmp_path: Path) -> None:
    study = study_of(tmp_path / "s", 3)
    assert added_blocks(study) == 0
    extend_design(study, 2)
    finish(study, range(3, 5))
    (study / "effects.parquet").write_text("")
    row = extend_design(study, 5)
    assert row["look"] == 2
    rows = read_looks(study)
    assert [(r["blocks_before"], r["blocks_after"], r["effects_seen"]) for r in rows] == [(3, 5, False), (5, 10, True)]
    assert [r["level"] for r in rows] == pytest.approx(nominal_levels([3, 5], 10).tolist())
    assert added_blocks(study) == 7
    level = level_of(LooksSpec.model_validate(LOOKS), 3, rows)
    assert (level.look, level.blocks) == (3, 10)
    assert level.nominal == pytest.approx(float(nominal_levels([3, 5, 10], 10)[-1]))
    assert level.spent == pytest.approx(ALPHA)
    assert "look 3: 10 of at most 10 blocks" in str(describe(level))


@pytest.mark.parametrize(
    ("finished", "looks", "more", "error", "said"),
    [
        (3, None, 2, ConfigError, "has a fixed number of blocks: got 2 more"),
        (3, LOOKS, 8, ConfigError, r"more blocks than the design allows: got 3 \+ 8; expected at most 10"),
        (2, LOOKS, 2, InputError, "2 missing: full-2, x-2"),
    ],
)
def test_what_may_not_be_added_is_refused(
    tmp_path: Path, finished: int, looks: dict | None, more: int, error: type, said: str
) -> None:
    study = study_of(tmp_path / "s", finished, looks)
    with pytest.raises(error, match=said):
        extend_design(study, more)
    assert read_looks(study) == []


def test_cells_of_few_blocks_are_not_missed(tmp_path: Path) -> None:
    study = study_of(tmp_path / "s", 3, cells=("full", "once"))
    assert extend_design(study, 1)["blocks_after"] == 4


def test_a_fixed_number_of_blocks_is_judged_at_alpha() -> None:
    assert level_of(None, 5, []) == Level(1, 5, 5, "fixed", ALPHA, ALPHA)
    assert describe(level_of(None, 5, [])) is None


def test_an_early_look_asks_for_more_than_the_last_one() -> None:
    rng = np.random.default_rng(0)
    values = {}
    for block in range(5):
        for target in TARGETS:
            base = 3 + rng.normal(0, 0.05)
            values["full", block, "bpb", target, "kept"] = base
            values["without_x", block, "bpb", target, "kept"] = base + 0.03 + rng.normal(0, 0.03)
    estimates = measure(
        Study(records.RUNS.empty_table(), values, {}),
        [contrast("without_x", t, "cross-slice") for t in TARGETS],
        5,
        "d",
    )
    early = level_of(LooksSpec(max_blocks=20), 5, []).nominal
    found = [sum(row["verdict"] == "helps" for row in judge(estimates, alpha)) for alpha in (early, ALPHA)]
    assert found[0] < found[1]


def test_added_blocks_are_runs_and_change_no_id() -> None:
    design, _ = design_of(spec_of("leave_one_out", leave_out=["web"], blocks=3, looks=LOOKS))
    more = replace(design, added_blocks=2)
    assert more.design_id == design.design_id
    assert len(more.runs()) == len(design.runs()) * 5 // 3
    with pytest.raises(pydantic.ValidationError, match="max_blocks above the 3 blocks"):
        spec_of("demo", blocks=3, looks={"max_blocks": 3})


def test_a_metric_without_variance_is_a_row_with_its_reason() -> None:
    values = {}
    for block in range(4):
        for target in TARGETS:
            values["full", block, "bpb", target, "kept"] = 3.0
            values["without_x", block, "bpb", target, "kept"] = 3.5 if target == "a" else 3.0 + 0.01 * block
    runs = Study(records.RUNS.empty_table(), values, {})
    rows = judge(measure(runs, [contrast("without_x", t, "cross-slice") for t in TARGETS], 4, "d"))
    assert rows[0]["reason"] == "no variance: +0.5 in every block"
    assert rows[0].get("estimate") is None
    assert rows[0]["verdict"] == "undetermined"
    assert all(row["estimate"] is not None for row in rows[1:])
    alone = measure(runs, [contrast("without_x", "a", "cross-slice")], 4, "d")
    assert alone[0]["reason"].startswith("no variance")
    assert records.from_rows(rows, "effects")["p"].null_count == 1
