"""The one writer: the same rows give the same bytes, however they were cut into batches."""

from __future__ import annotations

import itertools
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.contracts import schemas, storage, tables
from pipelines.contracts.errors import StageError
from pipelines.contracts.schemas import field, table

SCHEMA = table("t", "test", [field("row", pa.int32(), "row"), field("text", pa.large_string(), "text", nullable=True)])


def rows(texts: list[str | None]) -> pa.Table:
    return pa.table([pa.array(range(len(texts)), pa.int32()), pa.array(texts, pa.large_string())], schema=SCHEMA)


@settings(max_examples=40, deadline=None)
@given(
    texts=st.lists(st.one_of(st.none(), st.text(max_size=12)), max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=6),
)
def test_bytes_do_not_depend_on_batches(tmp_path_factory: pytest.TempPathFactory, texts: list, cuts: list[int]) -> None:
    workspace = str(tmp_path_factory.mktemp("ws"))
    whole = rows(texts)
    written = tables.write_table(workspace, "whole.parquet", whole, SCHEMA)
    with tables.TableWriter(workspace, "cut.parquet", SCHEMA) as writer:
        bounds = sorted({0, len(texts), *(c for c in cuts if c < len(texts))})
        for start, stop in itertools.pairwise(bounds):
            writer.write(whole.slice(start, stop - start))
    assert writer.output is not None
    assert writer.output.hash == written.hash
    assert tables.read_table(workspace, "cut.parquet").to_pylist() == whole.to_pylist()


def test_row_groups_end_at_a_number_of_rows_or_of_text_bytes(tmp_path: Path) -> None:
    big = "x" * (tables.TEXT_BYTES_PER_GROUP // 2 + 1)
    ends = tables.group_ends(rows(["a", big, big, "b", big]), 1000, final=True)
    assert ends == [3, 5]
    assert tables.group_ends(rows(["a"] * 10), 4, final=False) == [4, 8]
    assert tables.group_ends(rows(["a"] * 10), 4, final=True) == [4, 8, 10]
    assert tables.group_ends(rows([]), 4, final=True) == []


def test_batches_are_read_back_one_row_group_at_a_time(tmp_path: Path) -> None:
    with tables.TableWriter(str(tmp_path), "a.parquet", SCHEMA, rows_per_group=3) as writer:
        writer.write(rows([str(i) for i in range(8)]))
    read = [batch.num_rows for batch in tables.read_batches(str(tmp_path), "a.parquet", ["row"])]
    assert read == [3, 3, 2]


def test_row_groups_are_read_together_up_to_a_size(tmp_path: Path) -> None:
    table = rows([f"text {i}" for i in range(10)])
    with tables.TableWriter(str(tmp_path), "a.parquet", SCHEMA, rows_per_group=2) as writer:
        writer.write(table)
    size = pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(0).total_byte_size
    for at_least, expected in ((1, [2] * 5), (size + 1, [4, 4, 2]), (1 << 30, [10])):
        read = list(tables.read_batches(str(tmp_path), "a.parquet", ["text"], at_least))
        assert [batch.num_rows for batch in read] == expected
        assert pa.concat_tables(read).to_pylist() == table.select(["text"]).to_pylist()


def test_wrong_columns_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="wrong columns"):
        tables.write_table(str(tmp_path), "a.parquet", pa.table({"x": [1]}), SCHEMA)
    assert storage.list_files(str(tmp_path)) == []


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with tables.TableWriter(str(tmp_path), "a.parquet", SCHEMA) as writer:
            writer.write(rows(["a"]))
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", sorted(schemas.TABLES))
def test_every_column_of_every_table_is_documented(name: str) -> None:
    schema = schemas.TABLES[name]
    assert schema.metadata[b"table"].decode() == name
    for column in schema:
        assert column.metadata[b"doc"], column.name


def test_parquet_keeps_the_documentation(tmp_path: Path) -> None:
    tables.write_table(str(tmp_path), "s.parquet", schemas.SIGNALS.empty_table(), schemas.SIGNALS)
    read = pq.read_schema(tmp_path / "s.parquet")
    assert read.field("lang").metadata[b"doc"].startswith(b"most likely language")
