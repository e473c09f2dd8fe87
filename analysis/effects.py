"""Measure: from sums per held-out component to estimates of contrasts, with moderated intervals.

Sign: an estimate is a sum of coefficient times score, for two cells treatment minus baseline. In bits per byte, positive means that the treatment is
worse. The choice margin is higher-is-better. A missing or diverged run gives a row with its reason.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis import records
from analysis.designs import Contrast
from analysis.designs.robustness import UTILITY
from analysis.metric_grades import run_metrics
from analysis.models import require_causal
from analysis.statistics.equivalence import tost_p
from analysis.statistics.moderated_t import PairedT, moderated_paired_t
from analysis.statistics.spread import achieved_correlation
from pipelines.contracts.errors import InputError, message

_MIN_BLOCKS = 2


@dataclass(frozen=True)
class Sums:
    """Held-out losses of one run on one target.

    Attributes:
        components: names.
        nats: [components] summed negative log-probability.
        bytes: [components] text.
    """

    components: tuple[str, ...]
    nats: np.ndarray
    bytes: np.ndarray


@dataclass(frozen=True)
class Study:
    """The runs of a design.

    Attributes:
        runs: table of runs.
        values: (cell, block, metric, target, population) -> final value.
        curve: (cell, block, target) -> [(train tokens, bpb)] at intermediate evaluations and the end.
        sums: (cell, block, target, population) -> final sums per held-out component.
        facts: (metric, target, population) -> what a metric of items is, with the items of one run.
    """

    runs: pa.Table
    values: dict[tuple[str, int, str, str, str], float]
    curve: dict[tuple[str, int, str], list[tuple[int, float]]]
    facts: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    sums: dict[tuple[str, int, str, str], Sums] = field(default_factory=dict)


def load_study(study: Path) -> Study:
    """Read all finished runs of a study."""
    rows, values, curve, facts, sums = [], {}, {}, {}, {}
    for folder in records.list_runs(study):
        run = run_row(folder)
        rows.append(run)
        if run["status"] != "finished":
            continue
        cell, block = run["cell"], run["block"]
        scores = records.read_table(folder / "scores.parquet", "scores")
        for (target, population, tokens), bpb in bits_per_byte(scores).items():
            if tokens == run["tokens"] and population != "curve":
                values[cell, block, "bpb", target, population] = bpb
            if population == "curve":
                curve.setdefault((cell, block, target), []).append((tokens, bpb))
        for place, found in component_sums(scores, run["tokens"]).items():
            sums[cell, block, *place] = found
        for key, row in run_metrics(folder).items():
            values[cell, block, *key] = row["value"]
            facts.setdefault(key, row)
    _check_numerics(study, rows)
    require_causal((row["model"] for row in rows), str(study))
    return Study(records.from_rows(rows, "runs"), values, curve, facts, sums)


def _check_numerics(study: Path, runs: list[dict]) -> None:
    """Refuse runs of one model that were computed differently (a study resumed on another machine).

    Raises:
        InputError: naming two of them.
    """
    first: dict[str, dict] = {}
    for run in runs:
        known = first.setdefault(run["model"], run)
        kinds = [tuple(one[name] for name in ("device", "dtype", "compiled")) for one in (known, run)]
        if kinds[0] != kinds[1]:
            got = f"{known['run_id']} {kinds[0]} and {run['run_id']} {kinds[1]}"
            raise InputError(message(str(study), "runs were not computed alike", got, "one device, number type and compilation",
                                     "Delete the runs of one kind and train again."))  # fmt: skip


def run_row(folder: Path) -> dict:
    """Read `run.json` as a row of the table of runs."""
    body = json.loads((folder / "run.json").read_text("utf-8"))
    return {name: body[name] for name in records.RUNS.names}


def bits_per_byte(scores: pa.Table) -> dict[tuple[str, str, int], float]:
    """Return bits per byte by (target, population, training tokens): a ratio of sums over components."""
    sums = scores.group_by(["target", "population", "train_tokens"]).aggregate([("nats", "sum"), ("bytes", "sum")])
    columns = (sums[name].to_pylist() for name in ("target", "population", "train_tokens", "nats_sum", "bytes_sum"))
    return {(t, p, n): nats / math.log(2) / size for t, p, n, nats, size in zip(*columns, strict=True)}


def component_sums(scores: pa.Table, tokens: int) -> dict[tuple[str, str], Sums]:
    """Return final sums per component by (target, population), components in the order of their names."""
    last = scores.filter(pc.equal(scores["train_tokens"], tokens)).sort_by("component")
    found = {}
    for target, population in set(zip(last["target"].to_pylist(), last["population"].to_pylist(), strict=True)):
        if population == "curve":
            continue
        mine = last.filter(pc.and_(pc.equal(last["target"], target), pc.equal(last["population"], population)))
        nats, size = (mine[name].to_numpy().astype(float) for name in ("nats", "bytes"))
        found[target, population] = Sums(tuple(mine["component"].to_pylist()), nats, size)
    return found


def with_utility(study: Study, weights: Mapping[str, float]) -> Study:
    """Add the weighted mean over targets as a target of its own, run by run: what targets share stays in its error.

    Args:
        study: finished runs.
        weights: weight of each target; they sum to 1.
    """
    used = {target: weight for target, weight in weights.items() if weight > 0}
    found: dict[tuple[str, int, str, str], dict[str, float]] = {}
    for (cell, block, metric, target, population), value in study.values.items():
        if metric == "bpb" and target in used:
            found.setdefault((cell, block, metric, population), {})[target] = value
    means = {
        (cell, block, metric, UTILITY, population): math.fsum(
            used[target] * value for target, value in by_target.items()
        )
        for (cell, block, metric, population), by_target in found.items()
        if len(by_target) == len(used)
    }
    return replace(study, values={**study.values, **means})


def measure(study: Study, contrasts: list[Contrast], blocks: int, design_id: str) -> list[dict]:
    """Estimate all contrasts.

    Variances are moderated within a family, metric and noise group: own-slice cells are noisier and lend to nobody else.

    Args:
        study: finished runs.
        contrasts: what is compared.
        blocks: blocks of the design.
        design_id: the study.

    Returns:
        One row per contrast, in order, with the columns of `records.ESTIMATES`.
    """
    differences = np.array([differences_of(study, contrast, blocks) for contrast in contrasts])
    counts = np.isfinite(differences).sum(axis=1)
    constant = _constant(differences)
    usable = (counts >= _MIN_BLOCKS) & ~constant
    groups = np.array([f"{contrast.family}/{contrast.metric}/{contrast.noise_group}" for contrast in contrasts])
    rows = [_row(contrast, design_id, study, int(n)) for contrast, n in zip(contrasts, counts, strict=True)]
    for at in np.flatnonzero(constant):
        rows[at]["reason"] = _joined_reasons(
            f"no variance: {differences[at][np.isfinite(differences[at])][0]:+.4g} in every block", rows[at]["reason"]
        )
    if not usable.any():
        return rows
    scale = np.array([noise_scale(contrast) for contrast in contrasts])[usable]
    test = moderated_paired_t(differences[usable] / scale[:, None], groups[usable])
    test = PairedT(test.mean * scale, test.se * scale, test.df, test.p, test.lo * scale, test.hi * scale)
    delta = np.array([contrast.delta for contrast in contrasts])[usable]
    negligible = tost_p(test.mean, test.se, test.df, delta)
    for at, row in enumerate(np.flatnonzero(usable)):
        rows[row] |= {
            "estimate": float(test.mean[at]),
            "se": float(test.se[at]),
            "df": float(test.df[at]),
            "lo": float(test.lo[at]),
            "hi": float(test.hi[at]),
            "p": float(test.p[at]),
            "tost_p": float(negligible[at]),
            "rho": _achieved_rho(study, contrasts[row], blocks),
        }
    return rows


def _constant(differences: np.ndarray) -> np.ndarray:
    """Find the contrasts that are the same number in every block: nothing was measured, or a metric is stuck.

    Args:
        differences: [contrasts, blocks]; NaN where a run is missing.

    Returns:
        [contrasts] whether two or more blocks agree to the last bit.
    """
    known = np.isfinite(differences)
    highest = np.where(known, differences, -np.inf).max(axis=1, initial=-np.inf)
    lowest = np.where(known, differences, np.inf).min(axis=1, initial=np.inf)
    return (known.sum(axis=1) >= _MIN_BLOCKS) & (highest == lowest)


def _joined_reasons(*reasons: str | None) -> str:
    return "; ".join(reason for reason in reasons if reason)


def differences_of(study: Study, contrast: Contrast, blocks: int) -> list[float]:
    """Return a contrast within each block; NaN where one of its runs is missing."""
    found = []
    for block in range(blocks):
        key = (block, contrast.metric, contrast.target, contrast.population)
        terms = (factor * study.values.get((cell, *key), math.nan) for cell, factor in contrast.coef.items())
        found.append(math.fsum(terms))
    return found


def noise_scale(contrast: Contrast) -> float:
    """Return the sd of a contrast's noise over that of a difference of two cells, if all cells are equally noisy."""
    return math.sqrt(math.fsum(factor**2 for factor in contrast.coef.values()) / 2)


