"""Quality classifiers and n-gram models on the demo corpus: equality with fastText, speed, and what they tell apart.

python -m benchmarks.quality_models build/demo           # a workspace of recipes/demo.yaml; a few minutes
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.quality.classifier import Training
from analysis.quality.classifier_command import ClassifierJob, run_classifier_train
from analysis.quality.perplexity_command import NgramTraining, PerplexityJob, run_perplexity_train
from analysis.quality.texts import Selection, choose
from analysis.statistics.classification import roc_auc
from pipelines.contracts import ids
from pipelines.kernels.classifier_text import one_line
from pipelines.kernels.ngram_lm import NgramLanguageModel
from pipelines.kernels.text_classifier import TextClassifier

POSITIVE = "__label__positive"
PROSE = "source IN ('wiki', 'speeches', 'books', 'anarchism')"
DOCS = "source IN ('web-help', 'web-guide')"
TASKS = {
    "articles / help pages": ("source = 'wiki'", f"{DOCS} AND lang = 'en'", Training()),
    "prose / help pages": (f"{PROSE} AND lang = 'en'", f"{DOCS} AND lang = 'en'", Training()),
    "news / reviews (zh)": ("source = 'zh-news'", "source = 'zh-reviews' AND lang = 'zh'", Training(minn=1, maxn=2)),
    "kept / failed a rule": (
        "kept AND lang IN ('en', 'de')",
        "lang IN ('en', 'de') AND first_reason NOT IN ('exact_duplicate', 'near_duplicate')",
        Training(drop_shared=True),
    ),
}


def seconds(function: Callable, *arguments: object) -> tuple[float, Any]:
    start = time.process_time()
    result = function(*arguments)
    return time.process_time() - start, result


def classifiers(workspace: str, folder: Path) -> None:
    for name, (positive, negative, training) in TASKS.items():
        out = folder / name.split()[0]
        classes = (Selection("--positive", positive), Selection("--negative", negative))
        took, card = seconds(run_classifier_train, ClassifierJob(*classes, workspace, str(out), training=training))
        metrics, best = card["metrics"], card["metrics"]["best_f1"]
        counts = [card["classes"][side]["counts"] for side in ("positive", "negative")]
        print(f"{name}: train {[c['train'] for c in counts]}, held out {[c['heldout'] for c in counts]}, {took:.1f} s; "
              f"AUC {metrics['roc_auc']:.4f} {[round(x, 4) for x in metrics['roc_auc_95']]}, AP {metrics['average_precision']:.4f}, "
              f"best F1 {best['f1']:.4f} (P {best['precision']:.4f}, R {best['recall']:.4f})")  # fmt: skip


def equality_and_speed(workspace: str, folder: Path) -> None:
    files = sorted(Path(workspace, "documents").glob("*.parquet"))
    text = pa.concat_tables([pq.read_table(file, columns=["text"]) for file in files])["text"].combine_chunks()
    megabytes = text.nbytes / 1e6
    for name in ("prose", "news"):
        path = str(folder / name / "model.bin")
        model, peer = TextClassifier(path), fasttext.load_model(path).f
        model.probability(text.slice(0, 20), POSITIVE)
        model = TextClassifier(path)
        ours, found = seconds(model.probability, text, POSITIVE)
        lines = one_line(text).to_pylist()
        theirs, told = seconds(lambda p, ls: [p.predict(line + "\n", 2, -1.0, "strict") for line in ls], peer, lines)
        expected = np.array([{la: p for p, la in one}.get(POSITIVE, np.nan) for one in told])
        far = np.abs(found - np.minimum(expected, 1.0))
        print(f"{name}: {len(text):,} documents, {megabytes:.1f} MB; ours {ours / len(text) * 1e6:.1f} us/document, "
              f"{megabytes / ours:.1f} MB/s; fastText {theirs / len(text) * 1e6:.1f} us, {megabytes / theirs:.1f} MB/s; ratio "
              f"{theirs / ours:.2f}; greatest |dp| {np.nanmax(far):.1e}, over 2e-5: {int((far > 2e-5).sum())}, "
              f"verdicts at .5 that differ: {int(((found >= 0.5) != (expected >= 0.5)).sum())}")  # fmt: skip


def ngrams(workspace: str, folder: Path) -> None:
    where = Selection("--where", "kept")
    job = PerplexityJob(where, None, workspace, str(folder / "lm"), None, "text", 10**6, NgramTraining())
    took, card = seconds(run_perplexity_train, job)
    print(f"n-gram models: {took:.0f} s of processor time")
    table = choose(where, workspace, text_field="text", max_documents=10**6).table
    held = np.array([ids.fraction(group, "reference") < 0.2 for group in table["group"].to_pylist()])
    for lang, about in card["languages"].items():
        mine = np.array(table["lang"].to_pylist()) == lang
        texts = table["text"].filter(pa.array(held & mine)).combine_chunks()
        model = NgramLanguageModel.load(str(folder / "lm" / f"{lang}.arrow"))
        model.perplexity(texts.slice(0, 5))
        cold = NgramLanguageModel.load(str(folder / "lm" / f"{lang}.arrow"))
        took, prose = seconds(cold.perplexity, texts)
        areas = {kind: roc_auc(np.repeat([False, True], len(texts)), np.concatenate([prose, cold.perplexity(garbled)]))
                 for kind, garbled in worse(texts, lang).items()}  # fmt: skip
        buckets = cold.bucket(prose)
        shares = [round(float((buckets == name).mean()), 3) for name in ("head", "middle", "tail")]
        print(f"{lang}: {about['train_bytes'] / 1e6:.2f} MB, {sum(about['entries']):,} n-grams, {cold.table.nbytes / 1e6:.1f} MB; "
              f"{len(texts)} held out, median {np.median(prose):.1f}, {texts.nbytes / 1e6 / took:.1f} MB/s; AUC "
              f"{ {kind: round(area, 4) for kind, area in areas.items()} }; buckets {shares}")  # fmt: skip


def worse(texts: pa.Array, lang: str) -> dict[str, pa.Array]:
    """Return the texts with words (for zh and ja characters) in another order, every fifth letter replaced, and random."""
    draw = random.Random(1)
    by_letter, joint = lang in ("zh", "ja"), "" if lang in ("zh", "ja") else " "
    shuffled, typos, noise = [], [], []
    for text in texts.to_pylist():
        pieces = list(text) if by_letter else text.split(" ")
        draw.shuffle(pieces)
        shuffled.append(joint.join(pieces))
        typos.append("".join(chr(97 + draw.randrange(26)) if draw.random() < 0.2 else c for c in text))
        noise.append("".join(draw.choice("abcdefghijklmnopqrstuvwxyz     ") for _ in text))
    return {"words shuffled": pa.array(shuffled), "a fifth of letters": pa.array(typos), "noise": pa.array(noise)}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        classifiers(sys.argv[1], Path(scratch))
        equality_and_speed(sys.argv[1], Path(scratch))
        ngrams(sys.argv[1], Path(scratch))
