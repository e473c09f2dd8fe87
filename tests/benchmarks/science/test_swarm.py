"""The study of a swarm runs on a small corpus, once, and its claims fail where they must."""

from __future__ import annotations

import copy

import pytest

from analysis.records import list_studies
from benchmarks.science import swarm, swarm_ngram
from benchmarks.science.contract import Bench


@pytest.fixture(scope="module")
def results(bench: Bench) -> swarm.Results:
    return swarm.measure(bench, swarm.SMALL)


def test_a_tiny_swarm_is_trained_and_confirmed_once(results: swarm.Results, bench: Bench) -> None:
    runs = sorted(bench.folder.glob("workspace/analysis/*/runs/*/run.json"))
    before = {path: path.stat().st_mtime_ns for path in runs}
    cells = [path.parent.name.rsplit("-", 1)[0] for path in runs]
    assert sum(cell.startswith("swarm_") for cell in cells) == 20
    assert cells.count("optimum") == 5
    assert swarm.measure(bench, swarm.SMALL) == results
    assert {path: path.stat().st_mtime_ns for path in runs} == before
    assert not list_studies(bench.workspace)  # the curated workspace stays as it was


def test_every_part_is_shown(results: swarm.Results) -> None:
    assert {row["mixture"] for row in results["law_mixtures"]} == {"natural", "optimum", "uniform", "RegMix", "MixMin"}
    assert [row["n_blocks"] for row in results["law_mixtures"] if row["mixture"] == "optimum"] == [5]
    assert [(row["slice"], row["target"]) for row in results["leave_outs"]] == [
        ("lines", t) for t in ("lines", "notes", "pages")
    ]
    text = "\n".join(swarm.lines(results))
    for words in ("chosen − LightGBM", "| optimum | ", "| lines | notes | "):
        assert words in text
    assert swarm.charts(results)["predictions"]["layer"]
    assert len(swarm.claims(results)) == 4


def test_claims_fail_where_they_must(results: swarm.Results) -> None:
    broken = copy.deepcopy(results)
    for row in broken["law_curve"]:
        row["lo"] = -1.0
    for row in broken["law_mixtures"]:
        row["status"] = "not confirmed: the interval includes 0"
    for row in broken["controls"]:
        row["passed"] = False
    for row in broken["leave_outs"]:
        row["retrain"] = {
            "estimate": -row["law"]["estimate"],
            "lo": -row["law"]["estimate"],
            "hi": -row["law"]["estimate"],
        }
    assert [claim.holds for claim in swarm.claims(broken)] == [False, False, False, False]
    for row in broken["law_weights"]:
        row["weight"] = 0.5
    assert [claim.holds for claim in swarm_ngram.claims(broken)] == [False, False, False]
