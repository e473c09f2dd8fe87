"""Rungs joined by their contrasts: what is common, what is left out and why, and which rung answers a question."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from analysis import records
from analysis.designs import Contrast, difference
from analysis.influence.ladder import Rung, climb, common_contrasts, comparable, differences_of, top_rung
from analysis.influence.ladder_command import cheapest_claimed, format_ladder, tables_of
from pipelines.contracts.errors import InputError

SLICES = tuple("abcdefgh")
TARGETS = ("books", "code")


def contrast(slice_: str, target: str) -> Contrast:
    return Contrast(
        f"without_{slice_} on {target}", "cross-slice", slice_, target, "kept", "bpb", "proportional",
        difference(f"without_{slice_}", "full"), 0.02, 0, "positive: helps",
    )  # fmt: skip


CONTRASTS = {c.name: c for slice_ in SLICES for target in TARGETS for c in [contrast(slice_, target)]}


def rung(name: str, cost: float, effects: np.ndarray, noise: float = 0.003, blocks: int = 5, seed: int = 0) -> Rung:
    rng = np.random.default_rng(seed)
    values = {}
    for block in range(blocks):
        for target in TARGETS:
            values["full", block, "bpb", target, "kept"] = base = 3 + rng.normal(0, 0.1)
            for at, slice_ in enumerate(SLICES):
                found = base + effects[at] + rng.normal(0, noise)
                values[f"without_{slice_}", block, "bpb", target, "kept"] = found
    verdicts = {
        name: {"contrast": name, "family": c.family, "slice": c.slice, "target": c.target, "population": "kept",
               "verdict": "helps" if effects[SLICES.index(c.slice)] > 0 else "hurts", "estimate": 0.1}
        for name, c in CONTRASTS.items()
    }  # fmt: skip
    cells = ["full", *(f"without_{slice_}" for slice_ in SLICES)]
    return Rung(
        name, name, "llama", 10**6, 65_536, blocks, cost, 1e9, CONTRASTS, {c: c for c in cells}, values, verdicts
    )


EFFECTS = np.linspace(-0.2, 0.21, 8)
DEAR = rung("dear", 9.0, EFFECTS)
CHEAP = rung("cheap", 1.0, EFFECTS, seed=1)
WRONG = rung("wrong", 0.5, -EFFECTS, seed=2)


def test_the_dearest_is_the_top_and_the_cheapest_that_agrees_is_named() -> None:
    found = climb([DEAR, WRONG, CHEAP], draws=200)
    assert [(row["rung"], row["is_top"]) for row in found.rungs] == [("wrong", False), ("cheap", False), ("dear", True)]
    whole = {row["rung"]: row for row in found.agreement if row["target"] == "all"}
    assert (whole["cheap"]["pairs"], whole["cheap"]["agreement"]) == (56, 1.0)
    assert (whole["wrong"]["agree"], whole["wrong"]["disagree"]) == (0, 56)
    assert cheapest_claimed(found) == "cheap"
    by_target = [row for row in found.agreement if row["rung"] == "cheap" and row["target"] != "all"]
    assert [(row["target"], row["population"], row["pairs"]) for row in by_target] == [
        ("books", "kept", 28), ("code", "kept", 28),
    ]  # fmt: skip
    assert {row["cheapest"] for row in found.answers} == {"cheap"}
    assert {row["reason"] for row in found.answers} == {"decided the other way by wrong"}
    for name, rows in tables_of(found).items():
        assert records.from_rows(rows, name).num_rows == len(rows)
    text = format_ladder(found)
    assert "cheapest rung whose agreement is 90 % or more (lower end above .90): cheap" in text
    assert "ceiling 100%" in text


def test_a_top_rung_can_be_named() -> None:
    found = climb([DEAR, CHEAP], top="cheap", draws=20)
    assert [row["rung"] for row in found.rungs if row["is_top"]] == ["cheap"]
    assert cheapest_claimed(found) == "dear"
    with pytest.raises(InputError, match="no such top rung"):
        climb([DEAR, CHEAP], top="other", draws=20)


def test_what_is_not_the_same_question_is_left_out_with_its_reason() -> None:
    names = list(CONTRASTS)
    changed = {
        **{name: CONTRASTS[name] for name in names[2:]},
        names[3]: dataclasses.replace(CONTRASTS[names[3]], fill="none"),
    }
    mixtures = {**CHEAP.mixtures, "without_c": "another pool"}
    other = dataclasses.replace(CHEAP, contrasts=changed, mixtures=mixtures)
    found = common_contrasts([DEAR, other])
    assert found.left_out == {
        names[0]: "not in cheap",
        names[1]: "not in cheap",
        names[3]: "another fill in cheap",
        "without_c on books": "another mixture in cheap",
        "without_c on code": "another mixture in cheap",
    }
    assert len(found.contrasts) == len(names) - 5
    with pytest.raises(InputError, match="nothing to rank"):
        common_contrasts([DEAR, dataclasses.replace(CHEAP, contrasts={})])


def test_studies_of_other_designs_are_set_aside_with_a_reason() -> None:
    swarm = dataclasses.replace(CHEAP, design_id="swarm", mixtures=dict.fromkeys(CHEAP.mixtures, "natural"))
    other = dataclasses.replace(CHEAP, design_id="other", contrasts={})
    kept, aside = comparable([swarm, DEAR, other, CHEAP], DEAR)
    assert kept == [DEAR, CHEAP]
    assert aside == {"study swarm": "another mixture in cheap", "study other": "not in cheap"}
    assert comparable([CHEAP, swarm], swarm) == ([swarm], {"study cheap": "another mixture in cheap"})
    with pytest.raises(InputError, match="too few rungs"):
        climb([swarm])


def test_the_top_rung_is_the_dearest_or_the_one_that_was_named() -> None:
    assert top_rung([CHEAP, DEAR, WRONG]) is DEAR
    assert top_rung([CHEAP, DEAR, WRONG], "wrong") is WRONG
    for rungs, top in (([CHEAP], "dear"), ([], None)):
        with pytest.raises(InputError, match="no such top rung"):
            top_rung(rungs, top)


def test_blocks_with_a_missing_run_are_left_out_whole() -> None:
    values = {key: value for key, value in CHEAP.values.items() if key[:2] != ("without_b", 3)}
    whole = differences_of(CHEAP, list(CONTRASTS.values()))
    found = differences_of(dataclasses.replace(CHEAP, values=values), list(CONTRASTS.values()))
    np.testing.assert_array_equal(found, whole[:, [0, 1, 2, 4]])
    one = {key: value for key, value in CHEAP.values.items() if key[1] == 0}
    with pytest.raises(InputError, match="1 blocks in which all runs finished"):
        differences_of(dataclasses.replace(CHEAP, values=one), list(CONTRASTS.values()))


def test_a_question_that_the_top_does_not_decide_has_no_cheapest_rung() -> None:
    verdicts = {name: {**row, "verdict": "withheld"} for name, row in DEAR.verdicts.items()}
    found = climb([dataclasses.replace(DEAR, verdicts=verdicts), CHEAP], draws=20)
    assert {row.get("cheapest") for row in found.answers} == {None}
    assert {row["reason"] for row in found.answers} == {"the top rung does not decide it: withheld"}


def test_one_study_is_no_ladder() -> None:
    with pytest.raises(InputError, match="too few rungs"):
        climb([DEAR])
