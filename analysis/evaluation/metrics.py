"""What is computed from scored items: each metric with direction, chance level, and whether it may decide.

Accuracy is a step function of the margin: a model that comes nearer to the right answer without passing the other one
gains nothing, so that on few items, near chance, where small models are, accuracy is noise. Margins and bits per byte
of the right answer move with every nat; they decide, accuracy is shown beside them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

PAIRS_PREFIX = "pairs_"
"""How the names of tasks of minimal pairs begin."""
MIN_COMPONENTS = 50
"""Components below which a standard error over them is itself too uncertain to decide anything."""

Columns = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Metric:
    """A number of a task, the mean over its items.

    Attributes:
        values: [items] from the columns of the items.
        unit: of the number.
        direction: which way is better.
        chance: [items] what a model that knows nothing scores; None where there is no such level.
        decision_grade: whether it may enter a verdict when there are enough components.
        reason: why, or why not.
        of: the items that it is computed for: minimal pairs, other items, or any.
    """

    values: Callable[[Columns], np.ndarray]
    unit: str
    direction: Literal["higher", "lower"]
    chance: Callable[[Columns], np.ndarray] | None
    decision_grade: bool
    reason: str
    of: Literal["pairs", "others", "any"] = "any"


def _guess(columns: Columns) -> np.ndarray:
    """One in so many choices; a cloze is not guessed."""
    return np.where(columns["choices"] > 1, 1 / columns["choices"], 0.0)


_STEP = "a step function of the margin: on few items and near chance it is noise; display only"
METRICS: dict[str, Metric] = {
    "margin": Metric(
        lambda c: c["margin_bpb"], "bits per byte", "higher", None, True,
        "moves with every nat between the right and the best other choice, each by its own bytes; by chance below 0 where there are several others", "others",
    ),
    "total_margin": Metric(
        lambda c: c["margin_nats"] / c["gold_bytes"].mean() / math.log(2), "bits per byte", "higher", None, True,
        "total log-probability by the mean bytes of a sentence: word frequencies cancel over mirrored pairs", "pairs",
    ),
    "gold_bpb": Metric(
        lambda c: c["gold_nats"] / c["gold_bytes"] / math.log(2), "bits per byte", "lower", None, True,
        "smooth far below the size at which accuracy leaves chance; also moves with language modelling in general",
    ),
    "acc": Metric(lambda c: c["correct"], "share", "higher", _guess, False, _STEP),
    "acc_per_byte": Metric(lambda c: c["correct_per_byte"], "share", "higher", _guess, False, _STEP, "others"),
}  # fmt: skip
"""Name to metric; those that may decide come first."""


def summarise(items: pa.Table, by_part: bool = False) -> list[dict[str, Any]]:
    """Compute every metric of every task.

    Args:
        items: scored items (`text_items.ITEM_COLUMNS`).
        by_part: a row per part (phenomenon) instead of per task.

    Returns:
        Rows with task, part (None for the whole), metric, value, se (over components), chance, unit, direction, items,
        components, decision_grade and reason; in the order of the tasks.
    """
    rows = []
    for part in pc.unique(items["part" if by_part else "task"]).to_pylist():
        mine = items.filter(pc.equal(items["part" if by_part else "task"], part))
        task = mine["task"][0].as_py()
        _, component = np.unique(mine["component"].to_numpy(zero_copy_only=False), return_inverse=True)
        columns = {
            name: np.asarray(mine[name].to_pylist(), np.float64)
            for name in (
                "choices",
                "gold_nats",
                "gold_bytes",
                "margin_nats",
                "margin_bpb",
                "correct",
                "correct_per_byte",
            )
        }
        kind = "pairs" if task.startswith(PAIRS_PREFIX) else "others"
        for name, metric in METRICS.items():
            if metric.of in (kind, "any") and not np.isnan(metric.values(columns)).any():  # a cloze has no margins
                label = {"task": task, "part": part if by_part else None, "metric": name}
                rows.append(label | _row(metric, columns, component))
    return rows


def standard_error(values: np.ndarray, component: np.ndarray) -> float | None:
    """Standard error of a mean of items that come in components (Liang & Zeger 1986, clustered).

    Args:
        values: [items].
        component: [items] int64 number of each item's component.

    Returns:
        sqrt(G / (G - 1) x sum over the G components of (sum of residuals)^2) / items; None for one component.
        With one item per component it is sd / sqrt(items).
    """
    sums = np.bincount(component, values - values.mean())
    n = len(sums)
    return math.sqrt(n / (n - 1) * float((sums**2).sum())) / len(values) if n > 1 else None


def _row(metric: Metric, columns: Columns, component: np.ndarray) -> dict[str, Any]:
    """Compute one metric of one task."""
    values = metric.values(columns)
    n_components = int(component.max()) + 1
    enough = n_components >= MIN_COMPONENTS
    few = f"{n_components} components, fewer than {MIN_COMPONENTS}: display only"
    return {
        "value": float(values.mean()),
        "se": standard_error(values, component),
        "chance": float(metric.chance(columns).mean()) if metric.chance else None,
        "unit": metric.unit,
        "direction": metric.direction,
        "items": len(values),
        "components": n_components,
        "decision_grade": metric.decision_grade and enough,
        "reason": metric.reason if enough or not metric.decision_grade else few,
    }
