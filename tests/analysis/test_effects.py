"""Estimates and verdicts from hand-made scores: signs, missing runs, controls."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from analysis import records
from analysis.designs import Contrast
from analysis.designs.robustness import UTILITY
from analysis.effects import Study, _check_numerics, dilution, learning_slope, load_study, measure, with_utility
from analysis.effects_command import format_effects
from analysis.verdicts import adequacy_row, control_rows, judge, void_reason
from pipelines.contracts.errors import InputError

TARGETS = ("a", "b", "c", "d")
SPEC = {"tokens": 1000, "blocks": 5, "proxy": {"adequacy": "withhold"}}


def contrast(cell: str, target: str, family: str, **changes: object) -> Contrast:
    values = {
        "name": f"{cell} on {target}", "family": family, "slice": cell.removeprefix("without_"), "target": target,
        "population": "kept", "metric": "bpb", "fill": "proportional", "coef": {cell: 1.0, "full": -1.0},
        "delta": 0.05, "expected_sign": 0, "meaning": "",
    }  # fmt: skip
    return Contrast(**{**values, **changes})


def study(effects: dict[str, float], sd: float = 0.004, metric: str = "bpb", missing: tuple = ()) -> Study:
    rng = np.random.default_rng(0)
    values = {}
    for block in range(5):
        for target in TARGETS:
            base = 3 + rng.normal(0, 0.05)
            values["full", block, metric, target, "kept"] = base
            for cell, effect in effects.items():
                if (cell, block) not in missing:
                    values[cell, block, metric, target, "kept"] = base + effect + rng.normal(0, sd)
    return Study(records.RUNS.empty_table(), values, {})


def judged(found: Study, cell: str, family: str, **changes: object) -> list[dict]:
    return judge(measure(found, [contrast(cell, t, family, **changes) for t in TARGETS], 5, "d"))


@pytest.mark.parametrize(
    ("cell", "family", "effect", "verdict"),
    [
        ("without_x", "cross-slice", 0.2, "helps"),
        ("without_x", "cross-slice", -0.2, "hurts"),
        ("swap", "decisions", 0.2, "helps"),
        ("swap", "decisions", -0.2, "hurts"),
        ("shuffle", "controls", 0.2, "hurts"),
        ("without_x", "cross-slice", 0.0, "negligible"),
    ],
)
def test_verdicts_follow_the_sign_and_the_family(cell: str, family: str, effect: float, verdict: str) -> None:
    rows = judged(study({cell: effect}), cell, family)
    assert {row["verdict"] for row in rows} == {verdict}
    for row in rows:
        assert row["estimate"] == pytest.approx(effect, abs=0.01)
        assert row["lo"] < row["estimate"] < row["hi"]


def test_noise_that_hides_everything_is_undetermined() -> None:
    rows = judged(study({"without_x": 0.05}, sd=0.5), "without_x", "cross-slice")
    assert "undetermined" in {row["verdict"] for row in rows}


def test_a_margin_is_better_when_it_is_higher() -> None:
    rows = judged(study({"without_x": -0.2}, metric="choice_margin"), "without_x", "downstream", metric="choice_margin")
    assert {row["verdict"] for row in rows} == {"helps"}


def test_missing_runs_are_rows_with_a_reason_and_never_nan() -> None:
    gone = tuple(("without_x", block) for block in range(4))
    rows = judged(study({"without_x": 0.2}, missing=gone), "without_x", "cross-slice")
    assert [row["n_blocks"] for row in rows] == [1] * 4
    assert all("only 1 blocks" in row["reason"] for row in rows)
    assert {row["verdict"] for row in rows} == {"undetermined"}
    table = records.from_rows(rows, "effects")
    assert table["estimate"].null_count == 4
    three = judged(study({"without_x": 0.2}, missing=gone[:2]), "without_x", "cross-slice")
    assert {(row["n_blocks"], row["verdict"]) for row in three} == {(3, "helps")}


def test_removal_of_a_slice_from_its_own_target_is_by_construction() -> None:
    rows = judged(study({"without_a": 0.5}), "without_a", "own-slice")
    assert all(row["reason"].startswith("by construction") for row in rows)


def controls(sham: float, shuffle: float) -> list[dict]:
    found = study({"sham": sham, "shuffle": shuffle})
    contrasts = [contrast(cell, t, "controls") for cell in ("sham", "shuffle") for t in TARGETS]
    return control_rows(judge(measure(found, contrasts, 5, "d")), "d")


def test_sound_controls_pass() -> None:
    rows = controls(0.0, 0.1)
    assert [row["passed"] for row in rows] == [True, True]
    assert void_reason(rows) is None


@pytest.mark.parametrize(
    ("sham", "shuffle", "culprit"), [(0.2, 0.1, "sham"), (0.0, 0.0, "shuffle"), (0.0, -0.1, "shuffle")]
)
def test_a_failed_control_voids_the_study_on_the_first_line(sham: float, shuffle: float, culprit: str) -> None:
    rows = controls(sham, shuffle)
    assert culprit in void_reason(rows)
    text = format_effects([], rows, [], SPEC)
    assert text.splitlines()[0].startswith("THE STUDY IS VOID")


def test_controls_that_never_finished_void_the_study() -> None:
    rows = control_rows([], "d")
    assert [row["passed"] for row in rows] == [False, False]
    assert "no run of it finished" in void_reason(rows)
    assert records.from_rows(rows, "controls")["estimate"].null_count == 2
    assert "no run of it finished" in format_effects([], rows, [], SPEC)


def test_runs_that_were_computed_differently_are_refused(tmp_path: Path) -> None:
    for block, dtype in enumerate(("float32", "bfloat16")):
        folder = tmp_path / "runs" / f"full-{block}"
        folder.mkdir(parents=True)
        body = dict.fromkeys(records.RUNS.names, 0) | {
            "run_id": folder.name, "design_id": "d", "cell": "full", "block": block, "model": "llama", "proxy_id": "p",
            "status": "diverged", "device": "cpu", "dtype": dtype, "compiled": True, "torch": "2",
        }  # fmt: skip
        (folder / "run.json").write_text(json.dumps(body))
    with pytest.raises(InputError, match=r"full-0 .*float32.* and full-1 .*bfloat16"):
        load_study(tmp_path)


def test_a_weak_proxy_is_told_but_voids_nothing() -> None:
    found = study({"ngram_full": -0.3})
    row = adequacy_row(found, TARGETS, 5, "d")
    assert row is not None
    assert not row["passed"]
    assert row["estimate"] == pytest.approx(0.3, abs=0.01)
    assert void_reason([row]) is None
    strong = adequacy_row(study({"ngram_full": 0.3}), TARGETS, 5, "d")
    assert strong is not None
    assert strong["passed"]
    assert adequacy_row(study({}), TARGETS, 5, "d") is None


def test_dilution_is_the_slope_times_the_change_of_share() -> None:
    found = Study(records.RUNS.empty_table(), {}, {("full", 0, "a"): [(100, 4.0), (200, 3.5), (400, 3.2)]})
    slope = learning_slope(found, "a", 5)
    assert slope == pytest.approx(-0.3 / np.log(2))
    assert dilution(slope, 0.2, 0.25) == pytest.approx(slope * np.log(1.25))
    assert dilution(slope, 0.2, 0.0) is None
    assert learning_slope(found, "b", 5) is None


def test_the_utility_is_the_weighted_mean_within_each_run() -> None:
    found = with_utility(study({"swap": 0.1}), {"a": 0.75, "b": 0.25, "c": 0.0, "d": 0.0})
    for block in range(5):
        a, b = (found.values["swap", block, "bpb", target, "kept"] for target in "ab")
        assert found.values["swap", block, "bpb", UTILITY, "kept"] == pytest.approx(0.75 * a + 0.25 * b)
    gap = study({"swap": 0.1})
    del gap.values["swap", 2, "bpb", "b", "kept"]
    assert ("swap", 2, "bpb", UTILITY, "kept") not in with_utility(gap, {"a": 0.5, "b": 0.5}).values
    row = measure(found, [contrast("swap", UTILITY, "utility")], 5, "d")[0]
    assert row["estimate"] == pytest.approx(0.1, abs=0.01)


def test_sums_of_cells_in_other_units_do_not_disturb_the_noise_of_a_family() -> None:
    """A slope over doses is a tenth of a difference: moderated by the noise of its cells, not by its own number."""
    rng = np.random.default_rng(3)
    values = {
        (cell, block, "bpb", "a", "kept"): 3 + rng.normal(0, 0.01)
        for cell in ("full", *(f"d{i}" for i in range(12)))
        for block in range(5)
    }
    runs = Study(records.RUNS.empty_table(), values, {})
    plain = [contrast(f"d{i}", "a", "decisions") for i in range(12)]
    scaled = [Contrast(**{**vars(one), "coef": {cell: x / 10 for cell, x in one.coef.items()}}) for one in plain]
    mixed = [*plain[:6], *scaled[6:]]
    for one, other, factor in zip(
        measure(runs, plain, 5, "d"), measure(runs, mixed, 5, "d"), [1] * 6 + [10] * 6, strict=True
    ):
        assert (one["p"], one["df"]) == pytest.approx((other["p"], other["df"]))
        assert (one["estimate"], one["se"]) == pytest.approx((factor * other["estimate"], factor * other["se"]))


def test_effects_say_what_pairing_achieved() -> None:
    rows = judged(study({"sham": 0.0}, sd=0.01), "sham", "controls")
    assert all(row["rho"] > 0.8 for row in rows)


def test_by_is_stricter_than_bh() -> None:
    rows = measure(study({"x": 0.008}), [contrast("x", t, "cross-slice") for t in TARGETS], 5, "d")
    bh, by = (judge([dict(row) for row in rows], fdr=fdr) for fdr in ("bh", "by"))
    assert all(one["q"] < other["q"] or other["q"] == 1 for one, other in zip(bh, by, strict=True))


def test_runs_of_a_study_that_were_computed_differently_are_refused(tmp_path):
    run = {"model": "llama", "device": "cpu", "dtype": "float32", "compiled": True}
    runs = [{**run, "run_id": "full-0"}, {**run, "run_id": "full-1"}]
    _check_numerics(tmp_path, [*runs, {**run, "run_id": "ngram_full-0", "model": "ngram", "compiled": False}])
    with pytest.raises(InputError, match=r"not computed alike: got full-0 .*'float32'.* and full-2 .*'bfloat16'"):
        _check_numerics(tmp_path, [*runs, {**run, "run_id": "full-2", "dtype": "bfloat16"}])