def _achieved_rho(study: Study, contrast: Contrast, blocks: int) -> float | None:
    """Return the correlation over blocks between the two cells of a difference; None for other sums."""
    if len(contrast.coef) != 2:
        return None
    series = [
        np.array([[study.values.get((cell, block, contrast.metric, contrast.target, contrast.population), math.nan)
                   for block in range(blocks)]])
        for cell in contrast.coef
    ]  # fmt: skip
    return achieved_correlation(*series)


def _row(contrast: Contrast, design_id: str, study: Study, n_blocks: int) -> dict:
    reason = None
    if n_blocks < _MIN_BLOCKS:
        reason = f"only {n_blocks} blocks in which {_joined(contrast.coef)} finished{_unasked(study, contrast)}"
    if lost := _diverged(study, contrast.coef):
        reason = "; ".join([*([reason] if reason else []), *lost])
    labels = {"design_id": design_id, **contrast.labels(), "method": contrast.method}
    return {**labels, "n_blocks": n_blocks, "reason": reason}


def _unasked(study: Study, contrast: Contrast) -> str:
    """Say so if nothing was asked: no run at all has a value."""
    measured = {(metric, target) for _, _, metric, target, _ in study.values}
    known = (contrast.metric, contrast.target) in measured
    return "" if known else f" and {contrast.target} was scored by {contrast.metric}: it has no items"


