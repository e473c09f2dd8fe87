"""The front door: answers at once, refuses what is wrong before any work, with exit code 2 and one message."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.data.awkward import make_corpus, write_recipe

ROOT = Path(__file__).parents[1]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "beam_runner.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=120)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder, documents=30)
    return folder


def test_help_imports_nothing_heavy_and_shows_examples() -> None:
    shown = run("curate", "--help")
    assert shown.returncode == 0
    assert "--sample 1%" in shown.stdout
    modules = "import sys, beam_runner; print(sorted({'torch', 'apache_beam', 'duckdb', 'numba', 'altair'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", modules], cwd=ROOT, text=True).strip() == "[]"


@pytest.mark.parametrize(
    "command", ["curate", "verify", "explain", "design", "train", "effects", "report", "classifier", "perplexity"]
)
def test_every_command_has_help(command: str) -> None:
    assert run(command, "--help").returncode == 0


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        (("--dryrun",), "Did you mean '--dry-run'?"),
        (("--spark_master=x",), "Did you mean '--spark_master_url'?"),
        (("--runner=DaskRunner",), "loses data silently"),
        (("--runner=DirectRunner",), "Prism"),
        (("--engine", "sparc"), "no such engine file"),
        (("--sample", "150%"), "not a share"),
        (("--workers", "0"), "--workers"),
    ],
)
def test_wrong_flags_exit_2_before_any_work(
    corpus: Path, tmp_path: Path, extra: tuple[str, ...], expected: str
) -> None:
    shown = run("curate", str(corpus / "recipe.yaml"), "--out", str(tmp_path / "ws"), *extra)
    assert shown.returncode == 2
    assert expected in shown.stderr
    assert "Traceback" not in shown.stderr
    assert not (tmp_path / "ws").exists()


def test_a_wrong_recipe_exits_2_with_file_line_and_column(corpus: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text((corpus / "recipe.yaml").read_text().replace("part_mb:", "part_nb:"))
    shown = run("curate", str(recipe), "--out", str(tmp_path / "ws"))
    assert shown.returncode == 2
    assert "recipe.yaml:" in shown.stderr
    assert "Did you mean 'part_mb'?" in shown.stderr


def test_unknown_rules_and_signals_are_found_before_any_work(corpus: Path, tmp_path: Path) -> None:
    recipe = write_recipe(corpus, profiles=[{"name": "gopher@datatrov"}])
    try:
        shown = run("curate", str(recipe), "--out", str(tmp_path / "ws"))
    finally:
        write_recipe(corpus)
    assert shown.returncode == 2
    assert "Did you mean 'gopher@datatrove'?" in shown.stderr


def test_missing_inputs_and_unwritable_workspaces_exit_2(corpus: Path, tmp_path: Path) -> None:
    shown = run("curate", str(tmp_path / "none.yaml"))
    assert (shown.returncode, "no such file" in shown.stderr) == (2, True)
    (tmp_path / "a-file").write_text("not a folder")
    shown = run("curate", str(corpus / "recipe.yaml"), "--out", str(tmp_path / "a-file" / "ws"))
    assert shown.returncode == 2
    assert "not a folder" in shown.stderr
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("name: t\nsources:\n  - {name: a, path: nothing/*.txt, format: text}\n")
    shown = run("curate", str(recipe), "--out", str(tmp_path / "ws"))
    assert shown.returncode == 2
    assert "no input file" in shown.stderr


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(corpus: Path, tmp_path: Path) -> None:
    shown = run("curate", str(corpus / "recipe.yaml"), "--out", str(tmp_path / "ws"), "--dry-run")
    assert shown.returncode == 0
    assert "tasks to do" in shown.stdout
    assert not (tmp_path / "ws").exists()


@pytest.mark.parametrize("command", [("verify",), ("explain",), ("effects",), ("report", "build")])
def test_a_folder_that_is_no_workspace_is_named(tmp_path: Path, command: tuple[str, ...]) -> None:
    extra = ("some-id",) if command == ("explain",) else ()
    shown = run(*command, str(tmp_path), *extra)
    assert shown.returncode in (1, 2)
    assert str(tmp_path) in shown.stderr
    assert "Traceback" not in shown.stderr
