"""Trained tokenizers: any text comes back, the kernel covers them, and no order of texts enters."""

from __future__ import annotations

import json
import logging
import random

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from pipelines.contracts.recipe import Tokenizer
from pipelines.kernels.bpe import BytePairEncoder
from pipelines.kernels.bpe_model import byte_alphabet
from pipelines.kernels.pretokenizer_model import CONFIGURATIONS
from pipelines.ops.tokenize_text import load_decoder, load_encoder
from pipelines.ops.train_tokenizer import fertility_lines, measure_fertility, train_tokenizer
from tests.pipelines.kernels.test_bpe import generated_text, stdlib_texts


def texts(count: int) -> list[str]:
    draw = random.Random(2)
    return [*stdlib_texts(3), *(generated_text(draw, 40) for _ in range(count))]


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_pre_tokenizer_of_the_recipe(name: str, caplog: pytest.LogCaptureFixture) -> None:
    recipe = Tokenizer(vocab_size=1000, pre_tokenizer=name, special_tokens=("<|user|>", "<|tool|>"))
    sample = texts(60)
    text = train_tokenizer(iter([sample]), recipe)
    random.Random(1).shuffle(sample)
    assert train_tokenizer(iter([sample[:7], [], sample[7:]]), recipe) == text
    body = json.loads(text)
    assert len(body["model"]["vocab"]) == 1000
    assert [(token["id"], token["content"], token["special"]) for token in body["added_tokens"]] == [
        (0, "<|endoftext|>", True), (1, "<|user|>", True), (2, "<|tool|>", True),
    ]  # fmt: skip
    assert set(byte_alphabet()) <= body["model"]["vocab"].keys()
    with caplog.at_level(logging.WARNING):
        encoder = load_encoder(text)
    assert isinstance(encoder, BytePairEncoder)
    assert not caplog.records
    column = pa.array(
        ["<|user|>a<|endoftext|>", "\x00\ud7ff\U0010ffff\ufffe", generated_text(random.Random(9), 50), ""]
    )
    ids, offsets = encoder.encode(column)
    assert load_decoder(text)(ids, offsets) == [document.encode() for document in column.to_pylist()]
    assert ids.min() > 2


def test_the_names_of_the_recipe_are_those_of_the_kernel() -> None:
    for name in CONFIGURATIONS:
        assert Tokenizer(pre_tokenizer=name).pre_tokenizer == name
    with pytest.raises(ValidationError, match="'gpt2', 'llama3', 'qwen' or 'deepseek'"):
        Tokenizer(pre_tokenizer="cl100k")


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"source_shares": {"a": 0.7, "b": 0.4}}, "source_shares of at most 1"),
        ({"language_shares": {"en": 0.0}}, "greater than 0"),
        ({"special_tokens": ("<|endoftext|>",)}, "every special token once"),
        ({"special_tokens": ("",)}, "at least 1 character"),
        ({"vocab_size": 260, "special_tokens": ("a", "b", "c", "d")}, "vocab_size of at least 261"),
        ({"path": "x.json", "special_tokens": ("<a>",)}, "no special_tokens with path"),
    ],
)
def test_what_does_not_agree_is_refused(wrong: dict, expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        Tokenizer(**wrong)


def test_fertility_is_sums_by_language() -> None:
    def batch(langs: list[str], tokens: list[int], words: list[int]) -> pa.Table:
        sizes = [10 * count for count in tokens]
        return pa.table({"lang": langs, "text_bytes": sizes, "characters": sizes, "words": words, "tokens": tokens})

    table = measure_fertility([batch(["en", "zh"], [10, 1], [5, 0]), batch(["en"], [20], [15])])
    rows = table.to_pylist()
    assert [row["lang"] for row in rows] == ["en", "zh"]
    assert (rows[0]["documents"], rows[0]["tokens"], rows[0]["words"]) == (2, 30, 20)
    assert (rows[0]["bytes_per_token"], rows[0]["tokens_per_word"]) == (10.0, 1.5)
    assert np.isnan(rows[1]["tokens_per_word"])
    assert fertility_lines(table)[2:] == ["| en | 2 | 10.00 | 1.50 |", "| zh | 1 | 10.00 |  |"]
