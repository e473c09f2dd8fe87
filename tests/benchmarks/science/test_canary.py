"""The canary study runs on a tiny corpus, and its claims fail where they must."""

from __future__ import annotations

import copy

import pytest

from benchmarks.science import canary
from benchmarks.science.contract import Bench


@pytest.fixture(scope="module")
def found(bench: Bench) -> dict:
    return canary.measure(bench, canary.SMALL)


def test_a_tiny_study_finds_what_was_planted(found: dict) -> None:
    rows = {row["target"]: row for row in found["targets"]}
    assert list(rows) == ["lines", "notes", "pages", "canary"]
    assert rows["canary"]["estimate"] < -0.2  # a fifth of 4,096 tokens tells even this proxy which tokens there are
    assert found["planted_tokens"] == 819
    assert "| canary | -" in "\n".join(canary.lines(found))
    assert canary.charts(found)["targets"]["layer"]


@pytest.mark.parametrize(
    ("target", "field", "value", "failing"),
    [("canary", "hi", 0.1, 0), ("notes", "lo", 0.03, 1)],
)
def test_claims_fail_where_they_must(found: dict, target: str, field: str, value: float, failing: int) -> None:
    changed = copy.deepcopy(found)
    for row in changed["targets"]:
        if row["target"] != "canary":
            row["lo"], row["hi"] = -0.01, 0.01
        if row["target"] == target:
            row[field] = value
    changed["mean"]["tost_p"] = 0.01
    assert [number for number, claim in enumerate(canary.claims(changed)) if not claim.holds] == [failing]
    changed["mean"]["tost_p"] = 0.5
    assert not canary.claims(changed)[2].holds
