"""Sums of trees against LightGBM."""

from __future__ import annotations

import lightgbm as lgb
import numpy as np

from benchmarks.extraction.train import _forest


def test_scores_are_those_of_lightgbm() -> None:
    generator = np.random.default_rng(0)
    rows = np.round(generator.normal(size=(2000, 12)), 2)
    labels = (rows[:, 0] * rows[:, 1] + rows[:, 2] > 0).astype(float)
    parameters = {"objective": "binary", "num_leaves": 9, "verbose": -1, "num_threads": 1}
    booster = lgb.train(parameters, lgb.Dataset(rows, labels), 40)
    forest = _forest(booster.dump_model()["tree_info"])
    assert len(forest.roots) == 40
    assert np.allclose(forest.score(rows), booster.predict(rows, raw_score=True), rtol=0, atol=1e-12)


def test_a_tree_that_is_a_leaf() -> None:
    rows = np.zeros((100, 2))
    booster = lgb.train(
        {"objective": "binary", "verbose": -1, "num_threads": 1}, lgb.Dataset(rows, np.arange(100) % 2), 3
    )
    forest = _forest(booster.dump_model()["tree_info"])
    assert np.allclose(forest.score(rows), booster.predict(rows, raw_score=True))
