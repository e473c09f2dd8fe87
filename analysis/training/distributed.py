"""One run on several processes: data-parallel training for proxies that one device trains too slowly.

Every process holds the model and trains on its share of each batch; gradients are averaged by torch's
DistributedDataParallel (gloo on CPUs, nccl on GPUs, one process per GPU). The global batch, the schedule and
the order of the data are those of one process, so the losses are, too, up to the order of a sum. Process 0
alone evaluates and writes; the others wait for it at the next gradient.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from multiprocessing import connection, get_context
from pathlib import Path
from typing import Any, TextIO

import torch
import torch.distributed

from analysis.training.output import RunOutput
from analysis.training.probe import Numerics
from analysis.training.scheduler import PROGRESS_S, Interrupted, Outcome, WorkItem, stop_on_signals
from analysis.training.state import TrainingState
from analysis.training.trainer import RunJob, evaluations_due, run_job
from pipelines.contracts.errors import ConfigError, message

GRACE_S = 30.0


def check_distributed(job: RunJob) -> None:
    """Refuse what cannot be shared between processes.

    Raises:
        ConfigError: if the batch has no equal parts, or the model draws random numbers while it trains.
    """
    proxy, processes = job.proxy, (job.numerics or Numerics()).processes
    parts = processes * proxy.accumulate
    if proxy.batch % parts:
        what = f"batch {proxy.batch} on {processes} processes x {proxy.accumulate} parts"
        raise ConfigError(message("proxy.batch", "cannot be shared equally", what, f"a multiple of {parts} rows"))
    if proxy.model not in ("llama", "lstm", "feedforward") or proxy.dropout:
        what = f"{proxy.model}, dropout {proxy.dropout}"
        hint = "Dropout and masks drawn by each process would be others than those of one process."
        raise ConfigError(message("proxy", "cannot be trained by several processes", what, "no dropout", hint))


def run_distributed(items: Sequence[WorkItem], stream: TextIO = sys.stderr) -> list[Outcome]:
    """Train work items one after another, each by all processes; the counterpart of `scheduler.run_all`.

    SIGINT and SIGTERM make process 0 write a checkpoint. A process that dies ends the run that it was on;
    the same command resumes.

    Args:
        items: runs whose jobs are `RunJob`s with `numerics.processes` > 1.
        stream: where progress goes.
    """
    todo = [item for item in items if not (item.folder / "run.json").exists()]
    reason = ""
    if todo:
        for item in todo:
            check_distributed(item.job)
        reason = _Group([item.job for item in todo], stream).run()
    return [_outcome(item, reason) for item in items]


def _outcome(item: WorkItem, reason: str) -> Outcome:
    done = item.folder / "run.json"
    if done.exists():
        return Outcome(item.name, "done", json.loads(done.read_text("utf-8")))
    return Outcome(item.name, "failed" if reason else "interrupted", reason=reason)


class _Group:
    """The processes of a list of runs."""

    def __init__(self, jobs: list[RunJob], stream: TextIO) -> None:
        self._jobs, self._stream = jobs, stream
        numerics = jobs[0].numerics
        assert numerics is not None
        context = get_context("spawn")
        self._stop = context.RawValue("b", 0)
        self._folder = tempfile.TemporaryDirectory(prefix="mixtrace-ddp-")
        meeting = f"file://{Path(self._folder.name) / 'store'}"
        self._pipes, self._processes = [], []
        for rank in range(numerics.processes):
            ours, theirs = context.Pipe()
            arguments = (rank, numerics, meeting, jobs, self._stop, theirs)
            process = context.Process(target=_member, args=arguments, daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def run(self) -> str:
        """Wait for the end; returns why it failed, or nothing."""
        try:
            with stop_on_signals(self._ask_to_stop):
                return self._wait()
        finally:
            for process in self._processes:
                if process.is_alive():
                    process.kill()
                process.join()
            self._folder.cleanup()

    def _ask_to_stop(self) -> None:
        self._stop.value = 1

    def _wait(self) -> str:
        """Follow process 0; whatever ends another one early ends the group."""
        shown = time.monotonic()
        deadline = None
        while True:
            ready = connection.wait([*self._pipes, *(p.sentinel for p in self._processes)], timeout=0.5)
            for rank, pipe in enumerate(self._pipes):
                if pipe in ready or self._processes[rank].sentinel in ready:
                    reason = _last_word(pipe, rank, self._processes[rank])
                    if reason or rank == 0:
                        return reason
            if self._stop.value:
                deadline = deadline or time.monotonic() + GRACE_S
                if time.monotonic() > deadline:
                    return ""
            if time.monotonic() - shown > PROGRESS_S:
                shown = time.monotonic()
                done = sum((job.out / "run.json").exists() for job in self._jobs)
                left = len(self._jobs) - done
                print(f"train: {done} runs done, {left} left, {len(self._processes)} processes each", file=self._stream)


def _last_word(pipe: connection.Connection, rank: int, process: Any) -> str:
    """Return why a process ended: nothing if it was done."""
    try:
        if pipe.poll(1.0):
            return str(pipe.recv())
    except (EOFError, OSError):
        pass
    process.join(1.0)
    return f"process {rank} died: exit code {process.exitcode} (negative: signal); expected a result"


def _member(rank: int, numerics: Numerics, meeting: str, jobs: list[RunJob], stop: Any, pipe: Any) -> None:
    """Be one of the processes."""
    parent = os.getppid()
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    cuda = numerics.device.startswith("cuda")
    if cuda:
        torch.cuda.set_device(rank)
    else:
        torch.set_num_threads(1)
    backend = "nccl" if cuda else "gloo"
    try:
        torch.distributed.init_process_group(backend, init_method=meeting, rank=rank, world_size=numerics.processes)
        for job in jobs:
            if rank == 0:
                run_job(job, lambda: bool(stop.value) or os.getppid() != parent)
            else:
                follow(job)
        pipe.send("")
    except Interrupted:
        pipe.send("")
    except Exception:  # noqa: BLE001 - the boundary of the process: reported by the parent
        pipe.send(traceback.format_exc())
    finally:
        if rank == 0 or not stop.value:
            torch.distributed.destroy_process_group()


def follow(job: RunJob) -> None:
    """Train as process 0 does, and write nothing."""
    numerics = job.numerics
    assert numerics is not None
    state = TrainingState(job.proxy, job.stream, job.seed, RunOutput(job.out), numerics)
    due = evaluations_due(state.n_steps)
    while state.step < state.n_steps and state.finite:
        state.advance(until=min(stop for stop in due if stop > state.step))
