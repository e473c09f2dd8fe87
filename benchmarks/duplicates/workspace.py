"""Curate a folder of corpora up to the decisions, and see what each stage costs."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipelines.beam.driver import open_workspace, run_stage, run_stages
from pipelines.beam.local import LocalExecutor
from pipelines.contracts.recipe import load_recipe
from pipelines.contracts.tasks import Context, Lineage, Plan
from pipelines.stages import STAGES

_STALL_S = 900.0


@dataclass(frozen=True)
class StageCost:
    """What one stage cost.

    Attributes:
        stage: its name.
        cpu_s: CPU seconds.
        peak_mb: peak resident memory of the process while it ran, in MB.
        counts: the stage's own counts.
    """

    stage: str
    cpu_s: float
    peak_mb: float
    counts: dict[str, int]


class Costs:
    """Note CPU seconds and peak memory of every stage (a display of the driver)."""

    def __init__(self) -> None:
        self.stages: list[StageCost] = []
        self._started = 0.0

    def stage_started(self, stage: str, todo: int, done: int) -> None:
        """Start the clock and reset the kernel's peak."""
        Path("/proc/self/clear_refs").write_text("5")
        self._started = time.process_time()

    def stage_finished(self, stage: str, counts: dict[str, int]) -> None:
        """Note what the stage cost."""
        status = Path("/proc/self/status").read_text()
        peak_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
        self.stages.append(StageCost(stage, time.process_time() - self._started, peak_kb * 1024 / 1e6, dict(counts)))


def curate_until(stage: str, recipe: Path, workspace: Path) -> list[StageCost]:
    """Run the stages up to one of them in this process; returns what each cost."""
    context, plan = open_workspace(load_recipe(str(recipe)), str(workspace))
    costs = Costs()
    executor = LocalExecutor(1, _STALL_S, lambda stage, markers: None)
    try:
        run_stages(context, plan, executor, costs, until=stage)
    finally:
        executor.close()
    return costs.stages


def measure_stages(context: Context, plan: Plan, names: Iterable[str]) -> list[StageCost]:
    """Run some stages in this process on what those before them left; returns what each cost."""
    lineage, costs = Lineage(STAGES.values(), context.recipe, plan), Costs()
    executor = LocalExecutor(1, _STALL_S, lambda stage, markers: None)
    try:
        for name in names:
            run_stage(context, plan, lineage, STAGES[name], executor, costs)
    finally:
        executor.close()
    return costs.stages
