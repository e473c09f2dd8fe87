"""Lines and paragraphs against plain Python."""

from __future__ import annotations

import re
import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.line_keys import line_units

FOLDED = {"Σ": "σ", "ς": "σ", "İ": "i"}


def plain_units(text: str, unit: str) -> list[tuple[int, int]]:
    """Return the spans of the units of a text, in bytes, by the definition."""
    spans: list[tuple[int, int]] = []
    at, joins = 0, False
    for line in text.split("\n"):
        end = at + len(line.encode())
        blank = not line.strip(" \t")
        if not blank and joins and unit == "paragraph":
            spans[-1] = (spans[-1][0], end)
        elif not blank:
            spans.append((at, end))
        joins = not blank
        at = end + 1
    return spans


def plain_form(text: str, normalise: str) -> tuple[str, int]:
    """Return what is compared of a unit, and how many characters of it count."""
    if normalise == "exact":
        return text.strip(" \t"), len(text.strip(" \t"))

    def character(c: str) -> str:
        if unicodedata.category(c)[0] == "M" or c in "\u200c\u200d":
            return c
        small = FOLDED.get(c, c.lower())
        if not re.fullmatch(r"\w", small):
            return " "
        return "0" if normalise == "digits" and c.isdecimal() else small

    form = " ".join("".join(map(character, text)).split(" "))
    form = re.sub(" +", " ", form).strip(" ")
    return form, len(form.replace(" ", ""))


LINES = st.text(st.sampled_from("aAbB12٣ .,-é\u0301中文हि\u093fΣς\t"), max_size=7)
TEXTS = st.lists(LINES, max_size=9).map("\n".join)


@settings(deadline=None, max_examples=80)  # the first call compiles
@given(
    st.lists(TEXTS, max_size=4),
    st.sampled_from(["line", "paragraph"]),
    st.sampled_from(["exact", "words", "digits"]),
    st.integers(1, 4),
)
def test_units_equal_plain_python(texts: list[str], unit: str, normalise: str, min_chars: int) -> None:
    units = line_units(pa.array(texts, pa.large_string()), unit, normalise, min_chars)
    expected = []
    for row, text in enumerate(texts):
        for start, end in plain_units(text, unit):
            form, count = plain_form(text.encode()[start:end].decode(), normalise)
            if count >= min_chars:
                expected.append((row, start, end, form))
    found = list(zip(units.row.tolist(), units.start.tolist(), units.end.tolist(), strict=True))
    assert found == [entry[:3] for entry in expected]
    forms = [form for *_, form in expected]
    assert len(set(zip(units.key.tolist(), forms, strict=True))) == len(set(forms)) == len(set(units.key.tolist()))


def test_what_each_normalisation_holds_equal() -> None:
    a, b, c = "Read more: 12 comments", "read  more -- 12 Comments!", "Read more: 34 comments"
    keys = {n: line_units(pa.array([a, b, c]), "line", n).key.tolist() for n in ("exact", "words", "digits")}
    assert len(set(keys["exact"])) == 3
    assert keys["words"][0] == keys["words"][1] != keys["words"][2]
    assert len(set(keys["digits"])) == 1


def test_vowel_signs_and_marks_tell_lines_apart() -> None:
    keys = line_units(pa.array(["किताब", "कुताब", "ab", "a b", "a\u0301b"])).key.tolist()
    assert len(set(keys)) == 5


def test_lines_without_words_are_never_units() -> None:
    assert len(line_units(pa.array(["-----\n* * *\n=====\n \t"])).row) == 0


def test_a_least_length_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="min_chars=0"):
        line_units(pa.array(["a"]), min_chars=0)
