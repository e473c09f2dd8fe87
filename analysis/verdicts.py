"""Judge: the only place where verdicts are made, by one rule.

helps / hurts    q <= .05 after Benjamini-Hochberg (or -Yekutieli: `fdr` of the design) within the family
negligible       the 90 % interval lies inside +-delta (two one-sided tests, corrected, too)
undetermined     everything else: more blocks would be needed
withheld         any of them, of a study whose controls fail or whose proxy loses to a 3-gram (`withhold`)

The verdict speaks of the slice (if leaving it out raises the loss, the slice helps), of the decision (if
training on what was dropped raises the loss, dropping it helps), and for controls and optima of the treatment.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Literal

import numpy as np
from scipy import stats

from analysis.designs.cells import CONTROL_FAMILIES
from analysis.effects import Study
from analysis.statistics.multiple_testing import Correction, within_families

ALPHA = 0.05
LOWER_IS_BETTER = ("bpb", "gold_bpb")
"""Metrics of contrasts that are losses; the others are margins."""
INTERVAL_POPULATION = "this held-out text, new seeds"


def correction_of(study: Path) -> Correction:
    """Return how the design of a study corrects its p values."""
    return json.loads((study / "design.json").read_text("utf-8")).get("spec", {}).get("fdr") or "bh"


def judge(estimates: list[dict], alpha: float = ALPHA, fdr: Correction = "bh") -> list[dict]:
    """Give every estimate its corrected p values and its verdict.

    Args:
        estimates: rows from `measure`.
        alpha: false discovery rate within a family.
        fdr: how p values are corrected.

    Returns:
        The rows with q, tost_q, verdict and interval_population.
    """
    families = np.array([f"{row['family']}/{row['metric']}/{row['method']}" for row in estimates])
    p = np.array([_number(row.get("p")) for row in estimates])
    tost = np.array([_number(row.get("tost_p")) for row in estimates])
    q, tost_q = within_families(p, families, fdr), within_families(tost, families, fdr)
    judged = []
    for row, q_value, tost_value in zip(estimates, q, tost_q, strict=True):
        verdict = _verdict(row, q_value, tost_value, alpha)
        reason = row.get("reason")
        if row["family"] == "own-slice" and verdict == "helps":
            reason = "by construction: the target is the slice itself"
        judged.append(
            {
                **row,
                "q": None if math.isnan(q_value) else float(q_value),
                "tost_q": None if math.isnan(tost_value) else float(tost_value),
                "verdict": verdict,
                "reason": reason,
                "interval_population": row.get("interval_population", INTERVAL_POPULATION),
            }
        )
    return judged


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _verdict(row: dict, q: float, tost_q: float, alpha: float) -> str:
    if not math.isnan(q) and q <= alpha:
        worse_without = (row["estimate"] > 0) == (row["metric"] in LOWER_IS_BETTER)
        speaks_of_the_treatment = row["family"] in (*CONTROL_FAMILIES, "optimum")
        return "helps" if worse_without != speaks_of_the_treatment else "hurts"
    if not math.isnan(tost_q) and tost_q <= alpha:
        return "negligible"
    return "undetermined"


def control_rows(effects: list[dict], design_id: str) -> list[dict]:
    """Check the controls: the sham must not stand out, the shuffle must hurt, the canary must be found, and only it.

    The mean effect over targets is tested with the t of its targets' moderated errors (their average
    variance; targets of one run are correlated, so this is not divided by their number).
    """
    rows = []
    for control in ("sham", "shuffle"):
        mine = [row for row in effects if row["slice"] == control and row.get("estimate") is not None]
        if not mine:
            detail = "no run of it finished, so nothing is known about the study"
            rows.append({"design_id": design_id, "control": control, "passed": False, "detail": detail})
            continue
        mean = float(np.mean([row["estimate"] for row in mine]))
        se = float(np.sqrt(np.mean([row["se"] ** 2 for row in mine])))
        half = float(stats.t.ppf(0.975, min(row["df"] for row in mine))) * se
        significant = [row["target"] for row in mine if row["q"] is not None and row["q"] <= ALPHA]
        if control == "sham":
            passed = not significant and mean - half <= 0 <= mean + half
            detail = f"true effect 0; {len(significant)} of {len(mine)} targets stand out after correction"
        else:
            passed = mean - half > 0
            detail = f"must hurt; {len(significant)} of {len(mine)} targets stand out after correction"
        rows.append(
            {
                "design_id": design_id,
                "control": control,
                "passed": passed,
                "estimate": mean,
                "lo": mean - half,
                "hi": mean + half,
                "detail": detail,
            }
        )
    return [*rows, *_canary_rows(effects, design_id)]


def _canary_rows(effects: list[dict], design_id: str) -> list[dict]:
    """Check the canary, if the design has one: its own test must improve, and no other may move by more than delta.

    The estimate and interval are those of its own test. The facts take the place of real text, so their true effect on
    other targets is small and not 0: a target counts as moved if its interval lies beyond +-delta. How many are proven
    negligible is said, not asked: what few blocks cannot prove about the canary, they cannot prove about a slice.
    """
    own = next((row for row in effects if row["family"] == "canary"), None)
    if own is None:
        return []
    row = {"design_id": design_id, "control": "canary", "passed": False}
    others = [one for one in effects if one["family"] == "controls" and one["slice"] == own["slice"]]
    if own.get("estimate") is None or not any(one.get("estimate") is not None for one in others):
        return [{**row, "detail": "no run of it finished, so nothing is known about the study"}]
    known = [one for one in others if one.get("estimate") is not None]
    moved = [one["target"] for one in known if one["lo"] > one["delta"] or one["hi"] < -one["delta"]]
    negligible = sum(one["tost_q"] is not None and one["tost_q"] <= ALPHA for one in known)
    detail = (
        f"its own test must improve, and no other move by more than {own['delta']:g} bpb: {len(moved)} of {len(others)} do, "
        f"{negligible} are proven negligible"
    )
    passed = own["hi"] < 0 and not moved
    return [{**row, "passed": passed, **{name: own[name] for name in ("estimate", "lo", "hi")}, "detail": detail}]


def adequacy_row(study: Study, targets: tuple[str, ...], blocks: int, design_id: str) -> dict | None:
    """Compare the proxy with the 3-gram of the same tokens, on the full cell.

    A proxy that loses has not learned what three tokens of context tell; what it makes of a mixture says little
    about a model that has, so its verdicts are withheld unless the design says `adequacy: show`. A proxy that is an
    n-gram itself has nothing to beat and must only not lose; what it says holds for n-grams.

    Returns:
        A row of the table `controls`, or None if there is no n-gram to compare with.
    """
    key = ("bpb", "kept")
    gaps = [
        [
            study.values.get(("full", b, key[0], t, key[1]), math.nan)
            - study.values.get(("ngram_full", b, key[0], t, key[1]), math.nan)
            for t in targets
        ]
        for b in range(blocks)
    ]
    means = np.array(gaps).mean(axis=1)
    means = means[np.isfinite(means)]
    if len(means) < 2:
        return None
    mean, se = float(means.mean()), float(means.std(ddof=1) / math.sqrt(len(means)))
    half = float(stats.t.ppf(0.975, len(means) - 1)) * se
    if "ngram" in {run["model"] for run in study.runs.to_pylist() if run["cell"] == "full"}:
        passed = mean - half <= 0
        detail = f"the proxy is an n-gram, {'as good as' if passed else 'worse than'} the 3-gram of the same tokens"
    else:
        passed = mean + half < 0
        detail = f"the proxy {'beats' if passed else 'does not beat'} the 3-gram of the same tokens"
    return {"design_id": design_id, "control": "adequacy", "passed": passed, "estimate": mean, "lo": mean - half,
            "hi": mean + half, "detail": detail}  # fmt: skip


def void_reason(controls: list[dict]) -> str | None:
    """Return why the study is void, or None: a study whose sham, shuffle or canary fails says nothing."""
    failed = [row for row in controls if not row["passed"] and row["control"] in ("sham", "shuffle", "canary")]
    if not failed:
        return None
    return "; ".join(f"{row['control']} failed ({row['detail']}{_mean_of(row)})" for row in failed)


def withheld_reason(controls: list[dict], adequacy: Literal["withhold", "show"]) -> str | None:
    """Return why the verdicts of a study are withheld, or None.

    Args:
        controls: rows of the table `controls`.
        adequacy: what to do with the verdicts of a proxy that does not beat the 3-gram.
    """
    reasons = [reason for reason in (void_reason(controls),) if reason]
    if adequacy == "withhold":
        row = next((row for row in controls if row["control"] == "adequacy"), None)
        if row is None:
            reasons.append("adequacy is unknown: fewer than 2 blocks of the full cell and of its 3-gram finished")
        elif not row["passed"]:
            found = f"by {row['estimate']:+.3f} [{row['lo']:+.3f}, {row['hi']:+.3f}] bpb over all targets"
            reasons.append(f"{row['detail']} ({found})")
    return "; ".join(reasons) or None


def withhold(effects: list[dict], reason: str | None) -> list[dict]:
    """Take the verdicts of retraining back; estimates and intervals stay.

    Controls keep theirs, because they say why; so does the n-gram, which is what the proxy is measured against.

    Args:
        effects: judged rows.
        reason: why, or None to change nothing.
    """
    if reason is None:
        return effects
    return [
        row
        if row["method"] != "retrain" or row["family"] in CONTROL_FAMILIES
        else {
            **row,
            "verdict": "withheld",
            "reason": "; ".join([f"withheld: {reason}", *([row["reason"]] if row["reason"] else [])]),
        }
        for row in effects
    ]


def _mean_of(control: dict) -> str:
    estimate = control.get("estimate")
    return "" if estimate is None else f"; mean {estimate:+.4f} bpb"
