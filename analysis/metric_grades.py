"""What each metric of a study is worth: direction, chance level, signal-to-noise ratio over blocks, and a grade.

A metric is of decision grade if it moves with every nat (accuracies do not) and the cells of the study lie at least
`MIN_RATIO` standard deviations of the seeds apart. The grade says which metrics may rank mixtures; it takes no verdict
back: a test has its own account of noise (decision 51).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import stats

from analysis import records
from analysis.designs.tasks import POPULATION
from analysis.evaluation.metrics import METRICS, MIN_COMPONENTS, summarise
from analysis.statistics.signal_noise import SignalNoise, signal_to_noise

MIN_RATIO = 5.0
"""Signal-to-noise ratio from which a metric may rank mixtures."""
RANKED_ROLES = ("base", "treatment")
"""Cells that the signal is taken over: a control that shuffles text would be signal to anything."""

Key = tuple[str, str, str]
"""Metric, target, population."""
Values = Mapping[tuple[str, int, str, str, str], float]
"""(cell, block, metric, target, population) -> value."""

BPB_FACTS = {
    "unit": "bits per byte", "direction": "lower", "chance": None, "items": None, "components": None,
    "decision_grade": True, "reason": "sums over held-out text: moves with every nat",
}  # fmt: skip


def run_metrics(folder: Path) -> dict[Key, dict[str, Any]]:
    """Compute the metrics of a run's items: of continuation choice per target, and of each task.

    Returns:
        Rows with value, unit, direction, chance, items, components, decision_grade and reason (of the metric itself,
        whatever the number of components).
    """
    found: dict[Key, dict[str, Any]] = {}
    choices = records.read_table(folder / "item_scores.parquet", "item_scores")
    for target in pc.unique(choices["target"]).to_pylist():
        mine = choices.filter(pc.equal(choices["target"], target))
        for metric, column, of in (("choice_margin", "margin_bpb", "margin"), ("choice_acc", "correct", "acc")):
            found[metric, target, "kept"] = {
                **_facts(of),
                "value": float(np.mean(mine[column].to_pylist())),
                "chance": 0.25 if of == "acc" else None,
                "items": len(mine),
                "components": len(pc.unique(mine["component"])),
            }
    path = folder / "task_item_scores.parquet"
    if path.exists():
        items = records.read_table(path, "task_item_scores")
        for row in summarise(items) if len(items) else ():
            found[row["metric"], row["task"], POPULATION] = {**row, **_facts(row["metric"])}
    return found


def _facts(metric: str) -> dict[str, Any]:
    one = METRICS[metric]
    return {
        "unit": one.unit, "direction": one.direction, "decision_grade": one.decision_grade, "reason": one.reason,
    }  # fmt: skip


def metric_rows(
    values: Values, facts: Mapping[Key, Mapping[str, Any]], cells: Sequence[str], blocks: int, design_id: str
) -> list[dict[str, Any]]:
    """Grade every metric of a study.

    Args:
        values: of all runs.
        facts: of the metrics that items give; bits per byte of held-out text are known.
        cells: cells that the signal is taken over, the baseline first.
        blocks: blocks of the design.
        design_id: the study.

    Returns:
        Rows of the table `metrics`.
    """
    rows = []
    for key in _keys(values, cells):
        matrix = _matrix(values, key, cells, blocks)
        found = signal_to_noise(matrix)
        about = facts.get(key, BPB_FACTS)
        graded, reason = _grade(about, found)
        baseline = matrix[0][np.isfinite(matrix[0])]
        rows.append(
            {
                "design_id": design_id,
                **dict(zip(("metric", "target", "population"), key, strict=True)),
                "unit": about["unit"],
                "direction": about["direction"],
                "chance": about["chance"],
                "value": float(baseline.mean()) if len(baseline) else None,
                "signal": found.signal if found else None,
                "noise": found.noise if found else None,
                "snr": found.ratio if found else None,
                "snr_of_noise": found.ratio_of_noise if found else None,
                "cells": found.cells if found else len(cells),
                "n_blocks": found.blocks if found else 0,
                "items": about["items"],
                "components": about["components"],
                "decision_grade": graded,
                "reason": reason,
            }
        )
    return rows


def _grade(about: Mapping[str, Any], found: SignalNoise | None) -> tuple[bool, str]:
    """Say whether a metric may rank the cells of a study, and why, or why not."""
    if not about["decision_grade"]:
        return False, about["reason"]
    if found is None:
        return False, "no ratio: fewer than 2 cells or complete blocks, or nothing moves"
    if found.ratio < MIN_RATIO:
        return False, (
            f"SNR {found.ratio:.1f} < {MIN_RATIO:g}: cells lie too near to each other for what seeds do; "
            f"noise alone gives {found.ratio_of_noise:.1f}"
        )
    few = about["components"] is not None and about["components"] < MIN_COMPONENTS
    note = f"; of {about['components']} components only: holds for these documents" if few else ""
    return True, about["reason"] + note


def cell_metric_rows(values: Values, blocks: int, design_id: str) -> list[dict[str, Any]]:
    """Average every metric of every cell over blocks, with the 95 % interval of Student's t over seeds.

    Returns:
        Rows of the table `cell_metrics`; no interval where fewer than two blocks finished.
    """
    rows = []
    for cell in dict.fromkeys(key[0] for key in values):
        for key in _keys(values, [cell]):
            found = _matrix(values, key, [cell], blocks)[0]
            found = found[np.isfinite(found)]
            n = len(found)
            half = None
            if n > 1:
                half = float(stats.t.ppf(0.975, n - 1) * found.std(ddof=1) / math.sqrt(n))
            mean = float(found.mean())
            rows.append(
                {
                    "design_id": design_id,
                    "cell": cell,
                    **dict(zip(("metric", "target", "population"), key, strict=True)),
                    "value": mean,
                    "lo": None if half is None else mean - half,
                    "hi": None if half is None else mean + half,
                    "n_blocks": n,
                }
            )
    return rows


def ranked_cells(cells: pa.Table) -> list[str]:
    """Return the cells that the signal is taken over, `full` first if there is one."""
    rows = [row["cell"] for row in cells.to_pylist() if row["role"] in RANKED_ROLES]
    return sorted(rows, key=lambda name: name != "full")


def _keys(values: Values, cells: Sequence[str]) -> list[Key]:
    """Return the metrics of some cells, in the order in which they were found; the canary's test is a control."""
    found = ((metric, target, place) for cell, _, metric, target, place in values if cell in cells)
    return [key for key in dict.fromkeys(found) if key[2] != "canary"]


def _matrix(values: Values, key: Key, cells: Sequence[str], blocks: int) -> np.ndarray:
    return np.array([[values.get((cell, block, *key), math.nan) for block in range(blocks)] for cell in cells])
