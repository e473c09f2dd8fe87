"""What an optimum is compared with: natural, uniform, RegMix's search, MixMin."""

from __future__ import annotations

import numpy as np

from analysis.laws.boosted_trees import LightGBMLaw
from analysis.laws.capped_simplex import Minimum, minimise_convex, project
from pipelines.contracts.errors import ConfigError, message

_SIMULATED = 100_000
_TOP = 100


def uniform(upper: np.ndarray, lower: np.ndarray | None = None) -> np.ndarray:
    """Return equal weights [slices], as far as the limits let them."""
    return project(np.full(len(upper), 1 / len(upper)), np.maximum(upper, 1e-300), lower)


def regmix(
    weights: np.ndarray,
    utility: np.ndarray,
    natural: np.ndarray,
    upper: np.ndarray,
    simulated: int = _SIMULATED,
    top: int = _TOP,
    lower: np.ndarray | None = None,
) -> np.ndarray:
    """RegMix (Liu et al. 2024, arXiv 2407.01492): the mean of the 100 best of 100,000 simulated mixtures.

    Mixtures are drawn from Dirichlet(natural weights), seed 42; those over a limit are left out; LightGBM predicts the rest.
    The 100 are the paper's; its published notebook averages 128.

    Args:
        weights: [runs, slices] of the swarm.
        utility: [runs] what is minimised (RegMix: one target's loss).
        natural: [slices] natural weights.
        upper: [slices] most weight of each slice.
        simulated: number of mixtures.
        top: number of mixtures averaged.
        lower: [slices] least weight of each slice; 0 if not given.

    Raises:
        ConfigError: if fewer than `top` simulated mixtures meet the limits.
    """
    drawn = np.random.default_rng(42).dirichlet(np.maximum(natural, 1e-6), simulated)
    drawn = drawn[((drawn <= upper + 1e-12) & (drawn >= (0 if lower is None else lower) - 1e-12)).all(1)]
    if len(drawn) < top:
        raise ConfigError(
            message("RegMix", "too few mixtures under the limits", f"{len(drawn)} of {simulated}", f"at least {top}")
        )
    predicted = LightGBMLaw().fit(weights, utility[:, None]).mean(drawn)[:, 0]
    return drawn[np.argsort(predicted, kind="stable")[:top]].mean(0)


def mixmin(
    log_probability_nats: np.ndarray,
    tokens: np.ndarray,
    upper: np.ndarray,
    lower: np.ndarray | None = None,
    importance: np.ndarray | None = None,
) -> Minimum:
    """MixMin (Thudi et al. 2025, arXiv 2502.10510): the best mixture of models, one trained on each slice.

    Minimises - mean over items of log(sum_k w_k p_k(item)) / tokens(item), which is convex in w; no swarm is used.

    Args:
        log_probability_nats: [items, slices] log-probability of held-out items under the model of each slice.
        tokens: [items] length of each item.
        upper: [slices] most weight of each slice.
        lower: [slices] least weight of each slice; 0 if not given.
        importance: [items] weight of each item in the mean; equal if not given.
    """
    parts = np.ones(len(tokens)) if importance is None else importance
    parts = parts / parts.sum() / tokens
    top = log_probability_nats.max(1, keepdims=True)
    share = np.exp(log_probability_nats - top)

    def objective(weights: np.ndarray) -> tuple[float, np.ndarray]:
        mixed = share @ weights
        value = -float((np.log(mixed) + top[:, 0]) @ parts)
        return value, -(parts / mixed) @ share

    return minimise_convex(objective, uniform(upper, lower), upper, lower=lower)
