"""A ladder of two rungs on a small corpus, from training to the report; its claims."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis import records
from analysis.influence.ladder_command import run_ladder
from benchmarks.science import ladder
from benchmarks.science.contract import Bench, Results
from pipelines.contracts.errors import InputError
from reports.commands import build


@pytest.fixture(scope="module")
def climbed(bench: Bench) -> Results:
    return ladder.measure(bench, ladder.SMALL)


@pytest.fixture(scope="module")
def workspace(bench: Bench, climbed: Results) -> Path:
    return bench.folder / "workspace"


def test_rungs_share_their_contrasts_and_stand_by_cost(climbed: Results) -> None:
    names = [row["rung"] for row in climbed["rungs"]]
    assert sorted(names) == ["llama-0.026m 8k", "ngram-3 8k"]
    assert [row["is_top"] for row in climbed["rungs"]].count(True) == 1
    costs = [row["cpu_s_per_run"] for row in climbed["rungs"]]
    assert costs == sorted(costs)
    assert {row["contrasts"] for row in climbed["rungs"]} == {4 + 3}  # 2 leave-outs on 2 others each, 1 decision on 3
    assert len(climbed["rung_answers"]) == 7
    assert not climbed["left_out"]
    text = "\n".join(ladder.lines(climbed))
    assert "ngram-3 8k" in text
    assert "without_notes on lines" in text


def test_the_command_prints_the_tables_that_it_writes(
    workspace: Path, climbed: Results, capsys: pytest.CaptureFixture
) -> None:
    top = climbed["rungs"][0]["design_id"]
    run_ladder(workspace, [], top, as_json=True)
    printed = json.loads(capsys.readouterr().out)
    folder = records.study_folder(workspace, top)
    for name in ("rungs", "rung_agreement", "rung_answers"):
        kept = records.read_table(folder / f"{name}.parquet", name).to_pylist()
        assert [{**row} for row in kept] == [{key: row.get(key) for key in kept[0]} for row in printed[name]]
    run_ladder(workspace, records.list_studies(workspace))
    shown = capsys.readouterr().out
    assert "ladder of 2 rungs over 7 common contrasts" in shown
    assert "cheapest rung whose agreement is 90 % or more" in shown
    with pytest.raises(InputError, match="no such study: got 0123"):
        run_ladder(workspace, ["0123"])
    with pytest.raises(InputError, match="too few rungs"):
        run_ladder(workspace, [top])


def test_the_report_shows_the_ladder(workspace: Path, climbed: Results) -> None:
    text = build(workspace).read_text("utf-8")
    assert "Proxy ladder" in text
    assert "ngram-3 8k" in text
    assert "Which is the cheapest rung that decides this question?" in text


def test_claims_hold_and_fail_as_they_must(climbed: Results) -> None:
    top, other = (
        climbed["rungs"][0]["design_id"],
        next(r["rung_design_id"] for r in climbed["rungs"] if not r["is_top"]),
    )
    passed = {study: [{"control": "sham", "passed": study == top}] for study in climbed["controls"]}
    whole = [{"rung_design_id": one, "target": "all", "agree": 19, "disagree": 1} for one in (top, other)]
    good = {**climbed, "controls": passed, "rung_agreement": whole}
    assert [claim.holds for claim in ladder.claims(good)] == [True, True]
    bad = {
        **good,
        "controls": {top: [{"control": "shuffle", "passed": False}]},
        "rung_agreement": [whole[0], {**whole[1], "disagree": 2}],
    }
    assert [claim.holds for claim in ladder.claims(bad)] == [False, False]
    nothing = [whole[0], {**whole[1], "agree": 0, "disagree": 0}]
    assert [claim.holds for claim in ladder.claims({**good, "rung_agreement": nothing})] == [True, False]
