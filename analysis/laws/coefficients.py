"""The coefficients of a smooth law as rows, in the unit of the targets: what the SQL macro `what_if` computes with.

offset, floor, scale, power and falloff are named in the table `law_fits`; every law reads s = sum_j slope_j x_j, the power
law s = sum_j slope_j x_j^power.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.laws.exponential import ExponentialCurve
from analysis.laws.linear import LinearCurve, LogLinearCurve
from analysis.laws.power import PowerCurve
from analysis.laws.protocol import Curve
from pipelines.contracts.errors import ConfigError, message


def coefficients(curve: Curve) -> tuple[str, list[dict[str, float]], np.ndarray]:
    """Take a fitted law apart.

    Args:
        curve: linear, log-linear, exponential or power.

    Returns:
        Its name, the scalars of every target, and slopes [targets, slices].

    Raises:
        ConfigError: if the curve has no such form (boosted trees).
    """
    if isinstance(curve, LinearCurve):
        return "linear", [{"offset": value} for value in curve.intercept], curve.slopes
    if isinstance(curve, LogLinearCurve):
        return "log-linear", [{"offset": value} for value in curve.log.intercept], curve.log.slopes
    if isinstance(curve, ExponentialCurve):
        floors = np.exp(curve.theta[:, -1]) * curve.unit
        scalars = [{"floor": floor, "scale": unit} for floor, unit in zip(floors, curve.unit, strict=True)]
        return "exponential", scalars, curve.theta[:, :-1]
    if isinstance(curve, PowerCurve):
        slices = curve.theta.shape[1] - 5
        log_b, log_g, logit_p, log_a, log_c = curve.theta[:, slices:].T
        columns = {
            "offset": np.exp(log_b),
            "floor": np.exp(log_c) * curve.unit,
            "scale": np.exp(log_a) * curve.unit,
            "power": 1 / (1 + np.exp(-logit_p)),
            "falloff": np.exp(log_g),
        }
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        return "power", rows, np.exp(curve.theta[:, :slices])
    raise ConfigError(message("law", "has no coefficients", type(curve).__name__, "a law with a gradient"))


def coefficient_rows(
    curves: Sequence[Curve], slices: Sequence[str], targets: Sequence[str], design_id: str
) -> tuple[list[dict], list[dict]]:
    """Make the rows of `law_fits` and `law_slopes`.

    Args:
        curves: the law of all runs, then those without each fold.
        slices: names of the slices.
        targets: names of the targets.
        design_id: the study.
    """
    fits, slopes = [], []
    for fit, curve in enumerate(curves):
        law, scalars, found = coefficients(curve)
        for target, values, of_target in zip(targets, scalars, found, strict=True):
            labels = {"design_id": design_id, "target": target, "fit": fit}
            fits.append({**labels, "law": law, **{name: float(value) for name, value in values.items()}})
            slopes += [{**labels, "slice": s, "slope": float(v)} for s, v in zip(slices, of_target, strict=True)]
    return fits, slopes
