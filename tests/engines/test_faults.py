"""Faults on engines: a killed worker, an exception in a task; a message that helps, and a workspace that resumes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.data.awkward import make_corpus
from tests.data.formats import json_line
from tests.engines import commands

pytestmark = pytest.mark.engine
STALL_S = 20


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    made = make_corpus(folder, documents=60)
    (folder / "lines/magic.jsonl").write_bytes(json_line("A record with the MAGIC-RECORD in it.", id=1))
    return made


@pytest.mark.parametrize("engine", ["embedded", "prism", "flink", "spark"])
def test_an_exception_in_a_task_is_named_and_the_workspace_resumes(engine: str, recipe: Path, tmp_path: Path) -> None:
    if engine != "embedded" and (reason := commands.missing_engine(engine)):
        pytest.skip(reason)
    flags = ["--engine", "embedded"] if engine == "embedded" else commands.engine_flags(engine)
    environment = commands.shim_environment(tmp_path / "shim", MIXTRACE_TEST_FAULT="raise")
    failed = commands.curate(recipe, tmp_path / "ws", *flags, environment=environment)
    assert failed.status == 1, failed.err
    assert "stage ingest on" in failed.err
    assert "ValueError: a fault on purpose" in failed.err
    log = commands.engine_log(failed.err)
    assert "a fault on purpose" in log.read_text()
    resumed = commands.curate(recipe, tmp_path / "ws", *flags)
    assert resumed.status == 0, resumed.err
    print(f"{engine}: exception named after {failed.seconds:.1f} s, resumed in {resumed.seconds:.1f} s")


@pytest.mark.parametrize("engine", ["prism", "flink", "spark"])
def test_a_killed_worker_ends_the_job_with_the_log_named(engine: str, recipe: Path, tmp_path: Path) -> None:
    """Prism notices at once, Flink after about 20 s, Spark in local mode never: then the watchdog cancels."""
    if reason := commands.missing_engine(engine):
        pytest.skip(reason)
    port = 30000 + os.getpid() % 10000
    shim = tmp_path / "shim"
    environment = commands.shim_environment(shim, MIXTRACE_TEST_FAULT="kill") | commands.boot_environment()
    pool = [sys.executable, "tests/engines/worker_pool.py", str(port), environment["MIXTRACE_WORKER_BOOT"]]
    with commands.serving(pool, tmp_path / "pool", environment | {"MIXTRACE_PYTHONPATH": str(shim)}):
        flags = [
            *commands.engine_flags(engine),
            "--environment_type=EXTERNAL",
            f"--environment_config=localhost:{port}",
            "--stall-timeout",
            str(STALL_S),
        ]
        failed = commands.curate(recipe, tmp_path / "ws", *flags)
    assert failed.status == 1, failed.err
    assert "stage ingest on" in failed.err
    assert commands.engine_log(failed.err).stat().st_size > 0
    if engine == "spark":
        assert f"no progress for {STALL_S} s; cancelled" in failed.err
    resumed = commands.curate(recipe, tmp_path / "ws", *commands.engine_flags(engine))
    assert resumed.status == 0, resumed.err
    print(f"{engine}: killed worker, ended after {failed.seconds:.1f} s: {failed.err.strip().splitlines()[-1][:300]}")
