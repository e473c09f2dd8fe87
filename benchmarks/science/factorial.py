"""Curation decisions in a factorial: their main effects, their interactions, and what the factorial gains.

The factors of `designs/factorial.yaml` (groups of rules whose rejects come back), all combinations, in the same blocks. Every
main effect uses every cell; changing one decision at a time on the same runs uses two cells of each block and is shown beside it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis import records
from analysis.commands import contrasts_of
from analysis.design_file import load_design
from analysis.effects import load_study
from analysis.statistics.moderated_t import moderated_paired_t
from benchmarks.science.contract import Bench, Claim, Results
from benchmarks.science.runs import run_seconds, trained, varied
from reports.charts import intervals

TITLE = "Factorial: curation decisions and their interactions"
LEAST_GAIN = 0.9
_COLUMNS = ("contrast", "slice", "target", "estimate", "lo", "hi", "se", "q", "verdict")


@dataclass(frozen=True)
class Settings:
    """The study.

    Attributes:
        section: design file whose section `factorial` is taken; slices and weights are those of the bench.
        blocks: blocks.
        tokens: training tokens per run.
        eval_tokens: held-out tokens per target and population.
    """

    section: str = "designs/factorial.yaml"
    blocks: int = 5
    tokens: int = 131_072
    eval_tokens: int = 6_000


FULL = Settings()
SMALL = Settings(blocks=2, tokens=4096, eval_tokens=600)


def measure(bench: Bench, settings: Settings) -> Results:
    """Train the factorial."""
    section = load_design(settings.section).factorial
    design = varied(
        bench,
        "factorial",
        design="factorial",
        factorial=section.model_dump(mode="json", exclude_unset=True),
        leave_out=None,
        near_duplicates=None,
        rejects=None,
        blocks=settings.blocks,
        tokens=settings.tokens,
        eval_tokens=settings.eval_tokens,
        choice_items=0,
        proxy={"adequacy": "show"},
    )
    return summary(trained(bench, design))


def summary(study: Path) -> Results:
    """Return the effects, the controls, and the standard errors of one decision at a time."""
    effects = records.read_table(study / "effects.parquet", "effects").to_pylist()
    decisions = [
        {name: row[name] for name in _COLUMNS}
        for row in effects
        if row["family"] == "decisions" and row["method"] == "retrain"
    ]
    controls = records.read_table(study / "controls.parquet", "controls").to_pylist()
    main = [row["se"] for row in decisions if ":" not in row["slice"]]
    single = one_at_a_time(study)
    return {
        "effects": decisions,
        "controls": controls,
        "main_se": float(np.sqrt(np.mean(np.square(main)))),
        "single_se": float(np.sqrt(np.mean(np.square(single)))),
        "train_cpu_s": run_seconds(study),
    }


def one_at_a_time(study: Path) -> list[float]:
    """Return the standard errors of "this decision alone against none", factor by target, from the same runs."""
    values = load_study(study).values
    blocks = json.loads((study / "design.json").read_text("utf-8"))["spec"]["blocks"]
    main = [c for c in contrasts_of(study) if c.family == "decisions" and ":" not in c.slice]
    differences = [
        [
            values.get((f"back_{one.slice}", block, "bpb", one.target, one.population), math.nan)
            - values.get(("full", block, "bpb", one.target, one.population), math.nan)
            for block in range(blocks)
        ]
        for one in main
    ]
    return moderated_paired_t(np.array(differences), np.full(len(main), "single")).se.tolist()


def claims(results: Results) -> list[Claim]:
    """The controls hold, and main effects are sharper than one decision at a time."""
    failed = [row["control"] for row in results["controls"] if row["control"] != "adequacy" and not row["passed"]]
    shown = "; ".join(
        f"{row['control']} {row['estimate']:+.4f} [{row['lo']:+.4f}, {row['hi']:+.4f}]"
        for row in results["controls"]
        if row["control"] != "adequacy" and row["estimate"] is not None
    )
    gain = results["single_se"] / results["main_se"]
    return [
        Claim("the controls hold", f"{shown}; failed: {', '.join(failed) or 'none'}", not failed),
        Claim(
            "a main effect over all cells is about as sharp as one decision at a time, or sharper",
            f"standard error {results['main_se']:.4f} against {results['single_se']:.4f} bpb: {gain:.2f} times",
            gain >= LEAST_GAIN,
        ),
    ]


def lines(results: Results) -> list[str]:
    """Return the effects: main effects first."""
    ordered = sorted(results["effects"], key=lambda row: row["slice"].count(":"))
    return [
        f"A main effect is {results['single_se'] / results['main_se']:.2f} times as sharp as one decision at a time on the same runs. Independent "
        "noise would give 2; but the cells of a block share seeds, slots and the swapped text, so that averaging over them averages the "
        "same noise: what this factorial gains is the interactions.",
        "",
        "Positive: text that the decision drops raises the loss when it comes back, so dropping helps. `a:b`: the interaction.",
        "",
        "| effect | target (unfiltered) | bpb [95 %] | q | verdict |",
        "|---|---|---|---|---|",
        *(
            f"| {row['slice']} | {row['target']} | {row['estimate']:+.4f} [{row['lo']:+.4f}, {row['hi']:+.4f}] | {row['q']:.3f} | {row['verdict']} |"
            for row in ordered
        ),
    ]


def charts(results: Results) -> dict[str, dict[str, Any]]:
    """Draw all effects with their intervals."""
    rows = tuple(sorted(results["effects"], key=lambda row: row["slice"].count(":")))
    return {"effects": intervals(rows, "contrast", "estimate", "", "bits per byte (positive: dropping helps)")}
