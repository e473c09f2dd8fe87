"""Tables, views and pages of a study: numbers equal a computation by hand; a void study says so on top."""

from __future__ import annotations

import math
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from study_builder import BLOCKS, CELLS, DESIGN, TARGETS, TOKENS

from analysis import records, slices
from pipelines.contracts.errors import InputError
from reports.blocks import Figure
from reports.commands import build
from reports.pages import controls, overview
from reports.publish import open_snapshot, publish


@pytest.fixture(scope="module")
def snapshot(studied_workspace):
    return publish(studied_workspace)


@pytest.fixture
def con(snapshot):
    with open_snapshot(snapshot) as con:
        yield con


def copy_of(workspace: Path, target: Path) -> Path:
    return Path(shutil.copytree(workspace, target / "ws", ignore=shutil.ignore_patterns("reports")))


def rewrite(workspace: Path, table: str, **changes) -> None:
    path = records.study_folder(workspace, DESIGN) / f"{table}.parquet"
    rows = [{**row, **changes} for row in records.read_table(path, table).to_pylist()]
    records.write_table(path, records.from_rows(rows, table), table)


def test_tables_of_the_study_are_loaded_whole(studied_workspace, con):
    study = records.study_folder(studied_workspace, DESIGN)
    for name in records.TABLES:
        files = (
            [study / f"{name}.parquet"]
            if (study / f"{name}.parquet").is_file()
            else sorted(study.glob(f"runs/*/{name}.parquet"))
        )
        assert con.sql(f"SELECT count(*) FROM {name}").fetchall() == [
            (sum(pq.read_metadata(f).num_rows for f in files),)
        ]
    assert con.sql("SELECT design_id, name FROM designs").fetchall() == [(DESIGN, "tiny study")]


def test_bits_per_byte_is_a_ratio_of_sums(studied_workspace, con):
    path = records.study_folder(studied_workspace, DESIGN) / "runs/sham-3/scores.parquet"
    rows = [r for r in pq.read_table(path).to_pylist() if r["target"] == "wiki" and r["population"] == "kept"]
    nats, size, tokens = (sum(r[name] for r in rows) for name in ("nats", "bytes", "tokens"))
    found = con.sql(
        f"SELECT bpb, nats_per_token, perplexity, final FROM score_table WHERE run_id = '{DESIGN}/sham-3' AND target = 'wiki' AND population = 'kept'"
    ).fetchall()
    assert found == [pytest.approx((nats / math.log(2) / size, nats / tokens, math.exp(nats / tokens), True))]


def test_studies_of_one_workspace_are_kept_apart(studied_workspace, tmp_path, con):
    workspace = copy_of(studied_workspace, tmp_path)
    other = Path(shutil.copytree(records.study_folder(workspace, DESIGN), records.study_folder(workspace, "other")))
    for path in other.rglob("*.parquet"):
        rows = pq.read_table(path)
        if "design_id" in rows.column_names:
            at, names = rows.column_names.index("design_id"), pa.array(["other"] * len(rows), pa.string())
            pq.write_table(rows.set_column(at, rows.schema.field("design_id"), names), path)
    views = ("run_table", "score_table", "choice_table", "task_table", "effect_table", "mixture_table")
    with open_snapshot(publish(workspace)) as both:
        for view in views:
            alone, together = (found.sql(f"SELECT * FROM {view}").to_arrow_table().to_pylist() for found in (con, both))
            assert len(together) == 2 * len(alone), view
        sizes = [found.sql("SELECT max(runs), max(items) FROM choice_table").fetchall() for found in (con, both)]
        assert sizes[0] == sizes[1]
        losses = [
            found.sql(f"SELECT kept_bpb FROM run_table WHERE run_id LIKE '{DESIGN}/%'").fetchall()
            for found in (con, both)
        ]
        assert losses[0] == losses[1]


def test_run_table_averages_the_targets(con):
    rows = con.sql("SELECT cell, block, kept_bpb FROM run_table").fetchall()
    assert [(cell, block) for cell, block, _ in rows] == [(cell, block) for cell in CELLS for block in range(BLOCKS)]
    mean = f"SELECT avg(bpb) FROM score_table WHERE run_id = '{DESIGN}/full-0' AND population = 'kept'"
    assert rows[0][2] == pytest.approx(con.sql(mean).fetchall()[0][0])


def test_effect_table_keeps_every_effect_once(con):
    rows = con.sql("SELECT count(*), count(DISTINCT train_tokens), min(train_tokens) FROM effect_table").fetchall()
    assert rows == [((len(CELLS) - 1) * len(TARGETS), 1, TOKENS)]
    notes = con.sql("SELECT DISTINCT family, note FROM effect_table WHERE note IS NOT NULL").fetchall()
    assert notes == [("own-slice", "by construction")]


