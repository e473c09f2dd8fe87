"""The local executor and the command `curate`: killed and hung workers, stops, samples, what is redone."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

from pipelines.beam.curate import CurateOptions, run_curate
from pipelines.beam.display import Display
from pipelines.beam.driver import open_workspace, run_stages
from pipelines.beam.local import LocalExecutor, group_tasks
from pipelines.contracts import manifest
from pipelines.contracts.errors import ConfigError, StageError
from pipelines.contracts.recipe import load_recipe
from pipelines.contracts.tasks import Task
from tests.data.awkward import make_corpus
from tests.data.formats import json_line
from tests.engines import commands

DOCUMENTS = 120
STAGES = (
    "ingest",
    "index",
    "measure",
    "match",
    "components",
    "resolve",
    "decide",
    "tokenizer",
    "tokenize",
    "card",
    "verify",
)
MAGIC = json_line("A record with the MAGIC-RECORD in it.", id="magic")


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return make_corpus(tmp_path / "corpus", documents=DOCUMENTS)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A corpus folder and its finished workspace; tests copy both."""
    folder = tmp_path_factory.mktemp("finished")
    recipe = make_corpus(folder / "corpus", documents=DOCUMENTS)
    done = commands.curate(recipe, folder / "ws", "--workers", "1")
    assert done.status == 0, done.err
    return folder / "corpus", folder / "ws"


@pytest.fixture
def copied(finished: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    """A workspace that may be changed, and its recipe (of the same place, so that plans agree)."""
    shutil.copytree(finished[1], tmp_path / "ws")
    shutil.copytree(finished[0], tmp_path / "corpus")
    return tmp_path / "corpus/recipe.yaml", tmp_path / "ws"


def counts(workspace: Path, stage: str) -> dict[str, int]:
    return manifest.read_stage(str(workspace), stage).counts


def edit(recipe: Path, **changes: object) -> None:
    body = YAML(typ="safe").load(recipe.read_text())
    YAML().dump(body | changes, recipe)


def redone(err: str) -> list[str]:
    """Return the stages that ran, from what the command said."""
    return [line.split()[0] for line in err.splitlines() if line.split()[0] in STAGES and "done already" not in line]


@pytest.fixture
def executor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalExecutor]:
    """Two workers that load the shim; a test chooses the fault before they start."""
    monkeypatch.setenv("PYTHONPATH", commands.shim_environment(tmp_path / "shim")["PYTHONPATH"])
    made = LocalExecutor(2, 300.0, lambda stage, markers: None)
    yield made
    made.close()


def ingest(recipe: Path, workspace: Path, executor: LocalExecutor) -> None:
    """Run ingest alone, on an executor that may have done so before."""
    context, plan = open_workspace(load_recipe(str(recipe)), str(workspace))
    run_stages(context, plan, executor, Display(), until="ingest")


