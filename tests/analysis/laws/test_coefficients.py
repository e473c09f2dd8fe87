"""Coefficients as rows give the same values as the fitted curve."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.laws.boosted_trees import LightGBMLaw
from analysis.laws.catalogue import SMOOTH
from analysis.laws.coefficients import coefficient_rows
from pipelines.contracts.errors import ConfigError
from tests.analysis.laws.swarms import mixtures, power_losses


def evaluate(fit: dict, slopes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The formulas of the table `law_fits`, written down a second time."""
    law = fit["law"]
    s = (weights ** fit["power"] if law == "power" else weights) @ slopes
    if law == "linear":
        return fit["offset"] + s
    if law == "log-linear":
        return np.exp(fit["offset"] + s)
    if law == "exponential":
        return fit["floor"] + fit["scale"] * np.exp(s)
    return fit["floor"] + fit["scale"] * (fit["offset"] + s) ** -fit["falloff"]


@pytest.mark.parametrize("name", list(SMOOTH))
def test_rows_are_the_curve(name: str) -> None:
    weights = mixtures(40)
    weights[0] = [1, 0, 0, 0, 0]
    curve = SMOOTH[name][1].fit(weights, power_losses(weights, 0.02))
    slices, targets = [f"s{i}" for i in range(5)], ["t0", "t1", "t2"]
    fits, slopes = coefficient_rows([curve, curve], slices, targets, "d")
    assert [(row["target"], row["fit"]) for row in fits] == [(t, f) for f in (0, 1) for t in targets]
    for number, target in enumerate(targets):
        mine = np.array([row["slope"] for row in slopes if (row["target"], row["fit"]) == (target, 1)])
        found = evaluate(fits[3 + number], mine, weights)
        np.testing.assert_allclose(found, curve.mean(weights)[:, number], rtol=1e-12)


def test_trees_have_no_coefficients() -> None:
    weights = mixtures(40)
    curve = LightGBMLaw().fit(weights, power_losses(weights))
    with pytest.raises(ConfigError, match="has no coefficients: got TreeCurve"):
        coefficient_rows([curve], ["s"], ["t"], "d")
