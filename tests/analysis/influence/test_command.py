"""Attribution of a small trained study, end to end: tables, predictions beside retraining, traces, messages."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis import records
from analysis.commands import open_design, train
from analysis.effects_command import find_study, run_effects
from analysis.influence.command import Options, run_influence
from analysis.influence.documents import slot_documents
from analysis.influence.study import Settings, StudyScorer
from analysis.shards import open_shard
from analysis.study_runs import open_runs
from pipelines.contracts.errors import ConfigError, InputError
from tests.analysis.small_study import SHOWN

DESIGN = (
    SHOWN.replace("\nnear_duplicates: {slice: lines, share: 0.25, min_duplicate_tokens: 50}", "") + "snapshots: 2\n"
)
SMALL = Options(unit_rows=16, document_rows=48, top=3)


@pytest.fixture(scope="module")
def workspace(study_workspace: Path) -> Path:
    design = study_workspace / "design.yaml"
    design.write_text(DESIGN)
    train(study_workspace, design, 1)
    run_effects(study_workspace)
    run_influence(study_workspace, None, SMALL)
    return study_workspace


@pytest.fixture(scope="module")
def scorer(workspace: Path) -> StudyScorer:
    torch.set_num_threads(1)
    return StudyScorer(open_runs(workspace, *open_design(workspace, workspace / "design.yaml")), Settings())


def table(workspace: Path, name: str) -> list[dict]:
    return records.read_table(find_study(workspace, None) / f"{name}.parquet", name).to_pylist()


def test_slices_and_documents_are_attributed_to_every_target(workspace: Path) -> None:
    rows = table(workspace, "attributions")
    slices = [row for row in rows if row["unit_kind"] == "slice"]
    assert len(slices) == 2 * 3 * 7  # methods, slices, targets in two populations and the canary
    assert all(math.isfinite(row["nats_per_token"]) and row["n_blocks"] == 2 for row in slices)
    own = [row["nats_per_token"] for row in slices if row["unit"] == row["target"]]
    assert np.mean(own) > 0  # a slice helps its own target
    documents = [row for row in rows if row["unit_kind"] == "document"]
    assert {row["method"] for row in documents} == {"ekfac", "tracin"}
    for row in documents:
        assert (row["place"] > 0) == (row["nats_per_token"] > 0)
        assert 1 <= abs(row["place"]) <= 3
        assert len(row["unit"]) == 32
    ranked = [
        r["nats_per_token"] for r in documents if r["method"] == "ekfac" and r["target"] == "lines" and r["place"] > 0
    ]
    assert ranked == sorted(ranked, reverse=True)


def test_predictions_stand_beside_retraining_and_stay_there(workspace: Path) -> None:
    rows = table(workspace, "effects")
    retrained = {
        (r["contrast"], r["metric"])
        for r in rows
        if r["method"] == "retrain" and r["metric"] == "bpb" and r["family"] != "controls" and r["target"] != "utility"
    }
    exact = {(r["contrast"], r["metric"]) for r in rows if r["method"] == "ngram"}
    for method in ("ekfac", "tracin"):
        mine = [row for row in rows if row["method"] == method]
        assert {(row["contrast"], row["metric"]) for row in mine} == retrained | exact
        assert all(row["verdict"] == "undetermined" and row["q"] is None for row in mine)
        assert all(row["reason"].startswith("predicted, not retrained") for row in mine)
        assert all(row["interval_population"].endswith("not the error of the method") for row in mine)
    before = len(rows)
    run_effects(workspace)
    assert len(table(workspace, "effects")) == before
    run_influence(workspace, None, SMALL)
    assert len(table(workspace, "effects")) == before


def test_agreement_is_judged_or_says_why_not(workspace: Path) -> None:
    rows = {(row["method"], row["level"]): row for row in table(workspace, "lds")}
    assert set(rows) == {(m, level) for m in ("ekfac", "tracin") for level in ("cells", "contrasts")}
    assert "treatment cells finished in all blocks; 10 are needed" in rows["ekfac", "cells"]["reason"]
    assert not rows["ekfac", "cells"]["usable"]
    found = rows["ekfac", "contrasts"]
    assert found["n_subsets"] == 7  # 4 of other slices, 3 of the decision
    assert -1 <= found["lo"] <= found["lds"] <= found["hi"] <= 1


def test_tokens_of_texts_are_traced(workspace: Path, scorer: StudyScorer, tmp_path: Path) -> None:
    rows = table(workspace, "token_traces")
    assert {row["target"] for row in rows} == {"lines", "notes", "pages"}
    assert {row["slice"] for row in rows} == {"lines", "notes"}
    one = [row for row in rows if row["target"] == "notes" and row["slice"] == "notes"]
    assert [row["position"] for row in one] == list(range(len(one)))
    heldout = next(h for h in scorer.runs.heldouts if (h.target, h.population) == ("notes", "kept"))
    at = list(heldout.doc_id).index(one[0]["doc_id"])
    shard = scorer.runs.atoms.table.filter(np.isin(scorer.runs.atoms.table["doc_id"].to_pylist(), one[0]["doc_id"]))
    source = open_shard(str(workspace), scorer.runs.atoms.shards[shard["shard"][0].as_py()])
    assert len(one) == min(256, len(source["input_ids"][shard["shard_row"][0].as_py()]) - 1)
    assert len(one) <= heldout.offsets[at + 1] - heldout.offsets[at]
    text = tmp_path / "letter.txt"
    text.write_text("a letter about notes and lines", "utf-8")
    run_influence(workspace, None, Options(unit_rows=16, document_rows=48, top=3, texts=(text,)))
    mine = [
        row for row in table(workspace, "token_traces") if row["doc_id"] == "letter.txt" and row["slice"] == "lines"
    ]
    assert "".join(row["token"] for row in mine) == "a letter about notes and lines"


def test_documents_of_a_slot_are_those_that_its_tokens_come_from(scorer: StudyScorer) -> None:
    stream = scorer.stream("full", 0)
    for slot in range(0, 60, 7):
        found = slot_documents(stream, slot)
        assert sum(count for _, count in found) == stream.context
        atom = stream.slots.names[stream.slots.atom[slot]]
        shards, rows = stream.documents[atom][:2]
        tokens = set(stream.slots_tokens(slot, slot + 1)[0, 1:].tolist())
        held: set[int] = set()
        for document, _ in found:
            shard = open_shard(stream.workspace, stream.shards[shards[document]])
            held |= set(shard["input_ids"][int(rows[document])].as_py())
        assert tokens <= held


def test_what_is_scored_is_kept(workspace: Path, scorer: StudyScorer, capsys: pytest.CaptureFixture[str]) -> None:
    files = {path: path.stat().st_mtime_ns for path in (scorer.runs.study / "influence").iterdir()}
    assert len(files) == 2 * (2 + 1)  # methods x (blocks of units, one of rows)
    run_influence(workspace, None, Options(unit_rows=16, document_rows=48, top=3, as_json=True))
    assert {path: path.stat().st_mtime_ns for path in (scorer.runs.study / "influence").iterdir()} == files
    printed = json.loads(capsys.readouterr().out)
    assert set(printed) == {"attributions", "lds", "token_traces"}


def test_messages(workspace: Path, scorer: StudyScorer, tmp_path: Path) -> None:
    counted = replace(scorer.runs, proxy=scorer.runs.proxy.model_copy(update={"model": "ngram"}))
    with pytest.raises(ConfigError, match="the proxy has no gradients: got ngram"):
        StudyScorer(counted, Settings())
    with pytest.raises(ConfigError, match="unknown method"):
        run_influence(workspace, None, Options(methods=("ekfak",)))
    with pytest.raises(InputError, match="no text to trace"):
        run_influence(workspace, None, Options(unit_rows=16, document_rows=48, texts=(tmp_path / "none.txt",)))
    study = find_study(workspace, None)
    moved = study / "effects.parquet"
    moved.rename(study / "away")
    try:
        with pytest.raises(InputError, match="mixtrace effects"):
            run_influence(workspace, None, SMALL)
    finally:
        (study / "away").rename(moved)
