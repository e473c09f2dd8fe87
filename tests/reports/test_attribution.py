"""The tables of attribution in the snapshot, and their page: numbers by hand, marks that need no colour, nothing unescaped."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from study_builder import DESIGN

from analysis import records
from reports.blocks import Figure, MarkedText, Prose
from reports.html import render_block
from reports.pages import attribution, overview, perplexity
from reports.publish import current_snapshot, open_snapshot, publish

TRACES = {"web": (0.5, 0.1), "wiki": (0.3, 0.2), "code": (-0.4, 0.1)}
"""Slice to (rise of the token at place 1, its standard error)."""


def write(study: Path, name: str, rows: list[dict]) -> None:
    records.write_table(
        study / f"{name}.parquet", records.from_rows([{"design_id": DESIGN, **r} for r in rows], name), name
    )


@pytest.fixture(scope="module")
def workspace(studied_workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("attribution") / "ws"
    shutil.copytree(studied_workspace, folder, ignore=shutil.ignore_patterns("reports"))
    study = records.study_folder(folder, DESIGN)
    with open_snapshot(publish(studied_workspace)) as con:
        doc_id = con.sql("SELECT doc_id FROM documents ORDER BY doc_id LIMIT 1").fetchall()[0][0]
    shared = {"method": "ekfac", "target": "web", "population": "kept", "n_blocks": 5, "bpb": 0.1, "slice": "web"}
    write(study, "attributions", [
        {**shared, "unit_kind": "slice", "unit": "web", "nats_per_token": 0.2, "se": 0.01, "tokens": 1000},
        {**shared, "unit_kind": "slice", "unit": "wiki", "slice": "wiki", "nats_per_token": -0.1, "bpb": -0.05, "tokens": 900},
        {**shared, "unit_kind": "document", "unit": doc_id, "nats_per_token": -0.01, "tokens": 64, "place": -1},
        {**shared, "unit_kind": "document", "unit": "f" * 32, "nats_per_token": 0.02, "tokens": 80, "place": 1},
    ])  # fmt: skip
    write(study, "lds", [
        {"method": "ekfac", "level": "contrasts", "lds": 0.4, "lo": 0.1, "hi": 0.6, "ceiling": 0.8, "n_subsets": 30, "n_queries": 3, "n_repeats": 5, "usable": True},
        {"method": "ekfac", "level": "cells", "n_subsets": 4, "n_queries": 0, "n_repeats": 0, "usable": False, "reason": "too few"},
    ])  # fmt: skip
    write(study, "token_traces", [
        {"doc_id": "letter's.txt", "target": "", "position": place, "token": token, "slice": slice_, "n_blocks": 5,
         "delta_nats": rise if place else 0.01, "se": se}
        for slice_, (rise, se) in TRACES.items() for place, token in enumerate(("<b>", " quick & "))
    ])  # fmt: skip
    effects = records.read_table(study / "effects.parquet", "effects").to_pylist()
    first = next(row for row in effects if row["method"] == "retrain" and row["metric"] == "bpb")
    predicted = {
        **first,
        "method": "ekfac",
        "estimate": 0.123,
        "lo": None,
        "hi": None,
        "q": None,
        "verdict": "undetermined",
    }
    records.write_table(study / "effects.parquet", records.from_rows([*effects, predicted], "effects"), "effects")
    publish(folder)
    return folder


@pytest.fixture
def con(workspace: Path):
    with open_snapshot(current_snapshot(workspace)) as con:
        yield con


def test_documents_lead_to_where_they_came_from(con) -> None:
    rows = con.sql(
        "SELECT place, doc_id, source, shard IS NOT NULL FROM attributed_documents ORDER BY place"
    ).fetchall()
    assert [row[0] for row in rows] == [-1, 1]
    assert rows[0][2] is not None
    assert rows[0][3]
    assert rows[1][1:] == ("f" * 32, None, False)  # of another corpus: the row stays


def test_predictions_stand_beside_what_was_measured(con) -> None:
    rows = con.sql("SELECT contrast, predicted, measured, measured_by FROM predicted_effects").fetchall()
    assert len(rows) == 1
    contrast, predicted, measured, by = rows[0]
    assert predicted == 0.123
    assert by == "retrain"
    found = con.sql(
        f"SELECT estimate FROM effects WHERE method = 'retrain' AND metric = 'bpb' AND contrast = '{contrast}'"
    )
    assert found.fetchall() == [(measured,)]


def test_a_token_is_marked_above_three_standard_errors_and_a_tenth_of_a_nat(con) -> None:
    rows = con.sql(
        "SELECT position, best_slice, raised_by, delta_nats, se FROM traced_tokens ORDER BY position"
    ).fetchall()
    assert rows[0] == (0, rows[0][1], None, 0.01, rows[0][4])
    assert rows[1] == (1, "web", "web", 0.5, 0.1)


def test_the_page_shows_agreement_first_and_marks_texts(con) -> None:
    page = attribution.page(con)
    names = [block.name for block in page.blocks if isinstance(block, Figure)]
    assert names == ["lds", "attributed-slices-0", "predicted-effects", "attributed-documents"]
    agreement, matrix = (next(b for b in page.blocks if getattr(b, "name", "") == name) for name in names[:2])
    assert [row["usable"] for row in agreement.rows] == [False, True]
    assert len(agreement.charts) == 1
    assert {(row["unit"], row["bpb"]) for row in matrix.rows} == {("web", 0.1), ("wiki", -0.05)}
    (text,) = (block for block in page.blocks if isinstance(block, MarkedText))
    assert [(piece, kind) for piece, kind, _ in text.pieces] == [("<b>", None), (" quick & ", "web")]
    html = render_block(text)
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    number = list(text.colours).index("web") + 1
    assert f"<sup>{number}</sup> quick &amp; </mark>" in html  # told without colour, too
    assert "web raised it by 0.50 nats" in html


def test_without_attributions_the_page_says_how_to_get_them(studied_workspace: Path) -> None:
    with open_snapshot(publish(studied_workspace)) as con:
        (block,) = attribution.page(con).blocks
    assert isinstance(block, Prose)
    assert "mixtrace influence" in block.text


def test_predictions_are_no_findings(studied_workspace: Path, con) -> None:
    with open_snapshot(current_snapshot(studied_workspace)) as before:
        assert overview.page(con) == overview.page(before)
        assert perplexity.page(con) == perplexity.page(before)
