"""The truth itself: brute force against nested loops over sets, curves and bins against counts by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.duplicates.brute_force import Pairs, jaccard, shingle_set, similar_pairs, units
from benchmarks.duplicates.curves import BINS, bin_of, curve_of_independent_pairs, curve_over_seeds
from pipelines.contracts.dedup import Near
from pipelines.kernels.lsh import collision_probability
from pipelines.kernels.minhash import shingle_hashes
from pipelines.stages.measure import minhash_params

SETS = st.lists(st.frozensets(st.sampled_from("abcdefgh")), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(SETS)
def test_all_pairs_are_those_of_nested_loops(sets: list[frozenset[str]]) -> None:
    found = similar_pairs(sets, 0.3)
    expected = [
        (i, j, value)
        for i in range(len(sets))
        for j in range(i + 1, len(sets))
        if (value := jaccard(sets[i], sets[j])) >= 0.3
    ]
    assert list(zip(found.left.tolist(), found.right.tolist(), found.similarity.tolist(), strict=True)) == expected


def test_blocks_of_rows_do_not_enter() -> None:
    rng = np.random.default_rng(3)
    sets = [frozenset(map(str, rng.integers(0, 40, 12))) for _ in range(1100)]
    found = similar_pairs(sets, 0.5)
    some = rng.choice(len(found), 200, replace=False)
    for left, right, value in zip(found.left[some], found.right[some], found.similarity[some], strict=True):
        assert jaccard(sets[left], sets[right]) == value
    assert len({*zip(found.left.tolist(), found.right.tolist(), strict=True)}) == len(found)
    assert any(found.left < 512)
    assert any((found.left >= 512) & (found.right >= 1024))


def test_documents_shorter_than_a_shingle_are_like_nothing() -> None:
    assert shingle_set("one two three four", Near()) == frozenset()
    assert shingle_set("One, two three four FIVE.", Near()) == {"one two three four five"}
    assert len(similar_pairs([frozenset(), frozenset()])) == 0


def test_bins_are_half_open() -> None:
    assert [BINS[i] for i in bin_of(np.array([0.3, 0.499, 0.5, 0.8, 0.999, 1.0]))] == [
        "[.3, .5)", "[.3, .5)", "[.5, .6)", "[.8, .9)", "[.9, 1)", "1",
    ]  # fmt: skip


@pytest.mark.parametrize(("rows", "agrees"), [(8, True), (6, False)])
def test_pairs_that_follow_another_curve_are_noticed(rows: int, agrees: bool) -> None:
    rng = np.random.default_rng(1)
    similarity = rng.uniform(0.5, 0.9, 4000)
    hit = rng.random(4000) < collision_probability(similarity, 14, rows)
    points = curve_of_independent_pairs(similarity, hit, Near(bands=14, rows=8), 0.9999)
    assert [point.name for point in points] == list(BINS[1:5])
    assert all(point.agrees for point in points) == agrees


def test_the_curve_over_seeds_notices_other_bands() -> None:
    words = [f"w{i}" for i in range(400)]
    texts = [" ".join([*words[: 400 - k], *(f"x{k}y{i}" for i in range(k))]) for k in range(0, 120, 4)]
    pairs = similar_pairs([shingle_set(text, Near()) for text in texts])
    seeds = range(1, 21)
    assert all(point.agrees for point in curve_over_seeds(texts, pairs, Near(), seeds, 0.9999))
    shifted = Pairs(pairs.left, pairs.right, np.minimum(pairs.similarity + 0.1, 1.0))
    assert not all(point.agrees for point in curve_over_seeds(texts, shifted, Near(), seeds, 0.9999))


@pytest.mark.parametrize(("text", "expected"), [
    ("He said, it's 3 o'clock", [("he", 2), ("said", 2), ("it", 2), ("s", 2), ("3", 2), ("o", 2), ("clock", 2)]),
    ("我用Python写。", [("我", 1), ("用", 1), ("python", 2), ("写", 1)]),
    ("ที่นี่", [("ที่", 1), ("นี่", 1)]),
    ("हिन्दी में", [("हिन्दी", 2), ("में", 2)]),
    ("한국어 문서", [("한국어", 2), ("문서", 2)]),
    ("コーヒー々", [("コ", 1), ("ー", 1), ("ヒ", 1), ("ー", 1), ("々", 1)]),
])  # fmt: skip
def test_units_are_words_or_characters_by_script(text: str, expected: list[tuple[str, int]]) -> None:
    assert units(text, "auto") == expected


def test_shingles_are_those_of_the_kernel() -> None:
    texts = [
        "我用 Python 写程序，写了三年。" * 2,
        "ที่นี่ไม่มีใครรู้จักฉันเลย",
        "One word more: two, three; four FIVE six",
        "मैं हिन्दी में लिखता हूँ और पढ़ता हूँ",
    ]
    for unit in ("auto", "words", "characters"):
        near = Near(unit=unit, ngram=4)
        got = shingle_hashes(pa.array(texts), minhash_params(near))
        for row, text in enumerate(texts):
            hashes = {xxhash.xxh64_intdigest(shingle.encode()) for shingle in shingle_set(text, near)}
            assert hashes, (unit, text)
            assert set(got.hashes[got.offsets[row] : got.offsets[row + 1]].tolist()) == hashes, (unit, text)