def test_a_record_that_kills_its_worker_becomes_a_dead_letter(
    recipe: Path, tmp_path: Path, executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIXTRACE_TEST_FAULT", "kill")
    lines = recipe.parent / "lines/part-0.jsonl"
    before = lines.read_bytes()
    lines.write_bytes(before + MAGIC + json_line("one more", id="last"))
    ingest(recipe, tmp_path / "ws", executor)
    files = sorted((tmp_path / "ws/dead_letters").glob("*.parquet"))
    rows = [row for path in files for row in pq.read_table(path).to_pylist()]
    assert [(row["error"], row["path"], row["offset"], row["length"]) for row in rows] == [
        ("worker_killed", "part-0.jsonl", len(before), len(MAGIC))
    ]
    read = counts(tmp_path / "ws", "ingest")
    assert read["dead_letters/worker_killed"] == 1
    assert read["documents"] == DOCUMENTS + 1


def test_a_hung_record_is_named_with_file_and_offset(
    recipe: Path, tmp_path: Path, executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIXTRACE_TEST_FAULT", "hang")
    ingest(recipe, tmp_path / "first", executor)  # the workers are started; from here on 3 s are long
    monkeypatch.setattr(executor, "_stall_s", 3.0)
    lines = recipe.parent / "lines/part-0.jsonl"
    before = lines.read_bytes()
    lines.write_bytes(before + MAGIC)
    with pytest.raises(StageError, match="stage ingest: stalled: got no progress for 3 s") as caught:
        ingest(recipe, tmp_path / "ws", executor)
    assert f"part-0.jsonl at offset {len(before)}" in str(caught.value)
    executor.close()
    monkeypatch.setenv("MIXTRACE_TEST_FAULT", "")
    alone = LocalExecutor(1, 300.0, lambda stage, markers: None)
    ingest(recipe, tmp_path / "ws", alone)
    assert counts(tmp_path / "ws", "ingest")["documents"] == DOCUMENTS + 1
    assert counts(tmp_path / "ws", "ingest")["dead_letters"] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_within_seconds_and_the_run_resumes(
    number: signal.Signals, finished: tuple[Path, Path], tmp_path: Path
) -> None:
    recipe, workspace = finished[0] / "recipe.yaml", tmp_path / "ws"
    environment = commands.shim_environment(tmp_path / "shim", MIXTRACE_TEST_FAULT="slow")
    process = commands.start(recipe, workspace, "--workers", "2", environment=environment)
    try:
        while process.poll() is None and not list((workspace / "stages/ingest").glob("_progress/*")):
            time.sleep(0.01)
        children = psutil.Process(process.pid).children(recursive=True)
        sent = time.monotonic()
        process.send_signal(number)
        assert process.wait(10) == 130
        assert time.monotonic() - sent < 8
        _, alive = psutil.wait_procs(children, timeout=5)
        assert alive == []
    finally:
        commands.kill_group(process)
    resumed = commands.curate(recipe, workspace, "--workers", "1")
    assert resumed.status == 0, resumed.err
    assert commands.data_hashes(workspace) == commands.data_hashes(finished[1])


def test_a_sample_takes_records_by_hash(
    recipe: Path, tmp_path: Path, finished: tuple[Path, Path], quiet_signals: None
) -> None:
    run_curate(CurateOptions(str(recipe), str(tmp_path / "ws"), workers=1, sample="30%"))
    read = counts(tmp_path / "ws", "ingest")
    assert read["documents"] + read["nondocuments/not_sampled"] == DOCUMENTS
    assert 0.15 * DOCUMENTS < read["documents"] < 0.45 * DOCUMENTS

    def documents(workspace: Path) -> set[str]:
        files = (workspace / "documents").glob("*.parquet")
        return {doc_id for path in files for doc_id in pq.read_table(path)["doc_id"].to_pylist()}

    assert documents(tmp_path / "ws") < documents(finished[1])


@pytest.mark.parametrize("sample", ["0", "150%", "some", "-1"])
def test_what_is_not_a_share_is_refused(sample: str, recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--sample: not a share"):
        run_curate(CurateOptions(str(recipe), str(tmp_path / "ws"), sample=sample))
    assert not (tmp_path / "ws").exists()


def test_a_dry_run_writes_nothing(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(tmp_path.rglob("*"))
    run_curate(CurateOptions(str(recipe), str(tmp_path / "ws"), dry_run=True))
    assert sorted(tmp_path.rglob("*")) == before
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()[2:]] == list(STAGES)
    assert "tasks to do" in out


def test_a_finished_run_does_nothing_again(
    copied: tuple[Path, Path], capsys: pytest.CaptureFixture[str], quiet_signals: None
) -> None:
    recipe, workspace = copied
    before = {path: path.stat().st_mtime_ns for path in workspace.rglob("*.parquet")}
    run_curate(CurateOptions(str(recipe), str(workspace), workers=1))
    assert redone(capsys.readouterr().err) == []
    assert {path: path.stat().st_mtime_ns for path in workspace.rglob("*.parquet")} == before


def test_a_moved_threshold_redoes_resolve_and_later_stages_only(
    copied: tuple[Path, Path], capsys: pytest.CaptureFixture[str], quiet_signals: None
) -> None:
    recipe, workspace = copied
    edit(recipe, rules={"not_short": {"signal": "gopher_words", "min": 40}})
    run_curate(CurateOptions(str(recipe), str(workspace), workers=1))
    assert redone(capsys.readouterr().err) == list(STAGES[STAGES.index("resolve") :])
    assert counts(workspace, "decide")["dropped/not_short/documents"] > 0


def test_an_added_file_ingests_and_measures_nothing_old(
    copied: tuple[Path, Path], capsys: pytest.CaptureFixture[str], quiet_signals: None
) -> None:
    recipe, workspace = copied
    old = {
        path: path.stat().st_mtime_ns for table in ("documents", "signals") for path in (workspace / table).iterdir()
    }
    (recipe.parent / "notes/zzz.txt").write_text("A new note arrives, and only what it touches is done again.")
    run_curate(CurateOptions(str(recipe), str(workspace), dry_run=True))
    assert f"ingest      1 of {len(old) // 2 + 1} tasks to do" in capsys.readouterr().out
    run_curate(CurateOptions(str(recipe), str(workspace), workers=1))
    assert {path: path.stat().st_mtime_ns for path in old} == old
    assert counts(workspace, "ingest")["documents"] == DOCUMENTS + 1


@pytest.mark.parametrize(
    ("count", "workers", "sizes"),
    [(0, 1, []), (5, 1, [5]), (19, 1, [7, 6, 6]), (5, 2, [1] * 5), (33, 2, [4] * 6 + [3] * 3), (200, 2, [8] * 25)],
)
def test_tasks_are_grouped_so_that_workers_end_together(count: int, workers: int, sizes: list[int]) -> None:
    tasks = [Task("s", str(i), "") for i in range(count)]
    groups = group_tasks(tasks, workers, 8)
    assert [len(group) for group in groups] == sizes
    assert sorted((task for group in groups for task in group), key=tasks.index) == tasks
