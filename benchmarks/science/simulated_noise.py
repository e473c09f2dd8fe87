"""Noise of made studies: cells that share a baseline, in blocks, with normal, heavy-tailed or unequal errors."""

from __future__ import annotations

from typing import Literal

import numpy as np

Noise = Literal["normal", "t5", "heteroscedastic"]
NOISES: tuple[Noise, ...] = ("normal", "t5", "heteroscedastic")
RATIO = 25.0
"""Greatest sd of a cell over the baseline's in `heteroscedastic`: repeats of one mixture have been 25 times as noisy as another's."""


def cell_sd(noise: Noise, contrasts: int) -> np.ndarray:
    """Return [contrasts] sd of the treatment cells; that of the baseline is 1."""
    return np.geomspace(1, RATIO, contrasts) if noise == "heteroscedastic" else np.ones(contrasts)


def paired_sd(noise: Noise, contrasts: int) -> np.ndarray:
    """Return [contrasts] sd of the difference of each cell from the baseline."""
    return np.hypot(cell_sd(noise, contrasts), 1.0)


def differences(rng: np.random.Generator, noise: Noise, repetitions: int, contrasts: int, blocks: int) -> np.ndarray:
    """Draw within-block differences from a shared baseline; the truth of all is 0.

    The effect of the block (data, order, seed) is the same in all cells and cancels; what the baseline does
    on its own enters every difference, so that equally noisy contrasts are correlated by 1/2.

    Returns:
        [repetitions, contrasts, blocks].
    """
    shape = (repetitions, contrasts + 1, blocks)
    draws = rng.standard_t(5, shape) * (3 / 5) ** 0.5 if noise == "t5" else rng.standard_normal(shape)
    return draws[:, 1:] * cell_sd(noise, contrasts)[:, None] - draws[:, :1]
