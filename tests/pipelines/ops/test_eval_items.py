"""Evaluation items from JSONL, gzip and Parquet."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.contracts.errors import ConfigError
from pipelines.contracts.recipe import EvalItems
from pipelines.ops.eval_items import read_items

ROWS = [
    {"native_id": "a", "doc": {"query": "Who?", "choices": ["Me", "You"], "gold": 1}},
    {"native_id": "a", "doc": {"query": "Who?", "choices": ["Me", "They"], "gold": 1}},
    {"native_id": 7, "doc": {"query": "Why?", "choices": [], "gold": 0}},
]


def entry(path: Path, **settings: object) -> EvalItems:
    return EvalItems.model_validate(
        {"task": "quiz", "path": str(path), "text": ["doc.query", "doc.choices"], "id": "native_id", **settings}
    )


def jsonl(rows: list[dict]) -> bytes:
    return b"\n".join(json.dumps(row).encode() for row in rows) + b"\n\n"


def test_rows_of_one_id_are_one_item_with_distinct_texts(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(jsonl(ROWS))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(jsonl(ROWS)))
    expected = [("quiz", "a", "Who?\nMe\nYou\nThey"), ("quiz", "7", "Why?")]
    assert read_items(entry(tmp_path / "a.jsonl")) == expected
    assert read_items(entry(tmp_path / "b.jsonl.gz")) == expected
    assert read_items(entry(tmp_path / "*")) == expected


def test_parquet_and_numbered_items(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist([{"text": "one"}, {"text": None}, {"text": "three"}]), tmp_path / "a.parquet")
    found = read_items(entry(tmp_path / "a.parquet", text="text", id=None))
    assert [(item.item_id, item.text) for item in found] == [("0", "one"), ("1", ""), ("2", "three")]


@pytest.mark.parametrize(("content", "settings", "match"), [
    (b"{]", {}, r"line 1: not JSON"),
    (jsonl(ROWS), {"text": "doc.question"}, r"row 0: no such field: got doc.question"),
    (jsonl(ROWS), {"id": "native"}, r"no such field: got native"),
])  # fmt: skip
def test_what_is_not_there_is_an_error_with_its_place(
    tmp_path: Path, content: bytes, settings: dict, match: str
) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(ConfigError, match=match):
        read_items(entry(tmp_path / "a.jsonl", **settings))


def test_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_items(entry(tmp_path / "none-*.jsonl"))
