"""The laws, each with the strengths of its penalty that cross-validation chooses from."""

from __future__ import annotations

from analysis.laws.boosted_trees import LightGBMLaw
from analysis.laws.exponential import ExponentialLaw
from analysis.laws.linear import LinearLaw, LogLinearLaw
from analysis.laws.power import PowerLaw
from analysis.laws.protocol import Law

LAWS: dict[str, tuple[Law, ...]] = {
    "linear": tuple(LinearLaw(strength) for strength in (1e-5, 1e-4, 1e-3)),
    "log-linear": tuple(LogLinearLaw(strength) for strength in (1e-5, 1e-4, 1e-3)),
    "exponential": tuple(ExponentialLaw(strength) for strength in (1e-5, 1e-4, 1e-3)),
    "power": tuple(PowerLaw(strength) for strength in (1e-5, 1e-4, 1e-3)),
    "LightGBM": (LightGBMLaw(),),
}

SMOOTH = {name: laws for name, laws in LAWS.items() if name != "LightGBM"}
"""Laws with a gradient: convex in the weights."""
