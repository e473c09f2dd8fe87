"""The gradient oracle as a study: a tiny one runs, and its claims fail where they must."""

from __future__ import annotations

import copy

from benchmarks.science import convex
from benchmarks.science.contract import Bench


def test_a_tiny_oracle_holds_and_a_wrong_sign_does_not(bench: Bench) -> None:
    found = convex.measure(bench, convex.SMALL)
    assert found["units"] == 18
    assert [row["method"] for row in found["methods"]] == list(convex.METHODS)
    exact, factored, plain = found["methods"]
    assert exact["pearson"] > max(factored["pearson"], plain["pearson"])
    assert exact["relative_error"] < 0.5
    held = {claim.text: claim.holds for claim in convex.claims(found)}
    assert held["the model is at its optimum"]
    wrong = copy.deepcopy(found)
    for row in wrong["methods"]:
        row["pearson"], row["slope"] = -row["pearson"], -row["slope"]
    assert [claim.holds for claim in convex.claims(wrong)] == [True, False, False, False]
    assert "| EK-FAC |" in "\n".join(convex.lines(found))
    assert convex.charts(found)["leave-one-out"]["mark"]
