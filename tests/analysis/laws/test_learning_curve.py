"""The learning curve: its bootstrap against scipy, judged runs are never learnt from, every run is judged once."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from analysis.laws import learning_curve as curve
from analysis.laws.boosted_trees import LightGBMLaw
from analysis.laws.linear import LinearLaw
from analysis.laws.power import PowerLaw
from pipelines.contracts.errors import InputError
from tests.analysis.laws.swarms import mixtures, power_losses

LAWS = {"linear": (LinearLaw(1e-4),), "power": (PowerLaw(1e-4),), "LightGBM": (LightGBMLaw(),)}


def test_each_resample_equals_scipy() -> None:
    rng = np.random.default_rng(0)
    predicted, measured = rng.standard_normal((40, 3)), rng.standard_normal((40, 3))
    rows = rng.integers(0, 40, (6, 40))
    expected = [100 * np.mean([spearmanr(predicted[r, t], measured[r, t])[0] for t in range(3)]) for r in rows]
    np.testing.assert_allclose(curve.resampled_spearman(predicted, measured, rows), expected)
    assert (curve.resampled_spearman(np.ones((40, 3)), measured, rows) == 0).all()


def test_every_run_is_judged_once_and_never_learnt_from(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = mixtures(48)
    seen = []
    split = curve.split

    def spy(some, values, test, laws):
        seen.append((some, test[0]))
        return split(some, values, test, laws)

    monkeypatch.setattr(curve, "split", spy)
    rows = curve.learning_curve(weights, power_losses(weights, 0.01), laws=LAWS)
    assert [(row["runs"], row["law"]) for row in rows] == [
        (n, law) for n in (12, 24, 36) for law in ("linear", "power", "LightGBM", "chosen")
    ]
    assert {(row["draws"], row["tested"]) for row in rows} == {(4, 48)}
    for learnt, judged in seen:
        assert not {tuple(row) for row in learnt} & {tuple(row) for row in judged}
    for size in (12, 24, 36):
        judged = [row for learnt, test in seen if len(learnt) == size for row in test]
        assert sorted(map(tuple, judged)) == sorted(map(tuple, weights))


def test_the_right_law_wins_and_the_interval_says_so() -> None:
    weights = mixtures(60)
    rows = curve.learning_curve(weights, power_losses(weights, 0.01), laws=LAWS)
    last = {row["law"]: row for row in rows if row["runs"] == 45}
    assert last["chosen"]["spearman"] == pytest.approx(last["power"]["spearman"])
    assert last["chosen"]["lo"] > 0
    assert last["power"]["rmse_sd"] < last["linear"]["rmse_sd"]
    assert (last["LightGBM"]["difference"], last["LightGBM"]["lo"], last["LightGBM"]["hi"]) == (0, 0, 0)
    with pytest.raises(InputError, match="too few runs: got 30 runs: 7"):
        curve.learning_curve(weights[:30], power_losses(weights[:30]), laws=LAWS)
