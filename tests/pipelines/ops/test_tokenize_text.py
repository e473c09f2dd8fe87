"""Both ways to encode give the same ids; what the kernel does not cover is said and done by the library."""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import random

import numpy as np
import pyarrow as pa
import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from pipelines.kernels.bpe import BytePairEncoder
from pipelines.kernels.bpe_model import NO_MERGE, load_bpe
from pipelines.ops import tokenize_text
from pipelines.ops.tokenize_text import LibraryEncoder, load_decoder, load_encoder

END = "<|end of text|>"
WORDS = [
    "the",
    "cat's",
    "over",
    "naïve",
    "Straße",
    "中文字",
    "русский",
    "3.14",
    "\n\n",
    "\u3000",
    "\x00",
    "👩\u200d🚀",
    END,
]


def generated_texts(count: int) -> list[str]:
    draw = random.Random(5)
    return ["", *(" ".join(draw.choices(WORDS, k=draw.randrange(1, 30))) for _ in range(count))]


def train(lower: bool = False) -> str:
    tokenizer = Tokenizer(models.BPE())
    if lower:
        tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=[END], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(generated_texts(300), trainer)
    return tokenizer.to_str()


@functools.cache
def plain_json() -> str:
    return train()


def test_the_kernel_is_taken_without_a_warning(caplog):
    with caplog.at_level(logging.WARNING):
        assert isinstance(load_encoder(plain_json()), BytePairEncoder)
    assert not caplog.records


def test_both_ways_are_equal():
    column = pa.array(generated_texts(400))
    kernel, library = load_encoder(plain_json()), LibraryEncoder(plain_json())
    for part in (column, column.slice(17, 100), column.slice(0, 0), column.cast(pa.large_string())):
        (ids, offsets), (other_ids, other_offsets) = kernel.encode(part), library.encode(part)
        assert (ids.dtype, offsets.dtype) == (other_ids.dtype, other_offsets.dtype) == (np.uint16, np.int64)
        np.testing.assert_array_equal(ids, other_ids)
        np.testing.assert_array_equal(offsets, other_offsets)


def test_special_tokens_are_text():
    for encoder in (load_encoder(plain_json()), LibraryEncoder(plain_json())):
        ids, offsets = encoder.encode(pa.array([f"a{END}b"]))
        assert 0 not in ids
        assert load_decoder(plain_json())(ids, offsets) == [f"a{END}b".encode()]


def test_decoding_gives_back_every_document():
    texts = generated_texts(400)
    ids, offsets = load_encoder(plain_json()).encode(pa.array(texts))
    decode = load_decoder(plain_json())
    assert decode(ids, offsets) == [text.encode() for text in texts]
    assert decode(ids[:0], np.zeros(3, np.int64)) == [b"", b""]
    assert decode(ids[:0], np.zeros(1, np.int64)) == []
    assert load_decoder(plain_json()) is decode


def test_a_special_token_decodes_to_its_own_text():
    assert load_decoder(plain_json())(np.array([0], np.uint16), np.array([0, 1])) == [END.encode()]


def test_an_id_without_a_token_is_refused():
    with pytest.raises(IndexError):
        load_decoder(plain_json())(np.array([60_000], np.uint16), np.array([0, 1]))


def test_what_the_kernel_does_not_cover_is_said_and_done_by_the_library(caplog):
    lower = train(lower=True)
    with caplog.at_level(logging.WARNING):
        encoder = load_encoder(lower)
    assert isinstance(encoder, LibraryEncoder)
    assert "normalizer Lowercase" in caplog.text
    ids, offsets = encoder.encode(pa.array(["The CAT", "", "Sat"]))
    assert load_decoder(lower)(ids, offsets) == [b"the cat", b"", b"sat"]


def test_a_kernel_with_other_ids_is_not_used(caplog, monkeypatch):
    def wrong(text: str):
        model = load_bpe(text)
        return dataclasses.replace(
            model, merges=model.merges._replace(of_bytes=np.full_like(model.merges.of_bytes, NO_MERGE))
        )

    monkeypatch.setattr(tokenize_text, "load_bpe", wrong)
    with caplog.at_level(logging.WARNING):
        assert isinstance(load_encoder(plain_json()), LibraryEncoder)
    assert "other ids for" in caplog.text


def test_other_decoders_are_those_of_the_library():
    body = json.loads(plain_json())
    body["decoder"] = None
    tokenizer_json = json.dumps(body)
    encoder = load_encoder(tokenizer_json)
    assert isinstance(encoder, LibraryEncoder)
    ids, offsets = encoder.encode(pa.array(["the"]))
    (decoded,) = load_decoder(tokenizer_json)(ids, offsets)
    assert bytes(decoded).replace(b" ", b"") == b"the"


def test_the_library_refuses_nulls_too():
    with pytest.raises(ValueError, match="nulls"):
        LibraryEncoder(plain_json()).encode(pa.array(["a", None]))
