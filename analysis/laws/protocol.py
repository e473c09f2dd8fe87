"""What a law is: a way to fit weights to values, and the curve that comes out."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np


class Curve(Protocol):
    """A law with its coefficients."""

    def mean(self, weights: np.ndarray) -> np.ndarray:
        """Return the predicted values [runs, targets] of weights [runs, slices]."""
        ...


class SmoothCurve(Curve, Protocol):
    """A curve with a gradient; all of ours are convex in the weights."""

    def gradient(self, weights: np.ndarray) -> np.ndarray:
        """Return the derivatives [targets, slices] at one mixture [slices]."""
        ...


class Law(Protocol):
    """A form of curve; `fit` is deterministic and treats every target by itself."""

    def fit(self, weights: np.ndarray, values: np.ndarray, counts: np.ndarray | None = None) -> Curve:
        """Fit every target.

        Args:
            weights: [runs, slices] on the simplex.
            values: [runs, targets].
            counts: [runs] how often each run counts (a bootstrap sample); once each if not given.
        """
        ...


class Prediction(NamedTuple):
    """Predicted values [runs, targets] with their interval; `lo` and `hi` hold for exchangeable swarm points only."""

    mean: np.ndarray
    lo: np.ndarray
    hi: np.ndarray
