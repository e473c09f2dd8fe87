from __future__ import annotations

import numpy as np
import pytest

from analysis.influence.topics import equal_groups, hashed_features, spherical_kmeans


def texts(seed: int = 0) -> tuple[list[np.ndarray], np.ndarray]:
    """Make 60 texts of three vocabularies."""
    rng = np.random.default_rng(seed)
    topic = rng.integers(0, 3, 60)
    return [rng.integers(1 + 300 * t, 60 + 300 * t, 120) for t in topic], topic


def groups_of(made: list[np.ndarray], quota: int) -> list[np.ndarray]:
    return equal_groups(hashed_features(made), 3, np.array([len(text) for text in made]), quota)


def test_groups_are_the_vocabularies() -> None:
    made, topic = texts()
    groups = groups_of(made, 10 * 120)
    assert [len(group) for group in groups] == [10, 10, 10]
    assert len(np.unique(np.concatenate(groups))) == 30
    for group in groups:
        assert len(set(topic[group])) == 1
    assert len({topic[group[0]] for group in groups}) == 3


def test_the_same_texts_give_the_same_groups_and_another_order_the_same_topics() -> None:
    made, _ = texts()
    first = groups_of(made, 8 * 120)
    assert all((a == b).all() for a, b in zip(first, groups_of(made, 8 * 120), strict=True))
    turned = groups_of(made[::-1], 8 * 120)
    assert {frozenset(59 - g) for g in turned} == {frozenset(g) for g in first}


def test_groups_are_full_and_no_fuller() -> None:
    made, _ = texts()
    made = [text[: 20 + 7 * (at % 9)] for at, text in enumerate(made)]
    for group in groups_of(made, 300):
        sizes = [len(made[at]) for at in group]
        assert sum(sizes) >= 300
        assert sum(sizes) - max(sizes) < 300


def test_too_little_text_is_refused() -> None:
    made, _ = texts()
    with pytest.raises(ValueError, match="too little text"):
        groups_of(made, 40 * 120)
    with pytest.raises(ValueError, match="fewer texts than topics"):
        spherical_kmeans(hashed_features(made[:5]), 6)


def test_rows_have_length_one() -> None:
    features = hashed_features(texts()[0])
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1)
