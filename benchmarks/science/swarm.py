"""Swarm: do laws predict our own runs, and does the mixture that they recommend beat the natural one with fresh seeds?

Mixtures of the demo's slices are drawn around the natural one and run once each. Laws are chosen and fitted by
cross-validation inside the swarm; the learning curve judges them by runs that they have not seen, beside LightGBM on the same
runs (paired bootstrap). The optimum under limits, uniform, RegMix's and MixMin's mixtures are then trained against natural
in 5 blocks of fresh seeds. Leave-outs that the law predicts are retrained, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from analysis import records
from analysis.design_file import load_design
from analysis.laws.catalogue import LAWS
from analysis.laws.command import LawOptions, analyse
from benchmarks.science.contract import Bench, Claim, Results
from benchmarks.science.runs import own_workspace, run_seconds, trained, varied
from reports.charts import colours, intervals, scatter

TITLE = "Swarm: laws on our own runs, and the optimum with fresh seeds"


@dataclass(frozen=True)
class Settings:
    """The study.

    Attributes:
        model: of the proxy: llama, as the demo's, or ngram (a 3-gram).
        runs: mixtures of the swarm.
        leave_out: slices that are left out in turn, at most; the first of the design.
        blocks: blocks of natural, controls and leave-outs.
        tokens: training tokens per run.
        eval_tokens: held-out tokens per target and population.
        replicates: bootstrap samples of the runs.
        laws: candidates.
        baselines: whether uniform, RegMix and MixMin are run with fresh seeds, too.
    """

    model: str = "llama"
    runs: int = 96
    leave_out: int = 2
    blocks: int = 5
    tokens: int = 131_072
    eval_tokens: int = 4_000
    replicates: int = 100
    laws: tuple[str, ...] = tuple(LAWS)
    baselines: bool = True


FULL = Settings()
SMALL = Settings(runs=20, leave_out=1, blocks=2, tokens=1024, eval_tokens=300, replicates=3,
                 laws=("linear", "LightGBM"), baselines=False)  # fmt: skip


def measure(bench: Bench, settings: Settings) -> Results:
    """Train the swarm, fit, confirm."""
    spec = load_design(str(bench.design))
    design = varied(
        bench,
        "swarm",
        design="swarm",
        swarm={"runs": settings.runs, "single_slices": True},
        weights=None,
        leave_out=spec.leave_out[: settings.leave_out],
        near_duplicates=None,
        rejects=None,
        blocks=settings.blocks,
        tokens=settings.tokens,
        eval_tokens=settings.eval_tokens,
        choice_items=0,
        max_runs=1000,
        proxy={"adequacy": "show"} if settings.model == "llama" else {"model": settings.model, "order": 3},
    )
    folder = trained(bench, design)
    workspace = own_workspace(bench)
    laws = {name: LAWS[name] for name in settings.laws}
    options = LawOptions(True, settings.baselines, bench.workers, settings.replicates, laws)
    tables = analyse(workspace, folder, options)
    confirmation = next(path for path in folder.parent.iterdir() if path != folder and (path / "runs").is_dir())
    effects = records.read_table(folder / "effects.parquet", "effects").to_pylist()
    controls = records.read_table(folder / "controls.parquet", "controls").to_pylist()
    return {
        **{
            name: [_rounded(row) for row in rows]
            for name, rows in tables.items()
            if name not in ("law_fits", "law_slopes")
        },
        "leave_outs": leave_outs(effects),
        "controls": [_rounded(row) for row in controls],
        "train_cpu_s": run_seconds(folder) + run_seconds(confirmation),
    }


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: round(value, 6) if isinstance(value, float) else value
        for name, value in row.items()
        if name != "design_id"
    }


def leave_outs(effects: list[dict]) -> list[dict]:
    """Put every leave-out that was retrained beside what the law predicts."""
    named = ("estimate", "lo", "hi")
    rows = {(row["method"], row["contrast"]): row for row in effects if row["family"] in ("own-slice", "cross-slice")}
    found = []
    for (method, contrast), law in rows.items():
        run = rows.get(("retrain", contrast))
        if method == "law" and run is not None and run["estimate"] is not None:
            found.append({"slice": law["slice"], "target": law["target"], "law": _rounded({k: law[k] for k in named}),
                          "retrain": _rounded({k: run[k] for k in named}), "note": law["reason"]})  # fmt: skip
    return found


def claims(results: Results) -> list[Claim]:
    """The laws predict, better than LightGBM; the optimum is better than natural."""
    best = next(row for row in results["law_mixtures"] if row["mixture"] == "optimum")
    failed = [row["control"] for row in results["controls"] if not row["passed"] and row["control"] != "adequacy"]
    return [
        Claim("the controls of the swarm hold", f"failed: {', '.join(failed) or 'none'}", not failed),
        *prediction_claims(results),
        Claim(
            f"the optimum beats natural in {best['n_blocks']} blocks of fresh seeds",
            f"{_gain(best, 'measured_')} bpb of the utility; the law had predicted {_gain(best)}",
            best["status"] == "confirmed",
        ),
    ]


def prediction_claims(results: Results) -> list[Claim]:
    """The law ranks better than LightGBM, and says which way retraining goes."""
    last = [row for row in results["law_curve"] if row["law"] == "chosen"][-1]
    sure = [row for row in results["leave_outs"] if not row["retrain"]["lo"] <= 0 <= row["retrain"]["hi"]]
    same = sum((row["law"]["estimate"] > 0) == (row["retrain"]["estimate"] > 0) for row in sure)
    return [
        Claim(
            f"the law chosen on {last['runs']} runs ranks the others better than LightGBM does",
            f"Spearman × 100 {last['spearman']:.1f}, difference {last['difference']:+.1f} [{last['lo']:+.1f}, {last['hi']:+.1f}]",
            last["lo"] > 0,
        ),
        Claim(
            "the law has the sign of every retrained leave-out whose interval excludes 0",
            f"{same} of {len(sure)}",
            same == len(sure),
        ),
    ]


def _gain(row: dict[str, Any], prefix: str = "") -> str:
    gain = row["measured_gain" if prefix else "gain"]
    return "–" if gain is None else f"{gain:+.4f} [{row[prefix + 'lo']:+.4f}, {row[prefix + 'hi']:+.4f}]"


def lines(results: Results) -> list[str]:
    """Return controls, targets, learning curve, mixtures, weights, leave-outs."""
    controls = [
        f"{row['control']} {'passed' if row['passed'] else '**failed**'} ({row['detail']})"
        for row in results["controls"]
    ]
    targets = [
        f"| {row['target']} | {row['sd_swarm']:.4f} | {row['sd_seeds']:.4f} | {row['sd_in_block']:.4f} | {row['ceiling']:.3f} | {row['spearman']:.1f} |"
        for row in results["law_targets"]
    ]
    mixtures = [
        f"| {row['mixture']} | {_gain(row)} | {_gain(row, 'measured_')} | {row['n_blocks']} | {row['status']} |"
        for row in results["law_mixtures"]
    ]
    left = [
        f"| {row['slice']} | {row['target']} | {_gain({'gain': row['law']['estimate'], **row['law']})} | "
        f"{_gain({'gain': row['retrain']['estimate'], **row['retrain']})} |"
        for row in results["leave_outs"]
    ]
    return [
        f"Controls: {'; '.join(controls)}.", "",
        "| target | sd over mixtures [bpb] | sd over seeds [bpb] | noise inside a block [bpb] | ceiling √reliability | Spearman × 100, out of fold |", "|---|---|---|---|---|---|",
        *targets, "", *_curve_lines(results["law_curve"]), "",
        "| mixture | predicted gain on natural [bpb, 95 %] | measured with fresh seeds [bpb, 95 %] | blocks | status |", "|---|---|---|---|---|",
        *mixtures, "", *_weight_lines(results), "",
        "| left out | target | predicted by the law [bpb, bootstrap 95 %] | retrained [bpb, 95 %] |", "|---|---|---|---|", *left,
    ]  # fmt: skip


def _curve_lines(curve: list[dict]) -> list[str]:
    laws = list(dict.fromkeys(row["law"] for row in curve))
    rows = {(row["runs"], row["law"]): row for row in curve}
    made = [
        "| runs learnt from | " + " | ".join(laws) + " | chosen − LightGBM (95 %) |",
        "|---" * (len(laws) + 2) + "|",
    ]
    for runs in dict.fromkeys(row["runs"] for row in curve):
        chosen = rows[runs, "chosen"]
        scores = " | ".join(f"{rows[runs, law]['spearman']:.1f}" for law in laws)
        made.append(
            f"| {runs} | {scores} | **{chosen['difference']:+.1f}** [{chosen['lo']:+.1f}, {chosen['hi']:+.1f}] |"
        )
    return made


def _weight_lines(results: Results) -> list[str]:
    weights: dict[str, dict[str, dict]] = {}
    for row in results["law_weights"]:
        weights.setdefault(row["mixture"], {})[row["slice"]] = row
    shown = [name for name, some in weights.items() if all(row["weight"] is not None for row in some.values())]
    made = [
        "| slice | " + " | ".join(shown) + " | optimum, 95 % | range of the swarm |",
        "|---" * (len(shown) + 3) + "|",
    ]
    for row in results["law_slices"]:
        best = weights["optimum"][row["slice"]]
        interval = "withheld" if best["lo"] is None else f"{best['lo']:.3f} – {best['hi']:.3f}"
        cells = " | ".join(f"{weights[name][row['slice']]['weight']:.3f}" for name in shown)
        made.append(f"| {row['slice']} | {cells} | {interval} | {row['least']:.3f} – {row['most']:.3f} |")
    return made


def charts(results: Results) -> dict[str, dict[str, Any]]:
    """Draw predicted against measured runs, and the gains of the mixtures."""
    points = results["law_predictions"]
    palette = colours([row["target"] for row in points])
    gains = [
        {"mixture": f"{row['mixture']}, {kind}", "gain": row[gain], "lo": row[lo], "hi": row[hi],
         "verdict": "predicted" if kind == "predicted" else "helps" if row[lo] > 0 else "hurts" if row[hi] < 0 else "undetermined"}
        for row in results["law_mixtures"] if row["mixture"] != "natural"
        for kind, gain, lo, hi in (("predicted", "gain", "lo", "hi"), ("measured", "measured_gain", "measured_lo", "measured_hi"))
        if row[gain] is not None
    ]  # fmt: skip
    return {
        "predictions": scatter(points, "predicted", "measured", "target", palette, "Runs of the swarm, bits per byte: predicted out of fold, and measured"),
        "gains": intervals(gains, "mixture", "gain", "Gain on the natural mixture", "bits per byte of the utility; positive: better than natural"),
    }  # fmt: skip