def test_from_an_effect_to_its_documents(con):
    found = con.sql(
        f"SELECT doc_id, slice, kept, first_reason FROM effect_documents('{DESIGN}', 'add-short on web')"
    ).fetchall()
    short = {row[0] for row in con.sql("SELECT doc_id FROM decisions WHERE first_reason = 'too_short'").fetchall()}
    assert {row[0] for row in found} == short
    assert len(found) == len(short) > 0
    assert {row[1:] for row in found} == {("too-short", False, "too_short")}
    web = con.sql(f"SELECT count(*) FROM effect_documents('{DESIGN}', 'without-web on code')").fetchall()
    assert web == con.sql("SELECT count(*) FROM documents WHERE source = 'web'").fetchall()
    assert con.sql(f"SELECT count(*) FROM effect_documents('{DESIGN}', 'no such')").fetchall() == [(0,)]


def test_predicates_see_the_same_columns_as_in_analysis(studied_workspace, con):
    connection = slices.open_documents(str(studied_workspace))
    theirs = connection.sql("SELECT * FROM document_view ORDER BY part, row")
    ours = con.sql("SELECT * FROM document_view ORDER BY part, row")
    assert list(zip(ours.columns, map(str, ours.types), strict=True)) == list(
        zip(theirs.columns, map(str, theirs.types), strict=True)
    )
    assert ours.fetchall() == theirs.fetchall()


def test_wrong_predicate_names_the_slice(studied_workspace, tmp_path):
    workspace = copy_of(studied_workspace, tmp_path)
    rewrite(workspace, "slices", where_sql="no_such_column = 1")
    with pytest.raises(InputError, match=r"slice 'web'.*no_such_column"):
        publish(workspace)
    assert list((workspace / "reports").iterdir()) == []


def test_table_without_a_column_is_refused(studied_workspace, tmp_path):
    workspace = copy_of(studied_workspace, tmp_path)
    path = records.study_folder(workspace, DESIGN) / "effects.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["verdict"]), path)
    with pytest.raises(InputError, match=r"columns are missing.*verdict"):
        publish(workspace)


def test_runs_without_run_json_are_not_read(studied_workspace, tmp_path):
    workspace = copy_of(studied_workspace, tmp_path)
    (records.study_folder(workspace, DESIGN) / "runs/full-0/run.json").unlink()
    with open_snapshot(publish(workspace)) as con:
        assert con.sql(f"SELECT count(*) FROM scores WHERE run_id = '{DESIGN}/full-0'").fetchall() == [(0,)]
        assert con.sql(f"SELECT count(*) FROM scores WHERE run_id = '{DESIGN}/full-1'").fetchall() == [(12,)]


def test_void_study_says_so_on_top(void_workspace, studied_workspace):
    page = build(void_workspace).read_text(encoding="utf-8")
    banner = re.search(r'<div class="banner error" role="alert">(.*?)</div>', page)
    assert "is void: the sham control failed" in banner[1]
    assert banner.start() < page.index("<nav")
    assert "no verdict is printed here" in page
    assert 'class="banner error"' not in build(studied_workspace).read_text(encoding="utf-8")


def test_report_names_budget_and_never_generalises(studied_workspace):
    page = build(studied_workspace).read_text(encoding="utf-8")
    assert "trained on 262,144 tokens each" in page
    assert "at 262 k tokens" in page
    assert "positive = removing it raises bits per byte there = the slice helps" in page


def test_planned_study_without_results(curated_workspace, tmp_path):
    workspace = copy_of(curated_workspace, tmp_path)
    study = records.study_folder(workspace, DESIGN)
    study.mkdir(parents=True)
    (study / "design.json").write_text('{"spec": {"name": "planned"}}')
    page = build(workspace).read_text(encoding="utf-8")
    assert "What the study “planned” found" in page
    assert "No effect was estimated yet" in page


def test_effects_without_estimate_are_shown_not_drawn(studied_workspace, tmp_path):
    workspace = copy_of(studied_workspace, tmp_path)
    nothing = dict.fromkeys(("estimate", "se", "df", "lo", "hi", "p", "tost_p", "q", "tost_q"))
    rewrite(workspace, "effects", **nothing, verdict="undetermined", reason="one block only")
    page = build(workspace).read_text(encoding="utf-8")
    assert "one block only" in page


def test_empty_tables_of_a_study(studied_workspace, tmp_path):
    workspace = copy_of(studied_workspace, tmp_path)
    for name in ("effects", "controls", "power", "noise", "contrasts"):
        path = records.study_folder(workspace, DESIGN) / f"{name}.parquet"
        records.write_table(path, pa.Table.from_pylist([], schema=records.TABLES[name]), name)
    assert "No effect was estimated yet" in build(workspace).read_text(encoding="utf-8")


