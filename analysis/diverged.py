"""Diverged runs are outcomes: what the effects would be if each had ended as badly as the worst run that finished."""

from __future__ import annotations

from dataclasses import replace

from analysis.designs import Contrast
from analysis.effects import Study, measure
from analysis.verdicts import LOWER_IS_BETTER


def worst_case(study: Study) -> Study | None:
    """Give every diverged run the worst value of any finished run on each metric and target.

    Returns:
        The study without gaps, or None if no run diverged.
    """
    lost = [(run["cell"], run["block"]) for run in study.runs.to_pylist() if run["status"] == "diverged"]
    if not lost:
        return None
    worst: dict[tuple[str, str, str], float] = {}
    for (_, _, *key), value in study.values.items():
        metric, target, population = key
        place, bad = (metric, target, population), max if metric in LOWER_IS_BETTER else min
        worst[place] = bad(worst.get(place, value), value)
    filled = {(cell, block, *place): value for cell, block in lost for place, value in worst.items()}
    return replace(study, values={**study.values, **filled})


def add_worst_case(rows: list[dict], study: Study, contrasts: list[Contrast], blocks: int, design_id: str) -> None:
    """Put the worst-case estimate and interval into the rows of contrasts with a diverged run.

    The rows' own estimates are of the blocks in which all cells finished.

    Args:
        rows: from `effects.measure`, one per contrast; changed in place.
        study: the runs.
        contrasts: in the order of the rows.
        blocks: blocks of the design.
        design_id: the study.
    """
    filled = worst_case(study)
    if filled is None:
        return
    lost = {run["cell"] for run in study.runs.to_pylist() if run["status"] == "diverged"}
    for row, contrast, worst in zip(rows, contrasts, measure(filled, contrasts, blocks, design_id), strict=True):
        if not lost & set(contrast.coef) or worst.get("estimate") is None:
            continue
        row |= {f"worst_{name}": worst[name] for name in ("estimate", "lo", "hi")}
        if row.get("estimate") is not None and not _same_side(row, worst):
            row["reason"] = "; ".join(
                [*filter(None, [row["reason"]]), "with diverged runs at their worst, the sign is not sure"]
            )


def _same_side(row: dict, worst: dict) -> bool:
    """Say whether the worst case lies on the side of the estimate, interval and all."""
    return worst["lo"] > 0 if row["estimate"] > 0 else worst["hi"] < 0
