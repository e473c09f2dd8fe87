"""Cleaning."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.ops.clean import clean

_TEXT = st.text(
    st.one_of(
        st.sampled_from("a \t\n\n\n\r\0\x0b\x0c\x85\ufeffe\u0301\u1100\u1161\u2028"),
        st.characters(exclude_categories=["Cs"]),
    )
)


@pytest.mark.parametrize(
    ("text", "cleaned", "edits"),
    [
        ("", "", {}),
        ("plain text\n\n\twith tabs  \n  and spaces ", "plain text\n\n\twith tabs  \n  and spaces ", {}),
        ("a\r\nb\rc\x0bd\x0ce\x85f", "a\nb\nc\nd\ne\nf", {"line_ends": 5}),
        ("a\0b\x1bc\x7fd\x9fe", "abcde", {"control_characters": 4}),
        ("\ufeffa\ufeffb", "ab", {"byte_order_marks": 2}),
        ("e\u0301", "é", {"nfc": 1}),
        ("x" + "\u0301" * 30, "x" + "\u0301" * 30, {}),
        ("x" + "\u0301" * 61, "x" + ("\u0301" * 30 + "\u034f") * 2 + "\u0301", {"stream_safe": 2}),
        ("a\n\n\nb", "a\n\n\nb", {}),
        ("a\n\n\n\nb\n \n\t\n\n\nc", "a\n\n\nb\n\n\nc", {"blank_lines": 2}),
        ("\n \n  a\n b \n\n \n", "  a\n b ", {"outer_blank_lines": 7}),
        (" \n\n ", "", {"outer_blank_lines": 4}),
        ("a\u2028b\u2029c", "a\u2028b\u2029c", {}),
    ],
)
def test_rules(text: str, cleaned: str, edits: dict[str, int]) -> None:
    assert clean(text) == (cleaned, edits)


@given(_TEXT)
@example("e\0\u0301")
@example("\u1100\0\u1161")
@example(" \n\ufeff\n \n\n\nx")
@example("x" + "\u0344" * 40)
@example("x" + "\u0301\u0316" * 5000)
@example("\u0316" * 100 + "\0" + "\u0301" * 100)
def test_idempotent_and_nfc(text: str) -> None:
    cleaned, edits = clean(text)
    assert clean(cleaned) == (cleaned, {})
    assert unicodedata.is_normalized("NFC", cleaned)
    assert all(count > 0 for count in edits.values())
    assert bool(edits) == (cleaned != text)


@pytest.mark.timeout(20)
def test_a_megabyte_of_marks_takes_no_time() -> None:
    for text in ("\u0301\u0316" * 300_000, "a" + "\u0301" * 300_000 + "\u0316" * 300_000, "\u0344" * 300_000):
        cleaned, edits = clean(text)
        assert unicodedata.is_normalized("NFC", cleaned)
        assert edits["stream_safe"] >= 300_000 // 30 - 1


@given(_TEXT)
def test_nothing_but_spaces_controls_and_marks_is_lost(text: str) -> None:
    def rest(value: str) -> str:
        kept = (c for c in value if unicodedata.category(c) != "Cc" and c not in " \ufeff")
        return unicodedata.normalize("NFC", "".join(kept))

    cleaned, _ = clean(text)
    assert rest(cleaned) == rest(text)
