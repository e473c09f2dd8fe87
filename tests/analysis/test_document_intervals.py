"""Intervals about new documents and seeds: wider by the spread over components, paired across cells, weighted in the utility."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis import records
from analysis.designs.robustness import UTILITY
from analysis.document_intervals import add_document_intervals
from analysis.effects import Study, Sums, component_sums, measure, with_utility
from tests.analysis.test_noise import contrast

BLOCKS = 5
COMPONENTS = {"a": 30, "b": 12, "c": 1}


def study(of_document: float) -> Study:
    """Two cells; every document has its own effect of the treatment, and a level that both cells share."""
    rng = np.random.default_rng(5)
    values, sums = {}, {}
    for target, count in COMPONENTS.items():
        size = rng.integers(200, 2000, count).astype(float)
        level, effect = rng.normal(3, 0.5, count), 0.1 + rng.normal(0, of_document, count)
        for block in range(BLOCKS):
            for cell, change in (("full", 0.0), ("x", effect)):
                bpb = level + change + rng.normal(0, 0.004)
                nats = bpb * math.log(2) * size
                sums[cell, block, target, "kept"] = Sums(tuple(map(str, range(count))), nats, size)
                values[cell, block, "bpb", target, "kept"] = float((bpb * size).sum() / size.sum())
    return Study(records.RUNS.empty_table(), values, {}, sums=sums)


def rows_of(found: Study, *targets: str, utility: dict[str, float] | None = None) -> list[dict]:
    contrasts = [contrast("x", "decisions", target) for target in targets]
    rows = measure(found, contrasts, BLOCKS, "d")
    add_document_intervals(rows, found, contrasts, BLOCKS, utility or {})
    return rows


def test_the_interval_is_wider_by_the_spread_of_the_documents() -> None:
    for of_document, wider in ((0.0, 1.05), (0.2, 3.0)):
        row = rows_of(study(of_document), "a", "b")[0]
        ratio = (row["documents_hi"] - row["documents_lo"]) / (row["hi"] - row["lo"])
        assert ratio < wider if of_document == 0 else ratio > wider
        assert row["documents_lo"] < row["estimate"] < row["documents_hi"]
        assert row["components"] == 30


def test_levels_that_the_cells_share_do_not_enter() -> None:
    """Levels differ by .5 bpb from document to document; paired, they cancel."""
    row = rows_of(study(0.0), "a", "b")[0]
    assert row["documents_se"] == pytest.approx(row["se"], rel=0.02)


def test_one_component_says_nothing_about_others() -> None:
    row = rows_of(study(0.2), "c", "a")[0]
    assert "documents_se" not in row
    assert row["estimate"] is not None


def test_the_utility_adds_the_variances_of_its_targets() -> None:
    weights = {"a": 0.25, "b": 0.75, "c": 0.0}
    found = with_utility(study(0.2), weights)
    a, b = rows_of(found, "a", "b")
    one = rows_of(found, UTILITY, utility=weights)[0]
    documents = {name: row["documents_se"] ** 2 - row["se"] ** 2 for name, row in (("a", a), ("b", b), ("u", one))}
    assert documents["u"] == pytest.approx(documents["a"] / 16 + documents["b"] * 9 / 16)
    assert one["components"] == 42
    assert one["estimate"] == pytest.approx(0.25 * a["estimate"] + 0.75 * b["estimate"])


def test_sums_are_read_in_the_order_of_the_components() -> None:
    rows = [
        {"run_id": "r", "target": t, "population": p, "component": c, "nats": n, "tokens": 1, "bytes": 10, "train_tokens": at}
        for t, p, c, n, at in (("a", "kept", "z", 1.0, 8), ("a", "kept", "b", 2.0, 8), ("a", "kept", "b", 9.0, 4), ("a", "curve", "b", 5.0, 8))
    ]  # fmt: skip
    found = component_sums(records.from_rows(rows, "scores"), 8)
    assert list(found) == [("a", "kept")]
    assert found["a", "kept"].components == ("b", "z")
    assert found["a", "kept"].nats.tolist() == [2.0, 1.0]
