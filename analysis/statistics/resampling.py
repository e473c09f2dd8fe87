"""Bootstrap over held-out components, for intervals about new documents as well as new seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Interval:
    """Estimates of [contrasts] about new documents and new seeds."""

    se: np.ndarray
    df: np.ndarray
    lo: np.ndarray
    hi: np.ndarray


def component_weights(components: int, draws: int, seed: int) -> np.ndarray:
    """Draw how often each component is taken, with replacement.

    Args:
        components: held-out components.
        draws: bootstrap draws.
        seed: of the generator.

    Returns:
        [draws, components] counts.
    """
    generator = np.random.Generator(np.random.Philox(seed))
    return generator.multinomial(components, np.full(components, 1 / components), size=draws)


def bootstrap_ratio(difference: np.ndarray, bytes_: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Resample components; the same draws for all contrasts, so cells stay paired.

    Args:
        difference: [contrasts, components] nats of the treatment minus those of the baseline.
        bytes_: [components] text, > 0 in total.
        draws: bootstrap draws.
        seed: of the generator.

    Returns:
        [draws, contrasts] sum of nats / sum of bytes.
    """
    weights = component_weights(len(bytes_), draws, seed)
    return weights @ difference.T / (weights @ bytes_)[:, None]


def document_variance(difference: np.ndarray, bytes_: np.ndarray, draws: int = 1000, seed: int = 0) -> np.ndarray:
    """Estimate the variance of ratios over held-out components by their bootstrap.

    A bootstrap of C components is short by (C - 1) / C, which is made up for.

    Args:
        difference: [contrasts, components] nats of the treatment minus those of the baseline.
        bytes_: [components], at least 2.
        draws: bootstrap draws.
        seed: of the generator.

    Returns:
        [contrasts] variances.
    """
    components = len(bytes_)
    return bootstrap_ratio(difference, bytes_, draws, seed).var(axis=0, ddof=1) * components / (components - 1)


def new_documents_interval(
    mean: np.ndarray,
    se_seeds: np.ndarray,
    df_seeds: np.ndarray,
    documents: np.ndarray,
    df_documents: np.ndarray,
    level: float = 0.95,
) -> Interval:
    """Widen intervals about new seeds to new documents and seeds.

    The variance over components is added to that over seeds, with Satterthwaite's (1946) degrees of freedom. Seeds are not
    bootstrapped: with 3 to 10 blocks its percentiles cover 70 to 89 % instead of 95. What seeds and documents do
    together is counted in both parts: the interval is too wide rather than too narrow, and never shorter than that of seeds alone.

    Args:
        mean: [contrasts] estimates.
        se_seeds: [contrasts] moderated standard errors over seeds.
        df_seeds: [contrasts] their degrees of freedom.
        documents: [contrasts] variances over components.
        df_documents: [contrasts] their degrees of freedom: components - 1.
        level: coverage.
    """
    seeds = se_seeds**2
    se = np.sqrt(seeds + documents)
    with np.errstate(invalid="ignore", divide="ignore"):
        df = np.where(se > 0, se**4 / (seeds**2 / df_seeds + documents**2 / df_documents), df_seeds)
    of_seeds = stats.t.ppf(0.5 + level / 2, df_seeds) * se_seeds
    half = np.maximum(
        stats.t.ppf(0.5 + level / 2, df) * se, of_seeds
    )  # with more df, a larger error can have a shorter interval
    return Interval(se, df, mean - half, mean + half)
