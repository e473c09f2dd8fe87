"""Planted near-duplicates: the similarity that was meant is the one brute force finds, and the search finds the pairs."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.duplicates.brute_force import Pairs, jaccard, shingle_set
from benchmarks.duplicates.curves import bin_of, curve_of_independent_pairs, share_a_band
from benchmarks.duplicates.planted import SYLLABLES, PlantedPair, planted_pairs
from pipelines.contracts.dedup import Near

NEAR = Near()
PAIRS = 60


@pytest.fixture(scope="module", params=list(SYLLABLES))
def pairs(request: pytest.FixtureRequest) -> list[PlantedPair]:
    return list(planted_pairs(request.param, PAIRS, NEAR))


def test_the_similarity_is_known_from_the_edits(pairs: list[PlantedPair]) -> None:
    for pair in pairs:
        assert jaccard(shingle_set(pair.original, NEAR), shingle_set(pair.edited, NEAR)) == pair.similarity
    similarity = np.array([pair.similarity for pair in pairs])
    assert len(np.unique(bin_of(similarity[similarity >= 0.3]))) >= 5


def test_the_search_follows_its_curve_in_every_script(pairs: list[PlantedPair]) -> None:
    texts = [text for pair in pairs for text in (pair.original, pair.edited)]
    similarity = np.array([pair.similarity for pair in pairs])
    numbers = np.arange(0, len(texts), 2)
    hit = share_a_band(texts, Pairs(numbers, numbers + 1, similarity), NEAR)
    some = similarity >= 0.3
    points = curve_of_independent_pairs(similarity[some], hit[some], NEAR, 0.9999)
    assert [point for point in points if not point.agrees] == []
    assert hit[similarity >= 0.9].all()
