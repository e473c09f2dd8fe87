"""Minimising a convex function over mixtures with a most weight for each slice, with a proof of how good the result is.

Mirror descent with the entropy (Beck and Teboulle 2003): a step multiplies the weights by exp(-step * gradient) and
projects them, in relative entropy, to the capped simplex. For a convex function the Frank-Wolfe gap
g.(w - v), v the best corner for the gradient g, bounds f(w) - min f from above (Jaggi 2013): it stops the search
and is handed back as a certificate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.contracts.errors import ConfigError, message

Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""Weights [slices] -> value and gradient [slices]."""

_FLOOR = 1e-9


class Minimum(NamedTuple):
    """Weights [slices], their value, and the most that any feasible weights could gain on it."""

    weights: np.ndarray
    value: float
    gap: float


def upper_limits(
    slices: Sequence[str],
    caps: Mapping[str, float],
    available_tokens: Mapping[str, int] | None = None,
    total_tokens: int = 0,
    max_epochs: float = np.inf,
) -> np.ndarray:
    """Return the most weight of each slice: the lower of its cap and max_epochs * available / total tokens.

    Args:
        slices: names of the slices.
        caps: most weight of a slice; 1 if not named.
        available_tokens: tokens of every slice; needed if `max_epochs` is finite.
        total_tokens: tokens of the run that is planned.
        max_epochs: how often a token may be seen.

    Raises:
        ConfigError: on unknown names, impossible values, and if the limits cannot be met by any mixture.
    """
    unknown = sorted((set(caps) | set(available_tokens or {})) - set(slices))
    if unknown:
        raise ConfigError(message("limits", "unknown slice", unknown, f"one of {sorted(slices)}"))
    wrong = {name: cap for name, cap in caps.items() if not 0 <= cap <= 1}
    if wrong:
        raise ConfigError(message("limits", "not a cap", wrong, "a share from 0 to 1"))
    upper = np.array([min(caps.get(name, 1.0), 1.0) for name in slices], float)
    if np.isfinite(max_epochs):
        missing = sorted(set(slices) - set(available_tokens or {}))
        if missing or total_tokens <= 0 or max_epochs <= 0:
            got = f"no tokens for {missing}" if missing else f"{total_tokens} tokens, {max_epochs} epochs"
            raise ConfigError(
                message("limits", "epochs cannot be limited", got, "tokens of every slice and of the run")
            )
        tokens = np.array([(available_tokens or {})[name] for name in slices], float)
        upper = np.minimum(upper, max_epochs * tokens / total_tokens)
    if upper.sum() < 1 - 1e-9:
        raise ConfigError(
            message("limits", "cannot be met", f"most weights that sum to {upper.sum():.4f}", "a sum of at least 1",
                    "Raise a cap, allow more epochs or plan fewer tokens.")
        )  # fmt: skip
    return upper


def lower_limits(slices: Sequence[str], floors: Mapping[str, float], upper: np.ndarray) -> np.ndarray:
    """Return the least weight of each slice; 0 if not named.

    Raises:
        ConfigError: on unknown names, floors above the greatest weight, and floors that sum to more than 1.
    """
    unknown = sorted(set(floors) - set(slices))
    if unknown:
        raise ConfigError(message("limits", "unknown slice", unknown, f"one of {sorted(slices)}"))
    lower = np.array([floors.get(name, 0.0) for name in slices], float)
    wrong = {s: floors[s] for s, lo, hi in zip(slices, lower, upper, strict=True) if not 0 <= lo <= hi + 1e-12}
    if wrong:
        raise ConfigError(message("limits", "not a least weight", wrong, "from 0 to the greatest weight of the slice"))
    if lower.sum() > 1 + 1e-9:
        raise ConfigError(
            message("limits", "cannot be met", f"least weights that sum to {lower.sum():.4f}", "a sum of at most 1")
        )
    return np.minimum(lower, upper)


def project(weights: np.ndarray, upper: np.ndarray, lower: np.ndarray | None = None) -> np.ndarray:
    """Return the mixture within the limits that is nearest in relative entropy: scale * weights, cut to the limits.

    Args:
        weights: [slices] positive.
        upper: [slices] limits whose sum is at least 1.
        lower: [slices] limits whose sum is at most 1; 0 if not given.
    """
    if lower is not None and lower.any():
        return _between(weights, lower, upper)
    ratio = upper / weights
    order = np.argsort(ratio, kind="stable")
    full = np.concatenate([[0.0], np.cumsum(upper[order])])[:-1]
    free = np.cumsum(weights[order][::-1])[::-1]
    scale = (1 - full) / free
    fits = np.flatnonzero(scale <= ratio[order] * (1 + 1e-12))
    projected = np.minimum(upper, (scale[fits[0]] if len(fits) else np.inf) * weights)
    return projected / projected.sum()


def _between(weights: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Find the scale whose cut weights sum to 1: the sum is linear between the scales at which a limit is met."""
    scales = np.sort(np.concatenate([lower / weights, upper / weights]))
    sums = np.clip(scales[:, None] * weights, lower, upper).sum(1)
    after = int(np.searchsorted(sums, 1.0))
    if after == 0 or after == len(scales):
        return np.clip(scales[min(after, len(scales) - 1)] * weights, lower, upper)
    share = (1 - sums[after - 1]) / (sums[after] - sums[after - 1])
    scale = scales[after - 1] + share * (scales[after] - scales[after - 1])
    return np.clip(scale * weights, lower, upper)


def best_corner(gradient: np.ndarray, upper: np.ndarray, lower: np.ndarray | None = None) -> np.ndarray:
    """Return the mixture within the limits that minimises a linear function: fill the lowest gradients first."""
    corner = np.zeros_like(upper) if lower is None else lower.astype(float)
    left = 1.0 - corner.sum()
    for slice_ in np.argsort(gradient, kind="stable"):
        more = min(upper[slice_] - corner[slice_], left)
        corner[slice_] += more
        left -= more
    return corner


def minimise_convex(
    objective: Objective,
    start: np.ndarray,
    upper: np.ndarray,
    tolerance: float = 1e-5,
    steps: int = 2000,
    lower: np.ndarray | None = None,
) -> Minimum:
    """Minimise under limits.

    Args:
        objective: value and gradient.
        start: [slices] a mixture; projected to the limits.
        upper: [slices] most weight of each slice.
        tolerance: gap at which the search ends.
        steps: most steps; the gap says how far it came.
        lower: [slices] least weight of each slice; 0 if not given.
    """
    inside = np.maximum(upper, 1e-300)
    weights = project(np.maximum(start, _FLOOR), inside, lower)
    value, gradient = objective(weights)
    size = 1.0
    gap = np.inf
    for _ in range(steps):
        gap = float(gradient @ (weights - best_corner(gradient, upper, lower)))
        if gap <= tolerance or size < 1e-12:
            break
        move = np.clip(size * (gradient - gradient @ weights), -30, 30)
        tried = project(np.maximum(weights * np.exp(-move), _FLOOR * inside), inside, lower)
        new_value, new_gradient = objective(tried)
        distance = float((tried * np.log(tried / weights)).sum())
        if new_value <= value + gradient @ (tried - weights) + distance / size + 1e-15:
            weights, value, gradient = tried, new_value, new_gradient
            size *= 1.5
        else:
            size *= 0.4
    return Minimum(weights, value, gap)
