"""Snapshots: complete, commented, versioned, and nothing that no manifest lists."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.contracts import manifest, schemas, tables
from pipelines.contracts.errors import InputError
from pipelines.ops.rules import evaluate_rules, recipe_rules
from reports import load
from reports.catalogue import open_catalogue
from reports.publish import KEPT_SNAPSHOTS, current_snapshot, open_snapshot, publish, snapshots


@pytest.fixture(scope="module")
def snapshot(curated_workspace):
    return publish(curated_workspace)


@pytest.fixture
def con(snapshot):
    with open_snapshot(snapshot) as con:
        yield con


def copy_of(workspace: Path, target: Path) -> Path:
    return Path(shutil.copytree(workspace, target / "ws", ignore=shutil.ignore_patterns("reports")))


def parquet(workspace: Path, table: str):
    return pq.read_table(sorted((workspace / table).glob("part-*.parquet"))).to_pylist()


def contents(path: Path) -> dict[str, list]:
    with open_snapshot(path) as con:
        names = [row[0] for row in con.sql("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall()]
        return {name: con.sql(f'SELECT * FROM "{name}"').fetchall() for name in names}


def test_tables_hold_the_rows_of_the_files(curated_workspace, con):
    for table in ("documents", "signals", "decisions", "duplicates", "dead_letters"):
        assert con.sql(f"SELECT count(*) FROM {table}").fetchall() == [(len(parquet(curated_workspace, table)),)]
    stored = {(r["part"], r["row"]): r["text"] for r in parquet(curated_workspace, "documents")}
    assert {(p, r): t for p, r, t in con.sql("SELECT part, row, text FROM documents").fetchall()} == stored


def test_the_tokenizer_says_what_it_makes_of_every_language(curated_workspace, tmp_path):
    workspace = str(copy_of(curated_workspace, tmp_path))
    row = {"lang": "fi", "documents": 3, "text_bytes": 50, "characters": 49, "words": 8, "tokens": 20,
           "bytes_per_token": 2.5, "tokens_per_word": 2.5}  # fmt: skip
    table = pa.Table.from_pylist([row], schemas.FERTILITY)
    output = tables.write_table(workspace, "tokenizer/fertility.parquet", table, schemas.FERTILITY)
    manifest.commit(workspace, manifest.TaskManifest("tokenizer", "all", "f", (output,), {"vocab_size": 4096}))
    with open_snapshot(publish(Path(workspace))) as con:
        assert con.sql("SELECT lang, tokens, bytes_per_token FROM fertility").fetchall() == [("fi", 20, 2.5)]
        assert con.sql("SELECT count(*) FROM tokenizer_sample").fetchall() == [(0,)]


def test_every_table_view_column_and_macro_is_commented(con):
    for kind in ("tables", "views"):
        name = kind[:-1]
        bare = con.sql(
            f"SELECT {name}_name FROM duckdb_{kind}() WHERE NOT internal AND coalesce(comment, '') = ''"
        ).fetchall()
        assert bare == []
    columns = con.sql(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND coalesce(comment, '') = ''"
    )
    assert columns.fetchall() == []
    macros = (
        "SELECT function_name, comment FROM duckdb_functions() WHERE NOT internal AND function_type = 'table_macro'"
    )
    found = con.sql(macros).fetchall()
    assert "document_rules" in {name for name, _ in found}
    assert all(comment for _, comment in found)


def test_units_are_at_the_end_of_comments(con):
    rows = con.sql(
        "SELECT comment FROM duckdb_columns() WHERE table_name = 'documents' AND column_name = 'text_bytes'"
    ).fetchall()
    assert rows == [("length of the cleaned text in UTF-8, even if it was removed [bytes]",)]


def test_storage_is_readable_by_older_clients(con):
    tags = con.sql("SELECT tags FROM duckdb_databases() WHERE NOT internal").fetchall()[0][0]
    assert tags["storage_version"].startswith("v1.5.0")


def test_snapshot_can_be_read_after_a_move(snapshot, tmp_path):
    moved = shutil.copy(snapshot, tmp_path / "other-name.duckdb")
    with open_snapshot(Path(moved)) as con:
        assert (
            con.sql("SELECT count(*) FROM document_life").fetchall()
            == con.sql("SELECT count(*) FROM documents").fetchall()
        )


def test_connection_reaches_nothing_outside(con, curated_workspace):
    import duckdb

    with pytest.raises(duckdb.PermissionException):
        con.sql(f"SELECT * FROM read_parquet('{curated_workspace}/documents/*.parquet')").fetchall()


def test_funnel_adds_up(curated_workspace, con):
    decisions = {(r["part"], r["row"]): r for r in parquet(curated_workspace, "decisions")}
    expected, size = Counter(), Counter()
    for d in parquet(curated_workspace, "documents"):
        key = (d["source"], decisions[d["part"], d["row"]]["first_reason"] or "kept")
        expected[key] += 1
        size[key] += d["text_bytes"]
    rows = con.sql("SELECT source, outcome, documents, text_bytes, document_frac FROM funnel").fetchall()
    assert {(s, o): n for s, o, n, _, _ in rows} == expected
    assert {(s, o): b for s, o, _, b, _ in rows} == size
    for source in {row[0] for row in rows}:
        assert sum(row[4] for row in rows if row[0] == source) == pytest.approx(1.0)


def test_accounts_add_up_to_the_records(con):
    records = "SELECT count FROM stage_counts WHERE stage = 'ingest' AND name = 'records'"
    assert con.sql("SELECT sum(records)::BIGINT FROM accounts").fetchall() == con.sql(records).fetchall()


def test_rule_effects_equal_a_count_by_hand(curated_workspace, con):
    failing = [r["failed_rules"] for r in parquet(curated_workspace, "decisions") if not r["kept"]]
    documents = Counter(rule for rules in failing for rule in rules)
    alone = Counter(rules[0] for rules in failing if len(rules) == 1)
    rows = con.sql("SELECT rule, documents, only_documents FROM rule_effects").fetchall()
    assert {rule: n for rule, n, _ in rows} == documents
    assert {rule: n for rule, _, n in rows} == {rule: alone[rule] for rule in documents}


def test_document_rules_equal_evaluate_rules(curated_workspace, con):
    recipe = open_catalogue(curated_workspace).recipe
    rules = recipe_rules(recipe)
    signals = tables.read_table(str(curated_workspace), "signals/part-00001.parquet")
    documents = tables.read_table(str(curated_workspace), "documents/part-00001.parquet", ["doc_id", "source"])
    failed = evaluate_rules(signals, documents["source"], rules)
    for row in range(0, 20, 3):
        found = con.sql(
            "SELECT rule, failed, value FROM document_rules(?)", params=[documents["doc_id"][row].as_py()]
        ).fetchall()
        assert [(rule, fails) for rule, fails, _ in found] == list(zip(rules, failed[row].tolist(), strict=True))


def test_clusters_and_languages(curated_workspace, con):
    duplicates = parquet(curated_workspace, "duplicates")
    removed = sum(1 for d in duplicates if d["kind"])
    assert con.sql("SELECT sum(exact_removed + near_removed)::BIGINT, count(*) FROM duplicate_clusters").fetchall() == [
        (removed, len({d["component_id"] for d in duplicates}))
    ]
    langs = Counter(s["lang"] for s in parquet(curated_workspace, "signals"))
    assert dict(con.sql("SELECT lang, sum(documents)::BIGINT FROM languages GROUP BY lang").fetchall()) == langs


def test_document_life_tells_why(con):
    stories = dict(con.sql("SELECT first_reason, min(story) FROM document_life GROUP BY 1").fetchall())
    assert stories[None].startswith("kept; its tokens are row")
    assert stories["exact_duplicate"].startswith("dropped: exact duplicate of ")
    assert stories["too_short"].startswith("dropped: too_short")


def test_token_spans_point_at_the_shards(curated_workspace, con):
    from pipelines.contracts.shards import read_shard

    shard, row, doc_id, tokens = con.sql(
        "SELECT shard, shard_row, doc_id, n_tokens FROM token_spans ORDER BY doc_id"
    ).fetchall()[5]
    found = read_shard(str(curated_workspace), shard)
    assert found["doc_id"][row].as_py() == doc_id
    assert len(found["input_ids"][row].as_py()) == tokens


def test_same_records_same_content(curated_workspace, snapshot):
    again = publish(curated_workspace)
    assert again.name > snapshot.name
    assert contents(again) == contents(snapshot)
    assert current_snapshot(curated_workspace) == again


def test_keeps_the_newest_five(curated_workspace, tmp_path):
    workspace = copy_of(curated_workspace, tmp_path)
    published = [publish(workspace) for _ in range(KEPT_SNAPSHOTS + 2)]
    assert sorted(snapshots(workspace / "reports").values()) == published[2:]
    assert [path.name for path in published[:2]] == ["mixtrace-000001.duckdb", "mixtrace-000002.duckdb"]
    assert sorted(p.name for p in (workspace / "reports").iterdir()) == [
        "CURRENT",
        *(p.name for p in published[2:]),
    ]


def test_files_that_no_manifest_lists_do_not_exist(curated_workspace, tmp_path):
    workspace = copy_of(curated_workspace, tmp_path)
    shutil.copy(workspace / "documents/part-00000.parquet", workspace / "documents/part-00099.parquet")
    with open_snapshot(publish(workspace)) as con:
        assert con.sql("SELECT count(*) FROM documents").fetchall() == [(240,)]


def test_missing_file_is_an_error_and_publishes_nothing(curated_workspace, tmp_path):
    workspace = copy_of(curated_workspace, tmp_path)
    (workspace / "signals/part-00001.parquet").unlink()
    with pytest.raises(InputError, match="file is missing"):
        publish(workspace)
    assert list((workspace / "reports").iterdir()) == []


def test_not_a_workspace(tmp_path):
    with pytest.raises(InputError, match="not a workspace"):
        publish(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_workspace_that_only_ingested(curated_workspace, tmp_path):
    workspace = copy_of(curated_workspace, tmp_path)
    for stage in ("measure", "decide", "tokenize"):
        shutil.rmtree(workspace / "stages" / stage)
    with open_snapshot(publish(workspace)) as con:
        assert con.sql("SELECT DISTINCT outcome FROM funnel").fetchall() == [("undecided",)]
        assert con.sql("SELECT count(*) FROM duplicate_clusters").fetchall() == [(0,)]


def test_large_texts_stay_in_parquet(curated_workspace, tmp_path, monkeypatch):
    workspace = copy_of(curated_workspace, tmp_path)
    monkeypatch.setattr(load, "MAX_STORED_TEXT_BYTES", 1000)
    with open_snapshot(publish(workspace)) as con:
        assert con.sql("SELECT count(*), count(text) FROM documents").fetchall() == [(240, 0)]
        comment = con.sql("SELECT comment FROM duckdb_tables() WHERE table_name = 'documents'").fetchall()[0][0]
    assert "is null here" in comment
