"""Small made data for the tests of analysis: a token stream with structure, held-out sets of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from analysis.data import HeldOut
from analysis.models import Proxy
from analysis.training.trainer import RunJob
from pipelines.contracts.recipe_tokenizer import Tokenizer as TokenizerRecipe
from pipelines.ops.train_tokenizer import train_tokenizer

VOCAB = 64


def byte_bpe(texts: list[str], end: str = "<|endoftext|>", vocab_size: int = 300) -> Tokenizer:
    """Train a byte-level tokenizer as curation does; `end` has id 0."""
    return Tokenizer.from_str(train_tokenizer(iter([texts]), TokenizerRecipe(vocab_size=vocab_size, end_of_text=end)))


def small_proxy(**changes: object) -> Proxy:
    """Return a proxy that trains in a second."""
    fields = {
        "vocab_size": VOCAB,
        "context": 16,
        "batch": 4,
        "d_model": 16,
        "layers": 2,
        "heads": 2,
        "compile": "off",
    }
    return Proxy(**{**fields, "dtype": "float32", **changes})


def documents(n: int, seed: int, vocab: int = VOCAB, longest: int = 60) -> list[np.ndarray]:
    """Make documents of tokens >= 1 in which half of all tokens follow from the one before."""
    rng = np.random.default_rng(seed)
    follow = np.random.default_rng(0).permutation(vocab - 1) + 1
    made = []
    for _ in range(n):
        text = rng.integers(1, vocab, rng.integers(1, longest))
        for at in range(1, len(text)):
            if rng.random() < 0.5:
                text[at] = follow[text[at - 1] - 1]
        made.append(text.astype(np.int64))
    return made


@dataclass(frozen=True)
class ToyStream:
    """A stream of packed documents, each ended by EOS = 0."""

    n_slots: int
    context: int
    seed: int
    delay_s: float = 0.0

    def slots_tokens(self, start: int, stop: int) -> np.ndarray:
        """Return [slots, context + 1] tokens; a slot's content depends on its number and the seed only."""
        time.sleep(self.delay_s)
        rows = []
        for slot in range(start, stop):
            texts = [np.append(text, 0) for text in documents(6, self.seed * 100_003 + slot)]
            packed = np.concatenate([*texts, np.ones(self.context + 1, np.int64)])
            rows.append(packed[: self.context + 1])
        return np.stack(rows)

    @property
    def identity(self) -> dict[str, object]:
        """Say what the tokens depend on."""
        return {"seed": self.seed, "n_slots": self.n_slots, "context": self.context}

    def documents_of(self, start: int, stop: int) -> list[str]:
        """Name the slots: each is a document of its own."""
        return [f"toy-{slot}" for slot in range(start, stop)]

    def drawn(self) -> list[dict[str, object]]:
        """Say what was drawn."""
        return [{"atom": "toy", "tokens": self.n_slots * self.context}]


def held_out(target: str = "toy", population: str = "kept", n: int = 12, seed: int = 9, longest: int = 60) -> HeldOut:
    """Make a held-out set; every second document shares its component with the one before."""
    texts = [np.append(text, 0) for text in documents(n, seed, longest=longest)]
    offsets = np.concatenate([[0], np.cumsum([len(text) for text in texts])])
    n_bytes = np.array([2 * (len(text) - 1) for text in texts])
    names = np.array([f"{target}-{index}" for index in range(n)])
    components = np.array([f"c{index // 2}" for index in range(n)])
    return HeldOut(target, population, np.concatenate(texts), offsets, n_bytes, components, names)


def job(out: Path, n_slots: int = 256, delay_s: float = 0.0, checkpoint_s: float = 30.0, **changes: object) -> RunJob:
    """Return a training job on toy data."""
    proxy = small_proxy(**changes)
    stream = ToyStream(n_slots, proxy.context, seed=1, delay_s=delay_s)
    return RunJob(proxy, stream, 7, out, [held_out()], checkpoint_s=checkpoint_s)
