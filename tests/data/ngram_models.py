"""Small n-gram models over bytes, made in the test."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa

from analysis.quality.ngram_training import estimate, make_stream
from pipelines.kernels.bpe import BytePairEncoder
from pipelines.kernels.bpe_model import byte_alphabet, load_bpe
from pipelines.kernels.ngram_lm import Description, NgramLanguageModel, build_table, normalise

EOS, VOCAB = 256, 257
TOKENIZER = json.dumps({
    "model": {"type": "BPE", "vocab": {c: n for n, c in enumerate([*byte_alphabet(), "<end>"])}, "merges": []},
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
    "decoder": {"type": "ByteLevel"},
})  # fmt: skip
"""A byte-level BPE without merges: every byte is a token, and 256 is the end."""


def byte_model(
    ids: np.ndarray, offsets: np.ndarray, order: int, prune: tuple[int, ...], language: str = "en"
) -> NgramLanguageModel:
    """Estimate a model from tokens."""
    entries = estimate(*make_stream(ids, offsets, order, EOS), order, VOCAB, prune)
    description = Description(language, order, VOCAB, EOS, 5.0, 10.0, entries.by_order)
    table = build_table(entries.keys, entries.log_probability, entries.log_back_off)
    return NgramLanguageModel(description, TOKENIZER, table)


def tiny_model(language: str, texts: list[str]) -> NgramLanguageModel:
    """Estimate a model of 4-grams from texts."""
    ids, offsets = BytePairEncoder(load_bpe(TOKENIZER)).encode(normalise(pa.array(texts)))
    return byte_model(ids, offsets, 4, (0, 0, 0, 0), language)
