"""Parquet and Arrow: pieces, nested and odd columns, damage."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.contracts.recipe_sources import Fields
from pipelines.readers import READERS
from pipelines.readers.columnar import record_batches, row_group_bytes
from pipelines.readers.records import BadRecord, Item, ReadOptions, Record

TEXTS = [f"text {n} größer 北京 " * (n % 7 + 1) for n in range(1000)]
TABLE = pa.table({"id": range(1000), "text": TEXTS, "url": [f"https://x.example/{n}" for n in range(1000)]})


def _read(path: Path, kind: str, **options: object) -> list[Item]:
    made = ReadOptions(**options)  # type: ignore[arg-type]
    opened = READERS[kind].open(str(path), made)
    items = list(READERS[kind].read(opened, made))
    assert opened.finished()
    assert opened.bytes_read == sum(item.length for item in items)
    assert len({item.offset for item in items}) == len(items)
    return items


def _write(path: Path, table: pa.Table = TABLE, rows: int = 100) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=rows, compression="zstd")
    else:
        new = pa.ipc.new_file if path.suffix == ".arrow" else pa.ipc.new_stream
        with new(str(path), table.schema) as writer:
            writer.write_table(table, max_chunksize=rows)
    return path


def _texts(items: list[Item]) -> list[str]:
    return [item.content.decode() for item in items if isinstance(item, Record)]


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.arrows"])
def test_all_rows(tmp_path: Path, name: str) -> None:
    items = _read(_write(tmp_path / name), "parquet" if name == "a.parquet" else "arrow")
    assert _texts(items) == TEXTS
    first = items[7]
    assert isinstance(first, Record)
    assert (first.native_id, first.url, first.date, first.charset) == ("7", "https://x.example/7", None, None)


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_pieces_give_what_the_whole_file_gives(tmp_path: Path, name: str) -> None:
    path, kind = _write(tmp_path / name), "parquet" if name == "a.parquet" else "arrow"
    groups = len(row_group_bytes(str(path))) if kind == "parquet" else record_batches(str(path))
    assert groups == 10
    pieces = [(0, 3), (3, 9), (9, None)]
    assert [i for start, end in pieces for i in _read(path, kind, start=start, end=end)] == _read(path, kind)


def test_nested_html_dates_and_kinds_of_strings(tmp_path: Path) -> None:
    day = datetime.datetime(2024, 5, 6, 7, 8, 9)
    meta = pa.array([{"body": "<p>a", "link": "u"}, {"body": None, "link": None}])
    table = pa.table({"meta": meta, "when": [day, None], "other": [[1], []]})
    fields = Fields(text="meta.body", id=None, url="meta.link", date="when", content="html")
    for name in ("a.parquet", "a.arrow"):
        first, second = _read(_write(tmp_path / name, table), name[2:], fields=fields)
        assert first == Record(0, 4, b"<p>a", "html", None, "u", "2024-05-06 07:08:09", None)
        assert isinstance(second, BadRecord)
        assert (second.error, second.message) == (
            "wrong_type",
            "field 'meta.body' is no text: got null; expected string",
        )
    for kind in (pa.large_string(), pa.binary(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())):
        odd = pa.table({"text": pa.array(["a", "bb", "a"]).cast(kind)})
        assert _texts(_read(_write(tmp_path / "odd.arrow", odd), "arrow")) == ["a", "bb", "a"]


def test_a_text_that_is_no_utf8_is_one_record(tmp_path: Path) -> None:
    text = pa.array([b"a", b"\xff\xfe", b"c"]).view(pa.string())
    path = _write(tmp_path / "a.arrow", pa.table({"text": text}))
    assert [i.content for i in _read(path, "arrow") if isinstance(i, Record)] == [b"a", b"\xff\xfe", b"c"]


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_files_that_are_none(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    for data in (b"", b"hello", b"PAR1" * 5, b"ARROW1\0\0" * 9):
        path.write_bytes(data)
        (item,) = _read(path, kind)
        assert isinstance(item, BadRecord)
        assert (item.error, item.length) == ("unreadable_file", len(data))
    _write(path, pa.table({"body": ["x"]}))
    (item,) = _read(path, kind)
    assert "no column 'text' among body" in item.message
    _write(path, pa.table({"text": [5]}))
    (item,) = _read(path, kind)
    assert "column 'text' of type int64" in item.message


def test_a_large_row_is_a_bad_record(tmp_path: Path) -> None:
    items = _read(_write(tmp_path / "a.parquet", pa.table({"text": ["x" * 500, "y"]})), "parquet", max_record_bytes=100)
    assert [type(item) for item in items] == [BadRecord, Record]
    assert items[0].error == "too_large"


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_damage_costs_one_group(tmp_path: Path, name: str) -> None:
    path, kind = _write(tmp_path / name), "parquet" if name == "a.parquet" else "arrow"
    data = bytearray(path.read_bytes())
    if kind == "parquet":
        at = pq.ParquetFile(path).metadata.row_group(4).column(1).data_page_offset
        data[at : at + 40] = b"\xff" * 40
    else:
        at = bytes(data).index(b"text 450 ") - 400  # offsets of the text column point outside
        offsets = np.frombuffer(bytes(data), np.int32, len(data) // 4)
        lengths = [len(text.encode()) for text in TEXTS[400:500]]
        wanted = np.cumsum([0, *lengths]).astype(np.int32)
        start = next(n for n in range(len(offsets) - 101) if (offsets[n : n + 101] == wanted).all())
        data[start * 4 + 40 : start * 4 + 44] = b"\xff\xff\xff\x7f"
    path.write_bytes(bytes(data))
    items = _read(path, kind)
    assert _texts(items) == TEXTS[:400] + TEXTS[500:]
    (bad,) = [item for item in items if isinstance(item, BadRecord)]
    assert bad.error == "unreadable_rows"


def test_random_damage_never_raises(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for name in ("a.parquet", "a.arrow", "a.arrows"):
        path, kind = _write(tmp_path / name, TABLE.slice(0, 300)), "parquet" if name == "a.parquet" else "arrow"
        sound = path.read_bytes()
        for _ in range(60):
            data = bytearray(sound)
            for at in generator.integers(0, len(data), 3):
                data[at] ^= int(generator.integers(1, 256))
            path.write_bytes(bytes(data[: len(data) if generator.random() < 0.7 else generator.integers(len(data))]))
            _read(path, kind)


def test_odd_values_cost_their_row(tmp_path: Path) -> None:
    days = pa.array([2**62, 1_714_979_289_000_000_123, None], pa.timestamp("ns"))
    far = pa.array([2**60, 0, 1], pa.timestamp("s"))
    urls = pa.array([b"u", b"\xff", b"w"]).view(pa.string())
    table = pa.table({"text": ["a", "b", "c"], "date": days, "far": far, "url": urls})
    path = _write(tmp_path / "a.arrow", table)
    first, second, third = _read(path, "arrow")
    assert isinstance(first, Record)
    assert (first.date, third.date, third.url) == ("2116-02-20 23:53:38.427387", None, "w")
    assert isinstance(second, BadRecord)
    assert (second.error, second.offset) == ("unreadable_value", 1)
    assert "field 'url' cannot be read: got UnicodeDecodeError" in second.message
    first, _, third = _read(path, "arrow", fields=Fields(date="far"))
    assert isinstance(first, BadRecord)
    assert "field 'far' cannot be read" in first.message
    assert isinstance(third, Record)


def test_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    (item,) = _read(_write(tmp_path / "a.arrow", table), "arrow")
    assert isinstance(item, BadRecord)
    assert item.error in ("unreadable_file", "unreadable_rows")


@pytest.mark.parametrize("keep", [0.3, 0.6, 1.0])
def test_an_arrow_file_without_its_footer_is_read_as_the_stream_that_it_holds(tmp_path: Path, keep: float) -> None:
    path = _write(tmp_path / "a.arrow")
    whole, data = _read(path, "arrow"), path.read_bytes()
    path.write_bytes(data[: min(int(keep * len(data)), len(data) - 20)])
    *rows, last = _read(path, "arrow")
    batches = 10 if keep == 1.0 else len(rows) // 100
    assert batches >= int(10 * keep) - 1
    assert rows[: 100 * batches] == whole[: 100 * batches]
    assert isinstance(last, BadRecord)
    assert "rows of the footer cannot be read" in last.message


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.arrows"])
def test_what_killed_a_worker_is_not_decoded_again(tmp_path: Path, name: str) -> None:
    path, kind = _write(tmp_path / name), "parquet" if name == "a.parquet" else "arrow"
    marks: list[int] = []
    whole = _read(path, kind, at=marks.append)
    fatal = (1 << 62) + (400 if kind == "parquet" else 4 << 32)
    assert fatal in marks
    items = _read(path, kind, poison=frozenset([fatal]))
    (bad,) = [item for item in items if isinstance(item, BadRecord)]
    assert (bad.error, bad.offset) == ("worker_killed", fatal - (1 << 62))
    lost = [item for item in whole if item not in items]
    assert lost[0].offset == bad.offset
    assert len(lost) == (600 if name == "a.arrows" else 100)
    (all_of_it,) = _read(path, kind, poison=frozenset([marks[0]]))
    assert isinstance(all_of_it, BadRecord)
    assert (all_of_it.error, all_of_it.length) == ("worker_killed", path.stat().st_size)
