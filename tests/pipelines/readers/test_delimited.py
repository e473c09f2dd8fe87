"""CSV and TSV against Python's own csv module, and in a damaged state."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.contracts.recipe_sources import Csv, Fields
from pipelines.readers import READERS
from pipelines.readers.compression import Fault
from pipelines.readers.records import BadRecord, Item, NonDocument, ReadOptions, Record
from pipelines.readers.stream import ByteReader


def _read(data: bytes | list[bytes | Fault], kind: str = "csv", **options: object) -> list[Item]:
    blocks = data if isinstance(data, list) else [data]
    stream = ByteReader(iter(blocks))
    items = list(READERS[kind].read(stream, ReadOptions(**options)))  # type: ignore[arg-type]
    position = 0
    for item in items:
        assert item.offset == position
        position += item.length
    assert position == stream.bytes_read
    assert stream.finished()
    return items


def _texts(items: list[Item]) -> list[str]:
    return [item.content.decode() for item in items if isinstance(item, Record)]


def _errors(items: list[Item]) -> list[tuple[str, bytes]]:
    return [(item.error, item.raw) for item in items if isinstance(item, BadRecord)]


_VALUE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff"), max_size=20)


@settings(deadline=None)
@given(
    st.lists(st.tuples(_VALUE, _VALUE), max_size=8), st.sampled_from(["csv", "tsv"]), st.sampled_from(["\n", "\r\n"])
)
def test_what_csv_writes_is_read(rows: list[tuple[str, str]], kind: str, end: str) -> None:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter="," if kind == "csv" else "\t", lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([("id", "text"), *rows])
    items = _read(buffer.getvalue().encode(), kind)
    assert _texts(items) == [text for _, text in rows]
    assert [item.native_id for item in items if isinstance(item, Record)] == [key or None for key, _ in rows]
    assert [item.kind for item in items if isinstance(item, NonDocument)] == ["header"]


def test_fields_columns_and_dialect() -> None:
    options = {
        "fields": Fields(text="body", id="n", url="link", date=None, content="html"),
        "csv": Csv(delimiter=";", quote="'", columns=("n", "link", "body")),
    }
    (item,) = _read(b"7;https://x.example/;'<p>a; b''s'\n", **options)
    assert item == Record(0, 34, b"<p>a; b's", "html", "7", "https://x.example/", None, "utf-8")
    unquoted = Csv(quote=None, columns=("text",))
    assert _texts(_read(b'a "b\nc" d\n', csv=unquoted)) == ['a "b', 'c" d']


def test_a_mark_and_another_encoding() -> None:
    assert _texts(_read(b"\xef\xbb\xbftext\nx\n")) == ["x"]
    assert _texts(_read("text\nGröße\n".encode("cp1252"), encoding="cp1252")) == ["Größe"]


def test_a_stray_quote_costs_its_line_and_no_other() -> None:
    good = b'1,"a\nb"\n'
    items = _read(b"id,text\n" + good + b'2,"open\n' + good + b"3,c\n")
    assert _texts(items) == ["a\nb", "a\nb", "c"]
    assert _errors(items) == [("broken_row", b'2,"open\n')]
    last = _read(b"id,text\n" + good + b'2,"open\n3,c\n4,d')
    assert _texts(last) == ["a\nb", "c", "d"]
    assert _errors(last) == [("broken_row", b'2,"open\n')]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"1,2,3\n", "got 3 values; expected 2, one per column"),
        (b"1\n", "got 1 values; expected 2"),
        (b'1,"a"b\n', "expected after"),
        (b"1,\xff\n", "got byte 0xff at byte 2; expected utf-8"),
        (b"1,a\rb\n", "new-line character"),
    ],
)
def test_a_bad_line_costs_one_line(line: bytes, words: str) -> None:
    items = _read(b"id,text\n0,a\n" + line + b"2,b\n")
    assert _texts(items) == ["a", "b"]
    (bad,) = [item for item in items if isinstance(item, BadRecord)]
    assert bad.error == "broken_row"
    assert words in bad.message


def test_missing_columns_blank_lines_and_faults() -> None:
    assert [error for error, _ in _errors(_read(b"id,body\n1,a\n2,b\n"))] == ["missing_field"] * 2
    assert [type(item) for item in _read(b"text\n\na\n")] == [NonDocument, NonDocument, Record]
    items = _read([b'id,text\n1,a\n2,"b', Fault("damaged_compression", "m", 5), b'c"\n3,d\n'])
    assert _texts(items) == ["a", "d"]
    assert [error for error, _ in _errors(items)] == ["damaged_compression", "broken_row"]


def test_limits() -> None:
    items = _read(b"text\n" + b"x" * 500 + b"\ny\n" + b'"' + b"z\n" * 100, max_record_bytes=100)
    assert _texts(items)[0] == "y"
    assert [error for error, _ in _errors(items)] == ["too_large", "broken_row"]
    assert _texts(items)[1:] == ["z"] * 99


def test_many_open_quotes_take_linear_time() -> None:
    items = _read(b"text\n" + b'a\n"b\n' * 20_000)
    assert len(items) > 20_000
