"""Jobs that misbehave, for the tests of the scheduler; importing them costs no torch."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from analysis.training.scheduler import Interrupted


@dataclass(frozen=True)
class Behaviour:
    """What a job does in its folder."""

    folder: Path
    kind: str


def behave(job: Behaviour, should_stop: Callable[[], bool]) -> str:
    """Do as the job says."""
    job.folder.mkdir(exist_ok=True)
    with (job.folder / "starts").open("a") as file:
        file.write(f"{time.monotonic_ns()}\n")
    n_starts = len((job.folder / "starts").read_text().split())
    if job.kind == "kill" or (job.kind == "kill once" and n_starts == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    if job.kind == "fail":
        raise ZeroDivisionError("a fault in the job")
    if job.kind == "wait":
        while not should_stop():
            time.sleep(0.02)
        raise Interrupted("state saved")
    if job.kind == "count threads":
        import torch

        return str(torch.get_num_threads())
    return f"{job.folder.name} by {os.getpid()}"
