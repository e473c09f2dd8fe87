import math

import numpy as np
import pyarrow as pa
import pytest

from analysis.evaluation.metrics import METRICS, MIN_COMPONENTS, standard_error, summarise
from analysis.evaluation.text_items import ITEM_COLUMNS


def _items(n=4, **changes):
    rng = np.random.default_rng(0)
    margin = rng.normal(size=n)
    columns = {
        "task": ["t"] * n, "item_id": [str(i) for i in range(n)], "component": [str(i // 2) for i in range(n)],
        "part": ["ab"[i % 2] for i in range(n)], "choices": [4] * n, "gold_nats": rng.uniform(5, 9, n),
        "gold_bytes": [8] * n, "margin_nats": margin, "margin_bpb": margin / 8 / math.log(2),
        "correct": margin > 0, "correct_per_byte": margin > 0,
    } | changes  # fmt: skip
    return pa.table(columns).cast(ITEM_COLUMNS)


def _by_name(rows):
    return {row["metric"]: row for row in rows}


def test_values_are_means_over_items():
    items = _items()
    found = _by_name(summarise(items))
    assert found["gold_bpb"]["value"] == pytest.approx(
        np.mean([n / 8 / math.log(2) for n in items["gold_nats"].to_pylist()])
    )
    assert found["acc"]["value"] == np.mean(items["correct"].to_pylist())
    assert found["margin"]["value"] == pytest.approx(np.mean(items["margin_bpb"].to_pylist()))
    assert (found["acc"]["items"], found["acc"]["components"], found["acc"]["chance"]) == (4, 2, 0.25)
    assert found["margin"]["chance"] is None


def test_parts_are_shown_apart_and_a_cloze_has_bits_per_byte_only():
    assert [row["part"] for row in summarise(_items(), by_part=True)] == ["a"] * 4 + ["b"] * 4
    nothing = [None] * 4
    cloze = _items(choices=[1] * 4, margin_nats=nothing, margin_bpb=nothing, correct=nothing, correct_per_byte=nothing)
    (row,) = summarise(cloze)
    assert row["metric"] == "gold_bpb"
    assert math.isfinite(row["value"])
    written = _by_name(summarise(_items(**cloze.to_pydict() | {"correct": [True, False, False, False]})))
    assert set(written) == {"gold_bpb", "acc"}
    assert (written["acc"]["value"], written["acc"]["chance"]) == (0.25, 0.0)


def test_standard_errors_count_components_not_items():
    values = np.random.default_rng(1).normal(size=60)
    assert standard_error(values, np.arange(60)) == pytest.approx(values.std(ddof=1) / math.sqrt(60))
    twice = np.repeat(values, 2)  # copies of an item tell nothing new
    assert standard_error(twice, np.repeat(np.arange(60), 2)) == pytest.approx(standard_error(values, np.arange(60)))
    assert standard_error(values, np.zeros(60, np.int64)) is None


def test_margins_decide_on_enough_components_and_accuracy_never():
    few, many = (_by_name(summarise(_items(n))) for n in (2 * MIN_COMPONENTS - 2, 2 * MIN_COMPONENTS))
    assert not any(row["decision_grade"] for row in few.values())
    assert "49 components, fewer than 50" in few["margin"]["reason"]
    assert {name for name, row in many.items() if row["decision_grade"]} == {"margin", "gold_bpb"}
    assert "noise" in many["acc"]["reason"]
    assert {name: one.direction for name, one in METRICS.items() if one.direction == "lower"} == {"gold_bpb": "lower"}


def test_pairs_are_judged_by_total_log_probability():
    """What a sentence gains a mirrored one loses, whatever their lengths: they cancel."""
    items = _items(task=["pairs_en"] * 4, margin_nats=[1.0, -1.0, 2.0, -2.0], gold_bytes=[8, 9, 20, 23])
    found = _by_name(summarise(items))
    assert set(found) == {"total_margin", "gold_bpb", "acc"}
    assert found["total_margin"]["value"] == 0
    more = _by_name(summarise(_items(task=["pairs_en"] * 4, margin_nats=[1.0] * 4, gold_bytes=[8, 9, 20, 23])))
    assert more["total_margin"]["value"] == pytest.approx(1 / 15 / math.log(2))
