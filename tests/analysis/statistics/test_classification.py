"""Areas, precision and recall against scikit-learn; the interval against what it must cover."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from analysis.statistics.classification import auc_interval, average_precision, best_f1, multiclass, operating, roc_auc

SCORED = st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=60).filter(
    lambda rows: len({positive for positive, _ in rows}) == 2
)


def arrays(rows: list[tuple[bool, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([positive for positive, _ in rows]), np.array([score / 8 for _, score in rows])


@given(SCORED)
def test_areas_equal_scikit_learns(rows: list[tuple[bool, int]]) -> None:
    positive, score = arrays(rows)
    assert np.isclose(roc_auc(positive, score), metrics.roc_auc_score(positive, score), rtol=0, atol=1e-12)
    expected = metrics.average_precision_score(positive, score)
    assert np.isclose(average_precision(positive, score), expected, rtol=0, atol=1e-12)


@given(SCORED, st.integers(0, 10))
def test_a_threshold_equals_scikit_learns(rows: list[tuple[bool, int]], tenths: int) -> None:
    positive, score = arrays(rows)
    found = operating(positive, score, tenths / 10)
    called = score >= tenths / 10
    expected = metrics.precision_recall_fscore_support(positive, called, average="binary", zero_division=1.0)
    assert np.allclose((found.precision, found.recall), expected[:2])
    assert np.isclose(found.f1, metrics.f1_score(positive, called, zero_division=0.0))
    assert np.isclose(found.false_positive_rate, called[~positive].mean())
    assert found.called == called.sum()


@given(SCORED)
def test_the_best_f1_is_the_best_of_all_scores(rows: list[tuple[bool, int]]) -> None:
    positive, score = arrays(rows)
    best = best_f1(positive, score)
    every = [operating(positive, score, float(value)) for value in np.unique(score)]
    assert best.f1 == pytest.approx(max(one.f1 for one in every))
    assert best.threshold in score


@given(SCORED, st.integers(0, 3))
def test_weights_count_rows(rows: list[tuple[bool, int]], seed: int) -> None:
    positive, score = arrays(rows)
    weight = np.random.default_rng(seed).integers(1, 4, len(score))
    repeated = roc_auc(np.repeat(positive, weight), np.repeat(score, weight))
    assert np.isclose(roc_auc(positive, score, weight), repeated)


def test_an_empty_class_is_refused() -> None:
    with pytest.raises(ValueError, match="empty class"):
        roc_auc(np.array([True, True]), np.array([0.1, 0.2]))


def test_the_interval_widens_when_groups_are_drawn_together() -> None:
    generator = np.random.default_rng(3)
    positive = generator.random(400) < 0.5
    score = generator.normal(size=400) + positive
    area = roc_auc(positive, score)
    low, high = auc_interval(positive, score, np.arange(400), draws=300)
    assert low < area < high
    assert high - low < 0.12  # about 4 standard errors of .025
    assert auc_interval(positive, score, np.arange(400), draws=300) == (low, high)
    copies = np.tile(np.arange(400), 4)  # every row four times: the same rows drawn together say no more than once
    together = auc_interval(np.tile(positive, 4), np.tile(score, 4), copies, draws=300)
    apart = auc_interval(np.tile(positive, 4), np.tile(score, 4), np.arange(1600), draws=300)
    assert together == (low, high)
    assert apart[1] - apart[0] < 0.7 * (high - low)


@given(st.integers(2, 5).flatmap(lambda k: st.tuples(st.just(k), st.lists(st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)), min_size=1, max_size=60))))  # fmt: skip
def test_several_classes_equal_scikit_learns(case: tuple[int, list[tuple[int, int]]]) -> None:
    classes, pairs = case
    gold, predicted = np.array(pairs).T
    found = multiclass(gold, predicted, classes)
    names = range(classes)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(gold, predicted), abs=1e-12)
    each = metrics.precision_recall_fscore_support(gold, predicted, labels=names, zero_division=0.0)
    for mine, theirs in zip((found.precision, found.recall, found.f1, found.support), each, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-12)
    whole = metrics.precision_recall_fscore_support(gold, predicted, labels=names, average="macro", zero_division=0.0)
    assert (found.macro_precision, found.macro_recall, found.macro_f1) == pytest.approx(whole[:3], abs=1e-12)
