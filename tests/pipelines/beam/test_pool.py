"""The worker pool: results, failures, killed workers and Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from pipelines.beam.pool import Pool
from pipelines.contracts.errors import InputError

TARGET = "pool_target:work"


def work(item: tuple[str, str]) -> None:
    """Do what the item says; runs in a worker process."""
    action, argument = item
    if action == "touch":
        Path(argument).write_text(str(os.getpid()))
    elif action == "raise":
        raise InputError("no such thing")
    elif action == "bug":
        raise ZeroDivisionError("oops")
    elif action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "sleep":
        time.sleep(60)


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "pool_target.py").write_text(Path(__file__).read_text())
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    made = Pool(TARGET, 2)
    yield made
    made.close()


def test_all_items_are_done_by_long_lived_workers(pool: Pool, tmp_path: Path) -> None:
    items = [("touch", str(tmp_path / f"out-{i}")) for i in range(8)]
    outcomes = list(pool.run(items, lambda: None))
    assert {outcome.status for outcome in outcomes} == {"done"}
    assert len({Path(path).read_text() for _, path in items}) <= 2


def test_failures_come_back_with_their_cause_and_the_others_go_on(pool: Pool, tmp_path: Path) -> None:
    items = [("raise", ""), ("bug", ""), ("touch", str(tmp_path / "out"))]
    outcomes = {outcome.item[0]: outcome for outcome in pool.run(items, lambda: None)}
    assert isinstance(outcomes["raise"].error, InputError)
    assert outcomes["bug"].error is None
    assert "ZeroDivisionError: oops" in outcomes["bug"].detail
    assert outcomes["touch"].status == "done"


def test_a_killed_worker_costs_its_item_only(pool: Pool, tmp_path: Path) -> None:
    items = [("kill", ""), *(("touch", str(tmp_path / f"out-{i}")) for i in range(4))]
    statuses = [outcome.status for outcome in pool.run(items, lambda: None)]
    assert sorted(statuses) == ["died", "done", "done", "done", "done"]


def test_a_stalled_worker_can_be_killed_by_its_item(pool: Pool) -> None:
    item = ("sleep", "")
    polls = []

    def on_poll() -> None:
        polls.append(1)
        if len(polls) == 6:
            pool.kill_holder(item)

    outcomes = list(pool.run([item], on_poll))
    assert [outcome.status for outcome in outcomes] == ["died"]
