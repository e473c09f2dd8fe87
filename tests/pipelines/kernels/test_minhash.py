"""Signatures against datasketch and shingle sets against plain Python, on generated documents of many scripts."""

from __future__ import annotations

import functools
import random
import re
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from datasketch import LeanMinHash, MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.minhash import EMPTY, MinHashParams, Unit, minhash_signatures, permutations, shingle_hashes
from pipelines.kernels.unicode_tables import UNSPACED

ALPHABETS = {
    "latin": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789'-",
    "european": "äöüßÄÖÜẞéèêñçøåÆŒœȺȾⱥⱦ",  # Ⱥ grows from two bytes to three when lower-cased
    "turkish": "ıİiIğĞşŞçÇ",
    "greek": "αβγδΣσςΑΒΓΔΩά",
    "cyrillic": "абвгдеёАБВГДЕЁ",
    "arabic": "ابتثجحخدذرزسشصضطظعغ\u064b\u0651٠١٢",
    "hebrew": "אבגדהוזחט",
    "devanagari": "अआइईउऊकखगघ\u094d\u093e",
    "chinese": "的一是不了人我在有他这为之大来以个中上们",
    "kana": "あいうえおアイウエオー々",
    "hangul": "가나다라마바사",
    "thai": "กขคงจฉชซ\u0e31\u0e34\u0e48าำแ๑",
    "khmer": "កខគ\u17d2\u17b6\u17c6",
    "tibetan": "ཀཁག\u0f72་",
    "georgian": "აბგდᲐᲑᲒᲓ",
    "astral": "𐐀𐐁𐐨𐐩😀👩🏽\u200d💻𝒜𝟘𠀀𠀁",
}
SEPARATORS = [
    " ",
    " ",
    " ",
    "\n",
    ". ",
    ", ",
    "\u3000",
    "\u00a0",
    "。",
    "—",
    "\u2028",
    "\u0085",
    "  ",
    "\t",
    "\0",
    "",
]


@functools.cache
def kind(character: str, unit: str) -> str:
    if re.fullmatch(r"\w", character):
        unspaced = any(first <= ord(character) <= last for first, last in UNSPACED)
        return "single" if unit == "characters" or unspaced else "word"
    is_mark = unicodedata.category(character)[0] == "M" or character in "\u200c\u200d"
    return "mark" if is_mark else "other"


def units_of(text: str, unit: str) -> list[tuple[str, int]]:
    """Units with their weights, one character after the other."""
    if unit == "words":
        return [(word, 2) for word in re.findall(r"\w+", text.lower())]
    units: list[list] = []
    before = "other"  # what a mark would continue
    for character in text.lower():
        of_character = kind(character, unit)
        if of_character == "single" or (of_character == "word" and before != "word"):
            units.append([character, 1 if of_character == "single" else 2])
        elif of_character == "word" or (of_character == "mark" and before != "other"):
            units[-1][0] += character
        before = before if of_character == "mark" else of_character
    return [(text, weight) for text, weight in units]


@functools.cache
def shingles(text: str, params: MinHashParams = MinHashParams()) -> list[str]:  # noqa: B008 (frozen)
    units = units_of(text, params.unit)
    needed = params.ngram * (1 if params.unit == "characters" else 2)
    found = []
    for start in range(len(units)):
        weight, end = 0, start
        while weight < needed and end < len(units):
            weight += units[end][1]
            end += 1
        if weight >= needed or start == 0:
            found.append(" ".join(unit for unit, _ in units[start:end]))
    return found


def n_words(text: str, unit: str) -> int:
    return sum(weight for _, weight in units_of(text, unit)) // (1 if unit == "characters" else 2)


def make_documents(count: int, seed: int) -> list[str]:
    generator = random.Random(seed)
    scripts = list(ALPHABETS)

    def document() -> str:
        alphabet = ALPHABETS[generator.choice(scripts)] + (
            ALPHABETS[generator.choice(scripts)] if generator.random() < 0.3 else ""
        )
        vocabulary = ["".join(generator.choices(alphabet, k=generator.randint(1, 12))) for _ in range(60)]
        words = generator.choices(vocabulary, k=int(generator.expovariate(1 / 60)))
        return "".join(word + generator.choice(SEPARATORS) for word in words)

    awkward = [
        "",
        " ",
        "...",
        "one",
        "İ",
        "Σ",
        "ΣΣ ΣΑΣ.",
        "ΑΣ ΑΣ",
        "a b c d",
        "a b c d e",
        "A B C D E F",
        "\u0307i",
        "a" * 40,
    ]
    awkward += [
        "Ⱥ" * 33,
        "ISTANBUL İSTANBUL İ̇ ısparta IĞDIR x y z",
        "文" * 300,
        "\U0001f600" * 20,
        "_ __ ___ _ _ _ _",
    ]
    return awkward + [document() for _ in range(count - len(awkward))]


