"""A ladder: studies of one design with other proxies or budgets are rungs; the same contrasts are joined by name."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis import records
from analysis.commands import contrasts_of
from analysis.designs import Contrast
from analysis.effects import load_study
from analysis.influence.rungs import Agreement, pair_differences, pairs_of, with_intervals
from analysis.looks import added_blocks
from analysis.models import Proxy
from analysis.ngram_contrasts import PREFIX
from pipelines.contracts.errors import InputError, message

FAMILIES = ("cross-slice", "decisions")
"""What is ranked; own-slice effects are ten times as large and would make every ladder agree."""
DECIDED = ("helps", "hurts", "negligible")
_MIN_BLOCKS = 2
_MIN_CONTRASTS = 2


@dataclass(frozen=True)
class Rung:
    """One study, as a rung.

    Attributes:
        design_id: the study.
        name: model, parameters, tokens.
        model: kind of the proxy.
        parameters: of the proxy; None for an n-gram.
        tokens: training tokens per run.
        blocks: blocks of the design.
        cpu_s_per_run: mean processor time of training.
        flops_per_run: arithmetic of training, by formula; None for an n-gram.
        contrasts: those that are ranked, by name.
        mixtures: cell to mixture.
        values: final scores (`analysis.effects.Study`).
        verdicts: contrast to its row of the table `effects`.
    """

    design_id: str
    name: str
    model: str
    parameters: int | None
    tokens: int
    blocks: int
    cpu_s_per_run: float
    flops_per_run: float | None
    contrasts: dict[str, Contrast]
    mixtures: dict[str, str]
    values: dict[tuple[str, int, str, str, str], float]
    verdicts: dict[str, dict]


def read_rung(workspace: Path, design_id: str) -> Rung:
    """Read a study whose effects were estimated.

    Raises:
        InputError: if the study has no finished run, or `mixtrace effects` was not run.
    """
    folder = records.study_folder(workspace, design_id)
    spec = json.loads((folder / "design.json").read_text("utf-8"))["spec"]
    bodies = [json.loads((run / "run.json").read_text("utf-8")) for run in records.list_runs(folder)]
    bodies = [body for body in bodies if not body["cell"].startswith(PREFIX)]
    if not bodies:
        raise InputError(message(str(folder), "not a rung", "no finished run", "runs", "Run `mixtrace train` first."))
    if not (folder / "effects.parquet").is_file():
        hint = f"Run `mixtrace effects {workspace} --design {design_id}` first."
        raise InputError(message(str(folder), "not a rung", "no effects", "a table of effects", hint))
    size = Proxy.model_validate(bodies[0]["proxy"]).size
    effects = records.read_table(folder / "effects.parquet", "effects").to_pylist()
    cells = records.read_table(folder / "cells.parquet", "cells").to_pylist()
    contrasts = [
        c for c in contrasts_of(folder) if c.family in FAMILIES and c.metric == "bpb" and c.method == "retrain"
    ]
    proxy, tokens = bodies[0]["proxy"], spec["tokens"]
    what = f"{size.parameters / 1e6:.2g}m" if size else str(proxy["order"])
    return Rung(
        design_id,
        f"{proxy['model']}-{what} {tokens / 1000:.0f}k",
        proxy["model"],
        size.parameters if size else None,
        tokens,
        spec["blocks"] + added_blocks(folder),
        float(np.mean([body["train_cpu_s"] for body in bodies])),
        float(size.flops_per_token) * tokens if size else None,
        {contrast.name: contrast for contrast in contrasts},
        {row["cell"]: row["mixture_id"] for row in cells},
        load_study(folder).values,
        {row["contrast"]: row for row in effects if row["method"] == "retrain"},
    )


@dataclass(frozen=True)
class Common:
    """Contrasts that all rungs share: the same cells with the same mixtures on the same target; and what was left out."""

    contrasts: tuple[Contrast, ...]
    left_out: dict[str, str]


def common_contrasts(rungs: Sequence[Rung]) -> Common:
    """Join contrasts by name.

    Raises:
        InputError: if fewer than two remain, so that nothing can be ranked.
    """
    kept, left_out = [], {}
    for name, contrast in rungs[0].contrasts.items():
        reason = next((found for rung in rungs[1:] if (found := _differs(contrast, rungs[0], rung))), None)
        if reason:
            left_out[name] = reason
        else:
            kept.append(contrast)
    if len(kept) < _MIN_CONTRASTS:
        found = f"{len(kept)} common contrasts; left out: {left_out}"
        hint = "Rungs are studies of one design that differ in proxy or tokens only."
        raise InputError(message("ladder", "nothing to rank", found, "2 contrasts or more in every study", hint))
    return Common(tuple(kept), left_out)


def comparable(rungs: Sequence[Rung], best: Rung) -> tuple[list[Rung], dict[str, str]]:
    """Set aside the studies that do not ask two of the top rung's questions: those of other designs in a workspace.

    Returns:
        The rungs that do, the top one among them; and why each other study is not one, by design_id and name.
    """
    kept, aside = [], {}
    for rung in rungs:
        reasons = [_differs(contrast, best, rung) for contrast in best.contrasts.values()]
        if rung is best or reasons.count(None) >= _MIN_CONTRASTS:
            kept.append(rung)
        else:
            aside[f"study {rung.design_id}"] = next((one for one in reasons if one), "the top rung ranks nothing")
    return kept, aside


def _differs(contrast: Contrast, mine: Rung, other: Rung) -> str | None:
    theirs = other.contrasts.get(contrast.name)
    if theirs is None:
        return f"not in {other.name}"
    key = ("family", "slice", "target", "population", "fill", "coef")
    if changed := [name for name in key if getattr(contrast, name) != getattr(theirs, name)]:
        return f"another {' and '.join(changed)} in {other.name}"
    if any(mine.mixtures[cell] != other.mixtures[cell] for cell in contrast.coef):
        return f"another mixture in {other.name}"
    return None


def differences_of(rung: Rung, contrasts: Sequence[Contrast]) -> np.ndarray:
    """Return [contrasts, blocks] effects within blocks, of the blocks in which nothing is missing.

    Raises:
        InputError: if fewer than 2 blocks are complete.
    """
    table = np.array([[_effect(rung, contrast, block) for block in range(rung.blocks)] for contrast in contrasts])
    complete = table[:, np.isfinite(table).all(axis=0)]
    if complete.shape[1] < _MIN_BLOCKS:
        found = f"{complete.shape[1]} blocks in which all runs finished"
        raise InputError(message(f"rung {rung.name}", "cannot be compared", found, f"{_MIN_BLOCKS} blocks or more"))
    return complete


def _effect(rung: Rung, contrast: Contrast, block: int) -> float:
    key = (block, contrast.metric, contrast.target, contrast.population)
    return math.fsum(factor * rung.values.get((cell, *key), math.nan) for cell, factor in contrast.coef.items())


@dataclass(frozen=True)
class Ladder:
    """What was found, as rows of the tables `rungs`, `rung_agreement` and `rung_answers`."""

    rungs: list[dict]
    agreement: list[dict]
    answers: list[dict]
    left_out: dict[str, str]


def _cost(rung: Rung) -> tuple[float, str]:
    return rung.cpu_s_per_run, rung.name


def top_rung(rungs: Sequence[Rung], top: str | None = None) -> Rung:
    """Return the rung that the others are compared with: that of a design_id, or the dearest per run.

    Raises:
        InputError: if there are no rungs, or none has the design_id.
    """
    found = (
        next((rung for rung in rungs if rung.design_id == top), None) if top else max(rungs, key=_cost, default=None)
    )
    if found is None:
        known = sorted(rung.design_id for rung in rungs)
        raise InputError(message("ladder", "no such top rung", str(top), f"one of {known}"))
    return found


def climb(rungs: Sequence[Rung], top: str | None = None, draws: int = 1000) -> Ladder:
    """Compare every rung with the top one.

    Args:
        rungs: at least two.
        top: design_id of the top rung; the dearest per run if not given.
        draws: resamples of the intervals.

    Raises:
        InputError: if there are fewer than two rungs, the top is none of them, or nothing can be ranked.
    """
    if len(rungs) < 2:
        names = [rung.name for rung in rungs]
        raise InputError(message("ladder", "too few rungs", names, "two studies or more", "Give more design ids."))
    ordered = sorted(rungs, key=_cost)
    best = top_rung(rungs, top)
    common = common_contrasts([best, *(rung for rung in ordered if rung is not best)])
    groups = np.array([f"{contrast.target}/{contrast.population}" for contrast in common.contrasts])
    cells = np.array([json.dumps(sorted(contrast.coef.items())) for contrast in common.contrasts])
    pairs = pairs_of(groups, cells)
    differences = {rung.design_id: pair_differences(differences_of(rung, common.contrasts), pairs) for rung in ordered}
    agreement = []
    for rung in ordered:
        found = with_intervals(differences[best.design_id], differences[rung.design_id], pairs, cells, groups, draws)
        agreement += [_agreement_row(best, rung, name, one) for name, one in found.items()]
    answers = [_answer(contrast.name, ordered, best) for contrast in common.contrasts]
    rows = [_rung_row(rung, best, at, len(common.contrasts)) for at, rung in enumerate(ordered)]
    return Ladder(rows, agreement, answers, common.left_out)


def _rung_row(rung: Rung, best: Rung, position: int, contrasts: int) -> dict:
    return {
        "design_id": best.design_id,
        "rung_design_id": rung.design_id,
        "rung": rung.name,
        "position": position,
        "is_top": rung is best,
        "model": rung.model,
        "parameters": rung.parameters,
        "tokens": rung.tokens,
        "n_blocks": rung.blocks,
        "cpu_s_per_run": rung.cpu_s_per_run,
        "flops_per_run": rung.flops_per_run,
        "contrasts": contrasts,
    }


def _agreement_row(best: Rung, rung: Rung, group: str, found: Agreement) -> dict:
    target, _, population = group.partition("/")
    return {
        "design_id": best.design_id,
        "rung_design_id": rung.design_id,
        "rung": rung.name,
        "target": target,
        "population": population or "all",
        "pairs": found.pairs,
        "agree": found.agree,
        "disagree": found.disagree,
        "undetermined": found.undetermined,
        "agreement": found.share,
        "lo": found.lo,
        "hi": found.hi,
        "redrawn": found.redrawn,
        "claimed": found.claimed,
        "reason": None if found.pairs else "the top rung determines no pair",
    }


def _answer(contrast: str, ordered: Sequence[Rung], best: Rung) -> dict:
    """Find the cheapest rung that decides a question as the top rung does."""
    truth = best.verdicts[contrast]
    row = {
        "design_id": best.design_id,
        **{name: truth[name] for name in ("contrast", "family", "slice", "target", "population")},
        "verdict_at_top": truth["verdict"],
        "estimate_at_top": truth["estimate"],
    }
    if truth["verdict"] not in DECIDED:
        return {**row, "reason": f"the top rung does not decide it: {truth['verdict']}"}
    cheapest = next(rung for rung in ordered if rung.verdicts[contrast]["verdict"] == truth["verdict"])
    against = [
        rung.name for rung in ordered if {rung.verdicts[contrast]["verdict"], truth["verdict"]} in ({"helps", "hurts"},)
    ]
    reason = f"decided the other way by {', '.join(against)}" if against else None
    return {**row, "cheapest_design_id": cheapest.design_id, "cheapest": cheapest.name, "reason": reason}
