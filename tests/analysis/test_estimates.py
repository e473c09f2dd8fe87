"""Rows of other methods in the table of effects: replaced by their method only, left in place by `effects`."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis import records
from analysis.estimates import predicted_rows, put_estimates


def estimate(contrast: str, method: str, value: float, **changes: object) -> dict:
    return {
        "design_id": "d", "contrast": contrast, "family": "cross-slice", "slice": "a", "target": "b", "population": "kept",
        "metric": "bpb", "method": method, "fill": "proportional", "estimate": value, "se": 0.01, "lo": value - 0.02,
        "hi": value + 0.02, "n_blocks": 5, "delta": 0.02, "expected_sign": 0, "meaning": "m", **changes,
    }  # fmt: skip


def read(study: Path) -> list[dict]:
    return records.read_table(study / "effects.parquet", "effects").to_pylist()


@pytest.fixture(autouse=True)
def plain_design(tmp_path: Path) -> None:
    (tmp_path / "design.json").write_text('{"spec": {}}')


def test_a_method_replaces_its_own_rows_only(tmp_path: Path) -> None:
    put_estimates(tmp_path, "retrain", [estimate("x", "retrain", 0.1, p=0.001, tost_p=0.9)])
    put_estimates(
        tmp_path, "law", [estimate("x", "law", 0.2, interval_population="new swarms"), estimate("y", "law", 0.3)]
    )
    put_estimates(tmp_path, "law", [estimate("x", "law", 0.25, interval_population="new swarms")])
    rows = {(row["method"], row["contrast"]): row for row in read(tmp_path)}
    assert sorted(rows) == [("law", "x"), ("retrain", "x")]
    assert rows["retrain", "x"]["verdict"] == "helps"
    assert rows["law", "x"]["estimate"] == 0.25
    assert rows["law", "x"]["verdict"] == "undetermined"  # a prediction has no p
    assert rows["law", "x"]["interval_population"] == "new swarms"
    assert [row["method"] for row in predicted_rows(tmp_path)] == ["law"]
    put_estimates(tmp_path, "law", [])
    assert [row["method"] for row in read(tmp_path)] == ["retrain"]


def test_a_study_without_effects_has_no_predictions(tmp_path: Path) -> None:
    assert predicted_rows(tmp_path) == []


def test_an_optimum_is_judged_as_a_treatment(tmp_path: Path) -> None:
    better = estimate("optimum on b", "retrain", -0.1, family="optimum", p=0.001, tost_p=0.9)
    put_estimates(tmp_path, "retrain", [better])
    assert [row["verdict"] for row in read(tmp_path)] == ["helps"]
