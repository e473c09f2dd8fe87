"""Recommendations follow the verdicts, and say what an undetermined decision would take."""

from __future__ import annotations

import numpy as np
import pytest

from analysis import records
from analysis.designs import Contrast
from analysis.effects import Study, measure, with_utility
from analysis.recommendations import MAX_BLOCKS, answer_of, format_recommendations, recommend, sign_at
from analysis.verdicts import judge, withhold

TARGETS = ("a", "b", "c")
BLOCKS = 5
TRUTH = {"good": 0.2, "bad": -0.2, "nothing": 0.0, "unclear": 0.012}


def contrast(cell: str, target: str, family: str = "decisions", ending: str = "", label: str = "") -> Contrast:
    return Contrast(f"{cell} on {target}{label}", family, cell, target, "unfiltered", "bpb", "named",
                    {cell + ending: 1.0, "full" + ending: -1.0}, 0.02, 0, "positive: worse")  # fmt: skip


def effects_of(noise: float = 0.003, truth: dict[str, float] | None = None) -> tuple[list[dict], list[Contrast]]:
    truth = truth or TRUTH
    rng = np.random.default_rng(4)
    values = {}
    for block in range(BLOCKS):
        for target in TARGETS:
            for ending in ("", "_lr3", "_2x"):
                base = 3 + rng.normal(0, 0.02)
                values["full" + ending, block, "bpb", target, "unfiltered"] = base
                for cell, effect in truth.items():
                    turned = -effect if (cell, ending) == ("good", "_2x") else effect
                    values[cell + ending, block, "bpb", target, "unfiltered"] = base + turned + rng.normal(0, noise)
    contrasts = [contrast(cell, target) for cell in truth for target in TARGETS]
    contrasts += [contrast(cell, "utility", "utility") for cell in truth]
    contrasts += [contrast(c, t, "robustness-lr", "_lr3", " at lr/3") for c in truth for t in TARGETS]
    contrasts += [contrast(c, t, "robustness-tokens", "_2x", " at 2x tokens") for c in truth for t in TARGETS]
    study = with_utility(Study(records.RUNS.empty_table(), values, {}), {"a": 0.5, "b": 0.25, "c": 0.25})
    return judge(measure(study, contrasts, BLOCKS, "d")), contrasts


def recommended(effects: list[dict], contrasts: list[Contrast]) -> dict[tuple[str, str], dict]:
    tokens = dict.fromkeys((*TRUTH, "full"), 1000)
    dropped = {"good": {"documents": 7, "tokens": 70_000}}
    rows = recommend(effects, contrasts, tokens, dropped, {"a": 0.5, "b": 0.25, "c": 0.25})
    records.from_rows(rows, "recommendations")
    return {(row["decision"], row["target"]): row for row in rows}


def test_the_answer_is_that_of_the_verdict() -> None:
    rows = recommended(*effects_of())
    assert {rows["good", target]["answer"] for target in (*TARGETS, "utility")} == {"keep"}
    assert {rows["bad", target]["answer"] for target in (*TARGETS, "utility")} == {"relax"}
    assert {rows["nothing", target]["answer"] for target in TARGETS} == {"either"}
    assert all(row["more_blocks"] is None for row in rows.values() if row["answer"] in ("keep", "relax", "either"))
    assert rows["good", "a"]["weight"] == 0.5
    assert (rows["good", "a"]["dropped_tokens"], rows["bad", "a"]["dropped_tokens"]) == (70_000, None)


def test_the_sign_is_compared_with_that_at_another_rate_and_budget() -> None:
    rows = recommended(*effects_of())
    assert {rows["good", t]["sign_at_lower_rate"] for t in TARGETS} == {"same"}
    assert {rows["good", t]["sign_at_more_tokens"] for t in TARGETS} == {"opposite"}
    assert {rows["nothing", t]["sign_at_lower_rate"] for t in TARGETS} == {"undetermined"}
    assert rows["good", "utility"]["sign_at_lower_rate"] is None  # the design does not ask for it
    assert sign_at({"estimate": None}, {"estimate": 1.0, "q": 0.0}) is None


def test_an_undetermined_decision_says_how_many_blocks_decide_it() -> None:
    rows = recommended(*effects_of(noise=0.03, truth={"unclear": 0.03}))
    open_ = [row for row in rows.values() if row["answer"] == "undecided" and row["more_blocks"]]
    assert open_
    for row in open_:
        assert 1 <= row["more_blocks"] <= MAX_BLOCKS
        assert row["more_tokens"] == 2000 * row["more_blocks"]
        assert row["reason"].startswith(f"{row['more_blocks']} more block")
    text = "\n".join(format_recommendations(list(rows.values())))
    assert "undecided" in text
    assert format_recommendations([]) == []


def test_near_the_bound_no_number_of_blocks_decides() -> None:
    row = {
        "verdict": "undetermined",
        "estimate": 0.0199,
        "se": 0.09,
        "df": 8.0,
        "n_blocks": 5,
        "delta": 0.02,
        "p": 0.8,
        "q": 0.8,
        "tost_q": 0.6,
    }
    answer, more, reason = answer_of(row, [row], "bh")
    assert (answer, more) == ("undecided", None)
    assert reason.startswith("more than 100 blocks in all")
    assert answer_of({**row, "se": 0.0}, [row], "bh")[2].startswith("no variance")


def test_more_tests_in_the_family_and_by_need_more_blocks() -> None:
    row = {
        "verdict": "undetermined",
        "estimate": 0.03,
        "se": 0.02,
        "df": 8.0,
        "n_blocks": 5,
        "delta": 0.01,
        "p": 0.2,
        "q": 0.2,
        "tost_q": 0.9,
    }
    needed = [answer_of(row, [row] * tests, fdr)[1] for tests, fdr in ((1, "bh"), (20, "bh"), (20, "by"))]
    assert all(needed)
    assert needed == sorted(set(needed))


@pytest.mark.parametrize("reason", ["too weak"])
def test_what_is_withheld_stays_withheld(reason: str) -> None:
    effects, contrasts = effects_of()
    rows = recommended(withhold(effects, reason), contrasts)
    assert {row["answer"] for row in rows.values()} == {"withheld"}
    assert all(reason in row["reason"] for row in rows.values())
    assert rows["good", "a"]["sign_at_lower_rate"] == "same"


def test_a_decision_whose_runs_are_missing_is_undecided() -> None:
    study = Study(records.RUNS.empty_table(), {}, {})
    contrasts = [contrast("good", "a")]
    rows = recommended(judge(measure(study, contrasts, BLOCKS, "d")), contrasts)
    assert rows["good", "a"]["answer"] == "undecided"
    assert "only 0 blocks" in rows["good", "a"]["reason"]