def _joined(cells: Iterable[str]) -> str:
    names = list(cells)
    return f"both {names[0]} and {names[1]}" if len(names) == 2 else f"all of {', '.join(names)}"


def _diverged(study: Study, cells: Iterable[str]) -> list[str]:
    """Name the diverged runs of some cells, with the reasons: what is left is not the whole of what was run."""
    runs = (run for run in study.runs.to_pylist() if run["status"] == "diverged" and run["cell"] in cells)
    return [f"{run['run_id']} diverged: {run['reason']}" for run in runs]


def learning_slope(study: Study, target: str, blocks: int) -> float | None:
    """Return d bpb / d ln(tokens) of a target near the end of the full cell's runs, averaged over blocks."""
    slopes = []
    for block in range(blocks):
        points = sorted(study.curve.get(("full", block, target), []))
        if len(points) >= 2:
            (n0, y0), (n1, y1) = points[-2], points[-1]
            slopes.append((y1 - y0) / math.log(n1 / n0))
    return float(np.mean(slopes)) if slopes else None


def dilution(slope: float | None, share_before: float, share_after: float) -> float | None:
    """Predict the change of a target's loss from the changed share of its own data alone.

    A leave-out with proportional fill gives every other slice more tokens; this is what the target's
    learning curve makes of that, without any transfer.

    Args:
        slope: d bpb / d ln(tokens).
        share_before: share of the target's own slice in the baseline.
        share_after: its share in the treatment.
    """
    if slope is None or share_before <= 0 or share_after <= 0:
        return None
    return slope * math.log(share_after / share_before)
