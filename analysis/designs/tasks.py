"""Contrasts on tasks: whatever a design compares on held-out text is compared on its tasks, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from analysis.design_file import DesignSpec
from analysis.designs.cells import CONTROL_FAMILIES, Contrast
from analysis.evaluation.tasks import deciding_metric, task_names

POPULATION = "items"
NOT_ON_TASKS = (*CONTROL_FAMILIES, "optimum")
"""Families whose verdict speaks of the treatment: they are judged on text."""


def task_contrasts(spec: DesignSpec, contrasts: Sequence[Contrast]) -> list[Contrast]:
    """Return one contrast per task and comparison.

    Args:
        spec: names the tasks.
        contrasts: those of the design; each sum of cells is taken once.
    """
    first: dict[tuple, Contrast] = {}
    for one in contrasts:
        if one.family not in NOT_ON_TASKS and one.metric == "bpb":
            first.setdefault((one.slice, tuple(sorted(one.coef.items()))), one)
    names = task_names(spec.tasks or (), tuple(spec.slices))
    return [_contrast(one, name) for one in first.values() for name in names]


def _contrast(one: Contrast, task: str) -> Contrast:
    """Move a contrast from held-out text to a task."""
    metric = deciding_metric(task)
    worse = "positive: the right answer costs more bits" if metric == "gold_bpb" else "negative: the margin shrinks"
    dropped = one.family == "decisions"
    change = f"with {one.slice} instead" if dropped else f"without {one.slice}"
    helps = f"dropping {one.slice}" if dropped else one.slice
    return replace(
        one,
        name=f"{one.name.removesuffix(f' on {one.target}')} on {task} ({metric})",
        family="downstream",
        target=task,
        population=POPULATION,
        metric=metric,
        expected_sign=0,
        meaning=f"{worse} {change}, so {helps} helps on {task}",
    )
