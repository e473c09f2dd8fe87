"""Exponential law of Data Mixing Laws: L = c + k exp(sum_j t_j x_j) (Ye et al. 2024, arXiv 2403.16952).

Weights sum to 1, so k = exp(log k sum_j x_j) is part of t and left out. c > 0 as an exponential; L is convex in x.
Penalty: `strength` times the squares of t against log(standard deviation) and of log c against 70 % of the lowest value.
Values are divided by their standard deviation first. Soft-L1 loss of scale .05 (the paper: Huber, .02), three starts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.laws.least_squares import RESIDUAL_SCALE, Problems, best_of_starts, spread

_FLOORS = (0.3, 0.7, 0.95)


def exponential_model(theta: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Evaluate the law and its derivatives.

    Args:
        theta: [problems, slices + 1]: t, log c.
        weights: [runs, slices].

    Returns:
        Values [problems, runs], Jacobian [problems, runs, slices + 1].
    """
    rise = np.exp(theta[:, :-1] @ weights.T)
    floor = np.broadcast_to(np.exp(theta[:, -1:]), rise.shape)
    return floor + rise, np.concatenate([rise[:, :, None] * weights, floor[:, :, None]], axis=2)


@dataclass(frozen=True)
class ExponentialCurve:
    """Coefficients [targets, slices + 1] in the order of `exponential_model`, and the unit of each target [targets]."""

    theta: np.ndarray
    unit: np.ndarray

    def mean(self, weights: np.ndarray) -> np.ndarray:
        """Return the predicted values [runs, targets]."""
        return (exponential_model(self.theta, weights)[0] * self.unit[:, None]).T

    def gradient(self, weights: np.ndarray) -> np.ndarray:
        """Return the derivatives [targets, slices] at one mixture [slices]."""
        slopes = self.theta[:, :-1]
        return (self.unit * np.exp(slopes @ weights))[:, None] * slopes


@dataclass(frozen=True)
class ExponentialLaw:
    """Fit by robust least squares from three floors.

    Attributes:
        strength: of the penalty.
    """

    strength: float = 1e-3

    def fit(self, weights: np.ndarray, values: np.ndarray, counts: np.ndarray | None = None) -> ExponentialCurve:
        """Fit every target; see `Law.fit`."""
        counts = np.ones(len(weights)) if counts is None else counts
        unit = spread(values, counts)
        scaled = (values / unit).T
        lowest = np.maximum(np.where(counts > 0, scaled, np.inf).min(1), 1e-3)
        level = np.average(scaled, axis=1, weights=counts)
        centre = np.zeros((len(scaled), weights.shape[1] + 1))
        centre[:, -1] = np.log(0.7 * lowest)
        problems = Problems(scaled, counts, centre, np.full(centre.shape[1], self.strength), RESIDUAL_SCALE)
        starts = []
        for share in _FLOORS:
            start = centre.copy()
            start[:, :-1] = np.log(np.maximum(level - share * lowest, 1e-3))[:, None]
            start[:, -1] = np.log(share * lowest)
            starts.append(start)
        return ExponentialCurve(best_of_starts(lambda theta: exponential_model(theta, weights), problems, starts), unit)
