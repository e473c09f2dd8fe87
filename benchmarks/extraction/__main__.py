"""Main content: ours against resiliparse and trafilatura, in one run: `python -m benchmarks.extraction`.

Ours is cross-validated by page: every page is extracted by a model that was trained, thresholds included, on pages of
the other folds.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import trafilatura
from resiliparse.extract.html2text import extract_plain_text

from benchmarks.extraction.pages import LabelledPage, labelled_pages, overlap, precision_recall_f1
from benchmarks.extraction.train import Example, make_example, train_model
from pipelines.contracts.recipe import Extract
from pipelines.ops.pages.blocks import BlockModel
from pipelines.ops.pages.content import page_content

_FOLDS = 8
_BOOTSTRAPS = 10_000
_CURVE = (25, 50, 100, 150, 190)
_DRAWS = 5  # of the folds, for the learning curve: one draw alone moves F1 by .01
Overlaps = list[tuple[float, float, float]]


@dataclass(frozen=True)
class Outcome:
    """What one extractor made of the pages.

    Attributes:
        overlaps: [pages] shares of true positive, false positive and false negative 4-grams.
        empty: pages with no text.
        milliseconds: [pages] time of a page.
        methods: how often each way to the content was taken.
    """

    overlaps: Overlaps
    empty: int
    milliseconds: np.ndarray
    methods: dict[str, int]


def measure(pages: Sequence[LabelledPage], extract: Callable[[LabelledPage], tuple[str, str]]) -> Outcome:
    """Run an extractor over pages; it returns the text and how it came to it."""
    overlaps: Overlaps = []
    spent: list[float] = []
    methods: dict[str, int] = {}
    empty = 0
    for page in pages:
        start = time.perf_counter()
        text, method = extract(page)
        spent.append((time.perf_counter() - start) * 1e3)
        overlaps.append(overlap(page.truth, text))
        empty += not text.strip()
        methods[method] = methods.get(method, 0) + 1
    return Outcome(overlaps, empty, np.array(spent), methods)


def folds_of(count: int, seed: int = 1) -> np.ndarray:
    """Deal pages to folds, int64 [pages]."""
    return np.random.default_rng(seed).permutation(count) % _FOLDS


def cross_validated_models(
    examples: Sequence[Example], fold: np.ndarray, train_pages: int | None = None
) -> list[BlockModel]:
    """Train one model per fold on the pages of the others (on `train_pages` of them, drawn once per fold)."""
    models = []
    for number in range(_FOLDS):
        others = np.flatnonzero(fold != number)
        if train_pages is not None:
            others = np.sort(np.random.default_rng(number).permutation(others)[:train_pages])
        models.append(train_model([examples[index] for index in others]))
    return models


def ours(models: Sequence[BlockModel], fold: dict[str, int]) -> Callable[[LabelledPage], tuple[str, str]]:
    """Return our extractor, with the model that has not seen the page."""

    def extract(page: LabelledPage) -> tuple[str, str]:
        content = page_content(page.html, Extract(), models[fold[page.key]])
        return content.text, content.method

    return extract


def difference_interval(first: Overlaps, second: Overlaps) -> tuple[float, float, float]:
    """Return the difference of two F1 on the same pages, and its 95 % interval by a paired bootstrap over pages."""
    generator = np.random.default_rng(0)
    a, b = np.array(first), np.array(second)
    draws = generator.integers(0, len(a), (_BOOTSTRAPS, len(a)))
    differences = [precision_recall_f1(a[rows])[2] - precision_recall_f1(b[rows])[2] for rows in draws]
    low, high = np.quantile(differences, [0.025, 0.975])
    return precision_recall_f1(first)[2] - precision_recall_f1(second)[2], float(low), float(high)


PEERS: dict[str, Callable[[LabelledPage], tuple[str, str]]] = {
    "resiliparse": lambda page: (extract_plain_text(page.html, main_content=True, alt_texts=False), "resiliparse"),
    "trafilatura fast": lambda page: (
        trafilatura.extract(page.html, fast=True, include_comments=False) or "",
        "trafilatura",
    ),
    "trafilatura": lambda page: (trafilatura.extract(page.html, include_comments=False) or "", "trafilatura"),
}


def _row(name: str, outcome: Outcome) -> str:
    precision, recall, f1 = precision_recall_f1(outcome.overlaps)
    spent = outcome.milliseconds
    times = f"{spent.mean():.1f} | {np.quantile(spent, 0.95):.1f}"
    return f"| {name} | {precision:.3f} | {recall:.3f} | **{f1:.3f}** | {outcome.empty} | {times} |"


def _learning_curve(examples: list[Example]) -> None:
    """Print F1 by the number of pages to train on, over several draws of the folds."""
    print("\n| pages to train on | F1 of articles, mean of draws | least | greatest |\n|---|---|---|---|")
    articles = [example.labelled for example in examples if example.labelled.origin == "article"]
    for count in _CURVE:
        scores = []
        for seed in range(1, _DRAWS + 1):
            fold = folds_of(len(examples), seed)
            numbers = {example.labelled.key: int(number) for example, number in zip(examples, fold, strict=True)}
            outcome = measure(articles, ours(cross_validated_models(examples, fold, count), numbers))
            scores.append(precision_recall_f1(outcome.overlaps)[2])
        print(f"| {count} | {np.mean(scores):.3f} | {min(scores):.3f} | {max(scores):.3f} |", flush=True)


def main() -> None:
    """Print the comparison, the interval of the difference and, if asked, the learning curve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--curve", action="store_true", help="also the learning curve (minutes)")
    with_curve = parser.parse_args().curve
    examples = [make_example(labelled) for labelled in labelled_pages()]
    fold = folds_of(len(examples))
    numbers = {example.labelled.key: int(number) for example, number in zip(examples, fold, strict=True)}
    extractors = {"mixtrace": ours(cross_validated_models(examples, fold), numbers)} | PEERS
    versions = f"trafilatura {version('trafilatura')}, resiliparse {version('resiliparse')}"
    print(f"{platform.machine()}, Python {platform.python_version()}, {versions}; one process\n")
    for origin in ("article", "readability"):
        pages = [example.labelled for example in examples if example.labelled.origin == origin]
        kilobytes = np.mean([len(page.html.encode()) for page in pages]) / 1e3
        print(f"{len(pages)} {origin} pages, {kilobytes:.0f} KB on average\n")
        print("| extractor | precision | recall | F1 | empty | ms/page | p95 |\n|---|---|---|---|---|---|---|")
        measure(pages[:5], extractors["mixtrace"])  # kernels are compiled
        outcomes = {name: measure(pages, extract) for name, extract in extractors.items()}
        for name, outcome in outcomes.items():
            print(_row(name, outcome))
        mine = outcomes["mixtrace"]
        print(f"\nmixtrace decided by: {mine.methods}")
        for name in PEERS:
            value, low, high = difference_interval(mine.overlaps, outcomes[name].overlaps)
            print(f"F1 mixtrace - {name}: {value:+.3f} [{low:+.3f}, {high:+.3f}]")
        print(flush=True)
    if with_curve:
        _learning_curve(examples)


if __name__ == "__main__":
    main()
