"""Texts are chosen by SQL and from files; every record is accounted for, and what is wrong is named."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import duckdb
import pytest
import zstandard

from analysis.quality.texts import Selection, choose
from pipelines.contracts.errors import ConfigError, InputError


def take(selection: Selection, workspace: str | None = None, **options: object):
    return choose(selection, workspace, **{"text_field": "text", "max_documents": 1000} | options)


def test_a_condition_chooses_the_documents_that_duckdb_finds(workspace: str) -> None:
    chosen = take(Selection("good", "lang = 'de' AND kept"), workspace)
    expected = duckdb.sql(
        f"""SELECT d.doc_id, d.text FROM '{workspace}/documents/*.parquet' d
            JOIN '{workspace}/signals/*.parquet' USING (part, row) JOIN '{workspace}/decisions/*.parquet' c USING (part, row)
            WHERE lang = 'de' AND c.kept ORDER BY d.doc_id"""
    ).fetchall()
    assert list(zip(chosen.table["key"].to_pylist(), chosen.table["text"].to_pylist(), strict=True)) == expected
    assert len(expected) > 20
    assert chosen.counts["found"] == len(expected)
    assert chosen.inputs[0]["where"] == "lang = 'de' AND kept"


def test_no_more_than_asked_for_are_drawn_and_always_the_same(workspace: str) -> None:
    chosen = take(Selection("good", "true"), workspace, max_documents=30)
    assert len(chosen.table) == 30
    assert chosen.counts["over_limit"] == chosen.counts["found"] - 30
    assert take(Selection("good", "true"), workspace, max_documents=30).table == chosen.table
    more = take(Selection("good", "true"), workspace, max_documents=60).table
    assert set(chosen.table["key"].to_pylist()) < set(more["key"].to_pylist())


def test_files_of_all_kinds(tmp_path: Path, workspace: str) -> None:
    record = json.dumps({"meta": {"body": "first\nline\u2028two"}}) + "\n"
    bad = '{"meta": 1}\n{broken\n{"meta": {"body": 3}}\n{"meta": {"body": " "}}\n'
    (tmp_path / "a.jsonl").write_text(record + "\n" + bad)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(record.encode().replace(b"first", b"second")))
    packed = zstandard.ZstdCompressor().compress(record.encode().replace(b"first", b"third"))
    (tmp_path / "c.jsonl.zst").write_bytes(packed + packed)
    (tmp_path / "d.txt").write_bytes("plain é\r\n\nlast".encode() + b"\n\xff\n")
    files = (str(tmp_path / "?.json*"), str(tmp_path / "d.txt"))
    chosen = take(Selection("good", files=files), text_field="meta.body", language="en")
    texts = dict(zip(chosen.table["key"].to_pylist(), chosen.table["text"].to_pylist(), strict=True))
    assert texts == {
        "a.jsonl:1": "first\nline\u2028two",
        "b.jsonl.gz:1": "second\nline\u2028two",
        "c.jsonl.zst:1": "third\nline\u2028two",
        "c.jsonl.zst:2": "third\nline\u2028two",
        "d.txt:1": "plain é",
        "d.txt:3": "last",
    }
    assert chosen.counts == {"found": 11, "unreadable": 4, "empty": 1, "over_limit": 0}
    assert [fault.split(": ")[0] for fault in chosen.faults] == ["a.jsonl:3", "a.jsonl:4", "a.jsonl:5", "d.txt:4"]
    assert set(chosen.table["lang"].to_pylist()) == {"en"}
    both = take(Selection("good", "lang = 'de'", files), workspace, text_field="meta.body")
    assert both.counts["found"] == 11 + take(Selection("good", "lang = 'de'"), workspace).counts["found"]


@pytest.mark.parametrize(
    ("selection", "error", "expected"),
    [
        (Selection("--positive", "colour = 1"), ConfigError, "--positive.*colour"),
        (Selection("--positive", "text_bytes"), ConfigError, "not a condition"),
        (Selection("--positive", "lang = 'xx'"), InputError, "no document: got lang = 'xx'"),
        (Selection("--positive"), ConfigError, "nothing chosen"),
        (Selection("--positive", files=("/nowhere/*.jsonl",)), InputError, "no such file: got /nowhere"),
    ],
)
def test_what_is_wrong_is_named(workspace: str, selection: Selection, error: type[Exception], expected: str) -> None:
    with pytest.raises(error, match=expected):
        take(selection, workspace)


def test_a_condition_needs_a_workspace() -> None:
    with pytest.raises(ConfigError, match="expected a workspace"):
        take(Selection("--positive", "kept"))
