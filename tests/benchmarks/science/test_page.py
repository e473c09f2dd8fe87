"""The page of the studies shows the results that are kept, every study keeps the contract, the command lists and runs."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.science import command, page, results
from benchmarks.science.catalogue import STUDIES, module_of, names_of
from benchmarks.science.contract import Bench

PACKAGE = Path(page.__file__).parent
RECORDS = results.kept_records()


def test_every_study_is_in_the_catalogue() -> None:
    studies = {
        path.stem
        for path in PACKAGE.glob("*.py")
        if path.stem != "contract" and "def measure(" in path.read_text("utf-8")
    }
    assert set(STUDIES) == studies
    assert set(RECORDS) <= studies


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_keeps_the_contract(name: str) -> None:
    module = module_of(name)
    assert module.TITLE
    assert module.__doc__
    assert type(module.FULL) is type(module.SMALL)
    assert dataclasses.is_dataclass(module.FULL)
    assert all(callable(getattr(module, part)) for part in ("measure", "claims", "lines", "charts"))
    assert name in names_of(STUDIES[name])


def test_the_page_shows_what_is_kept() -> None:
    assert page.PAGE.read_text("utf-8") == page.markdown(RECORDS), "run `python -m benchmarks.science --page`"


@pytest.mark.parametrize("name", RECORDS)
def test_what_is_kept_was_measured_in_full_and_can_be_drawn(name: str) -> None:
    kept, module = RECORDS[name], module_of(name)
    assert kept["settings"] == results.plain(dataclasses.asdict(module.FULL))
    assert {"machine", "versions", "commit", "cpu_s", "wall_s"} <= set(kept)
    assert all(claim.found for claim in module.claims(kept["results"]))
    for chart, spec in module.charts(kept["results"]).items():
        assert (page.PAGE.parent / page.picture(name, chart)).read_text("utf-8").startswith("<svg")
        assert page.svg(spec).startswith("<svg")


def test_time_adds_up_over_calls(tmp_path: Path) -> None:
    with results.timed(tmp_path) as first:
        sum(range(200_000))
    before = dict(first)
    with pytest.raises(RuntimeError), results.timed(tmp_path):
        raise RuntimeError
    assert results.read(tmp_path / "spent.json")["wall_s"] > before["wall_s"]


def test_the_command_runs_lists_and_keeps_nothing_small(bench: Bench, capsys: pytest.CaptureFixture) -> None:
    options = ["--workspace", str(bench.workspace), "--design", str(bench.design), "--out", str(bench.folder)]
    before = {path: path.read_bytes() for path in results.FOLDER.glob("*.json")}
    assert command.main(["oracles", "--small", "--keep", *options]) == 0
    assert {path: path.read_bytes() for path in results.FOLDER.glob("*.json")} == before
    kept = results.read(bench.folder / "oracles-small" / "result.json")
    assert kept["settings"]["tokens"] == 8192
    assert "holds: " in capsys.readouterr().out
    assert command.main([]) == 0
    assert "make science" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        command.main(["orcles"])
    assert "Did you mean 'oracles'" in capsys.readouterr().err


def test_a_claim_that_fails_fails_the_command(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    oracles = module_of("oracles")
    wrong = {"order": 3, "slice": "x", "entries": 9, "different_entries": 1, "tokens": 9, "different_tokens": 0,
             "bpb": 1.0, "subtract_cpu_s": 0.0, "retrain_cpu_s": 0.0}  # fmt: skip
    monkeypatch.setattr(oracles, "measure", lambda bench, settings: {"tokens": 9, "rows": [wrong]})
    assert not command.run("oracles", Bench(bench.workspace, bench.design, bench.folder / "wrong"), small=True)


def test_the_package_is_a_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.science", "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=PACKAGE.parents[1],
    )
    assert "--target" in done.stdout
