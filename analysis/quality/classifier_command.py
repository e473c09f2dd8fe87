"""The command `classifier train`: model, card and held-out scores in one folder."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from analysis.quality.card import markdown, measure_heldout
from analysis.quality.classifier import NEGATIVE, POSITIVE, Examples, Training, make_examples, settings, train_model
from analysis.quality.texts import Chosen, Selection, choose
from pipelines.contracts import storage
from pipelines.kernels.classifier_text import NORMALISATION
from pipelines.kernels.text_classifier import TextClassifier


@dataclass(frozen=True)
class ClassifierJob:
    """What to train from, and where to.

    Attributes:
        positive: texts of the positive class.
        negative: texts of the negative class.
        workspace: what the conditions are about.
        out: folder of the model.
        text_field: field of the text in JSONL files.
        max_documents: most texts of a class.
        training: settings.
    """

    positive: Selection
    negative: Selection
    workspace: str | None
    out: str
    text_field: str = "text"
    max_documents: int = 100_000
    training: Training = field(default_factory=Training)


def run_classifier_train(job: ClassifierJob) -> dict[str, Any]:
    """Train, measure, write `model.bin`, `card.json`, `card.md` and `heldout.parquet`; return the card.

    Raises:
        ConfigError: for wrong conditions or settings, or a text in both classes.
        InputError: for missing files, an empty class, or too few held-out texts.
    """
    console = Console(stderr=True)
    positive, negative = (
        choose(one, job.workspace, text_field=job.text_field, max_documents=job.max_documents)
        for one in (job.positive, job.negative)
    )
    examples = make_examples(positive, negative, job.training)
    train, heldout = examples.part(heldout=False), examples.part(heldout=True)
    console.print(f"{len(train):,} texts to train on ({train['text'].nbytes / 1e6:.1f} MB), {len(heldout):,} held out")
    start = time.perf_counter()
    model = train_model(train, job.training)
    console.print(f"trained in {time.perf_counter() - start:.1f} s, {len(model) / 1e6:.1f} MB")
    path = storage.join(job.out, "model.bin")
    storage.write_bytes(path, model)
    start = time.perf_counter()
    probability = TextClassifier(path).probability(heldout["text"].combine_chunks(), POSITIVE)
    micros = (time.perf_counter() - start) / len(heldout) * 1e6
    card = make_card(model, (positive, negative), examples, heldout, probability, job.training)
    storage.write_bytes(storage.join(job.out, "card.json"), (json.dumps(card, indent=1) + "\n").encode())
    storage.write_bytes(storage.join(job.out, "card.md"), markdown(card).encode())
    _write_heldout(job.out, heldout, probability)
    low, high = card["metrics"]["roc_auc_95"]
    best = card["metrics"]["best_f1"]
    console.print(
        f"held-out ROC AUC {card['metrics']['roc_auc']:.4f} ({low:.4f} to {high:.4f}), {micros:.0f} us a text"
    )
    console.print(
        f"best F1 {best['f1']:.4f} at {best['threshold']:.4g}: precision {best['precision']:.4f}, recall {best['recall']:.4f}"
    )
    return card


def make_card(
    model: bytes,
    chosen: tuple[Chosen, Chosen],
    examples: Examples,
    heldout: pa.Table,
    probability: np.ndarray,
    training: Training,
) -> dict[str, Any]:
    """Put together what `card.json` holds; nothing in it depends on time or place."""
    sources = examples.sources()
    classes = {
        name: {"inputs": one.inputs, "counts": examples.counts[name], "sources": sources[name], "faults": one.faults}
        for name, one in zip(("positive", "negative"), chosen, strict=True)
    }
    return {
        "model": {"file": "model.bin", "bytes": len(model), "sha256": hashlib.sha256(model).hexdigest()},
        "labels": [POSITIVE, NEGATIVE],
        "settings": settings(training),
        "normalisation": NORMALISATION,
        "classes": classes,
        "metrics": measure_heldout(heldout, probability, training.seed),
    }


def _write_heldout(out: str, heldout: pa.Table, probability: np.ndarray) -> None:
    table = heldout.select(["key", "source", "lang", "group", "positive"]).append_column(
        "probability", pa.array(probability)
    )
    with storage.atomic_write(storage.join(out, "heldout.parquet")) as file:
        pq.write_table(table.sort_by("key"), file)
