"""Bootstrap over held-out components, for intervals about new documents as well as new seeds."""

from __future__ import annotations

import numpy as np


def bootstrap_ratio_difference(
    treatment: np.ndarray, baseline: np.ndarray, bytes_: np.ndarray, draws: int, seed: int
) -> np.ndarray:
    """Resample components (and blocks), paired across cells.

    Each draw takes components with replacement and, independently, blocks with replacement, and computes
    the mean over blocks of (sum treatment - sum baseline) / sum bytes.

    Args:
        treatment: [blocks, components] summed nats.
        baseline: [blocks, components] summed nats.
        bytes_: [components].
        draws: bootstrap draws.
        seed: seed of the generator.

    Returns:
        [draws] differences in nats per byte.
    """
    generator = np.random.Generator(np.random.Philox(seed))
    blocks, components = treatment.shape
    weights = generator.multinomial(components, np.full(components, 1 / components), size=draws)  # [draws, components]
    chosen = generator.integers(0, blocks, size=(draws, blocks))
    per_block = weights @ (treatment - baseline).T / (weights @ bytes_)[:, None]  # [draws, blocks]
    return np.take_along_axis(per_block, chosen, axis=1).mean(axis=1)
