from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.designs import Contrast, difference
from analysis.influence.contrasts import TokenScores, from_attribution
from analysis.mixtures import leave_out, normalised

UNITS = ("a", "b", "c")
WEIGHTS = normalised({"a": 0.5, "b": 0.3, "c": 0.2})
TOKENS = 10_000


def contrast(**changes: object) -> Contrast:
    body = {"name": "without_b on t", "family": "cross-slice", "slice": "b", "target": "t", "population": "kept", "metric": "bpb",
            "fill": "proportional", "coef": difference("without_b", "full"), "delta": 0.02, "expected_sign": 0, "meaning": ""}  # fmt: skip
    return Contrast(**{**body, **changes})


def scores(per_token: np.ndarray) -> TokenScores:
    return TokenScores("tracin", UNITS, (("t", "kept"),), per_token[..., None], {("t", "kept"): 2.5})


def tokens_of(mixture, total: float) -> np.ndarray:
    return np.array([mixture.weights.get(unit, 0.0) * total for unit in UNITS])


def test_a_refilled_leave_out_is_science_note_27() -> None:
    rng = np.random.default_rng(0)
    tau = rng.normal(size=3)  # of the whole unit, fill = none
    full = tokens_of(WEIGHTS, TOKENS)
    drawn = {"full": full, "without_b": tokens_of(leave_out(WEIGHTS, ["b"]), TOKENS)}
    (row,) = from_attribution(scores((tau / full)[None]), [contrast()], drawn)
    w, mean = WEIGHTS.weights, tau / full
    by_hand = tau[1] - full[1] * sum(w[j] / (1 - w["b"]) * mean[UNITS.index(j)] for j in ("a", "c"))
    assert row["estimate"] == pytest.approx(by_hand / math.log(2) / 2.5)


def test_with_nothing_in_its_place_it_is_the_score_of_the_unit() -> None:
    tau = np.array([0.1, 0.4, -0.2])
    full = tokens_of(WEIGHTS, TOKENS)
    drawn = {"full": full, "omit_b": full * [1, 0, 1]}
    one = contrast(name="omit_b on t", fill="none", coef=difference("omit_b", "full"))
    (row,) = from_attribution(scores((tau / full)[None]), [one], drawn)
    assert row["estimate"] == pytest.approx(0.4 / math.log(2) / 2.5)
    assert row["estimate"] > 0  # it helps: without it bits per byte rise


def test_blocks_give_an_interval_and_no_verdict() -> None:
    full = tokens_of(WEIGHTS, TOKENS)
    drawn = {"full": full, "without_b": tokens_of(leave_out(WEIGHTS, ["b"]), TOKENS)}
    per_token = np.random.default_rng(1).normal(size=(4, 3))
    (row,) = from_attribution(scores(per_token), [contrast()], drawn, note="LDS .4")
    assert row["lo"] < row["estimate"] < row["hi"]
    assert (row["n_blocks"], row["method"], row["reason"], row.get("p")) == (4, "tracin", "LDS .4", None)


def test_what_is_no_question_to_it_has_no_row_and_what_is_unknown_a_reason() -> None:
    asked = [contrast(metric="choice_margin"), contrast(family="controls"), contrast(target="other"), contrast()]
    (row,) = from_attribution(scores(np.zeros((1, 3))), asked, {"full": np.ones(3)})
    assert row["reason"] == "tokens of without_b are unknown"
    assert "estimate" not in row
