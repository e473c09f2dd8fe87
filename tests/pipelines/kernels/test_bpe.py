"""The kernel gives exactly the ids of `tokenizers`, whatever the text, the batch and the cache."""

from __future__ import annotations

import functools
import itertools
import json
import random
import sysconfig
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from pipelines.kernels.bpe import BytePairEncoder
from pipelines.kernels.bpe_model import UnsupportedTokenizer, byte_alphabet, load_bpe, token_to_bytes

END = "<|endoftext|>"
SCRIPTS = [(0x61, 0x7B), (0xC0, 0x250), (0x370, 0x400), (0x400, 0x500), (0x5D0, 0x5EB), (0x620, 0x650), (0x904, 0x940),
           (0xE01, 0xE31), (0x3041, 0x30FF), (0x4E00, 0x5000), (0xAC00, 0xAD00), (0x1F300, 0x1F640)]  # fmt: skip
GLUE = [" ", "  ", "\n", "\t", "\r\n\r\n", " \n ", "\u00a0", "\u3000", "\u2028", "\u0085", "\x00", "\x1c", "\u200b",
        "'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "''ll", " 's", "'", ".", "...", " -- ", "(", "3", " 42", "½",
        "Ⅷ", "१२", "e\u0301", "👩\u200d👩\u200d👧", "🇨🇭", "\U00020000", "\U000e0001", END, "İ", "ß"]  # fmt: skip


def generated_text(draw: random.Random, pieces: int) -> str:
    """Make text of words of several scripts, glued by what pre-tokenizers trip over."""
    text = []
    for _ in range(pieces):
        first, last = draw.choice(SCRIPTS)
        text.append("".join(chr(draw.randrange(first, last)) for _ in range(draw.randrange(0, 9))))
        text.append(draw.choice(GLUE) if draw.random() < 0.6 else " ")
    return "".join(text)


def stdlib_texts(count: int) -> list[str]:
    """Return the first modules of the standard library."""
    files = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[:count]
    return [file.read_text(encoding="utf-8", errors="replace") for file in files]


@functools.cache
def trained_json() -> str:
    """Train a byte-level BPE of 4,096 tokens."""
    draw = random.Random(7)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=4096,
        special_tokens=[END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*stdlib_texts(30), *(generated_text(draw, 60) for _ in range(300))], trainer)
    return tokenizer.to_str()


def spread_ids(tokenizer_json: str) -> str:
    """Give every other token an id above 65,535."""
    body = json.loads(tokenizer_json)
    vocab = body["model"]["vocab"]
    body["model"]["vocab"] = {token: number + (1 << 17) * (number % 2) for token, number in vocab.items()}
    body["added_tokens"] = []
    return json.dumps(body)


def oracle(tokenizer_json: str) -> Tokenizer:
    """Load the library's tokenizer without special tokens."""
    return Tokenizer.from_str(json.dumps({**json.loads(tokenizer_json), "added_tokens": []}))


def changed(**parts: object) -> str:
    """Return the trained tokenizer with other parts; `model_x` changes `model.x`."""
    body = json.loads(trained_json())
    for name, value in parts.items():
        where = body["model"] if name.startswith("model_") else body
        where[name.removeprefix("model_")] = value
    return json.dumps(body)


def split_rows(ids: np.ndarray, offsets: np.ndarray) -> list[list[int]]:
    return [ids[start:end].tolist() for start, end in itertools.pairwise(offsets)]


def expected_rows(tokenizer_json: str, texts: list[str]) -> list[list[int]]:
    return [row.ids for row in oracle(tokenizer_json).encode_batch_fast(texts, add_special_tokens=False)]


@pytest.fixture(scope="session")
def documents() -> list[str]:
    draw = random.Random(11)
    return ["", *stdlib_texts(40), *(generated_text(draw, draw.randrange(40)) for _ in range(2200)), ""]


@pytest.fixture(scope="session")
def encoder() -> BytePairEncoder:
    return BytePairEncoder(load_bpe(trained_json()))


@pytest.mark.parametrize(("tokenizer_json", "id_type"), [(trained_json, np.uint16), (None, np.uint32)])
def test_ids_equal_the_library(documents, tokenizer_json, id_type):
    text = trained_json() if tokenizer_json else spread_ids(trained_json())
    model = load_bpe(text)
    ids, offsets = BytePairEncoder(model).encode(pa.array(documents))
    assert ids.dtype == id_type
    assert offsets.dtype == np.int64
    assert split_rows(ids, offsets) == expected_rows(text, documents)
    decoded = [b"".join(model.token_bytes[i] for i in row) for row in split_rows(ids, offsets)]
    assert decoded == [document.encode() for document in documents]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.text(), st.lists(st.sampled_from([*GLUE, "a", "é", "中"])).map("".join)), max_size=5))
