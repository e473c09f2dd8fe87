"""Plain text files."""

from __future__ import annotations

from pipelines.contracts.recipe_sources import Units
from pipelines.readers import text
from pipelines.readers.compression import Fault
from pipelines.readers.records import BadRecord, Item, ReadOptions, Record
from pipelines.readers.stream import ByteReader


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


def _texts(data: bytes, units: Units, **options: object) -> list[str | None]:
    stream = ByteReader(iter([data[at : at + 7] for at in range(0, len(data), 7)]))
    items = list(text.read(stream, ReadOptions(text=units, **options)))  # type: ignore[arg-type]
    position = 0
    for item in items:
        assert item.offset == position
        position += item.length
    assert position == len(data)
    return [item.content.decode() if isinstance(item, Record) else None for item in items]


def test_a_line_is_a_document() -> None:
    assert _texts(b"one\r\n\n  \ntwo\nthree", Units(unit="line")) == ["one", None, None, "two", "three"]
    assert _texts(b"a" * 30 + b"\nb\n", Units(unit="line"), max_record_bytes=10) == [None, "b"]


def test_separators() -> None:
    fortunes = Units(unit="separator", separator="\n%\n")
    assert _texts(b"one\nline\n%\ntwo %\n%\n\n%\nlast", fortunes) == ["one\nline", "two %", None, "last"]
    marked = Units(unit="separator", separator="<|endoftext|>")
    assert _texts(b"<|endoftext|>a<|endoftext|>b<|endof", marked) == [None, "a", "b<|endof"]
    items = list(
        text.read(
            ByteReader(iter([b"a%b", Fault("e", "m", 4), b"c%d"])),
            ReadOptions(text=Units(unit="separator", separator="%")),
        )
    )
    assert [type(item) for item in items] == [Record, BadRecord, Record, Record]


def test_chapters() -> None:
    book = "Front matter\n\nCONTENTS\nCHAPTER I\nCHAPTER II\n\nCHAPTER I\nIt was.\n\n  CHAPTER II. The end\nIt ended.\n"
    found = _texts(book.encode(), Units(unit="chapter"))
    assert found == [
        "Front matter\n\nCONTENTS\n",
        "CHAPTER I\nCHAPTER II\n\nCHAPTER I\nIt was.\n\n",
        "  CHAPTER II. The end\nIt ended.\n",
    ]
    chinese = "第一回 灵根育孕\n话说\n第二回 悟彻\n且说\n"
    assert len(_texts(chinese.encode(), Units(unit="chapter"))) == 2
    assert _texts(b"no chapter at all", Units(unit="chapter")) == ["no chapter at all"]
    own = Units(unit="chapter", chapter=r"^\* .*$")
    assert _texts(b"* a\nx\n* b\ny\n", own) == ["* a\nx\n", "* b\ny\n"]
