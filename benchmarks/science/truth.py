"""Truth on real training: a study with many blocks, against what 5 of its blocks alone would have said.

Sham (true effect 0), shuffle (must hurt) and one leave-out (proportional fill) are trained in 16 blocks. Every subset of 5
blocks gives intervals as a study of 5 blocks prints them; they are held against the mean of the blocks that are not in the
subset, and of all 16 (science-notes 25). The range that is expected comes from simulated studies with the measured covariance.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import altair as alt
import numpy as np

from analysis.design_file import load_design
from analysis.effects import load_study
from analysis.statistics.moderated_t import moderated_paired_t
from analysis.statistics.multiple_testing import benjamini_hochberg
from benchmarks.science.contract import Bench, Claim, Results
from benchmarks.science.held_apart import coverage, expected, subsets_of
from benchmarks.science.runs import run_seconds, trained, varied
from reports.charts import OKABE_ITO, rows_data

TITLE = "Truth: what 5 blocks say against 16"
CONTROLS = ("sham", "shuffle")


@dataclass(frozen=True)
class Settings:
    """The study.

    Attributes:
        leave_out: slice that is left out; "" takes the first that the design leaves out.
        blocks: blocks in all.
        subset: blocks of a study whose intervals are judged.
        tokens: training tokens per run.
        eval_tokens: held-out tokens per target.
        subsets: subsets that are tried at most.
        simulations: simulated studies for the expected range.
    """

    leave_out: str = "books"
    blocks: int = 16
    subset: int = 5
    tokens: int = 131_072
    eval_tokens: int = 6_000
    subsets: int = 4368
    simulations: int = 200


FULL = Settings()
SMALL = Settings(leave_out="", blocks=4, subset=2, tokens=4096, eval_tokens=600, subsets=6, simulations=4)


def measure(bench: Bench, settings: Settings) -> Results:
    """Train, and judge the intervals of subsets."""
    slice_ = settings.leave_out or load_design(str(bench.design)).leave_out[0]
    design = varied(
        bench,
        "truth",
        leave_out=[slice_],
        near_duplicates=None,
        rejects=None,
        blocks=settings.blocks,
        tokens=settings.tokens,
        eval_tokens=settings.eval_tokens,
        choice_items=0,
        canary=0,
        proxy={"adequacy": "show"},
    )
    folder = trained(bench, design)
    values = load_study(folder).values
    targets = sorted({target for _, _, metric, target, population in values if (metric, population) == ("bpb", "kept")})
    contrasts, differences = [], []
    for cell in (f"without_{slice_}", *CONTROLS):
        for target in targets:
            family = "controls" if cell in CONTROLS else "own-slice" if target == slice_ else "cross-slice"
            contrasts.append({"cell": cell, "target": target, "family": family})
            differences.append([_difference(values, cell, block, target) for block in range(settings.blocks)])
    return {**judged(np.array(differences), contrasts, settings), "slice": slice_, "train_cpu_s": run_seconds(folder)}


def _difference(values: dict, cell: str, block: int, target: str) -> float:
    treatment, base = (values.get((name, block, "bpb", target, "kept"), math.nan) for name in (cell, "full"))
    return treatment - base


def judged(differences: np.ndarray, contrasts: list[dict[str, Any]], settings: Settings) -> Results:
    """Estimate every contrast from all blocks, and the coverage of subsets.

    Args:
        differences: [contrasts, blocks].
        contrasts: cell, target and family of each.
        settings: size and number of subsets.

    Raises:
        ValueError: if a run is missing: the blocks must be complete.
    """
    if not np.isfinite(differences).all():
        missing = [contrasts[row]["cell"] for row in np.flatnonzero(~np.isfinite(differences).all(axis=1))]
        raise ValueError(f"truth: runs are missing or diverged: {sorted(set(missing))}; expected complete blocks")
    families = np.array([contrast["family"] for contrast in contrasts])
    test = moderated_paired_t(differences, families)
    rows = [
        {
            **contrast,
            "mean": float(test.mean[row]),
            "lo": float(test.lo[row]),
            "hi": float(test.hi[row]),
            "p": float(test.p[row]),
            "sd": float(differences[row].std(ddof=1)),
            "differences": [round(float(value), 5) for value in differences[row]],
        }
        for row, contrast in enumerate(contrasts)
    ]
    subsets = subsets_of(differences.shape[1], settings.subset, settings.subsets)
    per_study = min(100, len(subsets))
    return {
        "contrasts": rows,
        "subset": settings.subset,
        "subsets": len(subsets),
        "coverage": asdict(coverage(differences, families, settings.subset, subsets)),
        "expected": expected(differences, families, settings.subset, settings.simulations, per_study),
        "controls": {name: _control(differences, contrasts, name) for name in CONTROLS},
    }


def _control(differences: np.ndarray, contrasts: list[dict[str, Any]], cell: str) -> dict[str, float]:
    """Return the mean over targets of a control with its interval (targets of a block are averaged first)."""
    mine = [row for row, contrast in enumerate(contrasts) if contrast["cell"] == cell]
    test = moderated_paired_t(differences[mine].mean(axis=0, keepdims=True), np.array(["one"]))
    each = moderated_paired_t(differences[mine], np.array([cell] * len(mine)))
    return {
        "mean": float(test.mean[0]),
        "lo": float(test.lo[0]),
        "hi": float(test.hi[0]),
        "least_q": float(benjamini_hochberg(each.p).min()),
        "targets": len(mine),
    }


def claims(results: Results) -> list[Claim]:
    """The controls do what they must, and the intervals cover as often as they should."""
    sham, shuffle = (results["controls"][name] for name in CONTROLS)
    found, low, high = results["coverage"]["apart"], *results["expected"]["apart"]
    size = results["subset"]
    return [
        Claim(
            "the sham changes nothing: no target stands out, and the interval of their mean holds 0",
            f"{_interval(sham)} bpb, least q {sham['least_q']:.2f} of {sham['targets']} targets",
            sham["lo"] <= 0 <= sham["hi"] and sham["least_q"] > 0.05,
        ),
        Claim("the shuffle hurts", f"{_interval(shuffle)} bpb", shuffle["lo"] > 0),
        Claim(
            f"intervals of {size} blocks cover the mean of the blocks held apart as often as right intervals would",
            f"{found:.1%}; {results['coverage']['apart_nominal']:.1%} nominal, {low:.1%} to {high:.1%} expected",
            low <= found <= high,
        ),
    ]


def _interval(row: dict[str, float]) -> str:
    return f"{row['mean']:+.4f} [{row['lo']:+.4f}, {row['hi']:+.4f}]"


def lines(results: Results) -> list[str]:
    """Return the coverage, then the contrasts of all blocks."""
    size, shares, ranges = results["subset"], results["coverage"], results["expected"]
    text = {
        "apart": f"95 % interval of {size} blocks covers the mean of the others (nominal {shares['apart_nominal']:.1%}: they are noisy, too)",
        "widened": "the same, widened for their noise (nominal 95 %)",
        "whole": f"95 % interval of {size} blocks covers the mean of all, its own among them",
        "found": f"{size} blocks find p ≤ .05",
        "wrong_sign": f"{size} blocks find p ≤ .05 with another sign than all blocks together",
    }
    rows = [
        f"| {words} | {shares[name]:.1%} | {ranges[name][0]:.1%} to {ranges[name][1]:.1%} |"
        for name, words in text.items()
    ]
    contrasts = [
        f"| {row['cell']} | {row['target']} | {row['family']} | {_interval(row)} | {row['sd']:.4f} | {row['p']:.2g} |"
        for row in results["contrasts"]
    ]
    return [
        f"| over {results['subsets']:,} subsets of {size} blocks × {len(results['contrasts'])} contrasts | measured | expected of right intervals |",
        "|---|---|---|", *rows, "",
        f"| cell | target | family | all {len(results['contrasts'][0]['differences'])} blocks [bpb, 95 %] | sd of a paired difference | p |",
        "|---|---|---|---|---|---|", *contrasts,
    ]  # fmt: skip


def charts(results: Results) -> dict[str, dict[str, Any]]:
    """Draw what studies of separate blocks would have said beside all blocks together."""
    size, rows = results["subset"], []
    for contrast in results["contrasts"]:
        if contrast["family"] == "own-slice":
            continue  # ten times the others: it would hide them
        values = np.array(contrast["differences"])
        name = f"{contrast['cell']} on {contrast['target']}"
        rows.append(
            {"contrast": name, "blocks": f"all {len(values)}", **{k: contrast[k] for k in ("mean", "lo", "hi")}}
        )
        for start in range(0, len(values) - size + 1, size):
            test = moderated_paired_t(values[None, start : start + size], np.array([""]))
            rows.append(
                {
                    "contrast": name,
                    "blocks": f"{start} to {start + size - 1}",
                    "mean": float(test.mean[0]),
                    "lo": float(test.lo[0]),
                    "hi": float(test.hi[0]),
                }
            )
    return {"blocks": _chart(rows)}


def _chart(rows: list[dict[str, Any]]) -> dict[str, Any]:
    kinds = list(dict.fromkeys(row["blocks"] for row in rows))
    colour = alt.Color(
        field="blocks",
        type="nominal",
        title="blocks",
        sort=kinds,
        scale=alt.Scale(domain=kinds, range=list(OKABE_ITO[: len(kinds)])),
    )
    base = alt.Chart(rows_data(rows)).encode(
        y=alt.Y(field="contrast", type="nominal", sort=None, title=None),
        yOffset=alt.YOffset(field="blocks", type="nominal", sort=kinds),
        color=colour,
    )
    lines_ = base.mark_rule(strokeWidth=1.5).encode(
        x=alt.X(field="lo", type="quantitative", title="effect, 95 % interval of the blocks alone [bits per byte]"),
        x2=alt.X2(field="hi"),
    )
    points = base.mark_point(filled=True, size=30).encode(x=alt.X(field="mean", type="quantitative"))
    zero = alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(color="#9aa2ae", strokeDash=[4, 3])
    layers = alt.layer(zero.encode(x=alt.X(field="zero", type="quantitative")), lines_, points)
    return layers.properties(height=alt.Step(8)).to_dict()
