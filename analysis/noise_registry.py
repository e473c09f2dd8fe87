"""What is known of the noise before a study is judged: from its own runs, from studies of the same key, or assumed."""

from __future__ import annotations

import json
from pathlib import Path

from analysis import records
from analysis.designs import Contrast
from analysis.effects import Study, load_study
from analysis.noise import CellKey, FamilyNoise, cell_keys, family_noise, noise_rows

MIN_BLOCKS = 2


def study_noise(folder: Path, study: Study, contrasts: list[Contrast]) -> list[dict]:
    """Return the rows of the table `noise` of a study."""
    body = json.loads((folder / "design.json").read_text("utf-8"))
    rates = {cell["name"]: cell.get("lr") or body["spec"]["proxy"]["lr"] for cell in body["cells"]}
    vary = {"full": "all", **{cell["name"]: cell["vary"] for cell in body["cells"] if cell.get("vary", "all") != "all"}}
    keys = cell_keys(study, rates)
    blocks = 1 + max(study.runs["block"].to_pylist(), default=-1)
    return noise_rows(study, keys, vary, contrasts, body["targets"], blocks, body["design_id"])


def known_noise(workspace: Path, folder: Path, contrasts: list[Contrast], key: CellKey) -> dict[str, FamilyNoise]:
    """Return the noise of each family as far as it is known: the study's own from two blocks on, else that of studies of the key.

    Args:
        workspace: with its studies.
        folder: the study that is planned; may have no runs yet, or not exist.
        contrasts: its contrasts.
        key: of its plain cells; families of other rates or budgets only take the study's own noise.
    """
    rows = []
    for name in records.list_studies(workspace):
        path = records.study_folder(workspace, name) / "noise.parquet"
        if path.is_file() and path.parent != folder:
            rows += records.read_table(path, "noise").to_pylist()
    known = family_noise(rows, key, "registry")
    if records.list_runs(folder):
        own = [row for row in study_noise(folder, load_study(folder), contrasts) if row["n_blocks"] >= MIN_BLOCKS]
        known |= family_noise(own, None, "measured")
    return known
