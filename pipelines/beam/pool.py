"""A pool of spawned worker processes that knows which worker had which work when one dies or stalls.

`concurrent.futures` fails every future when one process is killed; here the others go on, and the caller
learns which item the dead worker held.
"""

from __future__ import annotations

import importlib
import multiprocessing
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from pipelines.contracts.errors import MixtraceError

_POLL_S = 0.25
_EXIT_S = 5.0


@dataclass(frozen=True)
class Outcome:
    """What became of one item.

    Attributes:
        item: the item.
        status: "done", "failed" (it raised) or "died" (its worker was killed).
        error: the exception, if it is one of ours; else None.
        detail: traceback or exit code.
    """

    item: Any
    status: str
    error: MixtraceError | None = None
    detail: str = ""


class _Worker:
    """One spawned process and the pipe to it."""

    def __init__(self, target: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, target), daemon=True)
        self.process.start()
        theirs.close()
        self.item: Any = None
        self.busy = False

    def give(self, item: Any) -> None:
        """Send an item to work on."""
        self.item, self.busy = item, True
        self.pipe.send(item)

    def stop(self) -> None:
        """Ask the process to end, then end it."""
        self.pipe.close()
        self.process.terminate()
        self.process.join(_EXIT_S)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


class Pool:
    """Workers that live for a whole job, so that imports and kernels are loaded once.

    Args:
        target: "module:function"; the function does one item in the worker.
        size: number of processes; they start when they are first needed.
    """

    def __init__(self, target: str, size: int) -> None:
        self._target, self._size = target, size
        self._workers: list[_Worker] = []

    def run(self, items: list[Any], on_poll: Callable[[], None]) -> Iterator[Outcome]:
        """Do all items; yield outcomes as they come. `on_poll` is called a few times a second.

        A worker that died is replaced; the item that it held comes back as "died".
        """
        waiting = deque(items)
        while waiting or any(worker.busy for worker in self._workers):
            self._assign(waiting)
            ready = wait([worker.pipe for worker in self._workers if worker.busy], timeout=_POLL_S)
            on_poll()
            for worker in [w for w in self._workers if w.busy]:
                if worker.pipe in ready or not worker.process.is_alive():
                    yield self._collect(worker)

    def _assign(self, waiting: deque[Any]) -> None:
        idle = [worker for worker in self._workers if not worker.busy]
        while waiting and (idle or len(self._workers) < self._size):
            if not idle:
                self._workers.append(_Worker(self._target))
                idle.append(self._workers[-1])
            idle.pop().give(waiting.popleft())

    def _collect(self, worker: _Worker) -> Outcome:
        item = worker.item
        try:
            status, error, detail = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join(_EXIT_S)
            self._workers.remove(worker)
            return Outcome(item, "died", None, f"exit code {worker.process.exitcode}")
        worker.item, worker.busy = None, False
        return Outcome(item, status, error, detail)

    def kill_holder(self, item: Any) -> None:
        """Kill the worker that holds an item (it stalls); the item then comes back as "died"."""
        for worker in self._workers:
            if worker.busy and worker.item == item:
                worker.process.kill()

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.stop()
        self._workers = []


def _serve(pipe: Connection, target: str) -> None:
    """Worker loop: receive an item, do it, send what became of it; ends when the parent does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    module, function = target.split(":")
    do = getattr(importlib.import_module(module), function)
    while True:
        try:
            item = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            do(item)
            pipe.send(("done", None, ""))
        except MixtraceError as error:
            pipe.send(("failed", error, traceback.format_exc()))
        except Exception as error:  # noqa: BLE001 - reported to the parent, which raises
            pipe.send(("failed", _our_cause(error), traceback.format_exc()))


def _our_cause(error: BaseException) -> MixtraceError | None:
    """Find our own error inside the ones that Beam wraps around it."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, MixtraceError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None
