"""The command `laws`: from the runs of a swarm to laws, an optimum and its confirmation, and a short print."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from analysis import records
from analysis.commands import contrasts_of, train
from analysis.effects import load_study
from analysis.effects_command import estimate, measure_study
from analysis.estimates import put_estimates
from analysis.laws.catalogue import LAWS, SMOOTH
from analysis.laws.choice import ChosenLaw
from analysis.laws.confirm_study import confirmation_design, find_confirmation, read_confirmations, write_confirmation
from analysis.laws.confirmation import SELECTED
from analysis.laws.estimates import from_law
from analysis.laws.intervals import fit_with_intervals
from analysis.laws.learning_curve import REFERENCE, learning_curve
from analysis.laws.optimum import REPLICATES
from analysis.laws.protocol import Law
from analysis.laws.rows import Rows, table_rows
from analysis.laws.show import format_rows
from analysis.laws.study import StudySwarm, read_swarm, slice_mixtures
from analysis.laws.summary import Answer, answer
from analysis.verdicts import withheld_reason, withhold
from pipelines.contracts.errors import InputError, message

FEWEST = 20
"""Runs below which no learning curve is drawn: 10 to learn from and 5 to judge by."""


@dataclass(frozen=True)
class LawOptions:
    """What a run of the command does.

    Attributes:
        confirm: train the optimum against natural with fresh seeds, unless that was done.
        baselines: confirm uniform, RegMix and MixMin, too.
        workers: training processes.
        replicates: bootstrap samples of the runs.
        laws: candidates by name.
    """

    confirm: bool = False
    baselines: bool = False
    workers: int = 1
    replicates: int = REPLICATES
    laws: Mapping[str, Sequence[Law]] = field(default_factory=lambda: LAWS)


def run_laws(workspace: Path, design_id: str | None, options: LawOptions, *, as_json: bool = False) -> None:
    """Fit laws to a swarm, find its optimum, confirm it if asked, write the tables and print them.

    Raises:
        InputError: if there is no swarm, or too few of its runs have finished.
        StageError: if runs of the confirmation failed; the same command resumes.
    """
    with contextlib.redirect_stdout(sys.stderr if as_json else sys.stdout):
        tables = analyse(workspace, find_swarm(workspace, design_id), options)
    print(json.dumps(tables, indent=1) if as_json else format_rows(tables, workspace))


def find_swarm(workspace: Path, design_id: str | None) -> Path:
    """Return the folder of a swarm's study; of the newest swarm if no id is given.

    Raises:
        InputError: if there is none.
    """
    found = []
    for one in records.list_studies(workspace):
        body = json.loads((records.study_folder(workspace, one) / "design.json").read_text("utf-8"))
        if body.get("spec", {}).get("swarm"):
            found.append(one)
    if not found or (design_id is not None and design_id not in found):
        hint = "Plan and train one: `mixtrace train WORKSPACE designs/swarm.yaml`."
        raise InputError(message(str(workspace), "no such swarm", design_id or "none", f"one of {found}", hint))
    return records.study_folder(workspace, design_id or found[-1])


def analyse(workspace: Path, folder: Path, options: LawOptions) -> Rows:
    """Do all that the command does but print; returns the rows of the tables that it wrote."""
    asked = read_swarm(folder)
    withheld = withheld_reason(measure_study(folder)["controls"], asked.spec.proxy.adequacy)
    said = answer(asked.swarm, asked.question, replicates=options.replicates, laws=options.laws)
    if options.confirm:
        names = [row.name for row in said.rows if row.name == "optimum" or options.baselines]
        train(workspace, write_confirmation(folder, confirmation_design(asked, said.rows, names)), options.workers)
    confirmation = find_confirmation(workspace, asked.design_id)
    if confirmation is not None:
        found = read_confirmations(confirmation, asked, said.rows)
        rows = [replace(row, confirmation=found.get(row.name, row.confirmation)) for row in said.rows]
        said = replace(said, rows=tuple(rows))
        put_measured(confirmation, withheld)
    for study in (folder, confirmation):
        if study is not None:
            put_predicted(study, asked, said)
    return _write_tables(folder, asked, said, options.laws, withheld)


def _write_tables(
    folder: Path, asked: StudySwarm, said: Answer, laws: Mapping[str, Sequence[Law]], withheld: str | None
) -> Rows:
    smooth = {name: some for name, some in laws.items() if name in SMOOTH}
    fitted = fit_with_intervals(ChosenLaw(smooth), asked.swarm.weights, asked.swarm.values)
    curve, left_out = curve_of(asked, laws)
    if withheld:
        left_out.append({"what": f"weights of {', '.join(SELECTED)}", "reason": f"withheld: {withheld}"})
    tables = table_rows(asked, said, fitted, curve, left_out, withheld)
    for name, rows in tables.items():
        records.write_table(folder / f"{name}.parquet", records.from_rows(rows, name), name)
    return tables


def put_measured(confirmation: Path, withheld: str | None) -> None:
    """Judge the runs of a confirmation by the controls of its swarm, and write its effects.

    Args:
        confirmation: folder of its study.
        withheld: why the swarm's verdicts are withheld; so are these.
    """
    body = json.loads((confirmation / "design.json").read_text("utf-8"))
    study, contrasts = load_study(confirmation), contrasts_of(confirmation)
    effects = withhold(estimate(study, contrasts, body["spec"]["blocks"], body["design_id"]), withheld)
    records.write_table(confirmation / "runs.parquet", study.runs, "runs")
    records.write_table(confirmation / "effects.parquet", records.from_rows(effects, "effects"), "effects")


def put_predicted(study: Path, asked: StudySwarm, said: Answer) -> None:
    """Put what the law predicts of a study's contrasts beside what was measured."""
    cells = {row["cell"]: row for row in records.read_table(study / "cells.parquet", "cells").to_pylist()}
    weights = records.read_table(study / "mixture_weights.parquet", "mixture_weights").to_pylist()
    mixtures = slice_mixtures(weights, asked.swarm.slices)
    curve = said.smooth.fit(asked.swarm.weights, asked.swarm.values)
    rows = from_law(asked, curve, said.found.curves, contrasts_of(study), cells, mixtures)
    design_id = json.loads((study / "design.json").read_text("utf-8"))["design_id"]
    put_estimates(study, "law", [{**row, "design_id": design_id} for row in rows])


def curve_of(asked: StudySwarm, laws: Mapping[str, Sequence[Law]]) -> tuple[list[dict], list[dict]]:
    """Return the learning curve, or none and why, after what was left out of the swarm."""
    left_out = [{"what": what, "reason": reason} for what, reason in asked.swarm.left_out]
    runs = len(asked.swarm.values)
    if REFERENCE not in laws or runs < FEWEST:
        reason = f"{runs} runs, at least {FEWEST} needed" if REFERENCE in laws else f"no {REFERENCE} to compare with"
        return [], [*left_out, {"what": "learning curve", "reason": reason}]
    shares = (0.25, 0.5, 0.75) if runs >= 2 * FEWEST else (0.5, 0.75)
    return learning_curve(asked.swarm.weights, asked.swarm.values, shares, laws), left_out
