"""A factorial of two decisions on a small corpus: main effects, the interaction, and how sharp they are."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from benchmarks.science import factorial
from benchmarks.science.contract import Bench, Results

SECTION = """
name: section
design: factorial
slices: {lines: {where: "source = 'lines'"}}
factorial:
  factors: {long: [long], quality: [gopher_word_count]}
  share: 0.2
  min_pool_tokens: 50
  interactions: [[long, quality]]
"""


@pytest.fixture(scope="module")
def found(bench: Bench) -> Results:
    path = bench.folder / "section.yaml"
    path.write_text(SECTION)
    return factorial.measure(bench, dataclasses.replace(factorial.SMALL, section=str(path)))


def test_effects_are_those_of_the_section(found: Results) -> None:
    assert {row["slice"] for row in found["effects"]} == {"long", "quality", "long:quality"}
    assert len(found["effects"]) == 9
    assert np.isfinite([found["main_se"], found["single_se"]]).all()
    assert {row["control"] for row in found["controls"]} >= {"sham", "shuffle", "adequacy"}
    shown = factorial.lines(found)
    assert shown[6].startswith(("| long |", "| quality |"))
    assert shown[-1].startswith("| long:quality |")
    assert factorial.charts(found)["effects"]["layer"]


def test_claims_hold_and_fail_as_they_must(found: Results) -> None:
    control = {"control": "sham", "passed": True, "estimate": 0.001, "lo": -0.01, "hi": 0.01}
    good = {
        **found,
        "controls": [control, {"control": "adequacy", "passed": False}],
        "main_se": 0.01,
        "single_se": 0.02,
    }
    assert [claim.holds for claim in factorial.claims(good)] == [True, True]
    bad = {**good, "controls": [{**control, "passed": False}], "single_se": 0.005}
    assert [claim.holds for claim in factorial.claims(bad)] == [False, False]
