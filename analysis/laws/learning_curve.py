"""The learning curve of laws over the number of runs: chosen and fitted on some runs, judged by the others.

Everything that is chosen is chosen by cross-validation inside the runs of a draw. The difference to LightGBM has a paired
bootstrap over the judged runs: the same resamples for both laws (science notes, 30).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from analysis.laws.catalogue import LAWS
from analysis.laws.choice import choose, mean_spearman
from analysis.laws.protocol import Law
from pipelines.contracts.errors import InputError, message

REFERENCE = "LightGBM"
_RESAMPLES = 1000


def resampled_spearman(predicted: np.ndarray, measured: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return 100 x the mean Spearman of each resample.

    Args:
        predicted: [runs, targets].
        measured: [runs, targets].
        rows: [resamples, runs] which runs each resample holds.
    """
    total = np.zeros(len(rows))
    for target in range(measured.shape[1]):
        a, b = (rankdata(x[rows, target], axis=1) - (rows.shape[1] + 1) / 2 for x in (predicted, measured))
        norm = np.sqrt((a**2).sum(1) * (b**2).sum(1))
        total += np.where(norm > 0, (a * b).sum(1) / np.where(norm > 0, norm, 1), 0.0)
    return 100 * total / measured.shape[1]


@dataclass(frozen=True)
class Split:
    """Predictions of one draw.

    Attributes:
        fitted: runs that the laws were chosen and fitted on.
        measured: [tested, targets] values of the judged runs.
        predicted: by law, [tested, targets]; "chosen" is the law that cross-validation chose.
        chosen: its name.
    """

    fitted: int
    measured: np.ndarray
    predicted: Mapping[str, np.ndarray]
    chosen: str


def split(
    weights: np.ndarray,
    values: np.ndarray,
    test: tuple[np.ndarray, np.ndarray],
    laws: Mapping[str, Sequence[Law]] = LAWS,
) -> Split:
    """Choose every law's strength, and the law, on some runs; fit; predict the others.

    Args:
        weights: [runs, slices] to learn from.
        values: [runs, targets].
        test: weights and values of the runs that judge.
        laws: candidates by name.
    """
    choice = choose(weights, values, laws)
    predicted = {name: choice.best_of(name).law.fit(weights, values).mean(test[0]) for name in laws}
    return Split(len(weights), test[1], {**predicted, "chosen": predicted[choice.best.name]}, choice.best.name)


def learning_curve(
    weights: np.ndarray,
    values: np.ndarray,
    shares: Sequence[float] = (0.25, 0.5, 0.75),
    laws: Mapping[str, Sequence[Law]] = LAWS,
) -> list[dict]:
    """Learn from random shares of a swarm and judge by runs that were not learnt from.

    The judged parts of the draws are disjoint and together are all runs, so resampling each by itself is a bootstrap over
    the runs of the swarm.

    Args:
        weights: [runs, slices].
        values: [runs, targets].
        shares: of the runs that are learnt from, ascending; 1 - the greatest is judged, in 1 / (1 - the greatest) draws.
        laws: candidates by name; one is `REFERENCE`.

    Returns:
        Rows of the table `law_curve` without the study, by number of runs, then law.

    Raises:
        InputError: if the least share is too small to cross-validate, or fewer than 5 runs are left to judge.
    """
    runs = len(weights)
    draws = round(1 / (1 - shares[-1]))
    judged = np.array_split(np.random.default_rng(runs).permutation(runs), draws)
    sizes = [int(share * runs) for share in shares]
    if sizes[0] < 10 or len(judged[-1]) < 5:
        found = f"{runs} runs: {sizes[0]} to learn from, {len(judged[-1])} to judge by"
        raise InputError(message("learning curve", "too few runs", found, "at least 10 and 5"))
    splits: dict[int, list[Split]] = {size: [] for size in sizes}
    for draw, test in enumerate(judged):
        others = np.concatenate([part for number, part in enumerate(judged) if number != draw])
        order = np.random.default_rng([runs, draw]).permutation(others)
        for size in sizes:
            some = order[:size]
            splits[size].append(split(weights[some], values[some], (weights[test], values[test]), laws))
    return [row for size in sizes for row in _rows(splits[size], values.std(0), (*laws, "chosen"))]


def _rows(splits: list[Split], unit: np.ndarray, names: Sequence[str]) -> list[dict]:
    rng = np.random.default_rng(0)
    samples = [rng.integers(0, len(one.measured), (_RESAMPLES, len(one.measured))) for one in splits]

    def resampled(name: str) -> np.ndarray:
        pairs = zip(splits, samples, strict=True)
        return np.mean([resampled_spearman(one.predicted[name], one.measured, rows) for one, rows in pairs], axis=0)

    def spearman(name: str) -> float:
        return 100 * float(np.mean([mean_spearman(one.predicted[name], one.measured) for one in splits]))

    theirs, base = resampled(REFERENCE), spearman(REFERENCE)
    rows = []
    for name in names:
        errors = [((one.predicted[name] - one.measured) / np.maximum(unit, 1e-12)) ** 2 for one in splits]
        lo, hi = np.quantile(resampled(name) - theirs, [0.025, 0.975])
        rows.append({"law": name, "runs": splits[0].fitted, "tested": sum(len(one.measured) for one in splits), "draws": len(splits),
                     "spearman": spearman(name), "rmse_sd": float(np.sqrt(np.mean(errors))),
                     "difference": spearman(name) - base, "lo": float(lo), "hi": float(hi)})  # fmt: skip
    return rows