def test_task_table_sums_items_and_runs(con):
    rows = con.sql(
        "SELECT margin_bpb, gold_bpb, items, runs, accuracy_frac FROM task_table WHERE cell = 'full' AND part = 'islands'"
    ).fetchall()
    margins = sum(0.2 + 0.01 * block for block in range(BLOCKS)) * 3
    size = (10 + 11 + 12) * BLOCKS
    expected = (margins / size / math.log(2), 12 * 3 * BLOCKS / size / math.log(2), 3, BLOCKS, 1.0)
    assert rows == [pytest.approx(expected)]
    assert con.sql("SELECT count(*) FROM task_table").fetchall() == [(len(CELLS) * 3,)]


def test_the_page_shows_grades_tasks_and_samples(studied_workspace):
    page = build(studied_workspace).read_text("utf-8")
    downstream = page[page.index('id="downstream"') :]
    assert "signal-to-noise ratio: may rank mixtures" in page
    assert "signal-to-noise ratio: display only" in page
    assert "SNR 1.5 &lt; 5" in downstream
    assert "margin by task and cell" in page
    assert "It was &lt;b&gt;" in page
    assert "not dark &amp; cold" in page
    assert "name no tasks" not in page
    tuned = page[page.index("Fine-tuned on labels") :]
    assert tuned.index("all (macro)") < tuned.index("0.625") < tuned.index("wiki")


def test_a_study_without_tasks_and_samples_renders(studied_workspace, tmp_path):
    workspace = copy_of(studied_workspace, tmp_path)
    study = records.study_folder(workspace, DESIGN)
    for name in ("task_item_scores", "samples", "sample_scores", "finetune_scores", "metrics", "cell_metrics"):
        for path in study.glob(f"**/{name}.parquet"):
            path.unlink()
    page = build(workspace).read_text("utf-8")
    assert "The studies of this workspace name no tasks." in page
    assert "No run has written samples" in page


def test_trust_comes_first_and_in_order(studied_workspace):
    with open_snapshot(publish(studied_workspace)) as con:
        rows = con.sql('SELECT "check", verdict, value, detail FROM trust_table').fetchall()
        checks = [row[0] for row in rows]
        assert checks == ["sham", "shuffle", "noise", "power", "power"]
        assert [row[1] for row in rows[:3]] == ["passed", "passed", None]
        noise = rows[2]
        assert "correlation by pairing 0.50" in noise[3]
        assert any("too few blocks" in row[3] for row in rows if row[0] == "power")
        page = {block.name: block for block in controls.page(con).blocks if isinstance(block, Figure)}
        assert next(iter(page)) == "trust"
        first = overview.study_findings(con, {"design_id": DESIGN, "name": "tiny"}).items[0]
        assert first.text.startswith("Can it be trusted? sham passed (")
        assert first.verdict == "passed"


def test_a_failed_control_is_in_the_sentence(void_workspace):
    with open_snapshot(publish(void_workspace)) as con:
        first = overview.study_findings(con, {"design_id": DESIGN, "name": "tiny"}).items[0]
    assert "sham failed" in first.text
    assert first.verdict == "failed"


def test_decisions_are_on_a_page_of_their_own(studied_workspace):
    with open_snapshot(publish(studied_workspace)) as con:
        rows = con.sql("SELECT target, answer, sign FROM decision_table").fetchall()
        assert rows == [("code", "either", "not shown"), ("web", "keep", "stays"), ("wiki", "undecided", "turns")]
    page = build(studied_workspace).read_text(encoding="utf-8")
    assert "What to do about each decision" in page
    assert page.index("Can this study be trusted?") < page.index("Did the controls hold?")


def test_own_slices_of_a_withheld_study_read_well(studied_workspace, tmp_path):
    workspace = copy_of(studied_workspace, tmp_path)
    rewrite(workspace, "effects", verdict="withheld", reason="withheld: the proxy does not beat the 3-gram")
    page = build(workspace).read_text(encoding="utf-8")
    assert "3 of 3 intervals lie above 0" in page
    assert "such effects are determined" not in page


def looks_of(workspace: Path) -> list[Figure]:
    with open_snapshot(publish(workspace)) as con:
        return [block for block in controls.page(con).blocks if isinstance(block, Figure) and block.name == "looks"]


def test_looks_are_shown_where_there_were_some(studied_workspace: Path, tmp_path: Path) -> None:
    looked = copy_of(studied_workspace, tmp_path)
    assert looks_of(looked) == []
    row = {
        "design_id": DESIGN, "look": 1, "at": "2026-01-01T00:00:00+00:00", "blocks_before": 3, "blocks_after": BLOCKS, "max_blocks": 10,
        "spending": "pocock", "level": 0.0208, "alpha_spent": 0.0208, "effects_seen": True,
    }  # fmt: skip
    table = records.from_rows([row], "looks")
    records.write_table(records.study_folder(looked, DESIGN) / "looks.parquet", table, "looks")
    (shown,) = looks_of(looked)
    assert [(r["blocks_before"], r["blocks_after"], r["level"]) for r in shown.rows] == [(3, BLOCKS, 0.0208)]
