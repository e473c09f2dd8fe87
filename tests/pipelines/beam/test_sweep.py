"""Jobs of a sweep as Beam elements: every job once, failures named, hints on the training step only."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam
import pytest

from pipelines.beam.sweep import Sweep, SweepWork, run_sweep
from pipelines.contracts.errors import InputError, StageError

ACCELERATOR = "type:nvidia-l4;count:1;install-nvidia-driver"


@dataclass(frozen=True)
class Job:
    """A job that leaves a file, or fails."""

    folder: str
    name: str
    fails: bool = False


def do(job: Job) -> None:
    if job.fails:
        raise InputError(f"{job.name}: wrong data: got none; expected some")
    with (Path(job.folder) / job.name).open("a") as file:
        file.write(f"{os.environ.get('OMP_NUM_THREADS')}\n")


def work(folder: Path, *names: str, fails: str = "") -> SweepWork:
    jobs = [Job(str(folder), name, name == fails) for name in names]
    return SweepWork(do, jobs, lambda: (len(list(folder.iterdir())), None), {})


def test_every_job_is_done_once_by_workers_of_one_thread(tmp_path: Path) -> None:
    seen: list[int] = []
    run_sweep(work(tmp_path, "a", "b", "c"), None, 2, seen.append)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys("abc", "1\n")
    assert seen == sorted(seen)


def test_a_failed_job_is_named_and_the_others_are_done(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"1 runs failed: got .*b: wrong data: got none; expected some"):
        run_sweep(work(tmp_path, "a", "b", "c", fails="b"), None, 1, lambda _: None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "c"]


def test_the_training_step_alone_asks_for_the_accelerator(tmp_path: Path) -> None:
    plain = work(tmp_path, "a", "b")
    pipeline = beam.Pipeline()
    pipeline | "sweep" >> Sweep(SweepWork(do, plain.jobs, plain.done, {"accelerator": ACCELERATOR, "min_ram": "6GB"}))
    components = pipeline.to_runner_api().components
    asked = {
        t.unique_name: dict(components.environments[t.environment_id].resource_hints)
        for t in components.transforms.values()
        if t.environment_id
    }
    assert asked["sweep/Train"] == {
        "beam:resources:accelerator:v1": ACCELERATOR.encode(), "beam:resources:min_ram_bytes:v1": b"6000000000",
    }  # fmt: skip
    assert all(not hints for name, hints in asked.items() if name.startswith(("sweep/Runs", "sweep/Spread")))
