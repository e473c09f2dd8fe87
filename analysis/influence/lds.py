"""Linear datamodelling score: do the scores of units, added up, predict what training on random subsets gives?

Park et al. 2023, arXiv:2303.14186. For random subsets S of the units a model is trained on each, several times with
other seeds. The prediction of a query's loss is minus the sum of tau over S (a unit that helps lowers it); its
Spearman correlation with the measured loss over subsets, averaged over queries, is the LDS. Two things are added:

* a *two-way bootstrap*: subsets and queries are drawn anew together, because all queries share the same retrains;
  an interval over queries alone is far too narrow;
* the *ceiling*: measured losses are noisy, so that not even the truth reaches 1. With the reliability R of the mean
  of the repeats (Spearman-Brown), no prediction can be expected above sqrt(R).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

RESAMPLES = 1000


@dataclass(frozen=True)
class Lds:
    """A score with its interval.

    Attributes:
        lds: mean Spearman correlation over queries, [-1, 1].
        lo: lower end of the 95 % interval over subsets and queries.
        hi: upper end.
        ceiling: square root of the reliability of the measured losses, mean over queries.
        n_subsets: subsets.
        n_queries: queries.
        n_repeats: trainings per subset.
    """

    lds: float
    lo: float
    hi: float
    ceiling: float
    n_subsets: int
    n_queries: int
    n_repeats: int

    @property
    def usable(self) -> bool:
        """Whether the interval is above 0; the method says nothing otherwise."""
        return self.lo > 0


def predict_subsets(tau: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Predict losses of subsets, up to a constant per query.

    Args:
        tau: [units, queries] nats per token if removed.
        members: [subsets, units] bool.

    Returns:
        [subsets, queries] nats per token.
    """
    return -(members.astype(float) @ tau)


def linear_datamodelling_score(
    predicted: np.ndarray, measured: np.ndarray, seed: int = 0, resamples: int = RESAMPLES
) -> Lds:
    """Compare predictions with retraining.

    Args:
        predicted: [subsets, queries].
        measured: [repeats, subsets, queries] losses of the trained models.
        seed: of the bootstrap.
        resamples: of the bootstrap.

    Raises:
        ValueError: if shapes differ, or there are fewer than 3 subsets.
    """
    if predicted.shape != measured.shape[1:] or measured.ndim != 3:
        raise ValueError(f"lds: shapes differ: got {predicted.shape} and {measured.shape}; expected [repeats, *first]")
    n_repeats, n_subsets, n_queries = measured.shape
    if n_subsets < 3:
        raise ValueError(f"lds: too few subsets: got {n_subsets}; expected at least 3")
    rng = np.random.default_rng(seed)
    mean = measured.mean(0)
    values = []
    for _ in range(resamples):
        subsets, queries = rng.integers(0, n_subsets, n_subsets), rng.integers(0, n_queries, n_queries)
        values.append(spearman_columns(predicted[np.ix_(subsets, queries)], mean[np.ix_(subsets, queries)]).mean())
    lo, hi = np.percentile(values, [2.5, 97.5])
    score = float(spearman_columns(predicted, mean).mean())
    return Lds(score, float(lo), float(hi), ceiling(measured), n_subsets, n_queries, n_repeats)


def gain(
    predicted: np.ndarray, rival: np.ndarray, measured: np.ndarray, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[float, float, float]:
    """Return by how much a prediction's score is above a rival's, with the 95 % interval of the difference.

    Both are scored on the same resampled subsets and queries, so what they share does not blur the comparison.

    Args:
        predicted: [subsets, queries].
        rival: [subsets, queries].
        measured: [repeats, subsets, queries].
        seed: of the bootstrap.
        resamples: of the bootstrap.
    """
    mean = measured.mean(0)
    n_subsets, n_queries = mean.shape
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(resamples):
        at = np.ix_(rng.integers(0, n_subsets, n_subsets), rng.integers(0, n_queries, n_queries))
        values.append((spearman_columns(predicted[at], mean[at]) - spearman_columns(rival[at], mean[at])).mean())
    lo, hi = np.percentile(values, [2.5, 97.5])
    found = spearman_columns(predicted, mean) - spearman_columns(rival, mean)
    return float(found.mean()), float(lo), float(hi)


def slope(predicted: np.ndarray, measured: np.ndarray) -> float:
    """Return the slope of measured on predicted values, [subsets, queries] each, every query centred: 1 if sizes are right."""
    x, y = predicted - predicted.mean(0), measured - measured.mean(0)
    return float((x * y).sum() / (x**2).sum())


def spearman_columns(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the Spearman correlation of each column, [rows, columns] twice to [columns]; 0 for a constant column."""
    ranks = [stats.rankdata(values, axis=0) for values in (a, b)]
    centred = [rank - rank.mean(0) for rank in ranks]
    norms = np.sqrt((centred[0] ** 2).sum(0) * (centred[1] ** 2).sum(0))
    products = (centred[0] * centred[1]).sum(0)
    return np.divide(products, norms, out=np.zeros_like(products), where=norms > 0)


def ceiling(measured: np.ndarray) -> float:
    """Return the mean over queries of sqrt(reliability of the mean of the repeats).

    The reliability of one training is the mean Spearman correlation of two repeats over subsets; that of the mean of
    m repeats follows by Spearman-Brown, m r / (1 + (m - 1) r). With one repeat it is unknown: NaN.

    Args:
        measured: [repeats, subsets, queries].
    """
    m = len(measured)
    if m < 2:
        return float("nan")
    pairs = [spearman_columns(measured[i], measured[j]) for i in range(m) for j in range(i)]
    single = np.maximum(np.mean(pairs, axis=0), 0.0)
    return float(np.sqrt(m * single / (1 + (m - 1) * single)).mean())
