"""A swarm's study on a small workspace, its scores made from a known law of the weights."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from analysis import records
from analysis.commands import open_design, write_design
from analysis.design_file import load_design
from analysis.plan import make_plan

SLICES = ("web", "wiki", "code")
DESIGN = """
name: small
design: swarm
slices:
  web:  {where: "source = 'web'"}
  wiki: {where: "source = 'wiki'"}
  code: {where: "source = 'code'"}
swarm: {runs: 24, caps: {code: 0.7}, floors: {web: 0.05}, single_slices: true}
leave_out: [web, wiki, code]
proxy: {d_model: 16, layers: 1, heads: 1, context: 16, batch: 8, dtype: float32, compile: "off", adequacy: show}
canary: 0
blocks: 3
tokens: 4096
eval_tokens: 300
choice_items: 0
max_epochs: 40
max_runs: 60
"""


def loss(weights: np.ndarray) -> np.ndarray:
    """Bits per byte [targets] of a power law whose target t is helped most by slice t."""
    return 2 + 1.5 * (0.3 + (0.2 + np.diag([4.0, 1.0, 2.0])) @ weights**0.5) ** -0.8


def write_design_file(workspace: Path, text: str = DESIGN, name: str = "swarm") -> Path:
    path = workspace / f"{name}.yaml"
    path.write_text(text)
    return path


def plan_study(workspace: Path, design_file: Path) -> Path:
    """Write the tables of a design; no run."""
    tokenizer = workspace / "tokenizer" / "tokenizer.json"
    tokenizer.parent.mkdir(exist_ok=True)
    tokenizer.write_text("{}")  # a study names the tokenizer of its runs
    design, atoms = open_design(workspace, design_file)
    return write_design(workspace, design, atoms, make_plan(design, atoms, 1).power)


def finish_runs(workspace: Path, design_file: Path, noise: float = 0.01) -> Path:
    """Write every run that is not there, as training would; the shuffle hurts, seeds and noise move all scores."""
    design, _ = open_design(workspace, design_file)
    study = plan_study(workspace, design_file)
    spec = load_design(str(design_file))
    rows = records.read_table(study / "mixture_weights.parquet", "mixture_weights").to_pylist()
    for cell, block in design.runs():
        folder = study / "runs" / f"{cell.name}-{block}"
        if (folder / "run.json").exists():
            continue
        mine = np.array([sum(r["weight"] for r in rows if (r["cell"], r["slice"]) == (cell.name, s)) for s in SLICES])
        rng = np.random.default_rng([spec.seed, block, sum(cell.name.encode())])
        shift = np.random.default_rng([spec.seed, block]).normal(0, 0.01)
        bpb = loss(mine / mine.sum()) + shift + 0.1 * (cell.transform == "shuffle") + rng.normal(0, noise, 3)
        write_run(folder, study.name, cell.name, block, dict(zip(SLICES, bpb, strict=True)), spec.tokens)
    return study


def write_run(folder: Path, design_id: str, cell: str, block: int, bpb: dict[str, float], tokens: int) -> None:
    folder.mkdir(parents=True)
    scores = [
        {"run_id": folder.name, "target": target, "population": population, "component": f"c{number}",
         "nats": value * math.log(2) * size, "tokens": size // 3, "bytes": size, "train_tokens": tokens}
        for target, value in bpb.items() for population in ("kept", "unfiltered") for number, size in enumerate((300, 900))
    ]  # fmt: skip
    for name, rows in (("scores", scores), ("item_scores", []), ("curves", [])):
        records.write_table(folder / f"{name}.parquet", records.from_rows(rows, name), name)
    run = {
        "run_id": folder.name, "design_id": design_id, "cell": cell, "block": block, "seed": block, "model": "llama", "proxy_id": "p",
        "status": "finished", "tokens": tokens, "train_cpu_s": 1.0, "tokens_per_cpu_s": float(tokens), "device": "cpu",
        "dtype": "float32", "compiled": False, "torch": "2", "train_nats_per_token": 4.0, "reason": None,
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(run))
