"""The best mixture under limits, its credible set, and the table that compares it with what is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analysis.laws.capped_simplex import Minimum, minimise_convex
from analysis.laws.confirmation import NOT_CONFIRMED, Confirmation
from analysis.laws.protocol import Curve, Law, SmoothCurve
from pipelines.contracts.errors import ConfigError, message

REPLICATES = 100


def best_mixture(
    curve: SmoothCurve,
    importance: np.ndarray,
    start: np.ndarray,
    upper: np.ndarray,
    lower: np.ndarray | None = None,
) -> Minimum:
    """Minimise the utility loss sum_t importance_t * L_t(w) under limits; all smooth laws are convex, so it is global.

    Args:
        curve: a law with a gradient.
        importance: [targets] weight of each target in the utility.
        start: [slices] where to start.
        upper: [slices] most weight of each slice.
        lower: [slices] least weight of each slice; 0 if not given.
    """

    def objective(weights: np.ndarray) -> tuple[float, np.ndarray]:
        return float(curve.mean(weights[None])[0] @ importance), importance @ curve.gradient(weights)

    return minimise_convex(objective, start, upper, lower=lower)


@dataclass(frozen=True)
class CredibleSet:
    """Optima of the law fitted to bootstrap samples of the runs.

    Attributes:
        best: optimum of the law fitted to all runs.
        replicates: [replicates, slices] optima of the samples.
        curves: the law fitted to each sample.
    """

    best: Minimum
    replicates: np.ndarray
    curves: tuple[Curve, ...]

    def interval(self, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends [slices] of the interval of each weight."""
        lo, hi = np.quantile(self.replicates, [(1 - level) / 2, (1 + level) / 2], axis=0)
        return lo, hi


@dataclass(frozen=True)
class Row:
    """One mixture of the table.

    Attributes:
        name: of the mixture.
        weights: [slices]; None with a reason.
        gain: predicted utility loss of natural minus that of the mixture; positive: better.
        lo: end of the 95 % bootstrap interval of the gain.
        hi: other end.
        beats_natural: share of bootstrap samples by which it is better than natural.
        over: largest excess over a limit; 0 if it meets all.
        reason: why there is no mixture, "" if there is one.
        confirmation: by fresh-seed runs.
    """

    name: str
    weights: np.ndarray | None
    gain: float
    lo: float
    hi: float
    beats_natural: float
    over: float
    reason: str
    confirmation: Confirmation

    @property
    def status(self) -> str:
        """What may be said of it."""
        return self.reason or ("reference" if self.name == "natural" else self.confirmation.status)


def check_utility(importance: np.ndarray, targets: int) -> np.ndarray:
    """Return importance scaled to sum to 1.

    Raises:
        ConfigError: if it does not fit the targets, is negative or all zero.
    """
    ok = importance.shape == (targets,) and np.isfinite(importance).all() and (importance >= 0).all()
    if not ok or importance.sum() <= 0:
        raise ConfigError(
            message("utility", "not usable", importance.tolist(), f"{targets} weights from 0 up, not all 0")
        )
    return importance / importance.sum()


def credible_set(
    law: Law,
    weights: np.ndarray,
    values: np.ndarray,
    importance: np.ndarray,
    natural: np.ndarray,
    upper: np.ndarray,
    replicates: int = REPLICATES,
    lower: np.ndarray | None = None,
) -> CredibleSet:
    """Find the optimum, and again for bootstrap samples of the runs.

    Args:
        law: a law with a gradient (not LightGBM), chosen beforehand.
        weights: [runs, slices] of the swarm.
        values: [runs, targets].
        importance: [targets]; scaled to sum to 1.
        natural: [slices] natural weights; the search starts there.
        upper: [slices] most weight of each slice.
        replicates: number of bootstrap samples.
        lower: [slices] least weight of each slice; 0 if not given.

    Raises:
        ConfigError: if the law has no gradient or the utility is not usable.
    """
    importance = check_utility(importance, values.shape[1])
    curve = law.fit(weights, values)
    if not hasattr(curve, "gradient"):
        raise ConfigError(message("optimum", "law without a gradient", law, "a smooth law"))
    best = best_mixture(curve, importance, natural, upper, lower)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    optima, curves = [], []
    for _ in range(replicates):
        counts = np.bincount(rng.integers(0, len(weights), len(weights)), minlength=len(weights)).astype(float)
        curves.append(law.fit(weights, values, counts))
        again = best_mixture(curves[-1], importance, best.weights, upper, lower)  # type: ignore[arg-type]
        optima.append(again.weights)
    return CredibleSet(best, np.array(optima), tuple(curves))


def compare(
    found: CredibleSet,
    curve: Curve,
    importance: np.ndarray,
    natural: np.ndarray,
    upper: np.ndarray,
    others: Mapping[str, np.ndarray | str],
    confirmations: Mapping[str, Confirmation] | None = None,
    lower: np.ndarray | None = None,
) -> list[Row]:
    """Tabulate natural, the optimum and other mixtures, all judged by the same law and bootstrap samples.

    The gain of the optimum is optimistic: it was selected by the law that predicts it. Only `confirmations`
    change a status.

    Args:
        found: from `credible_set`.
        curve: the law fitted to all runs.
        importance: [targets].
        natural: [slices].
        upper: [slices].
        others: by name, a mixture [slices] or the reason why there is none.
        confirmations: by name, from `confirm`.
        lower: [slices]; 0 if not given.
    """
    importance = check_utility(importance, len(importance))
    rows = []
    for name, mixture in {"natural": natural, "optimum": found.best.weights, **others}.items():
        confirmation = (confirmations or {}).get(name, NOT_CONFIRMED)
        if isinstance(mixture, str):
            rows.append(Row(name, None, np.nan, np.nan, np.nan, np.nan, np.nan, mixture, confirmation))
            continue
        pair = np.stack([natural, mixture])
        before, after = curve.mean(pair) @ importance
        gains = np.array([np.subtract(*(one.mean(pair) @ importance)) for one in found.curves])
        lo, hi = np.quantile(gains, [0.025, 0.975])
        over = float(np.maximum(mixture - upper, 0 if lower is None else lower - mixture).max())
        over = 0.0 if over < 1e-9 else over
        beats = float((gains > 0).mean())
        rows.append(Row(name, mixture, float(before - after), float(lo), float(hi), beats, over, "", confirmation))
    return rows
