"""Runs of a study as Beam elements: one packed job each, one function for all, resource hints on the step.

The function and the jobs come from the caller (`beam_runner.py` alone knows what is trained); elements are
bytes, so any engine's coder carries them, and small, because a job request holds them all.
"""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics

from pipelines.beam.engine import EngineExecutor
from pipelines.beam.flags import EngineConfig
from pipelines.beam.local import run_in_memory
from pipelines.beam.pool import Pool
from pipelines.contracts.errors import StageError, message

STEP = "train"
# Engines run bundles in several threads of one process; a training fills its core or its accelerator.
_ONE_RUN = threading.Lock()


@dataclass(frozen=True)
class SweepWork:
    """What is to be run.

    Attributes:
        function: called with one job; importable by name. What it makes are files; a job that is done is not repeated.
        jobs: picklable, small, longest first.
        done: how many of them are finished, and anything else that moves while they run.
        hints: resource hints of the step, e.g. {"accelerator": "type:nvidia-l4;count:1;install-nvidia-driver"}.
    """

    function: Callable[[Any], Any]
    jobs: Sequence[Any]
    done: Callable[[], tuple[int, object]]
    hints: Mapping[str, str]


class DoJob(beam.DoFn):
    """Run one job."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function

    def process(self, packed: bytes) -> None:
        """Unpack and run; an exception is the engine's to retry, and ends as the job's failure."""
        with _ONE_RUN:
            self._function(pickle.loads(packed))
        Metrics.counter("sweep", "runs").inc()


class Sweep(beam.PTransform):
    """Jobs in, nothing out."""

    def __init__(self, work: SweepWork, *, spread: bool = True) -> None:
        super().__init__()
        self._work, self._spread = work, spread

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """Create, reshuffle, train."""
        packed = [pickle.dumps(job) for job in self._work.jobs]
        jobs = pipeline | "Runs" >> beam.Create(packed, reshuffle=False).with_output_types(bytes)
        if self._spread:
            jobs = jobs | "Spread" >> beam.Reshuffle()
        step = beam.ParDo(DoJob(self._work.function))
        return jobs | "Train" >> (step.with_resource_hints(**self._work.hints) if self._work.hints else step)


def run_sweep(work: SweepWork, engine: EngineConfig | None, workers: int, show: Callable[[int], None]) -> None:
    """Run all jobs on an engine, or on this machine in worker processes (longest first).

    Args:
        work: the jobs.
        engine: None for this machine.
        workers: processes on this machine.
        show: told how many jobs are done, a few times a second.

    Raises:
        StageError: if a job failed; the others are done, and the same command resumes.
    """
    if engine is None:
        _run_here(work, workers, show)
        return
    executor = EngineExecutor(engine, lambda *_: None)

    def observe() -> object:
        count, moves = work.done()
        show(count)
        return count, moves

    try:
        executor.run_transform(STEP, Sweep(work), observe)
    finally:
        executor.close()


@dataclass(frozen=True)
class _Item:
    """One job of the local pool."""

    work: SweepWork


def run_item(item: _Item) -> None:
    """Run one job in this process, as an in-memory Beam pipeline."""
    run_in_memory("Sweep", Sweep(item.work, spread=False))


def _run_here(work: SweepWork, workers: int, show: Callable[[int], None]) -> None:
    before = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    os.environ.update(dict.fromkeys(before, "1"))  # inherited by the workers: one core, one thread each
    pool = Pool("pipelines.beam.sweep:run_item", min(workers, len(work.jobs)))
    alone = [_Item(SweepWork(work.function, (job,), _nothing, work.hints)) for job in work.jobs]
    try:
        outcomes = list(pool.run(alone, lambda: show(work.done()[0])))
    finally:
        pool.close()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    failed = [str(o.error or o.detail.strip().splitlines()[-1]) for o in outcomes if o.status != "done"]
    if failed:
        raise StageError(message("sweep", f"{len(failed)} runs failed", failed[0][-400:], "finished runs"))


def _nothing() -> tuple[int, object]:
    return 0, None
