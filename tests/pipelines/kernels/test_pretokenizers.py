"""Every machine cuts text where `tokenizers` cuts it, with the very configurations of the models' tokenizers."""

from __future__ import annotations

import functools
import itertools
import json
import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from pipelines.kernels.arrow_strings import string_buffers
from pipelines.kernels.bpe import BytePairEncoder, compose
from pipelines.kernels.bpe_model import load_bpe
from pipelines.kernels.pretokenizer_model import CONFIGURATIONS, find_machine
from pipelines.kernels.pretokenizers import machine_classes, pretoken_end
from tests.pipelines.kernels.test_bpe import GLUE, expected_rows, generated_text, split_rows, stdlib_texts

TIKTOKEN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
)
NAMES = [*CONFIGURATIONS, "tiktoken"]
PIECES = [
    *GLUE, "'S", "'LL", "'Ve", "'ſ", "'ſe", "\r", "\n\n \n", "  \n  ", "123456789", "٤٥٦٧", "ⅧⅨ", "カタ・カナ", "漢字かな",
    "\u3099", "\u309b", "\u3040", "\u30a0", "\u9fa6", "㐀", "\u0301", "\u0301\u0302", "\u200d", "\x00\x00", "\ue000", "\U000e0001",
    "#abc", "$x1", "--\r\n", "€£", "!é", ".Net", "_a", "a", "é", "中", "한글", "हिन्दी", "ไทย", "👩\u200d🚀",
]  # fmt: skip
TEXTS = st.lists(
    st.one_of(
        st.sampled_from(PIECES),
        st.tuples(st.sampled_from(PIECES), st.integers(2, 80)).map(lambda pair: pair[0] * pair[1]),
        st.text(max_size=12),
    ),
    max_size=14,
).map("".join)


def configuration(name: str) -> dict:
    if name != "tiktoken":
        return CONFIGURATIONS[name]
    body = json.loads(json.dumps(CONFIGURATIONS["llama3"]))
    body["pretokenizers"][0]["pattern"]["Regex"] = TIKTOKEN
    return body


@functools.cache
def library(name: str) -> pre_tokenizers.PreTokenizer:
    body = json.loads(Tokenizer(models.BPE()).to_str())
    return Tokenizer.from_str(json.dumps({**body, "pre_tokenizer": configuration(name)})).pre_tokenizer


def expected_ends(name: str, text: str) -> list[int]:
    """Return where the library's pieces end, in bytes: a piece has one character per byte."""
    return list(itertools.accumulate(len(piece) for piece, _ in library(name).pre_tokenize_str(text)))


def found_ends(name: str, text: str) -> list[int]:
    machine = find_machine(configuration(name))
    data, (start, end) = string_buffers(pa.array([text], pa.string()))
    ends = []
    while start < end:
        start = pretoken_end(data, start, end, machine_classes(machine), machine.kind, machine.digits)
        ends.append(int(start))
    return ends


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=150, deadline=None)
@given(TEXTS)
@example("\n" + " " * 40 + "x \u00a0\u00a0\u00a0a\t\tb  1 \r\n ")
@example("a 1 カ ・!中  漢\u30991\u3099x \u3040\u3040ア")
@example("\u200d\u200d1\u200da\x00\u0301\u0301 \u0301\n\u0301\r'\u0301")
def test_pieces_are_those_of_the_library(name: str, text: str) -> None:
    assert found_ends(name, text) == expected_ends(name, text)


@pytest.mark.parametrize("name", NAMES)
def test_pieces_of_every_pair_of_kinds(name: str) -> None:
    kinds = [
        "a",
        "1",
        " ",
        "\n",
        "\u0301",
        "!",
        "+",
        "\x00",
        "中",
        "ー",
        "・",
        "\u3099",
        "\u309b",
        "\u3040",
        "é",
        "'",
        "s",
    ]
    text = "|".join("".join(three) for three in itertools.product(kinds, repeat=3))
    assert found_ends(name, text) == expected_ends(name, text)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("unit", [" ", "\n ", "\x00", "7", "中", "a\u0301", "!", "' ", "\u200d1", "'ſ"])
def test_long_runs(name: str, unit: str) -> None:
    text = "b" + unit * 6000 + "c"
    assert found_ends(name, text) == expected_ends(name, text)


