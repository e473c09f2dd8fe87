"""Linear law, L = b + sum_j t_j x_j, and log-linear law, log L the same: ridge regression in closed form.

Both are convex in x. Penalty: `strength` times the number of runs times the squares of t, after L (or log L) is divided by
its standard deviation; b is free. Weights are centred, so that the sum of 1 does no harm. The linear law is the first
baseline of RegMix (Liu et al. 2024, arXiv 2407.01492).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.laws.least_squares import spread
from pipelines.contracts.errors import InputError, message


@dataclass(frozen=True)
class LinearCurve:
    """Intercept [targets] and slopes [targets, slices]."""

    intercept: np.ndarray
    slopes: np.ndarray

    def mean(self, weights: np.ndarray) -> np.ndarray:
        """Return the predicted values [runs, targets]."""
        return self.intercept + weights @ self.slopes.T

    def gradient(self, weights: np.ndarray) -> np.ndarray:
        """Return the derivatives [targets, slices]; the same everywhere."""
        return self.slopes


@dataclass(frozen=True)
class LogLinearCurve:
    """A linear curve of the logarithm."""

    log: LinearCurve

    def mean(self, weights: np.ndarray) -> np.ndarray:
        """Return the predicted values [runs, targets]."""
        return np.exp(self.log.mean(weights))

    def gradient(self, weights: np.ndarray) -> np.ndarray:
        """Return the derivatives [targets, slices] at one mixture [slices]."""
        return self.mean(weights[None])[0][:, None] * self.log.slopes


@dataclass(frozen=True)
class LinearLaw:
    """Ridge regression.

    Attributes:
        strength: of the penalty.
    """

    strength: float = 1e-4

    def fit(self, weights: np.ndarray, values: np.ndarray, counts: np.ndarray | None = None) -> LinearCurve:
        """Fit every target; see `Law.fit`."""
        counts = np.ones(len(weights)) if counts is None else counts
        unit = spread(values, counts)
        middle, level = np.average(weights, axis=0, weights=counts), np.average(values, axis=0, weights=counts)
        centred = weights - middle
        weighted = centred * counts[:, None]
        curvature = weighted.T @ centred + self.strength * counts.sum() * np.eye(weights.shape[1])
        slopes = (np.linalg.solve(curvature, weighted.T @ ((values - level) / unit)) * unit).T
        return LinearCurve(level - slopes @ middle, slopes)


@dataclass(frozen=True)
class LogLinearLaw:
    """Ridge regression of the logarithm.

    Attributes:
        strength: of the penalty.
    """

    strength: float = 1e-4

    def fit(self, weights: np.ndarray, values: np.ndarray, counts: np.ndarray | None = None) -> LogLinearCurve:
        """Fit every target; see `Law.fit`.

        Raises:
            InputError: if a value is not positive.
        """
        if values.min() <= 0:
            raise InputError(message("log-linear law", "no logarithm", f"a value of {values.min()}", "positive values"))
        return LogLinearCurve(LinearLaw(self.strength).fit(weights, np.log(values), counts))
