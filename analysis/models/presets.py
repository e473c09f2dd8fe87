"""Proxies by name: a ladder from counting to 150 M parameters.

A name says how many parameters there are at a vocabulary of 4096 tokens, embeddings included (±15 %). Learning
rates are those of `learning_rates.json` where a sweep measured the preset (`python -m analysis.learning_rates`),
else where a sweep starts: 6e-3 at d 64, falling with √d; masked models take less.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from analysis.models import Proxy
from pipelines.contracts.errors import ConfigError, did_you_mean, message

RATES_FILE = Path(__file__).with_name("learning_rates.json")


def _shape(
    model: str, d: int, layers: int, heads: int, context: int = 64, batch: int = 8, lr: float = 6e-3
) -> dict[str, Any]:
    return {
        "model": model, "d_model": d, "layers": layers, "heads": heads, "context": context, "batch": batch,
        "lr": round(lr * (64 / d) ** 0.5, 5),
    }  # fmt: skip


PRESETS: dict[str, dict[str, Any]] = {
    "ngram-3": {"model": "ngram", "order": 3},
    "ngram-5": {"model": "ngram", "order": 5},
    "feedforward-0.4m": _shape("feedforward", 64, 1, 1),
    "feedforward-1m": _shape("feedforward", 128, 1, 1),
    "lstm-0.3m": _shape("lstm", 64, 1, 1),
    "lstm-0.8m": _shape("lstm", 128, 2, 1),
    "llama-0.1m": _shape("llama", 24, 2, 1),
    "llama-0.4m": _shape("llama", 64, 2, 2),
    "llama-1m": _shape("llama", 128, 2, 2),
    "llama-4m": _shape("llama", 256, 4, 4, context=256, batch=16),
    "llama-10m": _shape("llama", 384, 5, 6, context=512, batch=32),
    "llama-20m": _shape("llama", 512, 6, 8, context=512, batch=64),
    "llama-60m": _shape("llama", 768, 8, 12, context=1024, batch=64),
    "llama-150m": _shape("llama", 1024, 12, 16, context=1024, batch=128),
    "bert-0.4m": _shape("bert", 64, 2, 2, lr=3e-3),
    "bert-1m": _shape("bert", 128, 2, 2, lr=3e-3),
}
"""Name of a preset to the fields of its proxy."""


def preset(name: str, vocab_size: int, eos_id: int = 0, **changes: object) -> Proxy:
    """Return a proxy by name.

    Args:
        name: one of `PRESETS`.
        vocab_size: tokens of the workspace's tokenizer.
        eos_id: its end-of-text token.
        changes: fields that differ from the preset.

    Raises:
        ConfigError: if there is no such preset.

    >>> preset("llama-150m", 4096).size.body_parameters
    151217152
    """
    if name not in PRESETS:
        raise ConfigError(message("preset", "unknown", name, "a name of the ladder", did_you_mean(name, PRESETS)))
    measured = {"lr": measured_rates()[name]} if name in measured_rates() else {}
    return Proxy(**{"vocab_size": vocab_size, "eos_id": eos_id, **PRESETS[name], **measured, **changes})


@functools.cache
def measured_rates() -> dict[str, float]:
    """Return the best measured learning rate of each preset: least bits per byte at the most tokens."""
    rows = [row for row in json.loads(RATES_FILE.read_text("utf-8")) if row["bpb"] is not None]
    best = sorted(rows, key=lambda row: (row["tokens"], -row["bpb"]))  # the last one of a preset wins
    return {row["preset"]: row["lr"] for row in best}
