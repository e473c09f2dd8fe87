"""Run many trainings on this machine: one process per core, one thread each, longest first.

Stacking small models in one process does not pay on CPUs, and two threads per run cost up to nine times
the throughput of two runs side by side. A worker lives for many runs, so that it compiles once.

    run_all ── job ──► worker 1..N     (spawned; jobs and results over one pipe each)
            ◄─ result ─                 a worker that dies is replaced; its job is tried once more
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection, get_context
from pathlib import Path
from typing import Any, Literal, TextIO

LOG = logging.getLogger(__name__)

MAX_TRIES = 2
"""A job whose worker was killed runs once more (memory may be free then); a second death is a failure."""
GRACE_S = 30.0
"""Time that workers have to write a checkpoint after a signal."""
PROGRESS_S = 5.0

Job = Callable[[Any, Callable[[], bool]], Any]
"""A function of (job, should_stop), importable by name."""


class Interrupted(Exception):
    """Raised by a job that was asked to stop; its state is on disk and it can go on."""


@dataclass(frozen=True)
class WorkItem:
    """One run: finished when its folder holds `run.json`."""

    name: str
    folder: Path
    cost: float  # in any unit, e.g. floating-point operations; only ratios matter
    job: Any


@dataclass(frozen=True)
class Outcome:
    """What became of a work item."""

    name: str
    status: Literal["done", "failed", "interrupted"]
    result: Any = None
    reason: str = ""


def run_all(items: Sequence[WorkItem], function: Job, workers: int, stream: TextIO = sys.stderr) -> list[Outcome]:
    """Run what is not finished; return one outcome per item, in the order given.

    SIGINT and SIGTERM make every worker write a checkpoint and stop; the outcomes are then
    "interrupted" and a second call goes on. An exception in a job fails that job, with its traceback as
    the reason; the others go on. The caller exits with 1 if any outcome is "failed".

    Args:
        items: runs.
        function: what a worker calls with `item.job`, e.g. `trainer.run_job`.
        workers: processes at a time; one per core.
        stream: where progress goes: one line that is rewritten on a terminal, else a line every 5 s.
    """
    outcomes = {
        item.name: Outcome(item.name, "done", json.loads((item.folder / "run.json").read_text()))
        for item in items
        if (item.folder / "run.json").exists()
    }
    todo = [item for item in items if item.name not in outcomes]
    if todo:
        todo.sort(key=lambda item: -item.cost)
        pool = _Pool(todo, function, min(workers, len(todo)), _Progress(todo, len(items), workers, stream))
        with stop_on_signals(pool.stop):
            outcomes |= pool.run()
    return [outcomes[item.name] for item in items]


class _Pool:
    """Workers, the queue before them and the outcomes behind them."""

    def __init__(self, todo: list[WorkItem], function: Job, workers: int, progress: _Progress) -> None:
        self._queue = list(todo)
        self._function = function
        self._progress = progress
        self._context = get_context("spawn")
        # A raw byte, not an Event: a worker killed inside Event.is_set() would keep the lock for ever.
        self._stop = self._context.RawValue("b", 0)
        self._tries = {item.name: 0 for item in todo}
        self._outcomes: dict[str, Outcome] = {}
        self._workers = [_Worker(self._context, self._stop) for _ in range(workers)]

    def stop(self) -> None:
        """Ask all workers to save and stop."""
        self._stop.value = 1

    def run(self) -> dict[str, Outcome]:
        """Work until the queue is empty and the workers are idle, or until a stop."""
        deadline = None
        try:
            for worker in self._workers:
                self._assign(worker)
            while any(worker.item for worker in self._workers):
                self._wait()
                self._progress.show(len(self._outcomes), self._workers)
                if self._stop.value:
                    deadline = deadline or time.monotonic() + GRACE_S
                    if time.monotonic() > deadline:
                        break
        finally:
            for worker in self._workers:
                worker.close()
            self._progress.close()
        left = [*self._queue, *(worker.item for worker in self._workers if worker.item)]
        return self._outcomes | {item.name: Outcome(item.name, "interrupted") for item in left}

    def _assign(self, worker: _Worker) -> None:
        """Give a worker the longest job that waits."""
        if self._queue and not self._stop.value:
            item = self._queue.pop(0)
            self._tries[item.name] += 1
            worker.send(item, self._function)

    def _wait(self) -> None:
        """Take what has arrived: results, and deaths."""
        busy = [worker for worker in self._workers if worker.item]
        ready = connection.wait([w.pipe for w in busy] + [w.process.sentinel for w in busy], timeout=0.5)
        for worker in busy:
            if worker.pipe in ready or worker.process.sentinel in ready:
                outcome = worker.receive()
                if outcome is None:
                    self._replace(worker)
                    continue
                self._outcomes[outcome.name] = outcome
                if outcome.status == "done":
                    self._progress.record(outcome.name)
                else:
                    LOG.warning("run %s %s: %s", outcome.name, outcome.status, outcome.reason)
                self._assign(worker)

    def _replace(self, dead: _Worker) -> None:
        """Start a worker in the place of a dead one; its job goes to the front, unless it was its last try."""
        item = dead.item
        dead.close()
        reason = f"worker killed: exit code {dead.process.exitcode} (negative: signal); expected a result"
        if self._tries[item.name] < MAX_TRIES:
            LOG.warning("run %s: %s; it is tried once more", item.name, reason)
            self._queue.insert(0, item)
        else:
            self._outcomes[item.name] = Outcome(item.name, "failed", reason=f"{reason}, {MAX_TRIES} times")
        worker = _Worker(self._context, self._stop)
        self._workers[self._workers.index(dead)] = worker
        self._assign(worker)


class _Worker:
    """The parent's side of one process."""

    def __init__(self, context: Any, stop: Any) -> None:
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, stop, os.getpid()), daemon=True)
        self.process.start()
        theirs.close()
        self.item: WorkItem | None = None

    def send(self, item: WorkItem, function: Job) -> None:
        """Start a job."""
        self.item = item
        with contextlib.suppress(BrokenPipeError):  # died between two jobs: `receive` sees it
            self.pipe.send((item.name, function, item.job))

    def receive(self) -> Outcome | None:
        """Return the outcome, or None if the process died without one."""
        try:
            outcome = self.pipe.recv() if self.pipe.poll() else None
        except (EOFError, ConnectionResetError):
            outcome = None
        if outcome is not None:
            self.item = None
        return outcome

    def close(self) -> None:
        """End the process: an idle one leaves when its pipe closes; one that does not is killed."""
        self.pipe.close()
        self.process.join(0.0 if self.item else 5.0)
        if self.process.is_alive():
            self.process.kill()
        self.process.join()


