"""The local executor: worker processes that run in-memory Beam pipelines over tasks.

Documents never cross a Beam shuffle here; a shuffle is two map phases around exchange files, so memory
stays at a few hundred MB per process for any corpus size. `FnApiRunner` is named, never `DirectRunner`,
which would look for a Prism binary on the network.
"""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.beam.exchange import remove_exchange
from pipelines.beam.pool import Outcome, Pool
from pipelines.beam.progress import Marker, read_markers
from pipelines.contracts.errors import StageError, message
from pipelines.contracts.tasks import Context, MapStage, ShuffleStage, Stage, Task

if TYPE_CHECKING:
    import apache_beam as beam

_MAX_TASKS_PER_PIPELINE = {"run": 8, "map_to_files": 32, "reduce_from_files": 32}
"""By role: the halves of a shuffle are short, and one of many parts would be hundreds of pipelines."""
_MAX_POISON = 20


@dataclass(frozen=True)
class WorkItem:
    """A few tasks of one stage that one worker runs in one in-memory pipeline."""

    context: Context
    role: str
    tasks: tuple[Task, ...]
    map_keys: tuple[str, ...] = ()
    wanted: frozenset[int] | None = None


def run_item(item: WorkItem) -> None:
    """Run a work item in this process, as an in-memory Beam pipeline."""
    from pipelines.beam.transforms import MapTasks, RunTask

    do = RunTask(item.context, item.role, item.map_keys, item.wanted)
    run_in_memory("Stage", MapTasks(do, list(item.tasks), spread=False))


def run_in_memory(label: str, transform: beam.PTransform) -> None:
    """Apply a transform to an empty pipeline in this process."""
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner", "--no_save_main_session"]))
    pipeline | label >> transform
    pipeline.run().wait_until_finish()


class LocalExecutor:
    """Run stages on this machine.

    Args:
        workers: worker processes; 1 runs everything in this process.
        stall_s: a task whose marker does not move for so long is a stall.
        show: called a few times a second with (stage, done task keys, markers).
    """

    def __init__(self, workers: int, stall_s: float, show: Callable[[str, dict[str, Marker]], None]) -> None:
        self._workers, self._stall_s, self._show = workers, stall_s, show
        self._pool = Pool("pipelines.beam.local:run_item", workers) if workers > 1 else None

    def close(self) -> None:
        """End the workers."""
        if self._pool:
            self._pool.close()

    def run_map(self, context: Context, stage: MapStage, tasks: list[Task]) -> None:
        """Run the tasks of a map stage."""
        self._run(stage, context, "run", tasks)

    def run_shuffle(self, context: Context, stage: ShuffleStage, maps: list[Task], reduces: list[Task]) -> None:
        """Run a shuffle: maps emit the partitions of the given reduces, then these are reduced."""
        wanted = frozenset(task.payload["partition"] for task in reduces)
        self._run(stage, context, "map_to_files", maps, wanted=wanted)
        self._run(stage, context, "reduce_from_files", reduces, map_keys=tuple(task.key for task in maps))
        remove_exchange(context.workspace, stage.name)

    def _run(
        self,
        stage: Stage,
        context: Context,
        role: str,
        tasks: list[Task],
        map_keys: tuple[str, ...] = (),
        wanted: frozenset[int] | None = None,
    ) -> None:
        groups = group_tasks(tasks, self._workers, _MAX_TASKS_PER_PIPELINE[role])
        items = [WorkItem(context, role, group, map_keys, wanted) for group in groups]
        if self._pool is None:
            for item in items:
                run_item(item)
                self._show(stage.name, read_markers(context.workspace, stage.name))
            return
        watch = StallWatch(context.workspace, stage.name, self._stall_s)
        while items:
            items = list(self._round(stage, items, watch))

    def _round(self, stage: Stage, items: list[WorkItem], watch: StallWatch) -> Iterator[WorkItem]:
        """Run items once; yield what has to run again because a worker died."""
        assert self._pool is not None
        died: list[WorkItem] = []
        for outcome in self._pool.run(items, lambda: self._show(stage.name, watch.check())):
            if outcome.status == "failed":
                raise outcome.error or StageError(f"stage {stage.name}: a task failed:\n{outcome.detail}")
            if outcome.status == "died":
                died.append(outcome.item)
                if len(outcome.item.tasks) == 1:
                    yield self._without_poison(stage, outcome)
                else:
                    alone = outcome.item.tasks
                    yield from (dataclasses.replace(outcome.item, tasks=(task,)) for task in alone)

    def _without_poison(self, stage: Stage, outcome: Outcome) -> WorkItem:
        """Return the item with the record that killed its worker marked as poison.

        Raises:
            StageError: if no record can be blamed, or too many.
        """
        task: Task = outcome.item.tasks[0]
        marker = read_markers(outcome.item.context.workspace, stage.name).get(task.key, Marker())
        where = f"stage {stage.name}, task {task.key}"
        blamed = (marker.path, marker.offset)
        if not marker.path or blamed in task.poison or len(task.poison) >= _MAX_POISON:
            expected = "a worker that lives; the run can be resumed by the same command"
            raise StageError(
                message(where, "the worker died", outcome.detail, expected, "Out of memory? See the kernel log.")
            )
        poisoned = dataclasses.replace(task, poison=(*task.poison, blamed))
        return dataclasses.replace(outcome.item, tasks=(poisoned,))


class StallWatch:
    """Notice tasks that neither move nor end."""

    def __init__(self, workspace: str, stage: str, stall_s: float) -> None:
        from time import monotonic

        self._workspace, self._stage, self._stall_s, self._clock = workspace, stage, stall_s, monotonic
        self._seen: dict[str, Marker] = {}
        self._moved = monotonic()

    def check(self) -> dict[str, Marker]:
        """Return the markers.

        Raises:
            StageError: if no marker has moved for the stated time; names file and offset.
        """
        markers = read_markers(self._workspace, self._stage)
        if markers != self._seen:
            self._seen, self._moved = markers, self._clock()
        elif self._clock() - self._moved > self._stall_s:
            at = [f"{m.path} at offset {m.offset}" if m.path else f"task {key}" for key, m in sorted(markers.items())]
            got = f"no progress for {self._stall_s:.0f} s; last seen at {'; '.join(at[-4:]) or 'no task'}"
            raise StageError(
                message(
                    f"stage {self._stage}", "stalled", got, "progress", "Nothing was dropped; the run can be resumed."
                )
            )
        return markers


def group_tasks(tasks: list[Task], workers: int, most: int) -> list[tuple[Task, ...]]:
    """Cut tasks into groups: one big task each, or several small ones (a pipeline costs .04 CPU-s).

    Tasks are dealt in turn, because those of one kind stand together and weigh alike: a shard to check weighs
    hundreds of times what a partition of leaders does.

    Args:
        tasks: all tasks.
        workers: how many share them; several get at least four groups each, so that they end together.
        most: most tasks of a group.
    """
    size = most if workers == 1 else max(1, min(most, len(tasks) // (workers * 4)))
    groups = -(-len(tasks) // size)
    return [tuple(tasks[first::groups]) for first in range(groups)]


def default_workers() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0))
