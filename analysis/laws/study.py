"""From the runs of a swarm study to a swarm and what is asked of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis import records
from analysis.design_file import DesignSpec, SwarmSpec
from analysis.designs.robustness import target_weights
from analysis.designs.swarm import ONLY, SWARM
from analysis.effects import Study, load_study
from analysis.laws.capped_simplex import lower_limits, upper_limits
from analysis.laws.summary import Question, SliceModels
from analysis.laws.swarm import Swarm, swarm_of
from pipelines.contracts.errors import InputError, message

METRIC, POPULATION = "bpb", "kept"


@dataclass(frozen=True)
class StudySwarm:
    """The swarm of a study.

    Attributes:
        design_id: the study.
        spec: its design file.
        study: its runs.
        swarm: mixtures and bits per byte, a run each.
        question: natural mixture, limits, utility, models of single slices.
        natural: [blocks, targets] bits per byte of the natural mixture, the null: only seeds differ.
        sham: [blocks, targets] the same of the sham: inside a block, nothing but its noise differs from natural.
    """

    design_id: str
    spec: DesignSpec
    study: Study
    swarm: Swarm
    question: Question
    natural: np.ndarray
    sham: np.ndarray


def read_swarm(folder: Path) -> StudySwarm:
    """Read the swarm of a study; its weights are the planned ones.

    Args:
        folder: of the study.

    Raises:
        InputError: if the study is no swarm, or too few of its runs have finished.
    """
    body = json.loads((folder / "design.json").read_text("utf-8"))
    spec = DesignSpec.model_validate(body["spec"])
    if spec.swarm is None:
        raise InputError(message(str(folder), "not a swarm", f"a design of kind {spec.design}", "a design of kind swarm",
                                 "See designs/swarm.yaml."))  # fmt: skip
    study = load_study(folder)
    rows = records.read_table(folder / "mixture_weights.parquet", "mixture_weights").to_pylist()
    slices = tuple(spec.slices)
    cells = [cell for cell in dict.fromkeys(row["cell"] for row in rows) if cell.startswith(SWARM)]
    weights = np.array([_shares(rows, cell, slices) for cell in cells])
    targets = tuple(body["targets"])
    values = np.array([_values(study, cell, 0, targets) for cell in cells])
    swarm = swarm_of(slices, targets, weights, values, runs=cells)
    natural, sham = (
        np.array([_values(study, cell, block, swarm.targets) for block in range(spec.blocks)])
        for cell in ("full", "sham")
    )
    question = _question(spec.swarm, spec, rows, folder, swarm)
    return StudySwarm(body["design_id"], spec, study, swarm, question, natural, sham)


def slice_mixtures(rows: list[dict], slices: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Return the slice weights of the cells that are mixtures of the slices: inside a slice as in the full cell.

    Args:
        rows: of the table `mixture_weights`.
        slices: names of the slices.
    """
    inside = {row["atom"]: row["weight"] for row in rows if row["cell"] == "full"}
    whole = dict(zip(slices, _shares(rows, "full", slices), strict=True))
    found = {}
    for cell in dict.fromkeys(row["cell"] for row in rows):
        mine = {row["atom"]: row for row in rows if row["cell"] == cell}
        weights = dict(zip(slices, _shares(rows, cell, slices), strict=True))
        natural = all(
            atom in inside
            and math.isclose(row["weight"] / weights[row["slice"]], inside[atom] / whole[row["slice"]], rel_tol=1e-6)
            for atom, row in mine.items()
        )
        if natural:
            found[cell] = np.array([weights[name] for name in slices])
    return found


def _shares(rows: list[dict], cell: str, slices: tuple[str, ...]) -> list[float]:
    sums = dict.fromkeys(slices, 0.0)
    for row in rows:
        if row["cell"] == cell:
            sums[row["slice"]] += row["weight"]
    total = sum(sums.values())
    return [value / total for value in sums.values()]


def _values(study: Study, cell: str, block: int, targets: tuple[str, ...]) -> list[float]:
    return [study.values.get((cell, block, METRIC, target, POPULATION), math.nan) for target in targets]


def _question(swarm_spec: SwarmSpec, spec: DesignSpec, rows: list[dict], folder: Path, swarm: Swarm) -> Question:
    slices = tuple(spec.slices)
    available = dict.fromkeys(slices, 0)
    for row in rows:
        if row["cell"] == "full":
            available[row["slice"]] += row["pool_tokens"]
    upper = upper_limits(slices, swarm_spec.caps, available, spec.tokens, spec.max_epochs)
    parts = target_weights(spec.utility, tuple(spec.slices))
    importance = np.array([parts[target] for target in swarm.targets])
    natural = np.array(_shares(rows, "full", slices))
    lower = lower_limits(slices, swarm_spec.floors, upper)
    models = slice_models(folder, slices, dict(zip(swarm.targets, importance, strict=True)))
    return Question(natural, upper, importance, lower, models)


def slice_models(folder: Path, slices: tuple[str, ...], importance: Mapping[str, float]) -> SliceModels | None:
    """Read the held-out components' log-probabilities under a proxy of each slice alone; None if one is missing.

    Args:
        folder: of the study.
        slices: names of the slices.
        importance: of the targets; spread over a target's components in equal parts.
    """
    found: list[dict[tuple[str, str], tuple[float, int]]] = []
    for name in slices:
        run = folder / "runs" / f"{ONLY}{name}-0"
        if (
            not (run / "run.json").is_file()
            or json.loads((run / "run.json").read_text("utf-8"))["status"] != "finished"
        ):
            return None
        scores = records.read_table(run / "scores.parquet", "scores").to_pylist()
        last = max(row["train_tokens"] for row in scores)
        found.append(
            {
                (row["target"], row["component"]): (row["nats"], row["tokens"])
                for row in scores
                if row["population"] == POPULATION and row["train_tokens"] == last and row["target"] in importance
            }
        )
    items = sorted(found[0])
    count = {target: sum(item[0] == target for item in items) for target in importance}
    return SliceModels(
        -np.array([[one[item][0] for one in found] for item in items]),
        np.array([found[0][item][1] for item in items], float),
        np.array([importance[target] / count[target] for target, _ in items]),
    )
