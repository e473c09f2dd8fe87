"""How well scores tell two classes apart: exact areas, precision, recall, and their intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Operating:
    """What a threshold does: documents with a score of at least it are called positive.

    Attributes:
        threshold: least score that is called positive.
        precision: share of the called that are positive; 1 where nothing is called.
        recall: share of the positives that are called.
        f1: harmonic mean of both; 0 where both are.
        false_positive_rate: share of the negatives that are called.
        called: documents called positive.
    """

    threshold: float
    precision: float
    recall: float
    f1: float
    false_positive_rate: float
    called: int


def roc_auc(positive: np.ndarray, score: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Return the area under the ROC curve: P(score of a positive > of a negative), ties counting half.

    Mann & Whitney 1947; exact, by sorting.

    Args:
        positive: `[rows]` bool.
        score: `[rows]` scores, higher for positives.
        weight: `[rows]` non-negative counts of every row; 1 each by default.

    Raises:
        ValueError: if a class is empty.
    """
    weight = np.ones(len(score)) if weight is None else weight
    _, tie = np.unique(score, return_inverse=True)
    of_positive = np.bincount(tie, weight * positive)
    of_negative = np.bincount(tie, weight * ~positive)
    pairs = of_positive.sum() * of_negative.sum()
    if not pairs:
        raise ValueError(f"roc_auc: empty class: got {of_positive.sum():g} positives, {of_negative.sum():g} negatives")
    below = np.cumsum(of_negative) - of_negative
    return float((of_positive * (below + of_negative / 2)).sum() / pairs)


def average_precision(positive: np.ndarray, score: np.ndarray) -> float:
    """Return the sum over thresholds of precision times the gain in recall (no interpolation).

    Args:
        positive: `[rows]` bool, at least one of them true.
        score: `[rows]` scores, higher for positives.
    """
    order = np.argsort(-score, kind="stable")
    found = np.cumsum(positive[order])
    last = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))  # last row of every tie
    precision = found[last] / (last + 1)
    return float((precision * np.diff(found[last], prepend=0)).sum() / found[-1])


def operating(positive: np.ndarray, score: np.ndarray, threshold: float) -> Operating:
    """Describe one threshold."""
    called = score >= threshold
    hits, calls, positives = int((called & positive).sum()), int(called.sum()), int(positive.sum())
    precision = hits / calls if calls else 1.0
    recall = hits / positives
    f1 = 2 * hits / (calls + positives)
    return Operating(threshold, precision, recall, f1, (calls - hits) / max(1, len(score) - positives), calls)


def best_f1(positive: np.ndarray, score: np.ndarray) -> Operating:
    """Describe the threshold, among the scores, with the highest F1 (of several the highest threshold)."""
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    f1 = 2 * np.cumsum(positive[order])[last] / (last + 1 + positive.sum())
    return operating(positive, score, float(score[order][last[np.argmax(f1)]]))


def auc_interval(
    positive: np.ndarray, score: np.ndarray, group: np.ndarray, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % percentile interval of the ROC area under resampling of groups (Efron 1979).

    Args:
        positive: `[rows]` bool.
        score: `[rows]` scores.
        group: `[rows]` int64 numbers from 0 of what is drawn together.
        draws: resamples; those without one of the classes are drawn again.
        seed: of the draws.
    """
    generator = np.random.default_rng(seed)
    groups = int(group.max()) + 1
    areas: list[float] = []
    while len(areas) < draws:
        weight = np.bincount(generator.integers(0, groups, groups), minlength=groups)[group].astype(np.float64)
        if weight[positive].any() and weight[~positive].any():
            areas.append(roc_auc(positive, score, weight))
    low, high = np.quantile(areas, (0.025, 0.975))
    return float(low), float(high)


@dataclass(frozen=True)
class Multiclass:
    """How well classes are told apart; what is divided by 0 is 0.

    Attributes:
        accuracy: share of the rows that are right.
        precision: `[classes]` share of what was called a class that is of it.
        recall: `[classes]` share of a class that was called so.
        f1: `[classes]` harmonic mean of both.
        support: `[classes]` int64 rows of each class.
    """

    accuracy: float
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray

    @property
    def macro_precision(self) -> float:
        """Mean precision over classes, each counting alike."""
        return float(self.precision.mean())

    @property
    def macro_recall(self) -> float:
        """Mean recall over classes (balanced accuracy)."""
        return float(self.recall.mean())

    @property
    def macro_f1(self) -> float:
        """Mean F1 over classes."""
        return float(self.f1.mean())


def multiclass(gold: np.ndarray, predicted: np.ndarray, classes: int) -> Multiclass:
    """Score predicted classes.

    Args:
        gold: `[rows]` int64 classes, from 0.
        predicted: `[rows]` int64 classes.
        classes: number of classes.
    """
    counts = np.bincount(gold * classes + predicted, minlength=classes * classes).reshape(classes, classes)
    hits, support, called = np.diag(counts), counts.sum(1), counts.sum(0)
    precision, recall = hits / np.maximum(1, called), hits / np.maximum(1, support)
    f1 = 2 * hits / np.maximum(1, called + support)
    return Multiclass(float(hits.sum() / len(gold)), precision, recall, f1, support)