def train(name: str, **parts: object) -> str:
    """Train a tokenizer with a model's configuration; `model_x` sets `model.x`."""
    draw = random.Random(3)
    body = json.loads(Tokenizer(models.BPE()).to_str())
    tokenizer = Tokenizer.from_str(json.dumps({**body, "pre_tokenizer": configuration(name)}))
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2000,
        special_tokens=["<|end|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*stdlib_texts(8), *(generated_text(draw, 60) for _ in range(150))], trainer)
    body = json.loads(tokenizer.to_str())
    for key, value in parts.items():
        where = body["model"] if key.startswith("model_") else body
        where[key.removeprefix("model_")] = value
    return json.dumps(body)


@pytest.mark.parametrize("name", ["llama3", "qwen", "deepseek"])
def test_ids_equal_the_library(name: str) -> None:
    draw = random.Random(4)
    texts = ["", *stdlib_texts(12)[6:], *(generated_text(draw, 30) + draw.choice(PIECES) * 9 for _ in range(300))]
    tokenizer_json = train(name)
    assert split_rows(*BytePairEncoder(load_bpe(tokenizer_json)).encode(pa.array(texts))) == expected_rows(
        tokenizer_json, texts
    )


def test_nfc_is_done_where_a_text_is_not_in_it() -> None:
    tokenizer_json = train("qwen", normalizer={"type": "NFC"})
    texts = ["Café", "Cafe\u0301 \u1100\u1161", "a\u0301\u0316b", "\u0958 \u2126 \uf900", "한글 हिन्दी", ""]
    column = pa.array(texts, pa.large_string())
    encoder = BytePairEncoder(load_bpe(tokenizer_json))
    assert split_rows(*encoder.encode(column)) == expected_rows(tokenizer_json, texts)
    assert compose(column.slice(4)) is not None
    kept = column.slice(0, 1)
    assert compose(kept) is kept


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cn"])))
def test_nfc_of_any_text_is_that_of_the_library(text: str) -> None:
    from tokenizers import normalizers

    assert compose(pa.array([text])).to_pylist() == [normalizers.NFC().normalize_str(text)]


def with_whole_tokens(tokens: list[str]) -> str:
    """Return a tokenizer with `ignore_merges` and tokens that no merge makes, in the spelling of the byte alphabet."""
    body = json.loads(train("llama3", model_ignore_merges=True))
    vocab = body["model"]["vocab"]
    for token in tokens:
        vocab[token] = len(vocab)
    return json.dumps(body)


def test_tokens_that_need_no_merges() -> None:
    long = "z" * 300
    tokenizer_json = with_whole_tokens(["Ġqxzqxz", "qxzqxz", long, "Ã©Ã©Ã©", "qxz"])
    texts = ["qxzqxz qxzqxz qxz qxzq", long, long + "z", f" {long}", "ééé éééé", "qx", "the import self"]
    encoder = BytePairEncoder(load_bpe(tokenizer_json))
    for _ in range(2):  # the second time from the cache, where it is cached
        rows = split_rows(*encoder.encode(pa.array(texts)))
        assert rows == expected_rows(tokenizer_json, texts)
    assert len(rows[1]) == 1
    assert rows[0][:2] == [2001, 2000]


def test_a_special_token_is_no_whole_token() -> None:
    body = json.loads(with_whole_tokens(["qxzqxz"]))
    number = body["model"]["vocab"]["qxzqxz"]
    body["added_tokens"] = [{**body["added_tokens"][0], "id": number, "content": "qxzqxz"}]
    ids, _ = BytePairEncoder(load_bpe(json.dumps(body))).encode(pa.array(["qxzqxz"]))
    assert number not in ids.tolist()
    assert len(ids) > 1


@pytest.mark.parametrize(
    "change",
    [
        {"behavior": "Removed"},
        {"invert": True},
        {"pattern": {"String": "x"}},
        {"pattern": {"Regex": r"\p{N}{1,4}"}},
        {"type": "Digits"},
    ],
)
def test_another_split_is_no_machine(change: dict) -> None:
    body = json.loads(json.dumps(CONFIGURATIONS["deepseek"]))
    assert find_machine(body) is not None
    body["pretokenizers"][0] |= change
    assert find_machine(body) is None


def test_line_ends_may_be_written_out_in_an_expression() -> None:
    body = json.loads(json.dumps(CONFIGURATIONS["deepseek"]))
    pattern = body["pretokenizers"][2]["pattern"]
    pattern["Regex"] = pattern["Regex"].replace(r"\r", "\r").replace(r"\n", "\n")
    assert find_machine(body) == find_machine(CONFIGURATIONS["deepseek"])


def test_an_empty_or_absent_pre_tokenizer_is_no_machine() -> None:
    assert find_machine(None) is None
    assert find_machine({"type": "Sequence", "pretokenizers": []}) is None
    assert np.all(machine_classes(find_machine(CONFIGURATIONS["gpt2"])) <= 3)
