"""Do cheap proxies rank interventions as an expensive one does? Agreement of rungs, pair by pair.

On one target, two contrasts a and b of a rung are *determined* if their difference, paired by block, differs from 0 at q <= .05
(moderated t, Benjamini-Hochberg over all pairs of the rung). Among the pairs determined at the top rung, another rung agrees
(determined, same order), disagrees (determined, other order) or is undetermined. Rank correlations say less: own-slice effects
are ten times the others and make them trivial, and dividing by the root of the reliability can give more than 1 (science notes,
28). The interval resamples cells (what is ranked) and blocks (seeds); pairs between copies of one cell do not count.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from analysis.statistics.moderated_t import moderated_paired_t
from analysis.statistics.multiple_testing import benjamini_hochberg

ALPHA = 0.05
CLAIM = 0.9
"""Agreement that is claimed only if the lower bound of the interval exceeds it."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of contrasts on one target: [pairs] indices of the first and of the second contrast."""

    first: np.ndarray
    second: np.ndarray


@dataclass(frozen=True)
class Differences:
    """Differences of the pairs of a rung: [pairs, blocks], and their moderated [pairs] standard errors and df."""

    values: np.ndarray
    se: np.ndarray
    df: np.ndarray


@dataclass(frozen=True)
class Agreement:
    """What a rung makes of the pairs that the top rung determines.

    Attributes:
        agree: pairs in the order of the top rung.
        disagree: pairs in the other order.
        undetermined: pairs that the rung does not determine.
        lo: lower end of the 95 % interval of the share that agrees; None without pairs.
        hi: its upper end.
        redrawn: mean share over the resamples; of the top rung against itself, the ceiling.
    """

    agree: int
    disagree: int
    undetermined: int
    lo: float | None = None
    hi: float | None = None
    redrawn: float | None = None

    @property
    def pairs(self) -> int:
        """Pairs that the top rung determines."""
        return self.agree + self.disagree + self.undetermined

    @property
    def share(self) -> float | None:
        """Share of them that agrees."""
        return self.agree / self.pairs if self.pairs else None

    @property
    def claimed(self) -> bool:
        """Whether "90 %" may be said."""
        return self.lo is not None and self.lo > CLAIM


def pairs_of(groups: np.ndarray, cells: np.ndarray) -> Pairs:
    """Return all pairs of contrasts of one group (target and population) that are about different cells.

    Args:
        groups: [contrasts] labels.
        cells: [contrasts] what the contrast is about.
    """
    first, second = np.triu_indices(len(groups), 1)
    same = (groups[first] == groups[second]) & (cells[first] != cells[second])
    return Pairs(first[same], second[same])


def pair_differences(differences: np.ndarray, pairs: Pairs) -> Differences:
    """Take differences of pairs within blocks; variances are moderated over all pairs.

    Args:
        differences: [contrasts, blocks] effects within blocks, complete, at least 2 blocks.
        pairs: which contrasts are compared.
    """
    values = differences[pairs.first] - differences[pairs.second]
    test = moderated_paired_t(values, np.full(len(values), "pairs"))
    return Differences(values, test.se, test.df)


def orders(mean: np.ndarray, se: np.ndarray, df: np.ndarray, alpha: float = ALPHA) -> np.ndarray:
    """Return [pairs] +1 or -1 where the order of a pair is determined, else 0.

    A pair without any noise (an n-gram whose draws are the same in all blocks) is determined if it differs at all.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(se > 0, mean / se, np.where(mean == 0, 0.0, np.inf * np.sign(mean)))
    q = benjamini_hochberg(2 * stats.t.sf(np.abs(t), df))
    return np.where(q <= alpha, np.sign(mean), 0).astype(int)


def agreement(top: np.ndarray, other: np.ndarray, weights: np.ndarray | None = None) -> Agreement:
    """Count agreement.

    Args:
        top: [pairs] orders of the top rung.
        other: [pairs] orders of another rung.
        weights: [pairs] how often each counts; once by default.
    """
    weights = np.ones(len(top), int) if weights is None else weights
    held = top != 0
    counts = [int(weights[held & mask].sum()) for mask in (other == top, (other != 0) & (other != top), other == 0)]
    return Agreement(*counts)


def with_intervals(
    top: Differences, other: Differences, pairs: Pairs, cells: np.ndarray, groups: np.ndarray, draws: int = 1000
) -> dict[str, Agreement]:
    """Return the agreement of a rung with the top rung on every group of contrasts, and on "all" of them.

    Blocks are drawn together where both rungs have as many (the same seeds), else apart. Deviations are widened by
    sqrt(n / (n - 1)), since a resample of n blocks has that much less variance than n new ones. A rung that is the top
    rung itself is drawn twice: its agreement is what another study of the same size would reach, the ceiling.

    Args:
        top: pairs of the top rung.
        other: pairs of another rung.
        pairs: which contrasts they compare.
        cells: [contrasts] what each contrast is about.
        groups: [contrasts] labels of the targets.
        draws: resamples.
    """
    labels = groups[pairs.first]
    masks = {str(name): labels == name for name in dict.fromkeys(groups.tolist())} | {"all": np.full(len(labels), True)}
    means = [rung.values.mean(axis=1) for rung in (top, other)]
    held, found = (orders(mean, rung.se, rung.df) for mean, rung in zip(means, (top, other), strict=True))
    rng = np.random.default_rng(0)
    names, where = np.unique(cells, return_inverse=True)
    shares: dict[str, list[float]] = {name: [] for name in masks}
    for _ in range(draws):
        copies = np.bincount(rng.integers(0, len(names), len(names)), minlength=len(names))[where]
        weights = copies[pairs.first] * copies[pairs.second]
        mine, theirs = _redrawn(top, other, rng)
        for name, mask in masks.items():
            share = agreement(mine[mask], theirs[mask], weights[mask]).share
            shares[name] += [] if share is None else [share]
    return {name: _bounded(agreement(held[mask], found[mask]), shares[name]) for name, mask in masks.items()}


def _bounded(counted: Agreement, shares: list[float]) -> Agreement:
    """Put the interval of the resamples beside the counts; without a determined pair there is none."""
    if not counted.pairs or not shares:
        return counted
    lo, hi = (float(bound) for bound in np.quantile(shares, [0.025, 0.975]))
    return replace(counted, lo=lo, hi=hi, redrawn=float(np.mean(shares)))


def _redrawn(top: Differences, other: Differences, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return [pairs] orders of both rungs with blocks drawn anew."""
    first = rng.integers(0, top.values.shape[1], top.values.shape[1])
    together = other is not top and other.values.shape[1] == len(first)
    second = first if together else rng.integers(0, other.values.shape[1], other.values.shape[1])
    return _orders_of(top, first), _orders_of(other, second)


def _orders_of(rung: Differences, blocks: np.ndarray) -> np.ndarray:
    mean, n = rung.values.mean(axis=1), len(blocks)
    drawn = mean + np.sqrt(n / (n - 1)) * (rung.values[:, blocks].mean(axis=1) - mean)
    return orders(drawn, rung.se, rung.df)
