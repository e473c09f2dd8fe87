"""One line per text: what fastText reads as words, and nothing that it reads as a label or as an end."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.kernels.classifier_text import one_line, without_control_words

ALPHABET = st.sampled_from(
    ["a", "é", "的", " ", "\n", "\r", "\t", "\v", "\f", "\0", "</s>", "__label__", "\x85", "\u2028"]
)


def words(text: str) -> list[str]:
    """Cut a text as fastText does."""
    for space in "\n\r\t\v\f\0":
        text = text.replace(space, " ")
    return [word for word in text.split(" ") if word]


@given(st.lists(st.lists(ALPHABET, max_size=12).map("".join), max_size=5))
def test_words_stay_and_control_words_go(texts: list[str]) -> None:
    lines = one_line(pa.array(texts, pa.string())).to_pylist()
    assert not any(set(line) & set("\n\r\t\v\f\0") for line in lines)
    loose = without_control_words(pa.array(texts, pa.string())).to_pylist()
    assert [words(text) for text in loose] == [words(line) for line in lines]
    for text, line in zip(texts, lines, strict=True):
        assert words(line) == [w for w in words(text) if w != "</s>" and not w.startswith("__label__")]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_ordinary_lines_are_as_they_were(kind: pa.DataType) -> None:
    text = pa.array(["One line, Case kept.", "", "x</s> a__label__b"], kind)
    assert one_line(text).to_pylist() == text.to_pylist()
