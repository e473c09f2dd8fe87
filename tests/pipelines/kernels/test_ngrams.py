"""n-gram keys and hits against plain Python."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.ngrams import ALONE_RANGES, count_words, find_ngrams, make_index, ngram_keys


def plain_words(text: str) -> list[tuple[str, int, int]]:
    """Return (word, first byte, last byte + 1) by the definition."""

    def alone(character: str) -> bool:
        return any(start <= ord(character) < end for start, end in ALONE_RANGES)

    def lowered(character: str) -> str:
        return {"Σ": "σ", "ς": "σ", "İ": "i"}.get(character, character.lower())

    found: list[tuple[str, int, int]] = []
    at = 0
    joins = False
    for character in text:
        small = lowered(character)
        end = at + len(character.encode())
        is_word = re.fullmatch(r"\w", small) is not None
        if is_word and joins and not alone(character):
            word, start, _ = found[-1]
            found[-1] = (word + small, start, end)
        elif is_word:
            found.append((small, at, end))
        joins = is_word and not alone(character)
        at = end
    return found


def plain_hits(text: str, wanted: set[tuple[str, ...]], lengths: tuple[int, ...]) -> list[tuple[int, int]]:
    words = plain_words(text)
    return [
        (words[i][1], words[i + n - 1][2])
        for i in range(len(words))
        for n in sorted(lengths)
        if i + n <= len(words) and tuple(w for w, _, _ in words[i : i + n]) in wanted
    ]


ALPHABET = st.sampled_from("aAbBé Éß.,-_09ΣςσİǅȺ中文กา\n")


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.text(ALPHABET, max_size=30), min_size=1, max_size=4), st.text(ALPHABET, max_size=30))
def test_hits_equal_plain_python(texts: list[str], source: str) -> None:
    lengths = (1, 2, 3)
    words = [word for word, _, _ in plain_words(source)]
    wanted = {tuple(words[i : i + n]) for n in lengths for i in range(len(words) - n + 1)}
    index = make_index(np.concatenate([ngram_keys(pa.array([source]), n)[0] for n in lengths]), lengths)
    assert len(index.keys) == len(wanted)
    hits = find_ngrams(pa.array(texts), index)
    expected = [(row, *hit) for row, text in enumerate(texts) for hit in plain_hits(text, wanted, lengths)]
    assert list(zip(hits.row.tolist(), hits.start.tolist(), hits.end.tolist(), strict=True)) == expected
    assert count_words(pa.array(texts)).tolist() == [len(plain_words(text)) for text in texts]


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.text(ALPHABET, max_size=20), max_size=5), st.integers(1, 4))
def test_keys_are_equal_where_ngrams_are(texts: list[str], n: int) -> None:
    keys, counts = ngram_keys(pa.array(texts, pa.string()), n)
    grams = []
    for text in texts:
        words = [word for word, _, _ in plain_words(text)]
        grams += [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    assert counts.sum() == len(keys) == len(grams)
    assert len(set(zip(keys.tolist(), grams, strict=True))) == len(set(grams)) == len(set(keys.tolist()))


def test_more_hits_than_there_is_room_for_at_first() -> None:
    index = make_index(ngram_keys(pa.array(["a"]), 1)[0], (1,))
    hits = find_ngrams(pa.array(["a " * 3000, "b", "A"]), index)
    assert hits.row.tolist() == [0] * 3000 + [2]
    assert hits.start[:3].tolist() == [0, 2, 4]


def test_a_nested_index_finds_what_another_finds() -> None:
    item = "one two three four five six seven"
    keys = np.concatenate([ngram_keys(pa.array([item]), n)[0] for n in (2, 4)])
    texts = pa.array(["zero one two three four five", "three four", "one three", item])
    plain, nested = (find_ngrams(texts, make_index(keys, (2, 4), nested=nested)) for nested in (False, True))
    assert len(plain.row) == 4 + 2 + 1 + 0 + 6 + 4
    for column, other in zip(plain, nested, strict=True):
        assert column.tolist() == other.tolist()


@pytest.mark.parametrize("text", ["", "...", "中", "a"])
def test_short_texts(text: str) -> None:
    keys, counts = ngram_keys(pa.array([text]), 13)
    assert (len(keys), counts.tolist()) == (0, [0])
    assert len(find_ngrams(pa.array([text]), make_index(keys, (13,))).row) == 0
