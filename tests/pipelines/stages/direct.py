"""An executor that calls the functions of a stage one after the other, without Beam."""

from __future__ import annotations

from collections import defaultdict

from pipelines.contracts import manifest
from pipelines.contracts.tasks import Context, MapStage, NoProgress, ShuffleStage, Task


class DirectExecutor:
    """Run stages in this process; notes (stage, task keys) of every shuffle, and can stop before one."""

    def __init__(self, stop_at: str | None = None) -> None:
        self.shuffles: list[tuple[str, tuple[str, ...]]] = []
        self.stop_at = stop_at

    def run_map(self, context: Context, stage: MapStage, tasks: list[Task]) -> None:
        for task in tasks:
            manifest.commit(context.workspace, stage.run(context, task, NoProgress()))

    def run_shuffle(self, context: Context, stage: ShuffleStage, maps: list[Task], reduces: list[Task]) -> None:
        self.shuffles.append((stage.name, tuple(task.key for task in reduces)))
        sent: dict[int, list[bytes]] = defaultdict(lambda: [b""])
        for task in reversed(maps):
            for partition, payload in stage.map(context, task, NoProgress()):
                sent[partition].append(payload)
        for task in reduces:
            if task.key == self.stop_at:
                raise KeyboardInterrupt
            done = stage.reduce(context, task, sent[task.payload["partition"]], NoProgress())
            manifest.commit(context.workspace, done)

    def close(self) -> None:
        pass


class NoDisplay:
    """Nobody is told."""

    def stage_started(self, stage: str, todo: int, done: int) -> None:
        pass

    def stage_finished(self, stage: str, counts: dict[str, int]) -> None:
        pass
