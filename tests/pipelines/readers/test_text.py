"""Plain text files."""

from __future__ import annotations

from pipelines.readers import text
from pipelines.readers.records import BadRecord, Item, ReadOptions, Record
from pipelines.readers.stream import ByteReader, Fault


def _read(blocks: list[bytes | Fault], limit: int = 1000) -> list[Item]:
    return list(text.read(ByteReader(iter(blocks)), ReadOptions(max_record_bytes=limit)))


def test_one_file_is_one_document() -> None:
    assert _read([b"a\n\nb", b"c\n"]) == [Record(0, 6, b"a\n\nbc\n", "text")]


def test_an_empty_file_is_an_empty_document() -> None:
    assert _read([]) == [Record(0, 0, b"", "text")]


def test_a_file_beyond_the_limit_is_a_bad_record() -> None:
    (item,) = _read([b"x" * 600] * 3)
    assert isinstance(item, BadRecord)
    assert (item.error, item.length) == ("too_large", 1800)
    assert _read([b"x" * 1000]) == [Record(0, 1000, b"x" * 1000, "text")]


def test_half_a_file_is_no_document() -> None:
    items = _read([b"abc", Fault("damaged_compression", "m", 10), b"rest"])
    assert [(type(i), i.offset, i.length, i.error) for i in items] == [
        (BadRecord, 0, 13, "damaged_compression"),
        (BadRecord, 13, 4, "incomplete"),
    ]
