"""Decoding and extraction."""

from __future__ import annotations

import pytest

from pipelines.contracts.recipe import Extract
from pipelines.ops.extract import Extracted, ExtractionError, decode_html, decode_text, extract
from pipelines.ops.pages.metadata import Metadata
from pipelines.readers.records import Record
from tests.data.formats import html_page
from tests.data.sentences import LANGUAGES, Writer

GERMAN = "Grüße aus München: schöne Straßen, Äpfel und Öl."


@pytest.mark.parametrize(
    ("language", "encoding"),
    [
        ("de", "latin-1"),
        ("fr", "cp1252"),
        ("ru", "cp1251"),
        ("ru", "koi8-r"),
        ("zh", "gb18030"),
        ("ja", "shift_jis"),
        ("ja", "euc_jp"),
        ("de", "utf-16"),
    ],
)
def test_encodings_are_detected(language: str, encoding: str) -> None:
    text = Writer(1).document(language, 20)
    assert decode_text(text.encode(encoding)).removeprefix("\ufeff") == text


def test_utf8_comes_before_every_declaration() -> None:
    assert decode_text(GERMAN.encode(), "latin-1") == GERMAN
    assert decode_html(GERMAN.encode(), "latin-1") == (GERMAN, {})


def test_a_declared_encoding_comes_before_detection() -> None:
    assert decode_text("Zażółć".encode("iso-8859-2"), "ISO-8859-2") == "Zażółć"
    page = '<meta charset="iso-8859-2"><p>Zażółć'
    assert decode_html(page.encode("iso-8859-2"), None) == (page, {})
    assert decode_html(page.encode("cp1251", "ignore") + b"\xcf", "windows-1251")[0].endswith("П")


def test_damaged_utf8_is_not_taken_for_another_encoding() -> None:
    data = ("水" * 200).encode()
    with pytest.raises(ExtractionError, match=r"1 invalid places in UTF-8, the first \(0xff\) at byte 300") as caught:
        decode_text(data[:300] + b"\xff" + data[300:])
    assert caught.value.error == "undecodable"


def test_binary_files_are_refused() -> None:
    data = GERMAN.encode("latin-1") * 20 + bytes([1, 2, 3, 4, 5, 6, 7, 8]) * 20
    with pytest.raises(ExtractionError) as caught:
        decode_text(data, "latin-1")
    assert caught.value.error == "binary"


def test_undecodable_places_are_counted_for_declared_pages_only() -> None:
    data = "<p>これは日本語".encode("shift_jis") + b"\x81"
    text, edits = decode_html(data, "shift_jis")
    assert text.startswith("<p>これは日本語")
    assert edits == {"undecodable_bytes": 1}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_article_of_a_page_is_extracted(language: str) -> None:
    text = Writer(3).document(language, 12)
    record = Record(0, 0, html_page("The Title", text).encode(), "html")
    extracted = extract(record, Extract())
    assert extracted.edits == {}
    assert extracted.metadata.title == "The Title"
    assert "".join(text.split()) in "".join(extracted.text.split())
    assert "var a" not in extracted.text
    assert "Contact" not in extracted.text
    assert "Contact" in extract(record, Extract(main_content=False)).text


def test_other_kinds() -> None:
    assert extract(Record(0, 0, b"''a'' [[b|c]]", "wikitext"), Extract()) == Extracted("a c", {}, Metadata())
    assert extract(Record(0, 0, b"''a'' <p> &amp;", "text"), Extract()) == Extracted("''a'' <p> &amp;", {}, Metadata())
