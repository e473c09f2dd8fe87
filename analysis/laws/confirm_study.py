"""The study that confirms what a law has selected: fresh seeds, natural beside it, five blocks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from analysis import records
from analysis.design_file import ConfirmationSpec, DesignSpec
from analysis.effects import load_study
from analysis.laws.confirmation import NEEDED, Confirmation, confirm
from analysis.laws.optimum import Row
from analysis.laws.study import METRIC, POPULATION, StudySwarm
from pipelines.contracts import storage

FRESH = 1_000_003
"""Added to the seed of the design: no block of the confirmation shares a seed with the swarm."""


def confirmation_design(asked: StudySwarm, rows: Sequence[Row], names: Sequence[str]) -> DesignSpec:
    """Return the design that runs mixtures against natural with fresh seeds.

    Args:
        asked: the swarm.
        rows: mixtures with their weights.
        names: mixtures to confirm; those without weights are left out.
    """
    mixtures = {
        row.name: {name: float(w) for name, w in zip(asked.swarm.slices, row.weights, strict=True) if w > 0}
        for row in rows
        if row.name in names and row.weights is not None
    }
    changes = {
        "name": f"{asked.spec.name}-confirmation",
        "design": "confirmation",
        "swarm": None,
        "leave_out": (),
        "blocks": NEEDED,
        "seed": asked.spec.seed + FRESH,
        "choice_items": 0,
        "confirmation": ConfirmationSpec(of=asked.design_id, mixtures=mixtures),
    }
    return DesignSpec.model_validate({**asked.spec.model_dump(), **changes})


def write_confirmation(folder: Path, spec: DesignSpec) -> Path:
    """Write a confirmation's design file into the folder of its swarm; `mixtrace train` and `sweep` take it, too."""
    path = folder / "confirmation.yaml"
    body = json.dumps(spec.model_dump(mode="json", exclude_none=True), indent=1)
    storage.write_bytes(str(path), f"# Made by `mixtrace laws --confirm` (JSON is YAML).\n{body}\n".encode())
    return path


def find_confirmation(workspace: Path, design_id: str) -> Path | None:
    """Return the folder of the newest confirmation of a swarm."""
    for other in reversed(records.list_studies(workspace)):
        folder = records.study_folder(workspace, other)
        body = json.loads((folder / "design.json").read_text("utf-8"))
        of = (body["spec"].get("confirmation") or {}).get("of") if "spec" in body else None
        if of == design_id:
            return folder
    return None


def read_confirmations(folder: Path, asked: StudySwarm, rows: Sequence[Row]) -> Mapping[str, Confirmation]:
    """Judge what was confirmed: utility of natural minus that of each mixture, over blocks.

    A confirmation of other weights than the rows have (the swarm has grown since) counts for nothing.

    Args:
        folder: of the confirmation's study.
        asked: the swarm.
        rows: mixtures with their weights.
    """
    spec = DesignSpec.model_validate(json.loads((folder / "design.json").read_text("utf-8"))["spec"])
    assert spec.confirmation is not None
    study = load_study(folder)
    importance = asked.question.importance / asked.question.importance.sum()

    def utility(cell: str) -> np.ndarray:
        values = [
            [study.values.get((cell, b, METRIC, t, POPULATION), np.nan) for t in asked.swarm.targets]
            for b in range(spec.blocks)
        ]
        return np.array(values) @ importance

    found = {}
    for row in rows:
        weights = spec.confirmation.mixtures.get(row.name)
        if weights is None or row.weights is None:
            continue
        planned = np.array([weights.get(name, 0.0) for name in asked.swarm.slices])
        if np.abs(planned - row.weights).max() < 1e-6:
            found[row.name] = confirm(utility(row.name), utility("full"))
    return found
