from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.influence.validate import validate


def rows(values: np.ndarray, method: str, se: float = 0.1) -> list[dict]:
    return [
        {"contrast": f"c{i}", "metric": "bpb", "method": method, "estimate": float(v), "se": se, "lo": float(v) - 2 * se,
         "hi": float(v) + 2 * se, "q": 0.01 if abs(v) > 0.5 else 0.5, "target": f"t{i % 3}", "population": "kept", "n_blocks": 5}
        for i, v in enumerate(values)
    ]  # fmt: skip


def test_agreement_by_hand() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=30)
    guess = truth + rng.normal(size=30) * 0.3
    measured = rows(truth, "retrain")
    (found,) = validate(rows(guess, "tracin"), measured)
    assert found["lds"] == pytest.approx(stats.spearmanr(truth, guess).statistic)
    assert found["lo"] < found["lds"] < found["hi"]
    assert found["usable"]
    assert found["slope"] == pytest.approx((truth * guess).sum() / (guess**2).sum())
    strong = np.abs(truth) > 0.5
    assert found["sign_agreement"] == pytest.approx((np.sign(truth) == np.sign(guess))[strong].mean())
    assert found["coverage"] == pytest.approx((np.abs(truth - guess) <= 0.2).mean())
    assert found["ceiling"] == pytest.approx(np.sqrt(1 - 0.01 / truth.var(ddof=1)))
    assert (found["n_subsets"], found["n_queries"], found["n_repeats"]) == (30, 3, 5)


def test_methods_are_apart_and_noise_is_not_usable() -> None:
    rng = np.random.default_rng(3)
    truth = rng.normal(size=24)
    predicted = [*rows(rng.normal(size=24), "noise"), *rows(-truth, "wrong")]
    noise, wrong = validate(predicted, rows(truth, "retrain"))
    assert not noise["usable"]
    assert noise["reason"].startswith("not usable")
    assert wrong["lds"] == pytest.approx(-1)
    assert wrong["sign_agreement"] == 0
    assert not wrong["usable"]


def test_too_few_contrasts_and_missing_estimates_say_so() -> None:
    measured = rows(np.arange(8.0), "retrain")
    for row in measured[3:]:
        row["estimate"] = None
    (found,) = validate(rows(np.arange(8.0), "tracin"), measured)
    assert found["reason"] == "only 3 contrasts were both predicted and measured; 5 are needed"
    assert not found["usable"]
    assert "lds" not in found
