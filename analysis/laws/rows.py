"""The rows of the tables of a swarm's laws (`analysis.laws.tables`)."""

from __future__ import annotations

import math

import numpy as np

from analysis.laws.choice import mean_spearman
from analysis.laws.coefficients import coefficient_rows
from analysis.laws.confirmation import NEEDED, SELECTED, Confirmation
from analysis.laws.intervals import Fitted
from analysis.laws.optimum import Row
from analysis.laws.study import StudySwarm
from analysis.laws.summary import Answer

Rows = dict[str, list[dict]]


def table_rows(
    asked: StudySwarm, said: Answer, fitted: Fitted, curve: list[dict], left_out: list[dict], withheld: str | None
) -> Rows:
    """Make the rows of every table of laws.

    Args:
        asked: swarm and question.
        said: laws and optimum.
        fitted: the smooth law with what its intervals need.
        curve: learning curve.
        left_out: what no law could use.
        withheld: why nothing that was selected may be shown, whatever was confirmed.
    """
    swarm, design_id = asked.swarm, asked.design_id
    curves = [fitted.curve, *fitted.without]
    fits, slopes = coefficient_rows(curves, swarm.slices, swarm.targets, design_id)
    rows: Rows = {
        "laws": _law_rows(asked, said),
        "law_targets": target_rows(asked, fitted),
        "law_slices": _slice_rows(asked),
        "law_fits": fits,
        "law_slopes": slopes,
        "law_predictions": prediction_rows(asked, fitted),
        "law_mixtures": [_mixture_row(row, said, withheld) for row in said.rows],
        "law_weights": _weight_rows(asked, said, withheld),
        "law_curve": curve,
        "law_left_out": left_out,
    }
    return {name: [{"design_id": design_id, **row} for row in some] for name, some in rows.items()}


def _law_rows(asked: StudySwarm, said: Answer) -> list[dict]:
    return [
        {
            "law": one.name,
            "strength": getattr(one.law, "strength", 0.0) or None,
            "spearman": 100 * one.spearman,
            "rmse_sd": one.rmse,
            "chosen": one is said.choice.best,
            "finds_optimum": one.law == said.smooth,
            "runs": len(asked.swarm.values),
        }
        for one in said.choice.candidates
    ]


def out_of_fold(asked: StudySwarm, fitted: Fitted) -> np.ndarray:
    """Return the prediction [runs, targets] of every run by the law that was fitted without its fold."""
    away = np.stack([curve.mean(asked.swarm.weights) for curve in fitted.without])
    return away[fitted.fold, np.arange(len(fitted.fold))]


def target_rows(asked: StudySwarm, fitted: Fitted) -> list[dict]:
    """Say of every target how far mixtures move it, how far seeds do, and how well it is predicted.

    Runs of a swarm share their block, so what limits a law is the noise inside a block, which the sham shows.
    """
    predicted = out_of_fold(asked, fitted)
    importance = asked.question.importance / asked.question.importance.sum()
    rows = []
    for number, target in enumerate(asked.swarm.targets):
        values, natural, sham = (one[:, number] for one in (asked.swarm.values, asked.natural, asked.sham))
        spread, seeds, paired = float(values.std(ddof=1)), _sd(natural), _sd(sham - natural)
        inside = None if paired is None else paired / math.sqrt(2)
        ceiling = None if inside is None else math.sqrt(max(0.0, 1 - (inside / spread) ** 2))
        rank = 100 * mean_spearman(predicted[:, [number]], values[:, None])
        rows.append({"target": target, "importance": float(importance[number]), "sd_swarm": spread, "sd_seeds": seeds,
                     "sd_in_block": inside, "ceiling": ceiling, "spearman": rank})  # fmt: skip
    return rows


def _sd(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.std(ddof=1)) if len(known) > 1 else None


def _slice_rows(asked: StudySwarm) -> list[dict]:
    weights, question = asked.swarm.weights, asked.question
    lower = np.zeros_like(question.upper) if question.lower is None else question.lower
    columns = (question.natural, weights.min(0), weights.max(0), lower, question.upper)
    names = ("natural_weight", "least", "most", "lower", "upper")
    return [
        {"slice": name, "slice_order": order, **{key: float(c[order]) for key, c in zip(names, columns, strict=True)}}
        for order, name in enumerate(asked.swarm.slices)
    ]


def prediction_rows(asked: StudySwarm, fitted: Fitted) -> list[dict]:
    """Put every run of the swarm beside what was predicted without its fold."""
    predicted = out_of_fold(asked, fitted)
    return [
        {"cell": cell, "target": target, "fold": int(fitted.fold[run]) + 1,
         "measured": float(asked.swarm.values[run, number]), "predicted": float(predicted[run, number])}
        for run, cell in enumerate(asked.swarm.runs)
        for number, target in enumerate(asked.swarm.targets)
    ]  # fmt: skip


def _mixture_row(row: Row, said: Answer, withheld: str | None) -> dict:
    found: Confirmation = row.confirmation
    measured = found.blocks >= NEEDED
    known = row.weights is not None
    compared = known and row.name != "natural"
    return {
        "mixture": row.name,
        "gain": row.gain if known else None,
        "lo": row.lo if known else None,
        "hi": row.hi if known else None,
        "p_better": row.beats_natural if compared else None,
        "over_limit": row.over if known else None,
        "gap": said.found.best.gap if row.name == "optimum" else None,
        "n_blocks": found.blocks,
        "measured_gain": found.gain if measured else None,
        "measured_lo": found.lo if measured else None,
        "measured_hi": found.hi if measured else None,
        "status": f"withheld: {withheld}" if withheld and row.name in SELECTED else row.status,
    }


def _weight_rows(asked: StudySwarm, said: Answer, withheld: str | None) -> list[dict]:
    lo, hi = said.found.interval()
    rows = []
    for row in said.rows:
        if row.weights is None:
            continue
        is_shown = row.name not in SELECTED or (row.confirmation.blocks >= NEEDED and not withheld)
        is_best = row.name == "optimum" and is_shown
        for order, name in enumerate(asked.swarm.slices):
            rows.append({"mixture": row.name, "slice": name, "weight": float(row.weights[order]) if is_shown else None,
                         "lo": float(lo[order]) if is_best else None, "hi": float(hi[order]) if is_best else None})  # fmt: skip
    return rows
