"""Choosing a law by cross-validation, as a law of its own: cross-validating that is nested cross-validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import rankdata

from analysis.laws.catalogue import LAWS
from analysis.laws.protocol import Curve, Law
from pipelines.contracts.errors import InputError, message

FOLDS = 5


def mean_spearman(predicted: np.ndarray, measured: np.ndarray) -> float:
    """Return the mean over targets of Spearman's rank correlation of [runs, targets]; 0 for a constant column."""
    a, b = (rankdata(x, axis=0) - (len(x) + 1) / 2 for x in (predicted, measured))
    norm = np.sqrt((a**2).sum(0) * (b**2).sum(0))
    return float(np.where(norm > 0, (a * b).sum(0) / np.where(norm > 0, norm, 1), 0.0).mean())


def folds_of(runs: int, folds: int = FOLDS) -> np.ndarray:
    """Deal runs into folds of equal size, shuffled with a fixed seed: fold [runs].

    Raises:
        InputError: if there are fewer than two runs for each fold.
    """
    if runs < 2 * folds:
        raise InputError(message("laws", "too few runs", f"{runs} runs", f"at least {2 * folds} for {folds} folds"))
    return np.random.default_rng(0).permutation(np.arange(runs) % folds)


def out_of_fold(law: Law, weights: np.ndarray, values: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Predict every run by the law fitted on the other folds: [runs, targets]."""
    predicted = np.empty_like(values)
    for one in np.unique(fold):
        held = fold == one
        predicted[held] = law.fit(weights[~held], values[~held]).mean(weights[held])
    return predicted


@dataclass(frozen=True)
class Candidate:
    """A law of one strength, with its cross-validated quality."""

    name: str
    law: Law
    spearman: float
    rmse: float
    """Root of the mean squared error in standard deviations of the target."""


@dataclass(frozen=True)
class Choice:
    """All candidates, best first."""

    candidates: tuple[Candidate, ...]

    @property
    def best(self) -> Candidate:
        """The candidate with the highest mean rank correlation."""
        return self.candidates[0]

    def best_of(self, name: str) -> Candidate:
        """Return the best strength of a law."""
        return next(one for one in self.candidates if one.name == name)


def choose(
    weights: np.ndarray, values: np.ndarray, laws: Mapping[str, Sequence[Law]] = LAWS, folds: int = FOLDS
) -> Choice:
    """Cross-validate every law at every strength.

    The criterion is the mean over targets of Spearman's correlation of the out-of-fold predictions with the
    measured values (laws rank mixtures); equal ones are ordered by the error.

    Args:
        weights: [runs, slices].
        values: [runs, targets]; runs that will judge the choice must not be among them.
        laws: candidates by name.
        folds: number of folds.
    """
    fold = folds_of(len(weights), folds)
    unit = np.maximum(values.std(0), 1e-12)
    found = []
    for name, strengths in laws.items():
        for law in strengths:
            predicted = out_of_fold(law, weights, values, fold)
            rmse = float(np.sqrt((((predicted - values) / unit) ** 2).mean()))
            found.append(Candidate(name, law, mean_spearman(predicted, values), rmse))
    return Choice(tuple(sorted(found, key=lambda one: (-one.spearman, one.rmse))))


@dataclass(frozen=True)
class ChosenLaw:
    """The law that cross-validation chooses: choice and fit are one algorithm, blind to what it is judged by."""

    laws: Mapping[str, Sequence[Law]] = field(default_factory=lambda: LAWS)
    folds: int = FOLDS

    def fit(self, weights: np.ndarray, values: np.ndarray, counts: np.ndarray | None = None) -> Curve:
        """Choose by once-each cross-validation, then fit with the counts; see `Law.fit`."""
        return choose(weights, values, self.laws, self.folds).best.law.fit(weights, values, counts)
