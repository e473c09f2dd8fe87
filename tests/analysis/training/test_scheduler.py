import io
import os
import signal
import subprocess
import sys
import time

import pytest

from analysis.training.scheduler import WorkItem, run_all
from tests.analysis.training.jobs import Behaviour, behave


def _items(folder, kinds, costs=None):
    costs = costs or [1.0] * len(kinds)
    names = [f"{index} {kind}" for index, kind in enumerate(kinds)]
    return [WorkItem(n, folder / n, c, Behaviour(folder / n, k)) for n, k, c in zip(names, kinds, costs, strict=True)]


def test_longest_first_by_one_worker_and_outcomes_in_the_order_given(tmp_path):
    items = _items(tmp_path, ["ok", "ok", "ok"], [2.0, 3.0, 1.0])
    outcomes = run_all(items, behave, 1, io.StringIO())
    assert [(o.name, o.status) for o in outcomes] == [(i.name, "done") for i in items]
    started = [int((item.folder / "starts").read_text()) for item in items]
    assert started[1] < started[0] < started[2]
    assert len({o.result.split()[-1] for o in outcomes}) == 1  # the worker lives on


def test_faults_and_killed_workers_cost_their_own_run_only(tmp_path):
    kinds = ["fail", "ok", "kill once", "kill", "ok"]
    items = _items(tmp_path, kinds, [5.0, 4.0, 3.0, 2.0, 1.0])
    outcomes = run_all(items, behave, 2, io.StringIO())
    assert [o.status for o in outcomes] == ["failed", "done", "done", "failed", "done"]
    assert "a fault in the job" in outcomes[0].reason
    assert "jobs.py" in outcomes[0].reason
    assert "exit code -9" in outcomes[3].reason
    assert "2 times" in outcomes[3].reason
    starts = [len((item.folder / "starts").read_text().split()) for item in items]
    assert starts == [1, 1, 2, 2, 1]


def test_finished_runs_are_read_and_no_worker_is_started(tmp_path):
    items = _items(tmp_path, ["kill"])
    items[0].folder.mkdir()
    (items[0].folder / "run.json").write_text('{"outcome": "finished"}')
    (outcome,) = run_all(items, behave, 2, io.StringIO())
    assert outcome.result == {"outcome": "finished"}
    assert not (items[0].folder / "starts").exists()


def test_workers_have_one_thread(tmp_path):
    (outcome,) = run_all(_items(tmp_path, ["count threads"]), behave, 1, io.StringIO())
    assert outcome.result == "1"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_stop_the_workers_and_the_rest_is_interrupted(tmp_path, number):
    code = (
        "import pathlib, sys\n"
        "from analysis.training.scheduler import WorkItem, run_all\n"
        "from tests.analysis.training.jobs import Behaviour, behave\n"
        "if __name__ == '__main__':\n"
        "    out = pathlib.Path(sys.argv[1])\n"
        "    items = [WorkItem(n, out / n, 1, Behaviour(out / n, 'wait')) for n in 'abc']\n"
        "    print(*[o.status for o in run_all(items, behave, 2)])\n"
    )
    (tmp_path / "program.py").write_text(code)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "program.py"), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    while not all((tmp_path / name / "starts").exists() for name in "ab"):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert out.split() == ["interrupted"] * 3
    assert process.returncode == 0
    assert not (tmp_path / "c").exists()


def test_progress_is_plain_lines_where_there_is_no_terminal(tmp_path, monkeypatch):
    monkeypatch.setattr("analysis.training.scheduler.PROGRESS_S", 0.0)
    stream = io.StringIO()
    run_all(_items(tmp_path, ["ok", "ok"]), behave, 1, stream)
    lines = stream.getvalue().splitlines()
    assert lines[-1].startswith("train: 2 of 2 runs done, 0 running")
    assert "\r" not in stream.getvalue()
