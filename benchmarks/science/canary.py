"""Canary: facts that were planted in 2 % of the slots are found by their own test, and by no other.

Sixteen made-up facts take a small share of the training slots; the same slots are redrawn in a sham. The planted facts in
other orders must be likelier for it (the study sees what is there), and no score of the six targets may move by more than what
counts as negligible (it sees nothing else; a trace is real, because the facts take the place of text). "Negligible" is proven by two one-sided tests, target by target and for the mean over targets.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np

from analysis import records
from analysis.canary import CANARY
from analysis.designs.controls import CANARY_SHAM
from analysis.effects import load_study
from analysis.statistics.equivalence import tost_p
from analysis.statistics.moderated_t import moderated_paired_t
from benchmarks.science.contract import Bench, Claim, Results
from benchmarks.science.runs import run_seconds, trained, varied
from reports.charts import rows_data

TITLE = "Canary: what was planted is found, and only that"


@dataclass(frozen=True)
class Settings:
    """The study.

    Attributes:
        blocks: blocks.
        tokens: training tokens per run.
        eval_tokens: held-out tokens per target.
        share: share of the slots that hold the facts.
    """

    blocks: int = 10
    tokens: int = 131_072
    eval_tokens: int = 6_000
    share: float = 0.02


FULL = Settings()
SMALL = Settings(blocks=3, tokens=4096, eval_tokens=600, share=0.2)


def measure(bench: Bench, settings: Settings) -> Results:
    """Train the controls, and compare the canary with its sham on every target."""
    design = varied(
        bench, "canary", leave_out=[], near_duplicates=None, rejects=None, blocks=settings.blocks, tokens=settings.tokens,
        eval_tokens=settings.eval_tokens, choice_items=0, canary=settings.share, max_runs=5 * settings.blocks,
        proxy={"adequacy": "show"},
    )  # fmt: skip
    folder = trained(bench, design)
    effects = [row for row in records.read_table(folder / "effects.parquet", "effects").to_pylist()
               if row["slice"] == CANARY and row["method"] == "retrain"]  # fmt: skip
    controls = records.read_table(folder / "controls.parquet", "controls").to_pylist()
    kept = ("target", "estimate", "lo", "hi", "q", "tost_q", "verdict", "delta")
    return {
        "targets": [{name: row[name] for name in kept} for row in effects],
        "mean": _mean_over_targets(load_study(folder).values, effects, settings.blocks),
        "control": {name: row["passed"] for row in controls for name in [row["control"]]},
        "planted_tokens": round(settings.share * settings.tokens),
        "blocks": settings.blocks,
        "model": json.loads((folder / "runs" / f"{CANARY}-0" / "run.json").read_text("utf-8"))["model"],
        "train_cpu_s": run_seconds(folder),
    }


def _mean_over_targets(values: dict, effects: list[dict], blocks: int) -> dict[str, float]:
    """Return the effect of the canary on the mean over targets, with its interval and the p of two one-sided tests."""
    targets = [row["target"] for row in effects if row["target"] != CANARY]

    def mean(cell: str, block: int) -> float:
        return float(np.mean([values[cell, block, "bpb", target, "kept"] for target in targets]))

    differences = np.array([[mean(CANARY, block) - mean(CANARY_SHAM, block) for block in range(blocks)]])
    test = moderated_paired_t(differences, np.array(["mean"]))
    delta = np.array([effects[0]["delta"]])
    return {
        "estimate": float(test.mean[0]),
        "lo": float(test.lo[0]),
        "hi": float(test.hi[0]),
        "tost_p": float(tost_p(test.mean, test.se, test.df, delta)[0]),
    }


def claims(results: Results) -> list[Claim]:
    """The planted facts are found, nothing else moves."""
    own = next(row for row in results["targets"] if row["target"] == CANARY)
    others = [row for row in results["targets"] if row["target"] != CANARY]
    moved = [row["target"] for row in others if row["lo"] > row["delta"] or row["hi"] < -row["delta"]]
    mean = results["mean"]
    return [
        Claim(
            f"{results['planted_tokens']:,} planted tokens make the same facts likelier",
            f"{_interval(own)} bpb",
            own["hi"] < 0,
        ),
        Claim(
            f"no other target moves by more than {own['delta']} bpb",
            f"{len(moved)} of {len(others)}; most {_interval(max(others, key=lambda row: abs(row['estimate'])))} bpb",
            not moved,
        ),
        Claim(
            f"the mean over the other targets is negligible (within ±{own['delta']} bpb, two one-sided tests)",
            f"{_interval(mean)} bpb, p {mean['tost_p']:.2g}",
            mean["tost_p"] <= 0.05,
        ),
    ]


def _interval(row: dict[str, float]) -> str:
    return f"{row['estimate']:+.4f} [{row['lo']:+.4f}, {row['hi']:+.4f}]"


def lines(results: Results) -> list[str]:
    """Return a row per target."""
    rows = [
        f"| {row['target']} | {_interval(row)} | {row['q']:.2g} | {row['tost_q']:.2g} | {row['verdict']} |"
        for row in results["targets"]
    ]
    others = [row for row in results["targets"] if row["target"] != CANARY]
    proven = sum(row["tost_q"] <= 0.05 for row in others)
    return [
        f"| target | canary − sham of the same slots, {results['model']}, {results['blocks']} blocks [bpb, 95 %] | q | q of negligible | verdict |",
        "|---|---|--:|--:|---|", *rows, "",
        f"Proven negligible, target by target: {proven} of {len(others)} (q of negligible ≤ .05; an effect may be seen and be negligible: the "
        "facts take the place of real text).",
    ]  # fmt: skip


def charts(results: Results) -> dict[str, dict[str, Any]]:
    """Draw the effect on the targets; the canary's own is far outside and named in the table."""
    rows = [row for row in results["targets"] if row["target"] != CANARY]
    base = alt.Chart(rows_data([{k: row[k] for k in ("target", "estimate", "lo", "hi")} for row in rows])).encode(
        y=alt.Y(field="target", type="nominal", sort=None, title=None)
    )
    title = "canary − sham, 95 % interval [bits per byte]; band: negligible"
    rule = base.mark_rule(strokeWidth=2).encode(
        x=alt.X(field="lo", type="quantitative", title=title), x2=alt.X2(field="hi")
    )
    point = base.mark_point(filled=True, size=50).encode(x=alt.X(field="estimate", type="quantitative"))
    delta = results["targets"][0]["delta"]
    band = alt.Chart(alt.Data(values=[{"lo": -delta, "hi": delta}])).mark_rect(color="#d9dee6", opacity=0.6)
    layers = alt.layer(band.encode(x=alt.X(field="lo", type="quantitative"), x2=alt.X2(field="hi")), rule, point)
    return {"targets": layers.properties(height=alt.Step(20)).to_dict()}
