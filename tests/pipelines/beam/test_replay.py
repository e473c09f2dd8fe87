"""The command `replay`: repaired files, faults that stay, what is redone, and a replay that is killed."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

import pipelines.beam.replay as replay
from pipelines.beam.curate import CurateOptions, run_curate
from pipelines.beam.replay import ReplayOptions, run_replay
from pipelines.contracts import manifest
from pipelines.contracts.errors import ConfigError, InputError
from pipelines.stages import STAGES
from tests.data.awkward import make_corpus, write_recipe
from tests.data.formats import json_line

pytestmark = pytest.mark.usefixtures("quiet_signals")
DAMAGED = "lines/part-1.jsonl.gz"


def curate(folder: Path, workspace: Path) -> None:
    run_curate(CurateOptions(str(folder / "corpus/recipe.yaml"), str(workspace), workers=1))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus with a cut file and a line that is not JSON, its workspace `ws`, and `sound`, that of whole files."""
    folder = tmp_path_factory.mktemp("made")
    make_corpus(folder / "corpus", documents=80)
    write_recipe(folder / "corpus", limits={"max_dead_letter_fraction": 1.0}, part_mb=0.01)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    curate(folder, folder / "sound")
    path = folder / "corpus" / DAMAGED
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    (folder / "corpus/lines/bad.jsonl").write_bytes(json_line("a good line") + b"{not json\n")
    curate(folder, folder / "ws")
    (folder / "whole").write_bytes(whole)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of all that, which may be changed; it lies elsewhere, so recipes are resolved anew."""
    shutil.copytree(made, tmp_path / "copy")
    saved = tmp_path / "copy/ws/recipe.json"
    saved.write_text(saved.read_text().replace(str(made), str(tmp_path / "copy")))
    return tmp_path / "copy"


def run(folder: Path, source: str | None = None, error: str | None = None, *, dry_run: bool = False) -> None:
    run_replay(ReplayOptions(CurateOptions("", str(folder / "ws"), workers=1, dry_run=dry_run), source, error))


def outputs(workspace: Path) -> dict[str, str]:
    """Hashes of all files that the stages list."""
    tasks = [task for stage in STAGES for task in manifest.read_tasks(str(workspace), stage).values()]
    return {output.path: output.hash for task in tasks for output in task.outputs}


def times(workspace: Path, table: str) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (workspace / table).iterdir()}


def changed(before: dict[str, int], after: dict[str, int]) -> set[str]:
    return {name for name in before | after if before.get(name) != after.get(name)}


def test_a_repaired_file_gives_what_a_sound_one_had_given(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "corpus" / DAMAGED).write_bytes((folder / "whole").read_bytes())
    (folder / "corpus/lines/bad.jsonl").write_bytes(json_line("a good line") + json_line("a mended line"))
    before = times(folder / "ws", "documents")
    run(folder)
    printed = " ".join(capsys.readouterr().out.split())
    assert "parts hold dead letters; 2 of them to replay" in printed
    assert "dead_letters/truncated_compression 1 -> 0" in printed
    assert "dead_letters/invalid_json 1 -> 0" in printed
    assert len(changed(before, times(folder / "ws", "documents"))) == 2
    curate(folder, tmp_path / "fresh")
    assert outputs(folder / "ws") == outputs(tmp_path / "fresh")


def test_what_stays_the_same_is_not_followed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    documents, signals = (times(folder / "ws", table) for table in ("documents", "signals"))
    before = outputs(folder / "ws")
    run(folder)
    assert len(changed(documents, times(folder / "ws", "documents"))) == 2
    assert times(folder / "ws", "signals") == signals
    assert outputs(folder / "ws") == before
    assert "dead_letters/invalid_json 1 -> 1" in " ".join(capsys.readouterr().out.split())


def test_a_repaired_part_alone_is_measured_anew(folder: Path) -> None:
    (folder / "corpus" / DAMAGED).write_bytes((folder / "whole").read_bytes())
    signals = times(folder / "ws", "signals")
    run(folder)
    assert len(changed(signals, times(folder / "ws", "signals"))) == 1


def test_filters(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder, error="invalid_json", dry_run=True)
    assert "1 of them to replay" in capsys.readouterr().out
    run(folder, source="web", dry_run=True)
    assert "0 of them to replay" in capsys.readouterr().out
    with pytest.raises(ConfigError, match=r"--error.*got invalid_jsn; expected invalid_json, trunc.*invalid_json"):
        run(folder, error="invalid_jsn")
    with pytest.raises(ConfigError, match="--source"):
        run(folder, source="lime")


def test_dry_run_changes_nothing(folder: Path) -> None:
    (folder / "corpus" / DAMAGED).write_bytes((folder / "whole").read_bytes())
    before = {path: path.read_bytes() for path in (folder / "ws").rglob("*") if path.is_file()}
    run(folder, dry_run=True)
    assert {path: path.read_bytes() for path in (folder / "ws").rglob("*") if path.is_file()} == before


def test_sound_files_may_not_change(folder: Path) -> None:
    with (folder / "corpus/wiki/dump.xml.bz2").open("ab") as file:
        file.write(b"more")
    with pytest.raises(InputError, match=r"planned file has changed: got dump\.xml\.bz2"):
        run(folder)
    (folder / "corpus" / DAMAGED).unlink()
    with pytest.raises(InputError, match="gone"):
        run(folder)


def test_a_killed_replay_is_completed_by_curate(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "corpus" / DAMAGED).write_bytes((folder / "whole").read_bytes())
    run_stage = replay.run_stage

    def until_match(context, plan, lineage, stage, executor, display):
        if stage.name == "match":
            raise KeyboardInterrupt
        return run_stage(context, plan, lineage, stage, executor, display)

    monkeypatch.setattr(replay, "run_stage", until_match)
    with pytest.raises(KeyboardInterrupt):
        run(folder)
    curate(folder, folder / "ws")
    curate(folder, tmp_path / "fresh")
    assert outputs(folder / "ws") == outputs(tmp_path / "fresh")


def test_a_sound_workspace(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_replay(ReplayOptions(CurateOptions("", str(made / "sound"), workers=1)))
    assert capsys.readouterr().out.startswith("0 of ")
