"""Signal-to-noise ratio of a metric: how far what is compared spreads, over how far nothing but the seeds moves it."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from scipy import integrate, stats


@dataclass(frozen=True)
class SignalNoise:
    """A metric over cells and blocks.

    Attributes:
        signal: largest difference between two cells' means over blocks.
        noise: sd over blocks within a cell, pooled over cells.
        ratio: signal / noise.
        ratio_of_noise: the ratio that is expected if no cell differs from another (see `signal_to_noise`).
        cells: cells that were compared.
        blocks: blocks in which all of them finished.
    """

    signal: float
    noise: float
    ratio: float
    ratio_of_noise: float
    cells: int
    blocks: int


def signal_to_noise(values: np.ndarray) -> SignalNoise | None:
    """Compute max over pairs of cells of |mean - mean|, over the sd of seeds.

    Heineman et al. 2025, "Signal and Noise", arXiv:2508.13144: dispersion (max difference over models, by the mean)
    over relative noise (sd, by the mean); the means cancel. Theirs takes the noise from the last checkpoints of one
    run; ours from runs that differ in their seeds only, which is the noise of a contrast.

    The range of cells' means is not 0 when nothing differs: with K cells and B blocks it is expected to be d(K) s /
    sqrt(B), where d(K) is the expected range of K standard normal numbers (Tippett 1925) and s the sd of what blocks
    leave unexplained: a shift that all cells of a block share moves no difference between them.

    Args:
        values: [cells, blocks]; NaN where a run is missing; blocks with a missing run are left out.

    Returns:
        None with fewer than two cells or two complete blocks, or where nothing moves at all.
    """
    complete = values[:, np.isfinite(values).all(0)]
    n_cells, n_blocks = complete.shape
    if n_cells < 2 or n_blocks < 2:
        return None
    means = complete.mean(1)
    noise = math.sqrt(float(complete.var(1, ddof=1).mean()))
    if noise == 0:
        return None
    left = complete - means[:, None] - complete.mean(0) + complete.mean()
    unexplained = math.sqrt(float((left**2).sum()) / ((n_cells - 1) * (n_blocks - 1)))
    signal = float(means.max() - means.min())
    by_chance = expected_range(n_cells) * unexplained / math.sqrt(n_blocks)
    return SignalNoise(signal, noise, signal / noise, by_chance / noise, n_cells, n_blocks)


@functools.lru_cache
def expected_range(n: int) -> float:
    """Return the expected range of n independent standard normal numbers (Tippett 1925).

    >>> round(expected_range(2), 6), round(expected_range(5), 6)
    (1.128379, 2.325929)
    """
    value, _ = integrate.quad(lambda x: 1 - stats.norm.cdf(x) ** n - stats.norm.sf(x) ** n, -9, 9, limit=200)
    return float(value)
