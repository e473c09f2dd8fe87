"""JSON lines."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.contracts.recipe_sources import Fields
from pipelines.readers import jsonl
from pipelines.readers.records import BadRecord, Item, NonDocument, ReadOptions, Record
from pipelines.readers.stream import ByteReader
from pipelines.readers.transcode import open_text
from tests.data.formats import json_line


def _read(data: bytes, options: ReadOptions | None = None) -> list[Item]:
    return list(jsonl.read(ByteReader(iter([data])), options or ReadOptions()))


def test_lines_are_split_on_line_feeds_only() -> None:
    texts = ["a\u2028b", "c\x85d", "e\x0bf\x1cg"]
    items = _read(b"".join(json_line(text) for text in texts))
    assert [item.content.decode() for item in items] == texts


def test_fields_are_mapped_by_dotted_paths() -> None:
    fields = Fields(text="doc.body", id="doc.key", url="u.r.l", date=None)
    items = _read(b'{"doc": {"body": "x", "key": 7}, "u.r.l": "exact", "date": "2020"}\n', ReadOptions(fields=fields))
    assert [(i.content, i.native_id, i.url, i.date) for i in items] == [(b"x", "7", "exact", None)]


@pytest.mark.parametrize(
    ("line", "error", "text"),
    [
        (b'{"a": 1, "b": 2}', "missing_field", "got fields 'a', 'b'; expected 'text'"),
        (b"{}", "missing_field", "got fields none; expected 'text'"),
        (b'{"text": 5}', "wrong_type", "got integer; expected string"),
        (b'{"text": null}', "wrong_type", "got null; expected string"),
        (b'{"text": true}', "wrong_type", "got boolean; expected string"),
        (b'{"text": "x", "id": [1]}', "wrong_type", "got array; expected string, number or null"),
        (b'{"text": "x", "date": false}', "wrong_type", "got boolean; expected string, number or null"),
        (b"[]", "not_an_object", "got array; expected object"),
        (b"3.5", "not_an_object", "got number; expected object"),
        (b'{"text": "\xff"}', "invalid_utf8", "got byte 0xff at byte 10 of the line; expected UTF-8"),
        (b'{"text": "\\ud800"}', "invalid_json", "expected one object per line"),
        (b'{"text": "a" "b"}', "invalid_json", "expected one object per line"),
    ],
)
def test_a_bad_line_costs_one_line(line: bytes, error: str, text: str) -> None:
    bad, good = _read(line + b'\n{"text": "next"}\n')
    assert isinstance(bad, BadRecord)
    assert (bad.error, bad.offset, bad.length, bad.raw) == (error, 0, len(line) + 1, line + b"\n")
    assert text in bad.message
    assert isinstance(good, Record)
    assert good.offset == len(line) + 1


def test_nul_blank_lines_and_byte_order_mark() -> None:
    items = _read(b'\xef\xbb\xbf{"text": "a\\u0000b"}\r\n\n \t\r\n{"text": "no end"}')
    assert [type(item) for item in items] == [Record, NonDocument, NonDocument, Record]
    assert items[0].content == b"a\0b"
    assert sum(item.length for item in items) == len(
        b'\xef\xbb\xbf{"text": "a\\u0000b"}\r\n\n \t\r\n{"text": "no end"}'
    )


def test_a_line_beyond_the_limit_is_named() -> None:
    items = _read(json_line("x" * 500) + json_line("y"), ReadOptions(max_record_bytes=100))
    assert [type(item) for item in items] == [BadRecord, Record]
    assert items[0].message == "record too large: got 513 bytes; expected at most 100 (limits.max_record_mb = 0.0001)"


_LINE = st.sampled_from(
    [b"", b'{"text": "x"}', b"bad", '{"text": "längere Zeile ü"}'.encode(), b'{"text": "' + b"z" * 40 + b'"}']
)


@settings(deadline=None)
@given(st.lists(_LINE, max_size=8), st.booleans(), st.sets(st.integers(1, 250), max_size=5))
def test_pieces_give_what_the_whole_file_gives(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], last_end: bool, cuts: set[int]
) -> None:
    data = b"\n".join(lines) + (b"\n" if last_end and lines else b"")
    path: Path = tmp_path_factory.mktemp("pieces") / "a.jsonl"
    path.write_bytes(data)
    whole = _read(data) if data else []
    bounds = [0, *sorted(cut for cut in cuts if cut < len(data)), None]
    items: list[Item] = []
    covered = 0
    for start, end in itertools.pairwise(bounds):
        stream = open_text(str(path), ReadOptions(start=start))
        items += jsonl.read(stream, ReadOptions(start=start, end=end))
        covered += stream.position - stream.origin
    assert items == whole
    assert covered == sum(item.length for item in items) == len(data)
