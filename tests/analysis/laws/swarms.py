"""Small swarms made by code, from a law that is known."""

from __future__ import annotations

import numpy as np

SLICES, TARGETS = 5, 3


def mixtures(runs: int, seed: int = 0, slices: int = SLICES) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.full(slices, 0.7), runs)


def power_losses(weights: np.ndarray, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """Losses [runs, targets] of a power law whose target t is helped most by slice t."""
    rng = np.random.default_rng(seed)
    useful = 0.2 + 3 * np.eye(weights.shape[1])[:TARGETS]
    clean = 2 + 1.5 * (0.3 + weights**0.5 @ useful.T) ** -0.8
    return clean + noise * rng.standard_normal(clean.shape)
