"""Train runs in stacks on one device: the files, checkpoints and results of runs trained alone.

    records = train_stacked(jobs, size=64)

A stack that does not fit the device's memory is halved and goes on from its checkpoints.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from analysis.training import checkpoint
from analysis.training.output import RunOutput
from analysis.training.probe import Numerics
from analysis.training.scheduler import Interrupted, Outcome, WorkItem, stop_on_signals
from analysis.training.stacked import Stack, gigabytes, stackable
from analysis.training.state import TrainingState
from analysis.training.trainer import Evaluation, RunJob, curve_scores, evaluations_due, finish_run
from pipelines.contracts.errors import ConfigError, ResourceError, message

REPORT_S = 5.0
GPU_STACK = 64
"""Models of a stack on a GPU unless said otherwise: 3 GB for the demo proxy."""


def say_on_stderr(line: str) -> None:
    """Print a line of progress."""
    print(line, file=sys.stderr, flush=True)


def run_stacked(items: Sequence[WorkItem], size: int) -> list[Outcome]:
    """Run work items whose jobs are `RunJob`s in stacks; the counterpart of `scheduler.run_all`.

    SIGINT and SIGTERM write checkpoints; what is not finished is then "interrupted".
    """
    stop = threading.Event()
    with stop_on_signals(stop.set):
        try:
            train_stacked([item.job for item in items], size, stop.is_set)
        except Interrupted as interruption:
            say_on_stderr(str(interruption))
    return [
        Outcome(item.name, "done", json.loads((item.folder / "run.json").read_text("utf-8")))
        if (item.folder / "run.json").exists()
        else Outcome(item.name, "interrupted")
        for item in items
    ]


def train_stacked(
    jobs: Sequence[RunJob],
    size: int,
    should_stop: Callable[[], bool] = lambda: False,
    say: Callable[[str], None] = say_on_stderr,
) -> list[dict[str, Any]]:
    """Train and evaluate jobs, up to `size` at a time; finished runs are read, not repeated.

    Args:
        jobs: runs; those of one proxy, numerics, length and checkpoint are stacked.
        size: most models of a stack; halved when the device is out of memory.
        should_stop: asked every few steps; when true, all runs of the stack write a checkpoint.
        say: takes lines of progress.

    Returns:
        The run records, in the order of the jobs.

    Raises:
        ConfigError: if a job cannot be stacked.
        ResourceError: if even one model does not fit.
        Interrupted: if `should_stop` said so.
    """
    for job in jobs:
        if not stackable(job.proxy):
            raise ConfigError(
                message(
                    f"run {job.out.name}",
                    "cannot be stacked",
                    f"{job.proxy.model}, dropout {job.proxy.dropout}",
                    "a llama without dropout",
                    "Train it alone.",
                )
            )
    todo = [job for job in jobs if not (job.out / "run.json").exists()]
    while todo:
        first = _kind(todo[0])
        batch = [job for job in todo if _kind(job) == first][:size]
        failure = ""
        try:
            _train_stack(batch, len(todo), should_stop, say)
        except torch.OutOfMemoryError as error:
            failure = str(error).splitlines()[0]
        if failure:  # outside of the handler: the error's traceback holds the tensors
            size = _smaller(batch, failure, say)
        todo = [job for job in todo if not (job.out / "run.json").exists()]
    return [json.loads((job.out / "run.json").read_text("utf-8")) for job in jobs]


def _kind(job: RunJob) -> tuple[Any, ...]:
    """Return what runs of one stack share."""
    step = checkpoint.steps_done(job.out / "checkpoint.safetensors")
    return job.proxy, job.numerics or Numerics(), job.stream.n_slots, step


def _smaller(batch: Sequence[RunJob], failure: str, say: Callable[[str], None]) -> int:
    """Return the size to try next.

    Raises:
        ResourceError: if the stack was of one model.
    """
    proxy, device = batch[0].proxy, (batch[0].numerics or Numerics()).device
    need = f"about {gigabytes(proxy, len(batch)):.1f} GB for {len(batch)} models"
    if len(batch) == 1:
        raise ResourceError(
            message(
                f"device {device}",
                f"out of memory: {failure}",
                need,
                "room for one model",
                "Free the device, or make the batch, the context or the proxy smaller.",
            )
        )
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    say(f"{device} is out of memory ({need}); {len(batch) // 2} models are tried")
    return len(batch) // 2


def _start(job: RunJob) -> TrainingState:
    output = RunOutput(job.out, dict(job.labels or {}))
    return TrainingState(job.proxy, job.stream, job.seed, output, job.numerics or Numerics())


def _train_stack(
    batch: Sequence[RunJob], left: int, should_stop: Callable[[], bool], say: Callable[[str], None]
) -> None:
    """Train one stack to its end."""
    evaluations = [Evaluation(job.heldouts, job.choice_items, job.checkpoint_s, tasks=job.tasks) for job in batch]
    stack = Stack([partial(_start, job) for job in batch])
    due = evaluations_due(stack.n_steps)
    running = set(range(len(batch)))
    saved = reported = time.monotonic()
    start_step = stack.step
    while stack.step < stack.n_steps and running:
        stack.advance(until=min(stop for stop in due if stop > stack.step))
        for index in sorted(i for i in running if not stack.states[i].finite):
            finish_run(stack.unstack(index), due, evaluations[index])  # diverged: an outcome; the others go on
            running.remove(index)
        if stack.step in due and stack.step < stack.n_steps:
            for index in sorted(running):
                part = curve_scores(stack.unstack(index), evaluations[index])
                stack.states[index].output.write_part(f"curve-{due[stack.step]}", part)
        stopping = should_stop() and stack.step < stack.n_steps
        if running and (stopping or time.monotonic() - saved > batch[0].checkpoint_s):
            for index in sorted(running):
                stack.unstack(index).save()
            saved = time.monotonic()
        if time.monotonic() - reported > REPORT_S:
            tokens = (stack.step - start_step) * len(batch) * stack.proxy.batch * stack.proxy.context
            rate = tokens / max(1e-9, sum(state.cpu_s for state in stack.states))
            say(f"{len(batch)} of {left} runs: step {stack.step}/{stack.n_steps}, {rate:,.0f} tokens per CPU-second")
            reported = time.monotonic()
        if stopping:
            raise Interrupted(f"{batch[0].out}: {len(running)} runs stopped at step {stack.step} of {stack.n_steps}")
    for index in sorted(running):
        finish_run(stack.unstack(index), due, evaluations[index])
