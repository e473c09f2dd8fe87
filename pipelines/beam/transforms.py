"""The Beam transforms: tasks in, nothing out; all results are files and manifests.

The same stages run in two shapes: `MapTasks` for map stages (and for both halves of a shuffle through
local files), `ShuffleTasks` for a shuffle through the engine's GroupByKey. Parameters travel in the DoFns,
because no pipeline option reaches an external worker.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Literal

import apache_beam as beam
from apache_beam.metrics import Metrics

from pipelines.beam.exchange import read_exchange, write_exchange
from pipelines.beam.progress import open_progress
from pipelines.contracts import manifest
from pipelines.contracts.manifest import TaskManifest
from pipelines.contracts.tasks import Context, MapStage, Progress, ShuffleStage, Task
from pipelines.stages import STAGES

Role = Literal["run", "map_to_files", "reduce_from_files"]
MAP_PREFIX, REDUCE_PREFIX = "map-", ""

# Engines run bundles in several threads of one Python process (Prism did). Kernels release the GIL and keep
# caches per process, and memory is reckoned per task: so one task at a time. Processes are what runs in parallel.
_ONE_TASK = threading.RLock()


def _commit(workspace: str, done: TaskManifest) -> None:
    """Commit a task and show its counts in the engine's own user interface (never used for control)."""
    manifest.commit(workspace, done)
    for name, value in done.counts.items():
        Metrics.counter(done.stage, name).inc(value)


class RunTask(beam.DoFn):
    """Do one whole task: a map task, or one half of a shuffle whose exchange is local files."""

    def __init__(
        self, context: Context, role: Role, map_keys: tuple[str, ...] = (), wanted: frozenset[int] | None = None
    ) -> None:
        self._context, self._role = context, role
        self._map_keys, self._wanted = map_keys, wanted

    def process(self, task: Task) -> None:
        """Do the task."""
        prefix = MAP_PREFIX if self._role == "map_to_files" else REDUCE_PREFIX
        with _ONE_TASK, closing(open_progress(self._context.workspace, task.stage, prefix + task.key)) as progress:
            self._do(task, progress)

    def _do(self, task: Task, progress: Progress) -> None:
        stage, context = STAGES[task.stage], self._context
        if isinstance(stage, MapStage):
            _commit(context.workspace, stage.run(context, task, progress))
        elif self._role == "map_to_files":
            emitted = emitted_by(stage, context, task, progress, self._wanted)
            write_exchange(context.workspace, task.stage, task.key, emitted)
        else:
            payloads = read_exchange(context.workspace, task.stage, task.payload["partition"], self._map_keys)
            _commit(context.workspace, stage.reduce(context, task, payloads, progress))


def emitted_by(
    stage: ShuffleStage, context: Context, task: Task, progress: Progress, wanted: frozenset[int] | None
) -> Iterator[tuple[int, bytes]]:
    """Yield what a map task emits, for the wanted partitions only (on resume some are done already)."""
    for partition, payload in stage.map(context, task, progress):
        if wanted is None or partition in wanted:
            yield partition, payload


class EmitPayloads(beam.DoFn):
    """The map half of a shuffle on an engine."""

    def __init__(self, context: Context, wanted: frozenset[int]) -> None:
        self._context, self._wanted = context, wanted

    def process(self, task: Task) -> Iterator[tuple[int, bytes]]:
        """Emit (partition, payload)."""
        stage = STAGES[task.stage]
        assert isinstance(stage, ShuffleStage)
        with _ONE_TASK, closing(open_progress(self._context.workspace, task.stage, MAP_PREFIX + task.key)) as progress:
            yield from emitted_by(stage, self._context, task, progress, self._wanted)


class ReducePayloads(beam.DoFn):
    """The reduce half of a shuffle on an engine."""

    def __init__(self, context: Context, tasks: dict[int, Task]) -> None:
        self._context, self._tasks = context, tasks

    def process(self, keyed: tuple[int, Iterable[bytes]]) -> None:
        """Reduce one partition and commit it."""
        partition, payloads = keyed
        task = self._tasks[partition]
        stage = STAGES[task.stage]
        assert isinstance(stage, ShuffleStage)
        marker = open_progress(self._context.workspace, task.stage, REDUCE_PREFIX + task.key)
        with _ONE_TASK, closing(marker) as progress:
            given = (payload for payload in payloads if payload)
            _commit(self._context.workspace, stage.reduce(self._context, task, given, progress))


class MapTasks(beam.PTransform):
    """Do independent tasks, spread over the workers."""

    def __init__(self, do: RunTask, tasks: list[Task], *, spread: bool = True) -> None:
        super().__init__()
        self._do, self._tasks, self._spread = do, tasks, spread

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """Create, reshuffle (Flink gives one worker everything without it), do."""
        tasks = pipeline | "Tasks" >> beam.Create(self._tasks, reshuffle=False)
        if self._spread:
            tasks = tasks | "Spread" >> beam.Reshuffle()
        return tasks | "Do" >> beam.ParDo(self._do)


class ShuffleTasks(beam.PTransform):
    """Regroup packed bytes by partition with GroupByKey; every partition gets at least an empty payload."""

    def __init__(self, context: Context, maps: list[Task], reduces: list[Task]) -> None:
        super().__init__()
        self._context, self._maps = context, maps
        self._reduces = {task.payload["partition"]: task for task in reduces}

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """Map, add one empty payload per partition, group, reduce."""
        wanted = frozenset(self._reduces)
        tasks = pipeline | "Tasks" >> beam.Create(self._maps, reshuffle=False) | "Spread" >> beam.Reshuffle()
        emitted = tasks | "Map" >> beam.ParDo(EmitPayloads(self._context, wanted)).with_output_types(tuple[int, bytes])
        seeds = pipeline | "Partitions" >> beam.Create([(p, b"") for p in sorted(wanted)], reshuffle=False)
        seeds = seeds | "Typed" >> beam.Map(_same).with_output_types(tuple[int, bytes])
        grouped = (emitted, seeds) | "Both" >> beam.Flatten() | "Group" >> beam.GroupByKey()
        return grouped | "Reduce" >> beam.ParDo(ReducePayloads(self._context, self._reduces))


def _same(keyed: tuple[int, bytes]) -> tuple[int, bytes]:
    return keyed
