"""The tables against Python's own string methods and against `tokenizers`, for every code point."""

from __future__ import annotations

import re
import sys
import unicodedata

import numpy as np
import pytest
from numba import njit
from tokenizers import Regex, pre_tokenizers

from pipelines.kernels import unicode_tables as tables

CODE_POINTS = [*range(0xD800), *range(0xE000, 0x110000)]


def test_word_table_is_regex_words_of_lower_case() -> None:
    table = tables.word_table()
    word = re.compile(r"\w")
    wrong = []
    for point in CODE_POINTS:
        lower = chr(point).lower()
        entry = int(table[point])
        if point in tables.CONTEXT_LOWER:
            assert len(lower) > 1 or "a" + lower != ("a" + chr(point)).lower()
            expected = ord(" ")
        else:
            expected = (1 << 24 | ord(lower)) if word.match(lower) else ord(" ")
            assert lower.lower() == lower  # on which texts lower-cased beforehand rely
            assert len(lower.encode()) <= 1.5 * len(chr(point).encode())  # the kernels' scratch space
        if entry != expected:
            wrong.append(hex(point))
    assert wrong == []


def test_class_bits_are_string_methods() -> None:
    table = tables.class_bits("!、", "!。")
    word = re.compile(r"\w")
    for point in CODE_POINTS:
        c = chr(point)
        expected = (
            (tables.WORD if word.match(c) else 0)
            | (tables.SPACE if c.isspace() else 0)
            | (tables.ALPHA if c.isalpha() else 0)
            | (tables.DIGIT if c.isdecimal() else 0)
            | (tables.MARK if unicodedata.category(c)[0] == "M" or c in "\u200c\u200d" else 0)
            | (tables.PUNCT if c in "!、" else 0)
            | (tables.TERM if c in "!。" else 0)
        )
        assert table[point] == expected, hex(point)


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        (r"\p{L}", tables.LETTER),
        (r"\p{N}", tables.NUMBER),
        (r"\s", tables.WHITE_SPACE),
        (r"\p{M}", tables.COMBINING),
        (r"\p{P}", tables.PUNCTUATION),
        (r"\p{S}", tables.SYMBOL),
        (r"[一-龥぀-ゟ゠-ヿ]", tables.CJK),
    ],
)
def test_pretokenizer_classes_are_those_of_tokenizers(pattern: str, value: int) -> None:
    text = "".join(map(chr, CODE_POINTS))
    split = pre_tokenizers.Split(Regex(pattern + "+"), "removed", invert=True)
    expected = np.zeros(len(text), bool)
    for _, (start, end) in split.pre_tokenize_str(text):
        expected[start:end] = True
    categories = tables.pretokenizer_categories()[np.array(CODE_POINTS)]
    got = categories & tables.CJK != 0 if value == tables.CJK else categories & (tables.CJK - 1) == value
    if value <= tables.WHITE_SPACE:
        assert (tables.pretokenizer_classes()[np.array(CODE_POINTS)] == value).tolist() == got.tolist()
    assert expected.any()
    np.testing.assert_array_equal(got, expected)


def test_tables_are_larger_than_any_decoded_code_point_and_read_only() -> None:
    @njit
    def largest(data: np.ndarray) -> int:
        found = 0
        for b0 in range(256):
            data[0] = b0
            found = max(found, tables.decode_utf8(data, 0)[0])
        return found

    assert largest(np.full(4, 255, np.uint8)) == tables.TABLE_SIZE - 1
    for table in (tables.word_table(), tables.class_bits(), tables.pretokenizer_categories()):
        assert len(table) == tables.TABLE_SIZE
        assert not table.flags.writeable


def test_decode_utf8_walks_every_code_point() -> None:
    @njit
    def walk(data: np.ndarray, points: np.ndarray) -> int:
        position = 0
        for i in range(len(points)):
            point, length = tables.decode_utf8(data, position)
            if point != points[i]:
                return -1
            position += length
        return position

    encoded = "".join(map(chr, CODE_POINTS)).encode()
    data = np.frombuffer(encoded + b"\0" * 4, np.uint8)
    assert walk(data, np.array(CODE_POINTS)) == len(encoded)


def test_put_utf8_writes_every_code_point() -> None:
    @njit
    def write(points: np.ndarray, out: np.ndarray) -> int:
        end = 0
        for point in points:
            end = tables.put_utf8(point, out, end)
        return end

    encoded = "".join(map(chr, CODE_POINTS)).encode()
    out = np.zeros(len(encoded) + 4, np.uint8)
    assert write(np.array(CODE_POINTS), out) == len(encoded)
    assert out[: len(encoded)].tobytes() == encoded


def test_marks_are_all_combining_marks_and_the_two_joiners() -> None:
    everywhere = {c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c)[0] == "M"}
    assert set(tables.marks()) == everywhere | {"\u200c", "\u200d"}
