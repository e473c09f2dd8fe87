"""What to do about each curation decision: keep it, relax it, or how many more blocks would tell.

The answer repeats the verdict of `analysis.verdicts.judge`, it makes none of its own; what is added is what an undetermined
decision would take, what the decision costs in tokens, and whether its sign stays at another rate and budget.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from analysis.designs import Contrast
from analysis.designs.robustness import LOWER_RATE, MORE_TOKENS, UTILITY, VARIANTS
from analysis.statistics.multiple_testing import Correction, level_of_next
from analysis.statistics.power import blocks_to_decide
from analysis.verdicts import ALPHA

MAX_BLOCKS = 100
"""More blocks in all than anyone will run: beyond, a decision counts as one that blocks do not decide."""
FAMILIES = ("decisions", "utility")
ANSWERS = {
    "helps": "keep",
    "hurts": "relax",
    "negligible": "either",
    "undetermined": "undecided",
    "withheld": "withheld",
}
POWER = 0.8


def recommend(
    effects: Sequence[dict],
    contrasts: Sequence[Contrast],
    tokens: Mapping[str, int],
    dropped: Mapping[str, Mapping[str, int]],
    weights: Mapping[str, float],
    fdr: Correction = "bh",
) -> list[dict]:
    """Return a row of the table `recommendations` per decision and target, and per decision on the utility.

    Args:
        effects: judged rows.
        contrasts: of the design.
        tokens: training tokens of a run of each cell.
        dropped: slice -> its row of the table `slices`: documents and tokens that the decision drops.
        weights: weights of the targets in the utility.
        fdr: how p values are corrected.
    """
    by_name = {one.name: one for one in contrasts if one.method == "retrain"}
    retrained = {row["contrast"]: row for row in effects if row["method"] == "retrain"}
    found = []
    for row in retrained.values():
        if row["family"] not in FAMILIES or row["contrast"] not in by_name:
            continue
        family = [one for one in retrained.values() if (one["family"], one["metric"]) == (row["family"], row["metric"])]
        answer, more, reason = answer_of(row, family, fdr)
        per_block = sum(tokens.get(cell, 0) for cell in by_name[row["contrast"]].coef)
        cost = dropped.get(row["slice"], {})
        found.append(
            {
                **{name: row.get(name) for name in ("design_id", "contrast", "target", "population", "estimate", "lo", "hi", "verdict", "n_blocks")},
                "decision": row["slice"],
                "weight": 1.0 if row["target"] == UTILITY else weights.get(row["target"], 0.0),
                "answer": answer,
                "more_blocks": more,
                "more_tokens": None if more is None else more * per_block,
                "dropped_documents": cost.get("documents"),
                "dropped_tokens": cost.get("tokens"),
                "sign_at_lower_rate": sign_at(row, retrained.get(f"{row['contrast']} {VARIANTS[LOWER_RATE][1]}")),
                "sign_at_more_tokens": sign_at(row, retrained.get(f"{row['contrast']} {VARIANTS[MORE_TOKENS][1]}")),
                "reason": reason,
            }
        )  # fmt: skip
    return found


def answer_of(row: dict, family: Sequence[dict], fdr: Correction) -> tuple[str, int | None, str]:
    """Answer for one contrast.

    The level that a further discovery must reach is that of the family as it is now, with one discovery more.

    Args:
        row: judged row.
        family: all rows that are corrected together with it.
        fdr: how p values are corrected.

    Returns:
        (answer, further blocks if they decide it, why).
    """
    answer = ANSWERS[row["verdict"]]
    if row.get("estimate") is None or row["verdict"] == "withheld":
        return answer, None, row.get("reason") or "no estimate"
    if row["verdict"] != "undetermined":
        words = {"keep": "dropping lowers the loss", "relax": "dropping raises the loss",
                 "either": f"the effect lies within ±{row['delta']:g} bpb: tokens and cost decide"}  # fmt: skip
        return answer, None, words[answer]
    sd = row["se"] * math.sqrt(row["n_blocks"])
    if sd == 0:
        return answer, None, "no variance over blocks: nothing to reckon with"
    tested = [one for one in family if one.get("p") is not None]
    levels = [
        level_of_next(len(tested), sum(one[name] <= ALPHA for one in tested), ALPHA, fdr) for name in ("q", "tost_q")
    ]
    more = blocks_to_decide(row["estimate"], sd, row["n_blocks"], row["df"], row["delta"], *levels, POWER, MAX_BLOCKS)
    if more is None:
        return (
            answer,
            None,
            f"more than {MAX_BLOCKS} blocks in all if the effect is as estimated: it lies too near ±{row['delta']:g} bpb",
        )
    plural = "block decides" if more == 1 else "blocks decide"
    return answer, more, f"{more} more {plural} it with {POWER:.0%} power, if the effect is as estimated"


def sign_at(row: dict, other: dict | None) -> str | None:
    """Compare the sign of an effect with that at another rate or budget.

    Args:
        row: the effect.
        other: the same contrast there; None if the design does not have it.

    Returns:
        "same", "opposite", "undetermined" (there), or None.
    """
    if other is None or row.get("estimate") is None:
        return None
    if other.get("q") is None or other["q"] > ALPHA:
        return "undetermined"
    return "same" if (other["estimate"] > 0) == (row["estimate"] > 0) else "opposite"


def format_recommendations(rows: Sequence[dict]) -> list[str]:
    """Lay the decisions out for a terminal."""
    if not rows:
        return []
    lines = [f"{'decision':<18} {'target':<12} {'bpb':>8} {'answer':<10} {'lr/3':<12} {'2x tokens':<12} why"]
    for row in rows:
        size = f"{row['estimate']:>+8.3f}" if row.get("estimate") is not None else f"{'':>8}"
        why = "verdicts are withheld, see above" if row["answer"] == "withheld" else row["reason"]
        signs = (row["sign_at_lower_rate"] or "", row["sign_at_more_tokens"] or "")
        lines.append(
            f"{row['decision']:<18} {row['target']:<12} {size} {row['answer']:<10} {signs[0]:<12} {signs[1]:<12} {why}"
        )
    return lines
