"""Similarity bins, and how often pairs became candidates against what the mathematics of the bands says.

Pairs of one corpus are not independent (a licence text that 300 documents share is in 45,000 pairs), so a binomial
interval over them would be far too narrow. What is random is the permutations: the search is repeated with
other seeds, and the interval is taken over the seeds. Planted pairs share nothing with each other; theirs is
the exact binomial interval (Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy import stats

from benchmarks.duplicates.brute_force import Pairs
from pipelines.contracts.dedup import Near
from pipelines.kernels.lsh import band_keys, collision_probability
from pipelines.stages.measure import measure_signatures

EDGES = (0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
BINS = ("[.3, .5)", "[.5, .6)", "[.6, .7)", "[.7, .8)", "[.8, .9)", "[.9, 1)", "1")


def bin_of(similarity: np.ndarray) -> np.ndarray:
    """Return the bin of similarities >= .3: int64, an index of BINS."""
    return np.searchsorted(np.array(EDGES), similarity, side="right") - 1


def share_a_band(texts: Sequence[str], pairs: Pairs, near: Near) -> np.ndarray:
    """Return which pairs the search takes for candidates: bool `[pairs]`, some band of both is the same."""
    table = measure_signatures(0, 0, pa.array(texts, pa.large_string()), near)
    signatures = table["signature"].combine_chunks().flatten().to_numpy().reshape(-1, near.num_perm)
    keys = band_keys(signatures, near.bands, near.rows)
    return (keys[pairs.left] == keys[pairs.right]).any(axis=1)


@dataclass(frozen=True)
class CurvePoint:
    """One bin of the S-curve.

    Attributes:
        name: the bin.
        pairs: pairs in it.
        expected: mean of 1 - (1 - s^rows)^bands over its pairs.
        observed: share of its pairs that were candidates, over all seeds.
        low: lower end of the interval of the observed share.
        high: upper end.
    """

    name: str
    pairs: int
    expected: float
    observed: float
    low: float
    high: float

    @property
    def agrees(self) -> bool:
        """Whether the interval covers what is expected."""
        return self.low <= self.expected <= self.high


def curve_over_seeds(
    texts: Sequence[str], pairs: Pairs, near: Near, seeds: Sequence[int], confidence: float
) -> list[CurvePoint]:
    """Search once per seed and compare with the S-curve, bin by bin; intervals by Student's t over the seeds.

    The standard error is at least that of independent pairs, so that a bin without any miss has an interval, too.
    """
    hits = np.stack([share_a_band(texts, pairs, near.model_copy(update={"seed": seed})) for seed in seeds])
    chance = collision_probability(pairs.similarity, near.bands, near.rows)
    bins, points = bin_of(pairs.similarity), []
    for index, name in enumerate(BINS):
        mine = bins == index
        count = int(mine.sum())
        if not count:
            continue
        shares = hits[:, mine].mean(axis=1)
        expected, observed = float(chance[mine].mean()), float(shares.mean())
        independent = np.sqrt((chance[mine] * (1 - chance[mine])).sum() / len(seeds)) / count
        error = max(float(shares.std(ddof=1)) / np.sqrt(len(seeds)), float(independent))
        reach = float(stats.t.ppf(0.5 + confidence / 2, len(seeds) - 1)) * error
        points.append(CurvePoint(name, count, expected, observed, observed - reach, observed + reach))
    return points


def curve_of_independent_pairs(
    similarity: np.ndarray, hit: np.ndarray, near: Near, confidence: float
) -> list[CurvePoint]:
    """Compare one search of independent pairs with the S-curve; intervals by Clopper and Pearson.

    Args:
        similarity: float64 `[pairs]`, all >= .3.
        hit: bool `[pairs]`, whether the pair was a candidate.
        near: bands and rows.
        confidence: of the intervals.
    """
    chance = collision_probability(similarity, near.bands, near.rows)
    bins, points = bin_of(similarity), []
    for index, name in enumerate(BINS):
        mine = bins == index
        count, hits = int(mine.sum()), int(hit[mine].sum())
        if not count:
            continue
        interval = stats.binomtest(hits, count).proportion_ci(confidence, "exact")
        expected = float(chance[mine].mean())
        points.append(CurvePoint(name, count, expected, hits / count, float(interval.low), float(interval.high)))
    return points
