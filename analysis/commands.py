"""The commands `design plan` and `train`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa

from analysis import records
from analysis.data import HeldOut, token_stream
from analysis.design_file import DesignSpec
from analysis.designs import Cell, Contrast, Design, build_design, design_slices
from analysis.heldout import heldout_sets
from analysis.ngram_contrasts import ngram_contrasts
from analysis.plan import format_plan, make_plan
from analysis.shards import token_byte_lengths
from analysis.slices import Atoms, partition, summarise
from pipelines.contracts import ids, storage
from pipelines.contracts.errors import StageError, message
from pipelines.contracts.yaml_model import load_yaml_model


def open_design(workspace: Path, design_file: Path) -> tuple[Design, Atoms]:
    """Read a design file and build its cells on a workspace.

    Raises:
        ConfigError: with file, line and column for the file; with the slice for what the workspace lacks.
    """
    spec = load_yaml_model(str(design_file), DesignSpec)
    atoms = partition(str(workspace), design_slices(spec))
    return build_design(spec, atoms, atoms.corpus), atoms


def design_plan(workspace: Path, design_file: Path, workers: int = 2) -> None:
    """Print what a study takes and can detect, and write the design before any result exists."""
    design, atoms = open_design(workspace, design_file)
    plan = make_plan(design, atoms, workers)
    write_design(workspace, design, atoms, plan.power)
    print(format_plan(design, plan))


def write_design(workspace: Path, design: Design, atoms: Atoms, power: list[dict]) -> Path:
    """Write the tables of a design; returns the folder of the study."""
    study = records.study_folder(workspace, design.design_id)
    labels = {"design_id": design.design_id}
    _write(study, "slices", [{**labels, **row} for row in summarise(atoms)])
    _write(study, "slice_atoms", [{**labels, **row} for row in _slice_atoms(atoms)])
    _write(study, "cells", [{**labels, **_cell_row(cell)} for cell in design.cells])
    contrasts = [*design.contrasts, *ngram_contrasts(design)]
    _write(study, "contrasts", [{**labels, **_contrast_row(contrast)} for contrast in contrasts])
    _write(study, "mixture_weights", [{**labels, **row} for row in _weight_rows(str(workspace), design, atoms)])
    _write(study, "power", power)
    body = {
        "design_id": design.design_id,
        "corpus": design.corpus,
        "targets": design.targets,
        "spec": design.spec.model_dump(mode="json"),
        "cells": [asdict(cell) for cell in design.cells],
    }
    if not (study / "design.json").exists():
        storage.write_bytes(str(study / "design.json"), json.dumps(body, indent=1).encode())
    return study


def _write(study: Path, name: str, rows: list[dict]) -> None:
    records.write_table(study / f"{name}.parquet", records.from_rows(rows, name), name)


def _slice_atoms(atoms: Atoms) -> list[dict]:
    rows = []
    for one in atoms.slices:
        names = pa.compute.unique(atoms.table["atom"].filter(atoms.table[f"in_{one.name}"])).to_pylist()
        rows += [{"slice": one.name, "atom": name} for name in sorted(names)]
    return rows


def _mixture_id(cell: Cell) -> str:
    return ids.fingerprint(dict(cell.mixture.weights), dict(cell.mixture.pools))[:12]


def _cell_row(cell: Cell) -> dict:
    return {
        "cell": cell.name,
        "role": cell.role,
        "mixture_id": _mixture_id(cell),
        "baseline": cell.baseline,
        "transform": cell.transform,
        "description": cell.description,
    }


def _contrast_row(contrast: Contrast) -> dict:
    body = asdict(contrast)
    return {"contrast": body.pop("name"), **body}


def contrasts_of(study: Path) -> list[Contrast]:
    """Read the contrasts of a study."""
    rows = records.read_table(study / "contrasts.parquet", "contrasts").to_pylist()
    return [Contrast(name=row.pop("contrast"), **{k: v for k, v in row.items() if k != "design_id"}) for row in rows]


def _weight_rows(workspace: str, design: Design, atoms: Atoms) -> list[dict]:
    """Return planned and drawn tokens of every atom of every cell (drawn: block 0)."""
    home = {atom: name for name in design.targets for atom in atoms.atoms_of(name)}
    rows = []
    for cell in design.cells:
        drawn = _stream(workspace, design, atoms, cell, 0).drawn()
        for atom, weight in cell.mixture.weights.items():
            rows.append(
                {
                    "mixture_id": _mixture_id(cell),
                    "cell": cell.name,
                    "atom": atom,
                    "slice": home[atom],
                    "weight": weight,
                    "pool_tokens": drawn[atom]["pool_tokens"],
                    "planned_tokens": round(weight * design.spec.tokens),
                    "drawn_tokens": drawn[atom]["tokens"],
                    "drawn_bytes": drawn[atom]["bytes"],
                    "epochs": drawn[atom]["epochs"],
                }
            )
    return rows


def _stream(workspace: str, design: Design, atoms: Atoms, cell: Cell, block: int):  # noqa: ANN202
    spec = design.spec
    slots = spec.tokens // spec.proxy.context // spec.proxy.batch * spec.proxy.batch
    seed = f"{spec.seed}/{block}"
    baseline = next(other for other in design.cells if other.name == cell.baseline)
    return token_stream(
        workspace, atoms, (cell.mixture, baseline.mixture), seed, cell.transform, slots, spec.proxy.context
    )


def train(workspace: Path, design_file: Path, workers: int, stack: int | None = None) -> None:
    """Train and evaluate every cell in every block; finished runs are not repeated.

    Args:
        workspace: curated workspace.
        design_file: the study.
        workers: processes, one run each at a time.
        stack: runs trained at once on one device instead; None stacks on GPUs only.

    Raises:
        StageError: if runs failed or were interrupted; the same command resumes.
    """
    from analysis.evaluation.choice import build_choice_items, vocabulary_bytes
    from analysis.models import Proxy
    from analysis.ngram_study import ngram_runs
    from analysis.training.probe import choose_numerics
    from analysis.training.scheduler import WorkItem, run_all
    from analysis.training.stacked import stackable
    from analysis.training.stacked_runs import GPU_STACK, run_stacked
    from analysis.training.trainer import RunJob, model_seed, run_job
    from pipelines.kernels.compile import user_cache_dir

    design, atoms = open_design(workspace, design_file)
    spec = design.spec
    study = write_design(workspace, design, atoms, make_plan(design, atoms, workers).power)
    heldouts = heldout_sets(str(workspace), atoms, design.targets, spec.eval_tokens)
    token_bytes = vocabulary_bytes(workspace / "tokenizer/tokenizer.json")
    items = [
        i
        for h in heldouts
        if h.population == "kept"
        for i in build_choice_items(h, spec.choice_items, spec.seed, token_bytes)
    ]
    proxy = Proxy(
        vocab_size=len(token_byte_lengths(str(workspace))),
        eos_id=_end_of_text(workspace),
        **spec.proxy.model_dump(exclude={"adequacy"}),
    )
    numerics = choose_numerics(proxy, user_cache_dir() or study)
    work = []
    for block in range(spec.blocks):
        for cell in design.cells:
            labels = {
                "design_id": design.design_id,
                "cell": cell.name,
                "block": block,
                "seed": model_seed(spec.seed, block),
            }
            folder = study / "runs" / f"{cell.name}-{block}"
            stream = _stream(str(workspace), design, atoms, cell, block)
            job = RunJob(proxy, stream, labels["seed"], folder, heldouts, items, numerics, labels)
            work.append(WorkItem(folder.name, folder, float(proxy.flops_per_token * spec.tokens), job))
    if stack is None:
        stack = GPU_STACK if numerics.device.startswith("cuda") and stackable(proxy) else 1
    outcomes = run_stacked(work, stack) if stack > 1 else run_all(work, run_job, workers)
    _raise_for(outcomes)
    full = design.cells[0]
    streams = {block: _stream(str(workspace), design, atoms, full, block) for block in range(spec.blocks)}
    ngram_runs(study, design, atoms, streams, _kept(heldouts), proxy)
    print(f"{len(outcomes)} runs done in {study}")


def _kept(heldouts: list[HeldOut]) -> list[HeldOut]:
    return [heldout for heldout in heldouts if heldout.population == "kept"]


def _end_of_text(workspace: Path) -> int:
    recipe = json.loads((workspace / "recipe.json").read_text("utf-8"))
    body = json.loads((workspace / "tokenizer/tokenizer.json").read_text("utf-8"))
    content = recipe["tokenizer"]["end_of_text"]
    added = {token["content"]: token["id"] for token in body["added_tokens"]}
    return added[content] if content in added else body["model"]["vocab"][content]


def _raise_for(outcomes: list) -> None:
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    interrupted = [outcome for outcome in outcomes if outcome.status == "interrupted"]
    if interrupted:
        raise KeyboardInterrupt
    if failed:
        names = ", ".join(outcome.name for outcome in failed[:5])
        raise StageError(
            message(
                "train",
                f"{len(failed)} runs failed",
                failed[0].reason.strip()[-400:],
                "finished runs",
                f"Failed: {names}.",
            )
        )