DOCUMENTS = make_documents(1500, seed=11)


def oracle(texts: list[str], params: MinHashParams) -> np.ndarray:
    encoded = [[s.encode() for s in shingles(t, params)] for t in texts]
    made = MinHash.generator(encoded, num_perm=params.num_perm, seed=params.seed, hashfunc=xxhash.xxh32_intdigest)
    return np.stack([m.hashvalues for m in made])


PARAMS = [
    MinHashParams(unit="words"),
    MinHashParams(),
    MinHashParams(num_perm=24, ngram=3, seed=9),
    MinHashParams(num_perm=24, unit="characters"),
]


@pytest.mark.parametrize("params", PARAMS)
def test_signatures_are_datasketch(params: MinHashParams) -> None:
    got = minhash_signatures(pa.array(DOCUMENTS), params)
    np.testing.assert_array_equal(got.signatures, oracle(DOCUMENTS, params))
    assert got.signatures.dtype == np.uint32
    assert got.n_words.tolist() == [n_words(t, params.unit) for t in DOCUMENTS]
    assert got.n_shingles.tolist() == [len(shingles(t, params)) for t in DOCUMENTS]
    assert (got.signatures[got.n_shingles == 0] == EMPTY).all()


def test_where_words_stand_between_spaces_auto_is_words() -> None:
    texts = ["The quick brown fox, 12 times: it jumped over_it.", "Größe – ναι σου, да 가나 다라"]
    for text in texts:
        assert shingles(text) == shingles(text, MinHashParams(unit="words"))
    mixed = "我喜欢自然语言处理。ab我"
    assert shingles(mixed) == [
        "我 喜 欢 自 然 语 言 处 理 ab",
        "喜 欢 自 然 语 言 处 理 ab",
        "欢 自 然 语 言 处 理 ab 我",
    ]
    assert shingles("हिन्दी", MinHashParams(ngram=1)) == ["हिन्दी"]
    assert shingles("ที่นี่", MinHashParams(ngram=1)) == ["ที่ นี่"]


def test_unspaced_code_points_are_of_scripts_without_spaces() -> None:
    scripts = ("CJK ", "HIRAGANA ", "KATAKANA ", "BOPOMOFO ", "HALFWIDTH KATAKANA", "THAI ", "LAO ", "MYANMAR ")
    scripts += ("KHMER ", "TAI LE ", "NEW TAI LUE ", "TAI THAM ", "TAI VIET ", "BALINESE ", "JAVANESE ", "NUSHU ")
    scripts += ("TANGUT ", "KHITAN ", "IDEOGRAPHIC ", "HANGZHOU ", "HENTAIGANA ")
    others = ("KATAKANA-", "VERTICAL ", "MASU MARK", "OLD CHINESE ")
    inside = {point for first, last in UNSPACED for point in range(first, last + 1)}
    for point in (*range(0x80, 0x32000), *range(0xE0000, 0xE0200)):
        name = unicodedata.name(chr(point), "")
        if chr(point).isalnum() and name and "TALLY" not in name:  # Tangut ideographs have no names here
            is_of_script = name.startswith((*scripts, *others) if point in inside else scripts)
            assert is_of_script == (point in inside), f"{point:x} {name}"


@pytest.mark.parametrize(("num_perm", "seed"), [(112, 1), (1, 0), (256, 2**32 - 1)])
def test_permutations_are_datasketch(num_perm: int, seed: int) -> None:
    reference = MinHash(num_perm=num_perm, seed=seed, scheme="affine32")
    np.testing.assert_array_equal(np.stack(permutations(num_perm, seed)), reference.permutations)


