"""Signatures against datasketch and shingle sets against `re`, on generated documents of many scripts."""

from __future__ import annotations

import random
import re

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from datasketch import LeanMinHash, MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.minhash import EMPTY, MinHashParams, minhash_signatures, permutations, shingle_hashes

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


def shingles(text: str, ngram: int = 5) -> list[str]:
    words = re.findall(r"\w+", text.lower())
    return [" ".join(words[i : i + ngram]) for i in range(max(1, len(words) - ngram + 1))] if words else []


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


DOCUMENTS = make_documents(2500, seed=11)


def oracle(texts: list[str], params: MinHashParams) -> np.ndarray:
    encoded = [[s.encode() for s in shingles(t, params.ngram)] for t in texts]
    made = MinHash.generator(encoded, num_perm=params.num_perm, seed=params.seed, hashfunc=xxhash.xxh32_intdigest)
    return np.stack([m.hashvalues for m in made])


@pytest.mark.parametrize("params", [MinHashParams(), MinHashParams(num_perm=24, ngram=3, seed=9)])
def test_signatures_are_datasketch(params: MinHashParams) -> None:
    got = minhash_signatures(pa.array(DOCUMENTS), params)
    np.testing.assert_array_equal(got.signatures, oracle(DOCUMENTS, params))
    assert got.signatures.dtype == np.uint32
    assert got.n_words.tolist() == [len(re.findall(r"\w+", t.lower())) for t in DOCUMENTS]
    assert got.n_shingles.tolist() == [len(shingles(t, params.ngram)) for t in DOCUMENTS]
    assert (got.signatures[got.n_words == 0] == EMPTY).all()


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


@pytest.mark.parametrize("ngram", [1, 5, 13])
def test_shingle_hashes_are_sorted_sets(ngram: int) -> None:
    texts = DOCUMENTS[:1200]
    got = shingle_hashes(pa.array(texts), MinHashParams(ngram=ngram))
    assert got.hashes.dtype == np.uint64
    assert got.offsets[0] == 0
    assert got.offsets[-1] == len(got.hashes)
    for row, text in enumerate(texts):
        expected = sorted({xxhash.xxh64_intdigest(s.encode()) for s in shingles(text, ngram)})
        assert got.hashes[got.offsets[row] : got.offsets[row + 1]].tolist() == expected, text


@settings(deadline=None, max_examples=150)
@given(
    texts=st.lists(
        st.text(st.one_of(st.sampled_from("aA _.İΣςσ\n"), st.characters(exclude_categories=["Cs"])), max_size=60),
        max_size=5,
    )
)
def test_any_unicode_text(texts: list[str]) -> None:
    params = MinHashParams(num_perm=16, ngram=2)
    got = minhash_signatures(pa.array(texts, pa.string()), params)
    sets = shingle_hashes(pa.array(texts, pa.string()), params)
    for row, text in enumerate(texts):
        minhash = MinHash(16, seed=1, hashfunc=xxhash.xxh32_intdigest)
        minhash.update_batch([s.encode() for s in shingles(text, 2)])
        assert got.signatures[row].tolist() == minhash.hashvalues.tolist()
        hashes = {xxhash.xxh64_intdigest(s.encode()) for s in shingles(text, 2)}
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


def test_no_rows_and_wrong_parameters() -> None:
    empty = pa.array([], pa.string())
    assert minhash_signatures(empty).signatures.shape == (0, 112)
    assert shingle_hashes(empty).offsets.tolist() == [0]
    with pytest.raises(ValueError, match="got num_perm=0"):
        MinHashParams(num_perm=0)
    with pytest.raises(ValueError, match="ngram >= 1"):
        MinHashParams(ngram=0)
