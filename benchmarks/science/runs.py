"""Studies of a study: a workspace of its own over the curated one, a design with other numbers, runs that resume."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

from analysis import commands
from analysis.design_file import DesignSpec, load_design
from analysis.effects_command import run_effects
from analysis.records import study_folder
from benchmarks.science.contract import Bench
from pipelines.contracts import storage

OWN = ("analysis", "reports")


def own_workspace(bench: Bench) -> Path:
    """Return a workspace of links to the curated one in which studies can be trained: the curated one stays as it is."""
    workspace = bench.folder / "workspace"
    workspace.mkdir(parents=True, exist_ok=True)
    for entry in sorted(bench.workspace.resolve().iterdir()):
        link = workspace / entry.name
        if entry.name not in OWN and not link.is_symlink():
            link.symlink_to(entry)
    return workspace


def varied(bench: Bench, name: str, **changes: Any) -> Path:
    """Write the design of the bench with other fields; returns the file.

    Args:
        bench: where.
        name: name of the file, and of the design.
        changes: fields of `DesignSpec`; None takes a field away; a dictionary is merged into `proxy`.
    """
    body = load_design(str(bench.design)).model_dump(mode="json", exclude_unset=True)
    merged = {**body, **changes, "name": name, "proxy": {**body.get("proxy", {}), **changes.get("proxy", {})}}
    spec = DesignSpec.model_validate({key: value for key, value in merged.items() if value is not None})
    path = bench.folder / f"{name}.yaml"  # JSON is YAML
    path.parent.mkdir(parents=True, exist_ok=True)
    storage.write_bytes(str(path), (spec.model_dump_json(exclude_unset=True, indent=1) + "\n").encode())
    return path


def trained(bench: Bench, design: Path) -> Path:
    """Train a design and estimate its effects; returns the folder of the study. Finished runs are not repeated."""
    workspace = own_workspace(bench)
    commands.train(workspace, design, bench.workers)
    design_id = commands.open_design(workspace, design)[0].design_id
    with contextlib.redirect_stdout(io.StringIO()):
        run_effects(workspace, design_id)
    return study_folder(workspace, design_id)


def run_seconds(study: Path) -> float:
    """Return the processor seconds of training of a study's runs."""
    records = [json.loads(path.read_text("utf-8")) for path in study.glob("runs/*/run.json")]
    return float(sum(record["train_cpu_s"] for record in records))