def _serve(pipe: connection.Connection, stop: Any, parent: int) -> None:
    """Run jobs until the pipe closes (the worker process)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # Before the first job imports torch: one thread, no pool of compiler processes.
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", TORCHINDUCTOR_COMPILE_THREADS="1")
    if "torch" in sys.modules:  # the caller's main module has imported it
        sys.modules["torch"].set_num_threads(1)

    def should_stop() -> bool:
        return bool(stop.value) or os.getppid() != parent

    while True:
        try:
            name, function, job = pipe.recv()
        except (EOFError, OSError):
            return
        outcome = _attempt(name, function, job, should_stop)
        try:
            pipe.send(outcome)
        except (BrokenPipeError, OSError):
            return


def _attempt(name: str, function: Job, job: Any, should_stop: Callable[[], bool]) -> Outcome:
    """Run a job; an exception becomes its outcome, because the other runs go on."""
    try:
        return Outcome(name, "done", function(job, should_stop))
    except Interrupted as stopped:
        return Outcome(name, "interrupted", reason=str(stopped))
    except Exception:  # noqa: BLE001 - the boundary of the process: reported, with its traceback, by the parent
        return Outcome(name, "failed", reason=traceback.format_exc())


@contextlib.contextmanager
def stop_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Let SIGINT and SIGTERM ask for a stop, where signals can be handled (the main thread)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: stop()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Progress:
    """Runs done and left, and the time left by the cost of what is done."""

    def __init__(self, todo: Sequence[WorkItem], n_items: int, workers: int, stream: TextIO) -> None:
        self._cost = {item.name: item.cost for item in todo}
        self._before, self._n_items = n_items - len(todo), n_items
        self._workers, self._stream = workers, stream
        self._done_cost = 0.0
        self._start = self._shown = time.monotonic()
        self._is_terminal = stream.isatty()

    def record(self, name: str) -> None:
        """Count a finished run."""
        self._done_cost += self._cost[name]

    def show(self, n_outcomes: int, workers: Sequence[_Worker]) -> None:
        """Print where things stand, at most every 5 s (on a terminal .5 s)."""
        now = time.monotonic()
        if now - self._shown < (0.5 if self._is_terminal else PROGRESS_S):
            return
        self._shown = now
        running = sum(worker.item is not None for worker in workers)
        self._print(n_outcomes, running, "\r" if self._is_terminal else "")

    def close(self) -> None:
        """Print the last line."""
        if self._is_terminal:
            self._stream.write("\n")
        self._stream.flush()

    def _print(self, n_outcomes: int, running: int, prefix: str) -> None:
        elapsed = time.monotonic() - self._start
        left = "?"
        if self._done_cost:
            total = sum(self._cost.values())
            left_s = elapsed * (total - self._done_cost) / self._done_cost
            left = f"{int(left_s // 60)}:{int(left_s % 60):02d}"
        text = (
            f"train: {self._before + n_outcomes} of {self._n_items} runs done, {running} running, "
            f"{elapsed:.0f} s, {left} min left"
        )
        end = "\x1b[K" if self._is_terminal else "\n"
        self._stream.write(f"{prefix}{text}{end}")
        self._stream.flush()
