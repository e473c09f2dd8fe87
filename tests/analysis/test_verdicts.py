"""Verdicts from hand-made runs with known differences: estimates, signs, corrections, controls."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from analysis import records
from analysis.designs import Contrast
from analysis.effects import Study, bits_per_byte, dilution, learning_slope, measure
from analysis.verdicts import adequacy_row, control_rows, judge, void_reason, withheld_reason, withhold

BLOCKS = 5
TARGETS = ("books", "code", "help")


def contrast(treatment: str, target: str, family: str = "cross-slice", **changes: object) -> Contrast:
    fields = {
        "name": f"{treatment} on {target}",
        "family": family,
        "slice": treatment,
        "target": target,
        "population": "kept",
        "metric": "bpb",
        "fill": "proportional",
        "coef": {treatment: 1.0, "full": -1.0},
        "method": "ngram" if treatment.startswith("ngram_") else "retrain",
        "delta": 0.02,
        "expected_sign": 0,
        "meaning": "positive: worse",
    }
    return Contrast(**{**fields, **changes})


def study(effects: dict[str, float], metric: str = "bpb", noise: float = 0.002, skip: tuple = ()) -> Study:
    rng = np.random.default_rng(3)
    values = {}
    for target in TARGETS:
        for block in range(BLOCKS):
            base = 2 + rng.normal(0, 0.05)
            values["full", block, metric, target, "kept"] = base
            for cell, effect in effects.items():
                if (cell, block) not in skip:
                    values[cell, block, metric, target, "kept"] = base + effect + rng.normal(0, noise)
    return Study(records.from_rows([], "runs"), values, {})


def verdicts(runs: Study, contrasts: list[Contrast]) -> list[dict]:
    return judge(measure(runs, contrasts, BLOCKS, "d"))


@pytest.mark.parametrize("family", ["cross-slice", "decisions"])
def test_a_loss_that_rises_without_a_slice_says_that_it_helps(family: str) -> None:
    runs = study({"up": 0.1, "down": -0.1, "nil": 0.0})
    rows = verdicts(runs, [contrast(cell, t, family) for cell in ("up", "down", "nil") for t in TARGETS])
    assert [row["verdict"] for row in rows] == ["helps"] * 3 + ["hurts"] * 3 + ["negligible"] * 3
    assert np.allclose([row["estimate"] for row in rows], [0.1] * 3 + [-0.1] * 3 + [0.0] * 3, atol=0.005)
    for row in rows:
        assert row["lo"] < row["estimate"] < row["hi"]
        assert row["q"] >= row["p"]


def test_a_control_speaks_of_its_treatment() -> None:
    rows = verdicts(study({"shuffle": 0.1}), [contrast("shuffle", t, "controls") for t in TARGETS])
    assert {row["verdict"] for row in rows} == {"hurts"}


def test_the_choice_margin_is_better_when_higher() -> None:
    runs = study({"without": -0.1}, metric="choice_margin")
    rows = verdicts(runs, [contrast("without", t, "downstream", metric="choice_margin") for t in TARGETS])
    assert {row["verdict"] for row in rows} == {"helps"}


def test_noise_is_undetermined() -> None:
    rows = verdicts(study({"without": 0.0}, noise=0.2), [contrast("without", t) for t in TARGETS])
    assert {row["verdict"] for row in rows} == {"undetermined"}


def test_own_slices_are_labelled() -> None:
    rows = verdicts(study({"without": 0.4}), [contrast("without", t, "own-slice") for t in TARGETS])
    assert all(row["reason"].startswith("by construction") for row in rows)


def test_missing_runs_give_a_reason_and_no_nan() -> None:
    runs = study({"gone": 0.1, "some": 0.1}, skip=(*tuple(("gone", b) for b in range(4)), ("some", 0)))
    rows = verdicts(runs, [contrast(cell, t) for cell in ("gone", "some") for t in TARGETS])
    assert {row["n_blocks"] for row in rows[:3]} == {1}
    assert {row["n_blocks"] for row in rows[3:]} == {4}
    assert all("only 1 blocks" in row["reason"] and row["verdict"] == "undetermined" for row in rows[:3])
    table = records.from_rows(rows, "effects")
    for name in ("estimate", "p", "q", "tost_q", "lo"):
        found = table[name].to_pylist()
        assert found[:3] == [None] * 3
        assert all(math.isfinite(value) for value in found[3:])


def test_nothing_finished_gives_rows_without_estimates() -> None:
    rows = verdicts(Study(records.from_rows([], "runs"), {}, {}), [contrast("without", t) for t in TARGETS])
    assert [row.get("estimate") for row in rows] == [None] * 3


@pytest.mark.parametrize(
    ("sham", "shuffle", "void"),
    [(0.0, 0.1, None), (0.1, 0.1, "sham"), (0.0, 0.0, "shuffle"), (0.0, -0.1, "shuffle")],
)
def test_a_failing_control_voids_the_study(sham: float, shuffle: float, void: str | None) -> None:
    runs = study({"sham": sham, "shuffle": shuffle})
    effects = verdicts(runs, [contrast(c, t, "controls") for c in ("sham", "shuffle") for t in TARGETS])
    controls = control_rows(effects, "d")
    reason = void_reason(controls)
    assert reason is None if void is None else reason.startswith(f"{void} failed")
    records.from_rows(controls, "controls")


@pytest.mark.parametrize(("gap", "passed"), [(0.3, True), (-0.3, False)])
def test_adequacy_is_stated_and_gates_the_verdicts(gap: float, passed: bool) -> None:
    row = adequacy_row(study({"ngram_full": gap}), TARGETS, BLOCKS, "d")
    assert row is not None
    assert row["passed"] is passed
    assert row["estimate"] == pytest.approx(-gap, abs=0.005)
    assert ("does not" in row["detail"]) is not passed
    assert void_reason([row]) is None
    assert adequacy_row(study({}), TARGETS, BLOCKS, "d") is None
    assert withheld_reason([row], "show") is None
    reason = withheld_reason([row], "withhold")
    assert (reason is None) is passed
    assert passed or "does not beat the 3-gram of the same tokens (by +0.3" in reason
    assert "adequacy is unknown" in withheld_reason([], "withhold")


@pytest.mark.parametrize(("gap", "noise", "passed"), [(0.0, 0.0, True), (0.0, 0.002, True), (-0.3, 0.002, False)])
def test_an_ngram_has_nothing_to_beat_and_must_not_lose(gap: float, noise: float, passed: bool) -> None:
    runs = records.from_rows([{"cell": "full", "model": "ngram"}], "runs")
    row = adequacy_row(replace(study({"ngram_full": gap}, noise=noise), runs=runs), TARGETS, BLOCKS, "d")
    assert row is not None
    assert row["passed"] is passed
    assert ("worse than the 3-gram" in row["detail"]) is not passed
    assert (withheld_reason([row], "withhold") is None) is passed


def test_a_withheld_verdict_keeps_its_estimate_and_says_why() -> None:
    runs = study({"without": 0.3, "shuffle": 0.0, "ngram_without": 0.2})
    wanted = [("without", "cross-slice"), ("shuffle", "controls"), ("ngram_without", "own-slice")]
    rows = verdicts(runs, [contrast(cell, t, family) for cell, family in wanted for t in TARGETS])
    kept = withhold(rows, None)
    assert kept == rows
    for before, row in zip(rows, withhold(rows, "too weak"), strict=True):
        same = {name for name in row if row[name] == before[name]}
        if row["method"] == "ngram" or row["family"] == "controls":
            assert row == before
        else:
            assert row["verdict"] == "withheld"
            assert row["reason"] == "withheld: too weak"
            assert set(row) - same == {"verdict", "reason"}


def test_a_failed_control_withholds_whatever_the_design_says() -> None:
    failed = {"control": "shuffle", "passed": False, "detail": "must hurt"}
    assert withheld_reason([failed], "show").startswith("shuffle failed")


def test_a_diverged_run_is_named_in_the_effects_of_its_cells() -> None:
    whole = study({"without": 0.3}, skip=(("without", 1),))
    run = dict.fromkeys(records.RUNS.names) | {
        "run_id": "without-1", "design_id": "d", "cell": "without", "block": 1, "seed": 1, "model": "llama", "proxy_id": "p",
        "status": "diverged", "tokens": 512, "train_cpu_s": 1.0, "tokens_per_cpu_s": 512.0, "device": "cpu", "dtype": "float32",
        "compiled": False, "torch": "2", "reason": "loss nan at step 8; its batch held a; b",
    }  # fmt: skip
    rows = verdicts(
        Study(records.from_rows([run], "runs"), whole.values, {}), [contrast("without", t) for t in TARGETS]
    )
    assert {row["reason"] for row in rows} == {"without-1 diverged: loss nan at step 8; its batch held a; b"}
    assert {row["n_blocks"] for row in rows} == {BLOCKS - 1}
    assert all(row["estimate"] == pytest.approx(0.3, abs=0.02) for row in rows)


def test_bits_per_byte_is_a_ratio_of_sums() -> None:
    rows = [
        {"run_id": "r", "target": "t", "population": "kept", "component": c, "nats": n, "tokens": 1, "bytes": b,
         "train_tokens": 8} for c, n, b in (("a", 3.0, 1), ("b", 5.0, 7))
    ]  # fmt: skip
    assert bits_per_byte(records.from_rows(rows, "scores")) == {("t", "kept", 8): pytest.approx(8 / math.log(2) / 8)}


def test_dilution_follows_the_learning_curve() -> None:
    curve = {("full", b, "t"): [(400, 3.0), (100, 4.0)] for b in range(2)}
    slope = learning_slope(Study(records.from_rows([], "runs"), {}, curve), "t", 2)
    assert slope == pytest.approx(-1 / math.log(4))
    assert dilution(slope, 0.2, 0.25) == pytest.approx(slope * math.log(1.25))
    assert dilution(slope, 0.2, 0.25) < 0
    assert dilution(None, 0.2, 0.25) is None
    assert dilution(slope, 0.2, 0.0) is None
