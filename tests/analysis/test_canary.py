"""The canary: facts of the vocabulary, drawn for training and for asking; and what its control row says."""

from __future__ import annotations

import numpy as np
import pytest

from analysis import records
from analysis.canary import CANARY, FACT_TOKENS, FACTS, canary_facts, canary_tokens
from analysis.designs.cells import Contrast, difference
from analysis.effects import Study, measure
from analysis.mixtures import normalised
from analysis.schedule import schedule
from analysis.verdicts import control_rows, judge, void_reason
from pipelines.contracts.errors import ConfigError

LENGTHS = np.concatenate([[0, 0], np.arange(1, 400) % 7 + 1])
TARGETS = ("a", "b", "c")


def test_facts_share_no_token_and_hold_nothing_special() -> None:
    facts = canary_facts(LENGTHS)
    assert facts.shape == (FACTS, FACT_TOKENS)
    assert len(set(facts.ravel().tolist())) == facts.size
    assert LENGTHS[facts].min() > 0
    assert np.array_equal(facts, canary_facts(LENGTHS))
    with pytest.raises(ConfigError, match="vocabulary too small: got 3 tokens; expected at least 128"):
        canary_facts(np.ones(3, np.int64))


def test_training_and_held_out_text_are_two_draws_of_the_same_facts() -> None:
    facts = canary_facts(LENGTHS)
    known = {tuple(fact) for fact in facts.tolist()}
    draws = [canary_tokens(facts, 40 * FACT_TOKENS, *key) for key in (("0/0", 7), ("0/1", 7), ("heldout", 7))]
    for draw in draws:
        assert {tuple(fact) for fact in draw.reshape(-1, FACT_TOKENS).tolist()} <= known
    assert len({draw.tobytes() for draw in draws}) == 3
    assert len(canary_tokens(facts, 65, "x")) == 65


def test_the_canary_takes_the_slots_that_its_sham_redraws() -> None:
    mixture = normalised({"a": 1, "b": 1})
    base, sham, canary = (schedule(mixture, mixture, 8000, "0/1", t, 0.02) for t in ("none", "sham", "canary"))
    assert canary.canary.mean() == pytest.approx(0.02, abs=0.005)
    changed = (base.position != sham.position) | (base.atom != sham.atom)
    assert np.array_equal(changed, canary.canary)
    assert np.array_equal(canary.position, base.position)
    assert not sham.canary.any()


def contrast(target: str) -> Contrast:
    own = target == CANARY
    return Contrast(
        f"canary on {target}", "canary" if own else "controls", CANARY, target, CANARY if own else "kept", "bpb",
        "named", difference(CANARY, "canary_sham"), 0.02, -1 if own else 0, "",
    )  # fmt: skip


def control(own: float, other: float, noise: float = 0.002) -> dict:
    rng = np.random.default_rng(0)
    values = {}
    for target in (*TARGETS, CANARY):
        population = CANARY if target == CANARY else "kept"
        for block in range(5):
            base = 3 + rng.normal(0, 0.05)
            effect = own if target == CANARY else other if target == "a" else 0.0
            values["canary_sham", block, "bpb", target, population] = base
            values[CANARY, block, "bpb", target, population] = base + effect + rng.normal(0, noise)
    study = Study(records.RUNS.empty_table(), values, {})
    effects = judge(measure(study, [contrast(t) for t in (*TARGETS, CANARY)], 5, "d"))
    return next(row for row in control_rows(effects, "d") if row["control"] == CANARY)


@pytest.mark.parametrize(
    ("own", "other", "noise", "passed", "said"),
    [
        (-1.0, 0.0, 0.002, True, "0 of 3 do, 3 are proven negligible"),
        (-1.0, 0.0, 0.05, True, "0 of 3 do, 0 are proven negligible"),  # too few blocks prove nothing of that kind
        (0.0, 0.0, 0.002, False, "0 of 3 do"),  # what was planted is not found
        (0.5, 0.0, 0.002, False, "0 of 3 do"),
        (-1.0, 0.01, 0.002, True, "0 of 3 do, 3 are"),  # real text made room for it: seen, and too small to matter
        (-1.0, 0.1, 0.002, False, "1 of 3 do, 2 are"),  # it leaks into another target
    ],
)
def test_the_canary_must_be_found_and_only_it(own: float, other: float, noise: float, passed: bool, said: str) -> None:
    row = control(own, other, noise)
    assert row["passed"] is passed
    assert said in row["detail"]
    assert row["lo"] < row["estimate"] < row["hi"]
    assert (void_reason([row]) is None) is passed
    records.from_rows([row], "controls")


def test_a_canary_that_never_finished_says_so() -> None:
    effects = judge(measure(Study(records.RUNS.empty_table(), {}, {}), [contrast(t) for t in ("a", CANARY)], 5, "d"))
    row = next(row for row in control_rows(effects, "d") if row["control"] == CANARY)
    assert not row["passed"]
    assert "no run of it finished" in row["detail"]
    assert control_rows([replace_family(row) for row in effects], "d")[-1]["control"] != CANARY  # a design without


def replace_family(row: dict) -> dict:
    return {**row, "family": "controls", "slice": "sham"}
