"""LightGBM with the recipe of RegMix (Liu et al. 2024, arXiv 2407.01492; regression notebook of sail-sg/regmix).

Boosted trees, objective "regression", 1000 iterations, learning rate .01, seed 42, all else LightGBM's defaults (31
leaves, at least 20 runs in a leaf). The notebook stops early on the runs that it is then judged by; here all 1000
iterations are used, so nothing is chosen by the test. One thread: the same bits every time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

_RECIPE = {
    "boosting_type": "gbdt",
    "objective": "regression",
    "learning_rate": 0.01,
    "seed": 42,
    "num_threads": 1,
    "verbosity": -1,
}
_ITERATIONS = 1000


@dataclass(frozen=True)
class TreeCurve:
    """One booster per target."""

    boosters: tuple[Any, ...]

    def mean(self, weights: np.ndarray) -> np.ndarray:
        """Return the predicted values [runs, targets]."""
        return np.column_stack([booster.predict(weights, num_threads=1) for booster in self.boosters])


@dataclass(frozen=True)
class LightGBMLaw:
    """Boosted trees, one ensemble per target."""

    strength: float = 0.0
    """Not used: the recipe has no penalty to choose."""

    def fit(self, weights: np.ndarray, values: np.ndarray, counts: np.ndarray | None = None) -> TreeCurve:
        """Fit every target; see `Law.fit`."""
        import lightgbm

        boosters = []
        for target in values.T:
            rows = lightgbm.Dataset(weights, target, weight=counts, params={"verbosity": -1})
            boosters.append(lightgbm.train(_RECIPE, rows, num_boost_round=_ITERATIONS))
        return TreeCurve(tuple(boosters))