def test_any_text(texts):
    ids, offsets = shared_encoder().encode(pa.array(texts, pa.string()))
    assert split_rows(ids, offsets) == [shared_oracle().encode(text, add_special_tokens=False).ids for text in texts]


@functools.cache
def shared_encoder() -> BytePairEncoder:
    return BytePairEncoder(load_bpe(trained_json()), 1 << 12)


@functools.cache
def shared_oracle() -> Tokenizer:
    return oracle(trained_json())


def test_every_code_point_between_letters(encoder):
    points = [point for point in range(0x30000) if not 0xD800 <= point < 0xE000]
    texts = ["a".join(f" {chr(p)}x {chr(p)}{chr(p)}" for p in points[i : i + 512]) for i in range(0, len(points), 512)]
    assert split_rows(*encoder.encode(pa.array(texts))) == expected_rows(trained_json(), texts)


@pytest.mark.parametrize("batch_rows", [1, 7, 1000])
@pytest.mark.parametrize("cache_rows", [2, 64, 1 << 16])
def test_batches_and_cache_change_nothing(documents, encoder, batch_rows, cache_rows):
    documents = documents[:300]
    expected = split_rows(*encoder.encode(pa.array(documents)))
    small = BytePairEncoder(load_bpe(trained_json()), cache_rows)
    for _ in range(2):
        batches = [documents[i : i + batch_rows] for i in range(0, len(documents), batch_rows)]
        rows = [row for batch in batches for row in split_rows(*small.encode(pa.array(batch)))]
        assert rows == expected


def test_slices_chunks_and_empty_columns(documents, encoder):
    column = pa.array(documents[:200], pa.large_string())
    expected = split_rows(*encoder.encode(column))
    assert split_rows(*encoder.encode(column.slice(37, 60))) == expected[37:97]
    chunked = pa.chunked_array([column.slice(0, 50), column.slice(50, 0), column.slice(50)])
    assert split_rows(*encoder.encode(chunked)) == expected
    ids, offsets = encoder.encode(pa.array([], pa.string()))
    assert (len(ids), offsets.tolist()) == (0, [0])
    with pytest.raises(ValueError, match="nulls"):
        encoder.encode(pa.array(["a", None]))


@pytest.mark.parametrize("size", [14, 15, 16, 17, 63, 64, 65, 254, 255, 256, 257, 5000, 1 << 18])
def test_long_pretokens(encoder, size):
    draw = random.Random(size)
    texts = [
        "".join(draw.choices("abcdefgh", k=size)),
        "x" * size,
        "".join(chr(draw.randrange(0x4E00, 0x5000)) for _ in range(size // 3)),
    ]
    for _ in range(2):  # the second time from the cache, where it is cached
        assert split_rows(*encoder.encode(pa.array(texts))) == expected_rows(trained_json(), texts)


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"model_dropout": 0.1}, "model.dropout"),
        ({"model_byte_fallback": True}, "model.byte_fallback"),
        ({"model_end_of_word_suffix": "</w>"}, "model.end_of_word_suffix"),
        ({"model_continuing_subword_prefix": "##"}, "model.continuing_subword_prefix"),
        ({"model_type": "WordPiece"}, "model WordPiece"),
        ({"normalizer": {"type": "NFKC"}}, "normalizer NFKC"),
        (
            {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]}},
            r"normalizer NFC \+ Lowercase",
        ),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "pre-tokenizer"),
        ({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "use_regex": True}}, "pre-tokenizer"),
        ({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}}, "pre-tokenizer"),
        ({"pre_tokenizer": None}, "pre-tokenizer"),
        ({"decoder": None}, "decoder"),
        ({"model_vocab": {"a": 0}}, "vocabulary without the bytes"),
    ],
)
def test_what_is_not_covered_is_refused_by_name(parts, reason):
    with pytest.raises(UnsupportedTokenizer, match=reason):
        load_bpe(changed(**parts))


def test_the_byte_alphabet_is_that_of_the_library():
    assert sorted(byte_alphabet()) == sorted(pre_tokenizers.ByteLevel.alphabet())
    for byte, character in enumerate(byte_alphabet()):
        assert token_to_bytes(character) == bytes([byte])
    assert token_to_bytes("\u4e2d ") == "\u4e2d ".encode()


def test_merges_written_as_strings_are_the_same():
    merges = [" ".join(merge) for merge in json.loads(trained_json())["model"]["merges"]]
    ours, other = load_bpe(trained_json()).merges, load_bpe(changed(model_merges=merges)).merges
    for left, right in zip(ours, other, strict=True):
        np.testing.assert_array_equal(left, right)


def test_cache_rows_must_be_a_power_of_two():
    with pytest.raises(ValueError, match="cache_rows: got 100"):
        BytePairEncoder(load_bpe(trained_json()), 100)
