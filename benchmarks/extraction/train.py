"""Train the block model: `python -m benchmarks.extraction.train`.

Two sums of small trees (LightGBM, Ke et al. 2017). The second is trained on scores that the first gives to pages it
has not seen (stacking; Wolpert 1992). Thread order, seeds and folds are fixed: the same data gives the same model.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
from resiliparse.parse.html import HTMLTree

from benchmarks.extraction.labels import block_labels
from benchmarks.extraction.pages import LabelledPage, labelled_pages
from pipelines.kernels.html_context import context
from pipelines.kernels.trees import Forest
from pipelines.ops.pages.blocks import MODEL_FILE, BlockModel, Page, cut_page

_PARAMETERS: dict[str, Any] = {
    "objective": "binary",
    "learning_rate": 0.06,
    "num_leaves": 15,
    "min_data_in_leaf": 60,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 10.0,
    "num_threads": 1,
    "seed": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}
_ROUNDS = 120
_STACKING_FOLDS = 4
_UNSURE_SHARE = 0.1  # of the training pages: what a second opinion may cost
_PAGE_WEIGHT = 50.0  # every page counts the same, and a block by the root of its tokens


@dataclass(frozen=True)
class Example:
    """A labelled page, cut, with its features and labels."""

    labelled: LabelledPage
    page: Page
    seen: np.ndarray
    labels: np.ndarray
    weights: np.ndarray


def make_example(labelled: LabelledPage) -> Example:
    """Cut, measure and label a page."""
    page = cut_page(str(HTMLTree.parse(labelled.html)))
    labels, size = block_labels(page, labelled)
    root = np.sqrt(size + 1.0)
    return Example(labelled, page, page.features(), labels, root / root.sum() * _PAGE_WEIGHT)


def train_model(examples: Sequence[Example]) -> BlockModel:
    """Train on some pages; the thresholds are part of what is trained."""
    first = _fit(examples, [example.seen for example in examples])
    held = _held_out_scores(examples)
    both = [np.concatenate([e.seen, context(s, _chars(e))], axis=1) for e, s in zip(examples, held, strict=True)]
    second = _fit(examples, both)
    model = BlockModel(first, second, 0.0, 1.0)
    unsure = [model.uncertainty(e.page, second.score(rows)) for e, rows in zip(examples, both, strict=True)]
    return BlockModel(first, second, 0.0, float(np.quantile(unsure, 1.0 - _UNSURE_SHARE)))


def _chars(example: Example) -> np.ndarray:
    return np.ascontiguousarray(example.page.chars)


def _held_out_scores(examples: Sequence[Example]) -> list[np.ndarray]:
    fold = np.random.default_rng(2).permutation(len(examples)) % _STACKING_FOLDS
    scores: list[np.ndarray] = [np.zeros(0)] * len(examples)
    for number in range(_STACKING_FOLDS):
        others = [example for example, f in zip(examples, fold, strict=True) if f != number]
        model = _fit(others, [example.seen for example in others])
        for index in np.flatnonzero(fold == number):
            scores[index] = model.score(examples[index].seen)
    return scores


def _fit(examples: Sequence[Example], rows: Iterable[np.ndarray]) -> Forest:
    labels = np.concatenate([example.labels for example in examples]).astype(np.float64)
    weights = np.concatenate([example.weights for example in examples])
    booster = lgb.train(_PARAMETERS, lgb.Dataset(np.concatenate(list(rows)), labels, weight=weights), _ROUNDS)
    return _forest(booster.dump_model()["tree_info"])


def _forest(trees: list[dict[str, Any]]) -> Forest:
    """Lay out LightGBM's trees as arrays; its leaves hold the learning rate already."""
    feature: list[int] = []
    threshold: list[float] = []
    left: list[int] = []
    right: list[int] = []
    leaves: list[float] = []

    def add(node: dict[str, Any]) -> int:
        if "leaf_value" in node:
            leaves.append(node["leaf_value"])
            return -len(leaves)
        at = len(feature)
        for column, value in ((feature, node["split_feature"]), (threshold, node["threshold"]), (left, 0), (right, 0)):
            column.append(value)  # type: ignore[attr-defined]
        left[at], right[at] = add(node["left_child"]), add(node["right_child"])
        return at

    roots = [add(tree["tree_structure"]) for tree in trees]
    whole = [np.array(column, np.int32) for column in (roots, feature, left, right)]
    return Forest(whole[0], whole[1], np.array(threshold), whole[2], whole[3], np.array(leaves))


def write_model(model: BlockModel, path: Path, pages: int) -> None:
    """Write a model; floats are written so that they are read back exactly."""
    body: dict[str, Any] = {"trained_on_pages": pages, "threshold": model.threshold, "unsure": model.unsure}
    for name, forest in (("first", model.first), ("second", model.second)):
        body[name] = {column: values.tolist() for column, values in vars(forest).items()}
    path.write_text(json.dumps(body, separators=(",", ":")) + "\n", encoding="utf-8")


def main() -> None:
    """Train on all labelled pages and write the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=MODEL_FILE, help="where to write the model")
    out = parser.parse_args().out
    examples = [make_example(labelled) for labelled in labelled_pages()]
    write_model(train_model(examples), out, len(examples))
    print(f"{out}: trained on {len(examples)} pages, {sum(len(e.labels) for e in examples)} blocks")


if __name__ == "__main__":
    main()
