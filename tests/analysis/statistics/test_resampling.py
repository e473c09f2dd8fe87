"""The component bootstrap against a plain one, its linearised variance, and its coverage of new documents."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.statistics.resampling import bootstrap_ratio, document_variance, new_documents_interval


def make(rng: np.random.Generator, contrasts: int, components: int) -> tuple[np.ndarray, np.ndarray]:
    size = rng.lognormal(6, 1, components)
    return size * rng.normal(0.05, 0.1, (contrasts, components)), size


def test_draws_have_the_mean_and_spread_of_a_plain_bootstrap() -> None:
    rng = np.random.default_rng(3)
    difference, size = make(rng, 2, 12)
    draws = bootstrap_ratio(difference, size, 4000, seed=1)
    slow = []
    for _ in range(4000):
        c = rng.integers(0, 12, 12)
        slow.append(difference[:, c].sum(axis=1) / size[c].sum())
    assert draws.mean(axis=0) == pytest.approx(np.mean(slow, axis=0), abs=0.004)
    assert draws.std(axis=0) == pytest.approx(np.std(slow, axis=0), rel=0.1)
    assert np.array_equal(draws, bootstrap_ratio(difference, size, 4000, seed=1))


def test_contrasts_are_paired() -> None:
    difference, size = make(np.random.default_rng(4), 1, 20)
    draws = bootstrap_ratio(np.vstack([difference, 2 * difference]), size, 100, seed=0)
    assert np.allclose(draws[:, 1], 2 * draws[:, 0])


def test_the_spread_is_that_of_the_linearised_ratio() -> None:
    difference, size = make(np.random.default_rng(5), 1, 400)
    ratio = difference[0].sum() / size.sum()
    linear = np.sqrt(((difference[0] - ratio * size) ** 2).sum()) / size.sum()
    assert bootstrap_ratio(difference, size, 4000, seed=2).std() == pytest.approx(linear, rel=0.05)


def test_without_spread_over_documents_the_interval_is_that_of_the_seeds() -> None:
    size = np.arange(1.0, 9)
    still = document_variance((0.3 * size)[None], size, 100)
    found = new_documents_interval(np.array([0.3]), np.array([0.1]), np.array([4.0]), still, np.array([7.0]))
    assert (found.se[0], found.df[0]) == (pytest.approx(0.1), pytest.approx(4.0))
    assert found.hi[0] - 0.3 == pytest.approx(2.7764 * 0.1, rel=1e-4)


def test_it_is_never_shorter_than_the_interval_of_the_seeds() -> None:
    """Few blocks and many components: Satterthwaite's df rise from 2 to 9, and t falls by more than the error grows."""
    found = new_documents_interval(np.zeros(1), np.array([0.1]), np.array([2.0]), np.array([0.01]), np.array([200.0]))
    assert found.df[0] > 7
    assert found.hi[0] == pytest.approx(4.3027 * 0.1, rel=1e-4)


def test_it_covers_new_documents_and_the_interval_of_seeds_does_not() -> None:
    """1,500 repetitions of 5 blocks and 40 components: Monte-Carlo se .6 points."""
    rng = np.random.default_rng(6)
    covered, seeds_only = [], []
    for _ in range(1500):
        size = rng.lognormal(6, 0.7, 40)
        effect = 0.05 + rng.normal(0, 0.1, 40)  # of a document; the truth is that of all documents
        blocks = rng.normal(0, 0.02, 5)
        ratio = (size * effect).sum() / size.sum() + blocks
        se = np.array([blocks.std(ddof=1) / 5**0.5])
        documents = document_variance((size * (effect + blocks.mean()))[None], size, 200)
        found = new_documents_interval(np.array([ratio.mean()]), se, np.array([4.0]), documents, np.array([39.0]))
        covered.append(found.lo[0] <= 0.05 <= found.hi[0])
        seeds_only.append(abs(ratio.mean() - 0.05) <= 2.7764 * se[0])
    assert np.mean(covered) == pytest.approx(0.95, abs=0.025)
    assert np.mean(seeds_only) < 0.8
