"""Structured power law: L = c + A (b + sum_j a_j x_j^p)^(-g).

A slice adds a_j x_j^p of "useful data" (0 < p < 1: less and less the more of it there is), and the loss falls
as a power of the sum to a floor c, as it falls with data in scaling laws (Hoffmann et al. 2022, arXiv 2203.15556;
one power per slice is the form of BiMix, Ge et al. 2024, arXiv 2405.14908). All of a, b, A, g, c are positive
(exponentials), p is a sigmoid. The sum is concave and its negative power convex and falling: L is convex in x.
Penalty: `strength` times the squares of log a_j, log b + 1, log g, logit p and the log of c against 70 % of the lowest
value; A takes up the scale of a. Values are divided by their standard deviation first, so that the penalty and the scale
of the soft-L1 loss (.05) have no unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.laws.least_squares import RESIDUAL_SCALE, Problems, best_of_starts, spread

_STARTS = (0.0, 2.0, 4.0)


def power_model(theta: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Evaluate the law and its derivatives.

    Args:
        theta: [problems, slices + 5]: log a, log b, log g, logit p, log A, log c.
        weights: [runs, slices].

    Returns:
        Values [problems, runs], Jacobian [problems, runs, slices + 5].
    """
    slices = weights.shape[1]
    a, b = np.exp(theta[:, :slices]), np.exp(theta[:, slices])
    g, p = np.exp(theta[:, slices + 1]), 1 / (1 + np.exp(-theta[:, slices + 2]))
    logs = np.log(np.maximum(weights, 1e-300))
    terms = a[:, None, :] * np.where(weights > 0, np.exp(p[:, None, None] * logs), 0.0)
    total = b[:, None] + terms.sum(2)
    fall = np.exp(theta[:, slices + 3])[:, None] * total ** -g[:, None]
    floor = np.exp(theta[:, slices + 4])[:, None]
    slope = -g[:, None] * fall / total
    jacobian = np.empty((*fall.shape, slices + 5))
    jacobian[:, :, :slices] = slope[:, :, None] * terms
    jacobian[:, :, slices] = slope * b[:, None]
    jacobian[:, :, slices + 1] = -g[:, None] * np.log(total) * fall
    jacobian[:, :, slices + 2] = slope * (terms * logs).sum(2) * (p * (1 - p))[:, None]
    jacobian[:, :, slices + 3] = fall
    jacobian[:, :, slices + 4] = floor
    return floor + fall, jacobian


@dataclass(frozen=True)
class PowerCurve:
    """Coefficients [targets, slices + 5] in the order of `power_model`, and the unit of each target [targets]."""

    theta: np.ndarray
    unit: np.ndarray

    def mean(self, weights: np.ndarray) -> np.ndarray:
        """Return the predicted values [runs, targets]."""
        return (power_model(self.theta, weights)[0] * self.unit[:, None]).T

    def gradient(self, weights: np.ndarray) -> np.ndarray:
        """Return the derivatives [targets, slices] at one mixture; steep, but finite, at a weight of 0."""
        slices = len(weights)
        x = np.maximum(weights, 1e-12)
        g, p = np.exp(self.theta[:, slices + 1]), 1 / (1 + np.exp(-self.theta[:, slices + 2]))
        a = np.exp(self.theta[:, :slices])
        total = np.exp(self.theta[:, slices]) + (a * x ** p[:, None]).sum(1)
        slope = -g * np.exp(self.theta[:, slices + 3]) * total ** (-g - 1)
        return (slope * self.unit)[:, None] * a * p[:, None] * x ** (p[:, None] - 1)


@dataclass(frozen=True)
class PowerLaw:
    """Fit by robust least squares from three starts that follow from the data.

    Attributes:
        strength: of the penalty.
    """

    strength: float = 1e-3

    def fit(self, weights: np.ndarray, values: np.ndarray, counts: np.ndarray | None = None) -> PowerCurve:
        """Fit every target; see `Law.fit`."""
        counts = np.ones(len(weights)) if counts is None else counts
        unit = spread(values, counts)
        scaled = (values / unit).T
        slices = weights.shape[1]
        lowest = np.log(0.7 * np.maximum(np.where(counts > 0, scaled, np.inf).min(1), 1e-3))
        centre = np.zeros((len(scaled), slices + 5))
        centre[:, slices], centre[:, slices + 4] = -1.0, lowest
        precision = np.full(slices + 5, self.strength)
        precision[slices + 3] = 0.0
        problems = Problems(scaled, counts, centre, precision, RESIDUAL_SCALE)
        starts = [_start(weights, scaled, counts, centre, lean) for lean in _STARTS]
        return PowerCurve(best_of_starts(lambda theta: power_model(theta, weights), problems, starts), unit)


def _start(weights: np.ndarray, scaled: np.ndarray, counts: np.ndarray, centre: np.ndarray, lean: float) -> np.ndarray:
    """Start from slices weighted by how their root weight goes with the value, and the A that fits best."""
    slices = weights.shape[1]
    roots = np.sqrt(weights)
    roots = roots - np.average(roots, axis=0, weights=counts)
    below = scaled - np.average(scaled, axis=1, weights=counts)[:, None]
    norm = np.sqrt(counts @ roots**2) * np.sqrt(below**2 @ counts)[:, None]
    theta = centre.copy()
    theta[:, :slices] = -lean * (below * counts @ roots) / np.maximum(norm, 1e-12)
    predicted, _ = power_model(theta, weights)
    floor = np.exp(theta[:, slices + 4])[:, None]
    fall = predicted - floor
    ratio = ((scaled - floor) * fall) @ counts / (fall**2 @ counts)
    theta[:, slices + 3] = np.log(np.maximum(ratio, 1e-3))
    return theta
