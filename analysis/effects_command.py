"""The command `effects`: from runs to the tables of effects, noise, power and controls, and a short print."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from analysis import records
from analysis.commands import contrasts_of
from analysis.design_file import DesignSpec
from analysis.designs import Contrast
from analysis.designs.cells import CONTROL_FAMILIES
from analysis.designs.robustness import VARIANTS, target_weights
from analysis.diverged import add_worst_case
from analysis.document_intervals import add_document_intervals
from analysis.effects import Study, dilution, learning_slope, load_study, measure, with_utility
from analysis.estimates import predicted_rows
from analysis.looks import ALPHA, describe, level_of, read_looks
from analysis.metric_grades import cell_metric_rows, metric_rows, ranked_cells
from analysis.noise import BASE, family_noise, power_rows
from analysis.noise_registry import study_noise
from analysis.recommendations import format_recommendations, recommend
from analysis.statistics.multiple_testing import Correction
from analysis.verdicts import adequacy_row, control_rows, correction_of, judge, void_reason, withheld_reason, withhold
from pipelines.contracts.errors import InputError, message


def run_effects(workspace: Path, design_id: str | None = None, *, as_json: bool = False) -> None:
    """Estimate and judge the effects of a study, and print them.

    Raises:
        InputError: if there is no study, or it has no finished run.
    """
    folder = find_study(workspace, design_id)
    tables = measure_study(folder)
    if as_json:
        print(json.dumps(tables, indent=1))
        return
    spec = json.loads((folder / "design.json").read_text("utf-8"))["spec"]
    level = level_of(DesignSpec.model_validate(spec).looks, spec["blocks"], read_looks(folder))
    spec = {**spec, "blocks": level.blocks}
    if said := describe(level):
        print(said)
    print(format_effects(tables["effects"], tables["controls"], tables["noise"], spec))
    for line in format_recommendations(tables["recommendations"]):
        print(line)


def measure_study(study_folder: Path) -> dict[str, list[dict]]:
    """Estimate and judge the effects of a study and write its tables; what other methods predicted stays in place.

    Returns:
        Rows of `effects`, `noise`, `power`, `controls`, `recommendations`, `metrics`, `cell_metrics`.

    Raises:
        InputError: if it has no finished run.
    """
    body = json.loads((study_folder / "design.json").read_text("utf-8"))
    level = level_of(DesignSpec.model_validate(body["spec"]).looks, body["spec"]["blocks"], read_looks(study_folder))
    spec, targets = {**body["spec"], "blocks": level.blocks}, tuple(body["targets"])
    utility = target_weights(spec.get("utility"), targets)
    study = with_utility(load_study(study_folder), utility)
    if not study.values:
        raise InputError(
            message(str(study_folder), "nothing to measure", "no finished run", "runs", "Run `mixtrace train` first.")
        )
    contrasts = contrasts_of(study_folder)
    fdr = correction_of(study_folder)
    effects = estimate(study, contrasts, level.blocks, body["design_id"], fdr, utility, level.nominal)
    add_dilution(effects, study, contrasts, study_folder, spec["blocks"])
    noise = study_noise(study_folder, study, contrasts)
    asked = [one for one in contrasts if one.method == "retrain"]
    known = family_noise(noise, None, "measured")
    adequacy = adequacy_row(study, targets, spec["blocks"], body["design_id"])
    retrained = [row for row in effects if row["method"] == "retrain"]
    controls = [*control_rows(retrained, body["design_id"]), *([adequacy] if adequacy else [])]
    effects = withhold(effects, withheld_reason(controls, spec["proxy"]["adequacy"]))
    cells = ranked_cells(records.read_table(study_folder / "cells.parquet", "cells"))
    tables = {
        "effects": [*effects, *predicted_rows(study_folder)],
        "noise": noise,
        "power": power_rows(asked, spec["blocks"], spec["prior_sd_bpb"], body["design_id"], known, fdr),
        "controls": controls,
        "recommendations": recommendations_of(study_folder, effects, contrasts, utility),
        "metrics": metric_rows(study.values, study.facts, cells, spec["blocks"], body["design_id"]),
        "cell_metrics": cell_metric_rows(study.values, spec["blocks"], body["design_id"]),
    }
    records.write_table(study_folder / "runs.parquet", study.runs, "runs")
    for name, rows in tables.items():
        records.write_table(study_folder / f"{name}.parquet", records.from_rows(rows, name), name)
    return tables


def recommendations_of(
    study: Path, effects: list[dict], contrasts: list[Contrast], utility: Mapping[str, float]
) -> list[dict]:
    """Return the rows of `recommendations` of a study: its judged effects, with what its decisions and blocks cost."""
    tokens = {row["cell"]: row["tokens"] for row in records.read_table(study / "cells.parquet", "cells").to_pylist()}
    dropped = {row["slice"]: row for row in records.read_table(study / "slices.parquet", "slices").to_pylist()}
    return recommend(effects, contrasts, tokens, dropped, utility, correction_of(study))


def find_study(workspace: Path, design_id: str | None) -> Path:
    """Return the folder of a study; the newest if no id is given.

    Raises:
        InputError: if there is none.
    """
    studies = records.list_studies(workspace)
    if not studies or (design_id is not None and design_id not in studies):
        hint = "Run `mixtrace design plan` first."
        raise InputError(message(str(workspace), "no such study", design_id or "none", f"one of {studies}", hint))
    return records.study_folder(workspace, design_id or studies[-1])


def estimate(
    study: Study,
    contrasts: list[Contrast],
    blocks: int,
    design_id: str,
    fdr: Correction = "bh",
    utility: Mapping[str, float] | None = None,
    alpha: float = ALPHA,
) -> list[dict]:
    """Measure and judge, each method apart: they have different noise.

    Args:
        study: finished runs.
        contrasts: what is compared.
        blocks: blocks of the design.
        design_id: the study.
        fdr: how p values are corrected.
        utility: weights of the targets in the utility, if a contrast is on it (`effects.with_utility`).
        alpha: level of the present look.

    Returns:
        Rows of the table `effects`.
    """
    effects: list[dict] = []
    for method in dict.fromkeys(contrast.method for contrast in contrasts):
        mine = [contrast for contrast in contrasts if contrast.method == method]
        rows = measure(study, mine, blocks, design_id)
        add_worst_case(rows, study, mine, blocks, design_id)
        add_document_intervals(rows, study, mine, blocks, utility or {})
        effects += judge(rows, alpha, fdr)
    return effects


def add_dilution(effects: list[dict], study: Study, contrasts: list[Contrast], folder: Path, blocks: int) -> None:
    """Put the pure-dilution prediction beside every cross-slice effect of two cells with proportional fill."""
    weights = records.read_table(folder / "mixture_weights.parquet", "mixture_weights").to_pylist()
    share: dict[tuple[str, str], float] = {}
    for row in weights:
        key = (row["cell"], row["slice"])
        share[key] = share.get(key, 0.0) + row["weight"]
    coef = {(one.name, one.method): one.coef for one in contrasts}
    for row in effects:
        if row["family"] == "cross-slice" and row["fill"] == "proportional" and row["metric"] == "bpb":
            factors = coef[row["contrast"], row["method"]]
            if sorted(factors.values()) != [-1.0, 1.0]:
                continue
            before, after = (share.get((cell, row["target"]), 0) for cell in sorted(factors, key=factors.__getitem__))
            row["dilution"] = dilution(learning_slope(study, row["target"], blocks), before, after)


def format_effects(effects: list[dict], controls: list[dict], noise: list[dict], spec: dict) -> str:
    """Lay the study out for one screen: controls first, then what was determined."""
    lines = []
    void, withheld = void_reason(controls), withheld_reason(controls, spec["proxy"]["adequacy"])
    if void:
        lines.append(f"THE STUDY IS VOID: {void}")
    elif withheld:
        lines.append(f"VERDICTS WITHHELD (estimates and intervals stand): {withheld}")
    for row in controls:
        mark = "passed" if row["passed"] else "FAILED"
        known = row.get("estimate") is not None
        size = f"{row['estimate']:+.4f} [{row['lo']:+.4f}, {row['hi']:+.4f}] bpb; " if known else ""
        lines.append(f"control {row['control']:<8} {mark}: {size}{row['detail']}")
    lines += _noise_lines(noise, spec)
    lines.append(
        f"{'contrast':<44} {'bpb':>8}  {'95 %: new seeds':<18} {'new documents, too':<18} {'dilution':>8} {'q':>8}  verdict"
    )
    shown = [
        row
        for row in effects
        if row["method"] == "retrain" and row["metric"] == "bpb" and row["family"] not in (*CONTROL_FAMILIES, *VARIANTS)
    ]
    lines += [_line(row) for row in shown]
    counts: dict[str, int] = {}
    for row in effects:
        counts[row["verdict"]] = counts.get(row["verdict"], 0) + 1
    lines.append("verdicts of all contrasts: " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    return "\n".join(lines)


def _noise_lines(noise: list[dict], spec: dict) -> list[str]:
    """Say how much seeds move a score, each kind alone if it was asked for, and what pairing takes away."""
    single: dict[str, list[float]] = {}
    for row in noise:
        if row["cell_type"] == BASE:
            single.setdefault(row["vary"], []).append(row["sd_between_seeds"] ** 2)
    if not single:
        return []
    sd = {vary: math.sqrt(sum(values) / len(values)) for vary, values in single.items()}
    alone = [f"only {vary} {value:.4f}" for vary, value in sd.items() if vary != "all"]
    parts = f" ({', '.join(alone)}; these do not add up)" if alone else ""
    lines = [f"noise: sd over seeds {sd['all']:.4f} bpb{parts}; at {spec['tokens']:,} tokens, {spec['blocks']} blocks"]
    rho = [row["rho"] for row in noise if row.get("rho") is not None]
    if rho:
        middle = sorted(rho)[len(rho) // 2]
        lines.append(
            f"pairing: correlation over blocks achieved {min(rho):+.2f} to {max(rho):+.2f}, median {middle:+.2f}"
        )
    return lines


def _line(row: dict) -> str:
    if row.get("estimate") is None:
        return f"{row['contrast']:<44} {'':>8}  {row['reason']}"
    interval = f"[{row['lo']:+.3f}, {row['hi']:+.3f}]"
    wide = f"[{row['documents_lo']:+.3f}, {row['documents_hi']:+.3f}]" if row.get("documents_lo") is not None else ""
    predicted = f"{row['dilution']:+.3f}" if row.get("dilution") is not None else ""
    note = " (by construction)" if row["family"] == "own-slice" and row["verdict"] == "helps" else ""
    return f"{row['contrast']:<44} {row['estimate']:>+8.3f}  {interval:<18} {wide:<18} {predicted:>8} {row['q']:>8.4f}  {row['verdict']}{note}"
