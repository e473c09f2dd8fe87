"""How often the interval of a few blocks covers what other blocks found, and how often it should."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass

import numpy as np
from scipy import stats

from analysis.statistics.moderated_t import moderated_paired_t


@dataclass(frozen=True)
class Coverage:
    """Shares over subsets of blocks and contrasts.

    Attributes:
        apart: 95 % interval of the subset covers the mean of the blocks that are not in it.
        apart_nominal: what this should be: the other mean has noise of its own.
        widened: the same with the interval widened for that noise; nominal .95.
        whole: 95 % interval of the subset covers the mean of all blocks, its own among them.
        wrong_sign: the subset finds p <= .05 with another sign than all blocks together.
        found: the subset finds p <= .05.
    """

    apart: float
    apart_nominal: float
    widened: float
    whole: float
    wrong_sign: float
    found: float


def coverage(differences: np.ndarray, groups: np.ndarray, size: int, subsets: np.ndarray) -> Coverage:
    """Measure the intervals of subsets of blocks against the blocks held apart.

    Args:
        differences: [contrasts, blocks] within-block differences.
        groups: [contrasts] labels within which variances are moderated, as in the product.
        size: blocks of a subset.
        subsets: [subsets, size] indices of blocks.
    """
    blocks = differences.shape[1]
    whole = differences.mean(axis=1)
    widen = np.sqrt(1 + size / (blocks - size))
    shares = []
    for subset in subsets:
        test = moderated_paired_t(differences[:, subset], groups)
        others = np.delete(differences, subset, axis=1).mean(axis=1)
        half = test.hi - test.mean
        critical = stats.t.ppf(0.975, test.df)
        found = test.p <= 0.05
        shares.append(
            (
                (np.abs(others - test.mean) <= half).mean(),
                (1 - 2 * stats.t.sf(critical / widen, test.df)).mean(),
                (np.abs(others - test.mean) <= half * widen).mean(),
                (np.abs(whole - test.mean) <= half).mean(),
                (found & (np.sign(test.mean) != np.sign(whole))).mean(),
                found.mean(),
            )
        )
    return Coverage(*(float(share) for share in np.mean(shares, axis=0)))


def subsets_of(blocks: int, size: int, at_most: int, seed: int = 0) -> np.ndarray:
    """Return subsets of blocks, [subsets, size]: all of them, or a sample without repetition."""
    every = np.array(list(itertools.combinations(range(blocks), size)))
    if len(every) <= at_most:
        return every
    chosen = np.random.default_rng(seed).choice(len(every), at_most, replace=False)
    return every[np.sort(chosen)]


def expected(
    differences: np.ndarray, groups: np.ndarray, size: int, repeats: int, subsets: int
) -> dict[str, tuple[float, float]]:
    """Return the 95 % range of every share if the intervals are right, with as many blocks and as much correlation.

    Blocks are drawn from the normal distribution with the measured means and the measured covariance of contrasts.

    Args:
        differences: [contrasts, blocks] as measured.
        groups: as in `coverage`.
        size: blocks of a subset.
        repeats: simulated studies.
        subsets: subsets per study.
    """
    rng = np.random.default_rng(0)
    blocks = differences.shape[1]
    centred = differences - differences.mean(axis=1, keepdims=True)
    mix = rng.standard_normal((repeats, blocks, blocks)) / np.sqrt(blocks - 1)
    found = [
        asdict(
            coverage(
                differences.mean(axis=1, keepdims=True) + centred @ mixed,
                groups,
                size,
                subsets_of(blocks, size, subsets, seed),
            )
        )
        for seed, mixed in enumerate(mix)
    ]
    return {
        name: (float(low), float(high))
        for name in found[0]
        for low, high in [np.quantile([one[name] for one in found], [0.025, 0.975])]
    }
