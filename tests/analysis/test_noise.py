"""Noise is keyed: by proxy, tokens, rate and kind of cell; what is known enters the plan, else it is assumed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from analysis import records
from analysis.designs import Contrast
from analysis.effects import Study
from analysis.noise import BASE, CellKey, cell_keys, family_noise, noise_rows, power_rows
from analysis.noise_registry import known_noise, study_noise

TARGETS = ("a", "b", "c")
BLOCKS = 40
SD = {"full": 0.02, "quiet": 0.01, "loud": 0.08, "seeds_init": 0.005}


def run(cell: str, block: int, **changes: object) -> dict:
    fields = {
        "run_id": f"{cell}-{block}", "design_id": "d", "cell": cell, "block": block, "seed": block, "model": "llama", "proxy_id": "p",
        "status": "finished", "tokens": 512, "train_cpu_s": 1.0, "tokens_per_cpu_s": 512.0, "device": "cpu", "dtype": "float32",
        "compiled": False, "torch": "2", "train_nats_per_token": 4.0, "reason": None,
    }  # fmt: skip
    return dict.fromkeys(records.RUNS.names) | fields | changes


def study(blocks: int = BLOCKS, seed: int = 0) -> Study:
    rng = np.random.default_rng(seed)
    values = {
        (cell, block, "bpb", target, "kept"): 3 + rng.normal(0, sd)
        for cell, sd in SD.items() for target in TARGETS for block in range(blocks)
    }  # fmt: skip
    runs = [run(cell, block) for cell in SD for block in range(blocks)]
    return Study(records.from_rows(runs, "runs"), values, {})


def contrast(cell: str, family: str, target: str) -> Contrast:
    return Contrast(
        f"{cell} on {target}", family, cell, target, "kept", "bpb", "named", {cell: 1.0, "full": -1.0}, 0.02, 0, ""
    )


CONTRASTS = [
    contrast(cell, family, t) for cell, family in (("quiet", "cross-slice"), ("loud", "own-slice")) for t in TARGETS
]


def rows_of(found: Study, blocks: int = BLOCKS) -> list[dict]:
    keys = cell_keys(found, dict.fromkeys(SD, 1e-3))
    return noise_rows(found, keys, {"full": "all", "seeds_init": "init"}, CONTRASTS, TARGETS, blocks, "d")


def test_each_kind_of_cell_has_its_own_noise() -> None:
    rows = rows_of(study())
    records.from_rows(rows, "noise")
    base = {(row["vary"], row["target"]): row for row in rows if row["cell_type"] == BASE}
    assert len(base) == 6
    for target in TARGETS:
        assert base["all", target]["sd_between_seeds"] == pytest.approx(0.02, rel=0.3)
        assert base["init", target]["sd_between_seeds"] == pytest.approx(0.005, rel=0.3)
        assert base["all", target]["sd_lo"] < 0.02 < base["all", target]["sd_hi"]
    noise = family_noise(rows, None, "measured")
    assert noise["cross-slice"].sd == pytest.approx(np.hypot(0.02, 0.01), rel=0.15)
    assert noise["own-slice"].sd == pytest.approx(np.hypot(0.02, 0.08), rel=0.15)


@pytest.mark.parametrize("change", [{"proxy_id": "q"}, {"tokens": 513}, {"lr": 2e-3}])
def test_noise_of_another_key_is_not_used(change: dict) -> None:
    rows = rows_of(study())
    key = {"proxy_id": "p", "tokens": 512, "lr": 1e-3}
    assert set(family_noise(rows, CellKey(**key), "registry")) == {"cross-slice", "own-slice"}
    assert family_noise(rows, CellKey(**{**key, **change}), "registry") == {}


def test_power_uses_what_is_known_and_assumes_the_rest() -> None:
    known = {"own-slice": family_noise(rows_of(study()), None, "measured")["own-slice"]}
    own, cross = (
        next(row for row in power_rows(CONTRASTS, 5, 0.02, "d", known) if row["family"] == family)
        for family in ("own-slice", "cross-slice")
    )
    assert (own["sd_source"], cross["sd_source"], cross["sd"]) == ("measured", "assumed", 0.02)
    assert own["mde"] == pytest.approx(cross["mde"] * own["sd"] / 0.02)
    assert own["df"] == 8.0  # three tests on one baseline: 12 / (1 + 2 / 4)
    strict = power_rows(CONTRASTS, 5, 0.02, "d", known, "by")[0]
    loose = power_rows(CONTRASTS, 5, 0.02, "d", known)[0]
    assert strict["mde"] == loose["mde"] < loose["mde_worst_case"] < strict["mde_worst_case"]


def write_study(workspace: Path, design_id: str, blocks: int, *, noise: bool) -> Path:
    """Write a study with runs of single scores, and its noise if wanted."""
    folder = records.study_folder(workspace, design_id)
    cells = [{"name": cell, "lr": None} for cell in SD]
    spec = {"blocks": blocks, "proxy": {"lr": 1e-3}}
    found = study(blocks, seed=len(design_id))
    folder.mkdir(parents=True)
    body = {"design_id": design_id, "targets": TARGETS, "spec": spec, "cells": cells}
    (folder / "design.json").write_text(json.dumps(body))
    for cell, block, _, _, _ in found.values:
        place = folder / "runs" / f"{cell}-{block}"
        place.mkdir(parents=True, exist_ok=True)
        (place / "run.json").write_text(json.dumps(run(cell, block, design_id=design_id)))
        scores = [
            {"run_id": f"{cell}-{block}", "target": t, "population": "kept", "component": c, "tokens": 30, "bytes": 100, "train_tokens": 512,
             "nats": found.values[cell, block, "bpb", t, "kept"] * np.log(2) * 100}
            for t in TARGETS for c in ("c0", "c1")
        ]  # fmt: skip
        records.write_table(place / "scores.parquet", records.from_rows(scores, "scores"), "scores")
        records.write_table(place / "item_scores.parquet", records.from_rows([], "item_scores"), "item_scores")
    if noise:
        rows = study_noise(folder, found, CONTRASTS)
        records.write_table(folder / "noise.parquet", records.from_rows(rows, "noise"), "noise")
    return folder


def test_a_plan_takes_its_own_runs_first_and_other_studies_of_its_key_second(tmp_path: Path) -> None:
    key = CellKey("p", 512, 1e-3)
    new = records.study_folder(tmp_path, "new")
    assert known_noise(tmp_path, new, CONTRASTS, key) == {}
    write_study(tmp_path, "other", 10, noise=True)
    known = known_noise(tmp_path, new, CONTRASTS, key)
    assert {one.source for one in known.values()} == {"registry"}
    assert known_noise(tmp_path, new, CONTRASTS, CellKey("p", 512, 2e-3)) == {}
    own = write_study(tmp_path, "own", 2, noise=False)
    after = known_noise(tmp_path, own, CONTRASTS, key)
    assert {one.source for one in after.values()} == {"measured"}
    single = write_study(tmp_path, "single", 1, noise=False)
    assert {one.source for one in known_noise(tmp_path, single, CONTRASTS, key).values()} == {"registry"}
