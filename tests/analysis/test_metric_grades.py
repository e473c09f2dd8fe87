"""Grades of metrics over made cells and blocks, and the metrics that a run's items give."""

import math

import numpy as np
import pytest
from scipy import stats

from analysis import records
from analysis.evaluation.choice import ITEM_SCORES
from analysis.evaluation.text_items import ITEM_COLUMNS, label_items
from analysis.metric_grades import cell_metric_rows, metric_rows, ranked_cells, run_metrics

CELLS = ["full", "without_a", "without_b"]
BLOCKS = 4


def _values(spread, metric="bpb", target="books", population="kept", seed=0):
    rng = np.random.default_rng(seed)
    return {
        (cell, block, metric, target, population): 2 + spread * place + rng.normal(0, 0.01)
        for place, cell in enumerate(CELLS)
        for block in range(BLOCKS)
    }


def _rows(values, facts=None):
    return {row["metric"]: row for row in metric_rows(values, facts or {}, CELLS, BLOCKS, "d")}


def test_a_metric_whose_cells_lie_apart_is_of_decision_grade():
    values = _values(0.1)
    row = _rows(values)["bpb"]
    means = [np.mean([values[c, b, "bpb", "books", "kept"] for b in range(BLOCKS)]) for c in CELLS]
    within = [np.var([values[c, b, "bpb", "books", "kept"] for b in range(BLOCKS)], ddof=1) for c in CELLS]
    assert row["value"] == pytest.approx(means[0])
    assert row["snr"] == pytest.approx((max(means) - min(means)) / math.sqrt(np.mean(within)))
    assert row["decision_grade"]
    assert (row["direction"], row["chance"], row["cells"], row["n_blocks"]) == ("lower", None, 3, 4)
    assert set(row) == set(records.TABLES["metrics"].names)


def test_a_metric_that_seeds_move_is_not_and_says_how_much():
    row = _rows(_values(0.0))["bpb"]
    assert not row["decision_grade"]
    assert row["reason"].startswith(f"SNR {row['snr']:.1f} < 5")
    assert row["snr"] < 4


def test_accuracy_never_decides_however_far_apart():
    facts = {("acc", "pairs_en", "items"): {"unit": "share", "direction": "higher", "chance": 0.5, "items": 9, "components": 9,
                                            "decision_grade": False, "reason": "a step function"}}  # fmt: skip
    row = _rows(_values(1.0, "acc", "pairs_en", "items"), facts)["acc"]
    assert row["snr"] > 50
    assert (row["decision_grade"], row["reason"], row["chance"]) == (False, "a step function", 0.5)


def test_few_components_are_named_and_one_block_has_no_ratio():
    facts = {("margin", "cloze_a", "items"): {"unit": "bits per byte", "direction": "higher", "chance": None, "items": 9,
                                              "components": 6, "decision_grade": True, "reason": "moves"}}  # fmt: skip
    values = _values(1.0, "margin", "cloze_a", "items")
    assert _rows(values, facts)["margin"]["reason"] == "moves; of 6 components only: holds for these documents"
    once = {key: value for key, value in values.items() if key[1] == 0}
    row = _rows(once, facts)["margin"]
    assert (row["snr"], row["decision_grade"]) == (None, False)
    assert row["value"] == once["full", 0, "margin", "cloze_a", "items"]


def test_cells_are_averaged_with_the_interval_of_student():
    values = _values(0.1)
    del values["without_b", 1, "bpb", "books", "kept"]
    rows = {row["cell"]: row for row in cell_metric_rows(values, BLOCKS, "d")}
    mine = [values["without_b", b, "bpb", "books", "kept"] for b in (0, 2, 3)]
    lo, hi = stats.t.interval(0.95, 2, np.mean(mine), stats.sem(mine))
    assert (rows["without_b"]["lo"], rows["without_b"]["hi"]) == pytest.approx((lo, hi))
    assert [rows[cell]["n_blocks"] for cell in CELLS] == [4, 4, 3]
    assert set(rows["full"]) == set(records.TABLES["cell_metrics"].names)


def test_the_test_of_the_canary_is_no_metric():
    assert _rows(_values(1.0, target="canary", population="canary")) == {}
    assert cell_metric_rows(_values(1.0, target="canary", population="canary"), BLOCKS, "d") == []


def test_controls_are_no_signal():
    rows = [("full", "base"), ("without_a", "treatment"), ("sham", "null"), ("shuffle", "positive")]
    cells = [{"cell": name, "role": role} for name, role in reversed(rows)]
    table = records.from_rows(
        [{"design_id": "d", "mixture_id": "m", "baseline": "full", "transform": "none", "share": 0.0, "tokens": 1,
          "lr": 1.0, "description": "", **cell} for cell in cells], "cells",
    )  # fmt: skip
    assert ranked_cells(table) == ["full", "without_a"]


def test_metrics_of_a_run_come_from_its_items(tmp_path):
    choices = ITEM_SCORES.empty_table().to_pylist() + [
        {"target": target, "item_id": f"{target}{i}", "component": "c", "gold_nats": 9.0, "gold_bytes": 9,
         "margin_bpb": i - 0.5, "correct": i > 0} for target in ("a", "b") for i in range(2)
    ]  # fmt: skip
    rows = records.from_rows([{"run_id": "full-0", **row} for row in choices], "item_scores")
    records.write_table(tmp_path / "item_scores.parquet", rows, "item_scores")
    found = run_metrics(tmp_path)
    assert found["choice_margin", "a", "kept"]["value"] == 0
    assert found["choice_acc", "b", "kept"]["value"] == 0.5
    assert (found["choice_acc", "b", "kept"]["chance"], found["choice_acc", "b", "kept"]["decision_grade"]) == (
        0.25,
        False,
    )
    item = {"task": "cloze_a", "item_id": "1", "component": "c", "part": "cloze_a", "choices": 4, "gold_nats": math.log(2) * 12,
            "gold_bytes": 6, "margin_nats": 1.0, "margin_bpb": 0.25, "correct": True, "correct_per_byte": True}  # fmt: skip
    scored = label_items(ITEM_COLUMNS.empty_table(), "d", "full-0").from_pylist([item], schema=ITEM_COLUMNS)
    records.write_table(tmp_path / "task_item_scores.parquet", label_items(scored, "d", "full-0"), "task_item_scores")
    more = run_metrics(tmp_path)
    assert more["margin", "cloze_a", "items"]["value"] == 0.25
    assert more["gold_bpb", "cloze_a", "items"]["value"] == pytest.approx(2.0)
    assert more["margin", "cloze_a", "items"]["decision_grade"]
    assert set(found) < set(more)
