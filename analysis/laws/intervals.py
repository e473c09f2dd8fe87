"""CV+ intervals: distribution-free for runs exchangeable with the swarm (Barber et al. 2021, arXiv 1905.02928).

They hold for further runs drawn as the swarm's were, whatever the law; at least 1 - 2 alpha is proven, about 1 - alpha
is usual. They say nothing of a mixture that was *selected*, such as an optimum: it is no draw from the swarm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from analysis.laws.choice import FOLDS, folds_of
from analysis.laws.protocol import Curve, Law, Prediction
from pipelines.contracts.errors import InputError, message


@dataclass(frozen=True)
class Fitted:
    """A curve with what its intervals need.

    Attributes:
        curve: fitted on all runs.
        without: the curve without each fold.
        fold: [runs] the fold of each run.
        residual: [runs, targets] absolute out-of-fold errors.
        alpha: share of runs that may lie outside.
    """

    curve: Curve
    without: tuple[Curve, ...]
    fold: np.ndarray
    residual: np.ndarray
    alpha: float

    def predict(self, weights: np.ndarray) -> Prediction:
        """Predict mixtures [points, slices] drawn as the swarm's were."""
        away = np.stack([curve.mean(weights) for curve in self.without])[self.fold]
        rank = math.floor(self.alpha * (len(self.fold) + 1)) - 1
        lows = np.partition(away - self.residual[:, None], rank, axis=0)[rank]
        highs = -np.partition(-(away + self.residual[:, None]), rank, axis=0)[rank]
        return Prediction(self.curve.mean(weights), lows, highs)


def fit_with_intervals(
    law: Law, weights: np.ndarray, values: np.ndarray, alpha: float = 0.05, folds: int = FOLDS
) -> Fitted:
    """Fit a law on all runs and without each fold.

    Args:
        law: the law; `ChosenLaw` chooses anew in each fold (nested cross-validation).
        weights: [runs, slices].
        values: [runs, targets].
        alpha: share of swarm points that may lie outside the interval.
        folds: number of folds.

    Raises:
        InputError: if there are too few runs for the level.
    """
    needed = math.ceil(1 / alpha) - 1
    if len(weights) < needed:
        raise InputError(
            message(
                "laws", "too few runs for an interval", f"{len(weights)} runs", f"at least {needed} at alpha {alpha}"
            )
        )
    fold = folds_of(len(weights), folds)
    without, residual = [], np.empty_like(values)
    for one in range(folds):
        held = fold == one
        curve = law.fit(weights[~held], values[~held])
        residual[held] = np.abs(values[held] - curve.mean(weights[held]))
        without.append(curve)
    return Fitted(law.fit(weights, values), tuple(without), fold, residual, alpha)
