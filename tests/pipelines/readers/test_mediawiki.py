"""MediaWiki dumps, with a whole-file XML parse as oracle."""

from __future__ import annotations

import bz2
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from pipelines.readers import mediawiki
from pipelines.readers.compression import Fault
from pipelines.readers.records import BadRecord, Item, NonDocument, ReadOptions, Record
from pipelines.readers.stream import ByteReader, open_stream
from tests.data.awkward import make_corpus
from tests.data.formats import WIKI_HEAD, WIKI_TAIL, wiki_page


def _read(data: bytes, limit: int = 1_000_000) -> list[Item]:
    items = list(mediawiki.read(ByteReader(iter([data])), ReadOptions(max_record_bytes=limit)))
    assert [item.offset for item in items] == [sum(i.length for i in items[:n]) for n in range(len(items))]
    assert sum(item.length for item in items) == len(data)
    return items


def _inside(items: list[Item]) -> list[Item]:
    return [item for item in items if not (isinstance(item, NonDocument) and item.kind == "markup")]


def test_same_pages_as_a_whole_parse(tmp_path: Path) -> None:
    make_corpus(tmp_path, documents=120, seed=2)
    path = tmp_path / "wiki/dump.xml.bz2"
    ours = [item for item in mediawiki.read(open_stream(str(path)), ReadOptions()) if isinstance(item, Record)]
    space = "{http://www.mediawiki.org/xml/export-0.11/}"
    pages = ET.fromstring(bz2.decompress(path.read_bytes())).findall(f"{space}page")
    theirs = [(p.findtext(f"{space}id"), (p.findtext(f"{space}revision/{space}text") or "").encode()) for p in pages]
    assert len(theirs) == 30
    assert [(record.native_id, record.content) for record in ours] == theirs


def test_what_a_record_carries() -> None:
    items = _inside(_read(WIKI_HEAD + wiki_page(7, "Ärzte & Co?", "''<ref>x</ref>''") + WIKI_TAIL))
    (record,) = items
    assert isinstance(record, Record)
    assert (record.kind, record.native_id, record.date) == ("wikitext", "7", "2024-05-06T07:08:09Z")
    assert record.url == "https://wiki.example/wiki/%C3%84rzte_%26_Co%3F"
    assert record.content == b"''<ref>x</ref>''"


def test_non_documents() -> None:
    deleted = wiki_page(4, "D", "x").replace(
        b'<text bytes="1" xml:space="preserve">x</text>', b'<text deleted="deleted" />'
    )
    code = wiki_page(5, "C", "x").replace(b"<model>wikitext<", b"<model>css<")
    pages = [wiki_page(1, "T", "x", namespace=10), wiki_page(2, "R", "x", redirect=True), deleted, code]
    items = _inside(_read(WIKI_HEAD + b"".join(pages) + WIKI_TAIL))
    assert [item.kind for item in items] == ["namespace:10", "redirect", "deleted", "content_model"]


def test_the_last_revision_counts() -> None:
    page = wiki_page(1, "T", "old")
    revision = page[page.index(b"    <revision>") : page.index(b"  </page>")]
    newer = revision.replace(b"old", b"new").replace(b"2024", b"2025")
    (record,) = _inside(_read(page.replace(revision, revision + newer)))
    assert (record.content, record.date, record.url) == (b"new", "2025-05-06T07:08:09Z", None)


def test_broken_pages_cost_one_page() -> None:
    good = wiki_page(1, "T", "x")
    no_end = good.replace(b"</page>", b"")
    no_start = good.replace(b"<page>", b"")
    bad_entity = good.replace(b">x<", b">&undefined;<")
    no_revision = b"<page><title>T</title><ns>0</ns></page>"
    for bad, error in (
        (no_end, "broken_page"),
        (no_start, "broken_page"),
        (bad_entity, "broken_page"),
        (no_revision, "missing_field"),
    ):
        items = _inside(_read(WIKI_HEAD + good + bad + good + WIKI_TAIL))
        assert [type(item) for item in items] == [Record, BadRecord, Record], bad
        assert items[1].error == error


def test_entities_cannot_be_defined() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>\n'
    items = _inside(_read(bomb + wiki_page(1, "T", "x").replace(b">x<", b">&b;<")))
    assert [type(item) for item in items] == [BadRecord]


def test_a_cut_dump_and_a_fault_cost_one_page() -> None:
    page = wiki_page(1, "T", "x")
    assert [type(i) for i in _inside(_read(page + page[:-9]))] == [Record, BadRecord]
    fault = Fault("damaged_compression", "m", 11)
    stream = ByteReader(iter([page + page[:90], fault, b"lost tail</page>\n" + page]))
    items = list(mediawiki.read(stream, ReadOptions()))
    assert [type(item) for item in _inside(items)] == [Record, BadRecord, BadRecord, Record]
    assert sum(item.length for item in items) == stream.position


def test_large_pages_and_other_encodings() -> None:
    page = wiki_page(1, "T", "x" * 5000)
    items = _inside(_read(page + wiki_page(2, "T", "y"), limit=1000))
    assert [type(item) for item in items] == [BadRecord, Record]
    assert items[0].error == "too_large"
    (item,) = _read(b'<?xml version="1.0" encoding="ISO-8859-1"?>' + page)
    assert isinstance(item, BadRecord)
    assert item.error == "unsupported_encoding"


def test_old_dumps_name_namespaces_and_redirects_in_the_text() -> None:
    head = WIKI_HEAD.replace(
        b"  </siteinfo>",
        b'<namespaces><namespace key="-1" case="first-letter">Spezial</namespace><namespace key="0" />'
        b'<namespace key="1">Diskussion</namespace></namespaces>  </siteinfo>',
    )
    titles = {"Diskussion:A": "x", "Ort: B": "text", "C": "#WEITERLEITUNG [[A]]", "D": "# one\n# [[two]]"}
    pages = [wiki_page(n, title, text).replace(b"<ns>0</ns>", b"") for n, (title, text) in enumerate(titles.items())]
    items = _inside(_read(head + b"".join(pages) + WIKI_TAIL))
    found = [item.kind if isinstance(item, NonDocument) else item.content for item in items]
    assert found == ["namespace:1", b"text", "redirect", b"# one\n# [[two]]"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_dumps(tmp_path: Path, encoding: str) -> None:
    pages = [wiki_page(n, f"T {n}", f"Größe 北京 {n}") for n in range(3)]
    xml = b'<?xml version="1.0" encoding="UTF-16"?>\n' + WIKI_HEAD + b"".join(pages) + WIKI_TAIL
    path = tmp_path / "dump.xml.bz2"
    path.write_bytes(bz2.compress(xml.decode().encode(encoding)))
    opened = mediawiki.open_dump(str(path), ReadOptions())
    items = list(mediawiki.read(opened, ReadOptions()))
    assert [i.content.decode() for i in items if isinstance(i, Record)] == [f"Größe 北京 {n}" for n in range(3)]
    assert not [i for i in items if isinstance(i, BadRecord)]
    assert sum(i.length for i in items) == opened.bytes_read