def test_a_row_goes_back_to_datasketch() -> None:
    texts = ["one two three four five six seven eight nine", "one two three four five six seven eight ten"]
    rows = minhash_signatures(pa.array(texts)).signatures
    first, second = (LeanMinHash(seed=1, hashvalues=row, scheme="affine32") for row in rows)
    theirs = [MinHash(112, seed=1, hashfunc=xxhash.xxh32_intdigest) for _ in texts]
    for minhash, text in zip(theirs, texts, strict=True):
        minhash.update_batch([s.encode() for s in shingles(text)])
    assert first.jaccard(second) == theirs[0].jaccard(theirs[1]) == np.mean(rows[0] == rows[1])


@pytest.mark.parametrize("params", [MinHashParams(ngram=1, unit="words"), *PARAMS[1:], MinHashParams(ngram=13)])
def test_shingle_hashes_are_sorted_sets(params: MinHashParams) -> None:
    texts = DOCUMENTS[:800]
    got = shingle_hashes(pa.array(texts), params)
    assert got.hashes.dtype == np.uint64
    assert got.offsets[0] == 0
    assert got.offsets[-1] == len(got.hashes)
    for row, text in enumerate(texts):
        expected = sorted({xxhash.xxh64_intdigest(s.encode()) for s in shingles(text, params)})
        assert got.hashes[got.offsets[row] : got.offsets[row + 1]].tolist() == expected, text


AWKWARD_CHARACTERS = "aA _.İΣςσ\nค่ก我々\u0301\u200d"


@pytest.mark.parametrize("unit", ["auto", "words", "characters"])
@settings(deadline=None, max_examples=60)
@given(
    texts=st.lists(
        st.text(st.one_of(st.sampled_from(AWKWARD_CHARACTERS), st.characters(exclude_categories=["Cs"])), max_size=60),
        max_size=5,
    )
)
def test_any_unicode_text(unit: Unit, texts: list[str]) -> None:
    params = MinHashParams(num_perm=16, ngram=2, unit=unit)
    got = minhash_signatures(pa.array(texts, pa.string()), params)
    sets = shingle_hashes(pa.array(texts, pa.string()), params)
    for row, text in enumerate(texts):
        minhash = MinHash(16, seed=1, hashfunc=xxhash.xxh32_intdigest)
        minhash.update_batch([s.encode() for s in shingles(text, params)])
        assert got.signatures[row].tolist() == minhash.hashvalues.tolist()
        hashes = {xxhash.xxh64_intdigest(s.encode()) for s in shingles(text, params)}
        assert sets.hashes[sets.offsets[row] : sets.offsets[row + 1]].tolist() == sorted(hashes)


def test_any_cut_into_batches_gives_the_same() -> None:
    column = pa.array(DOCUMENTS[:300], pa.large_string())
    whole, sets = minhash_signatures(column), shingle_hashes(column)
    pieces = [column.slice(i, 7) for i in range(0, 300, 7)]
    for field in range(3):
        np.testing.assert_array_equal(np.concatenate([minhash_signatures(p)[field] for p in pieces]), whole[field])
    np.testing.assert_array_equal(np.concatenate([shingle_hashes(p).hashes for p in pieces]), sets.hashes)
    chunked = minhash_signatures(pa.chunked_array(pieces))
    np.testing.assert_array_equal(chunked.signatures, whole.signatures)


@settings(deadline=None)
@given(st.lists(st.integers(0, 99), max_size=12))
def test_some_rows_in_any_order_have_the_sets_of_all_rows(rows: list[int]) -> None:
    column = pa.array(DOCUMENTS[:100], pa.large_string())
    whole, some = shingle_hashes(column), shingle_hashes(column, rows=np.array(rows, np.int64))
    sets = np.split(whole.hashes, whole.offsets[1:-1])
    assert some.hashes.tolist() == [value for row in rows for value in sets[row].tolist()]
    assert np.diff(some.offsets).tolist() == [len(sets[row]) for row in rows]


def test_no_rows_and_wrong_parameters() -> None:
    empty = pa.array([], pa.string())
    assert minhash_signatures(empty).signatures.shape == (0, 112)
    assert shingle_hashes(empty).offsets.tolist() == [0]
    with pytest.raises(ValueError, match="got num_perm=0"):
        MinHashParams(num_perm=0)
    with pytest.raises(ValueError, match="ngram >= 1"):
        MinHashParams(ngram=0)
    with pytest.raises(ValueError, match="unknown unit"):
        MinHashParams(unit="lines")  # type: ignore[arg-type]
