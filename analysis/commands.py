"""The commands `design plan` and `train`."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from analysis import records
from analysis.design_data import cell_stream, design_of, study_proxy
from analysis.design_file import load_design
from analysis.designs import Cell, Contrast, Design
from analysis.designs.robustness import utility_contrasts
from analysis.looks import extend_design
from analysis.ngram_contrasts import PREFIX as NGRAM_PREFIX
from analysis.ngram_contrasts import ngram_contrasts
from analysis.noise import CellKey, FamilyNoise
from analysis.noise_registry import known_noise
from analysis.plan import format_plan, make_plan
from analysis.slices import Atoms, summarise
from pipelines.contracts import ids, storage
from pipelines.contracts.errors import InputError, StageError, message

if TYPE_CHECKING:
    from analysis.study_runs import StudyRuns
    from analysis.training.probe import Numerics


PROGRESS_S = 5.0


def open_design(workspace: Path, design_file: Path) -> tuple[Design, Atoms]:
    """Read a design file and build its cells on a workspace.

    Raises:
        ConfigError: with file, line and column for the file; with the slice for what the workspace lacks.
    """
    return design_of(workspace, load_design(str(design_file)))


def design_plan(workspace: Path, design_file: Path, workers: int = 2) -> None:
    """Print what a study takes and can detect, and write the design before any result exists."""
    design, atoms = open_design(workspace, design_file)
    plan = make_plan(design, atoms, workers, noise_of(workspace, design))
    write_design(workspace, design, atoms, plan.power)
    print(format_plan(design, plan))


def noise_of(workspace: Path, design: Design) -> dict[str, FamilyNoise]:
    """Return what is known of the noise of a design's families."""
    proxy = study_proxy(workspace, design.spec)
    folder = records.study_folder(workspace, design.design_id)
    return known_noise(workspace, folder, list(design.contrasts), CellKey(proxy.proxy_id, design.spec.tokens, proxy.lr))


def design_extend(workspace: Path, design_id: str, blocks: int) -> None:
    """Add blocks to a study and log the look at its results that led to it.

    Raises:
        ConfigError: if the design does not allow for more blocks.
        InputError: if there is no such study, or runs of its present blocks are missing.
    """
    studies = records.list_studies(workspace)
    if design_id not in studies:
        raise InputError(message(str(workspace), "no such study", design_id, f"one of {studies}"))
    row = extend_design(records.study_folder(workspace, design_id), blocks)
    print(
        f"look {row['look']} logged: {row['blocks_before']} blocks seen, level {row['level']:.4f}, {row['alpha_spent']:.4f} of alpha "
        f"spent ({row['spending']}); now {row['blocks_after']} of at most {row['max_blocks']} blocks. `mixtrace train` runs the new ones."
    )


def write_design(workspace: Path, design: Design, atoms: Atoms, power: list[dict]) -> Path:
    """Write the tables of a design; returns the folder of the study."""
    study = records.study_folder(workspace, design.design_id)
    labels = {"design_id": design.design_id}
    _write(study, "slices", [{**labels, **row} for row in summarise(atoms)])
    _write(study, "slice_atoms", [{**labels, **row} for row in _slice_atoms(atoms)])
    _write(study, "cells", [{**labels, **_cell_row(design, cell)} for cell in design.cells])
    contrasts = [*design.contrasts, *ngram_contrasts(design), *utility_contrasts(design)]
    _write(study, "contrasts", [{**labels, **_contrast_row(contrast)} for contrast in contrasts])
    _write(study, "contrast_cells", [{**labels, **row} for contrast in contrasts for row in _coef_rows(contrast)])
    _write(study, "mixture_weights", [{**labels, **row} for row in _weight_rows(str(workspace), design, atoms)])
    _write(study, "power", power)
    body = {
        "design_id": design.design_id,
        "corpus": design.corpus,
        "tokenizer": storage.file_hash(str(workspace / "tokenizer" / "tokenizer.json")),
        "targets": design.targets,
        "spec": design.spec.model_dump(mode="json"),
        "cells": [asdict(cell) for cell in design.cells],
        "notes": design.notes,
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


def _cell_row(design: Design, cell: Cell) -> dict:
    return {
        "cell": cell.name,
        "role": cell.role,
        "mixture_id": _mixture_id(cell),
        "baseline": cell.baseline,
        "transform": cell.transform,
        "share": cell.share if cell.transform in ("sham", "shuffle", "canary") else 0.0,
        "tokens": design.tokens(cell),
        "lr": cell.lr or design.spec.proxy.lr,
        "description": cell.description,
    }


def _contrast_row(contrast: Contrast) -> dict:
    body = asdict(contrast)
    del body["coef"]
    return {"contrast": body.pop("name"), **body}


def _coef_rows(contrast: Contrast) -> list[dict]:
    named = {"contrast": contrast.name, "method": contrast.method}
    return [{**named, "cell": cell, "coefficient": value} for cell, value in contrast.coef.items()]


def contrasts_of(study: Path) -> list[Contrast]:
    """Read the contrasts of a study."""
    coef: dict[tuple[str, str], dict[str, float]] = {}
    for row in records.read_table(study / "contrast_cells.parquet", "contrast_cells").to_pylist():
        coef.setdefault((row["contrast"], row["method"]), {})[row["cell"]] = row["coefficient"]
    found = []
    for row in records.read_table(study / "contrasts.parquet", "contrasts").to_pylist():
        name = row.pop("contrast")
        del row["design_id"]
        found.append(Contrast(name=name, coef=coef[name, row["method"]], **row))
    return found


def _weight_rows(workspace: str, design: Design, atoms: Atoms) -> list[dict]:
    """Return planned and drawn tokens of every atom of every cell (drawn: block 0)."""
    home = {atom: name for name in design.targets for atom in atoms.atoms_of(name)}
    rows = []
    for cell in design.cells:
        drawn = cell_stream(Path(workspace), design, atoms, cell, 0).drawn()
        for atom, weight in cell.mixture.weights.items():
            rows.append(
                {
                    "mixture_id": _mixture_id(cell),
                    "cell": cell.name,
                    "atom": atom,
                    "slice": home[atom],
                    "weight": weight,
                    "pool_tokens": drawn[atom]["pool_tokens"],
                    "planned_tokens": round(weight * design.tokens(cell)),
                    "drawn_tokens": drawn[atom]["tokens"],
                    "drawn_bytes": drawn[atom]["bytes"],
                    "epochs": drawn[atom]["epochs"],
                }
            )
    return rows


def train(workspace: Path, design_file: Path, workers: int, stack: int | None = None, processes: int = 1) -> None:
    """Train and evaluate every cell in every block; finished runs are not repeated.

    Args:
        workspace: curated workspace.
        design_file: the study.
        workers: processes, one run each at a time.
        stack: runs trained at once on one device instead; None stacks on GPUs only.
        processes: processes that train each run together, for proxies that one device trains too slowly.

    Raises:
        StageError: if runs failed or were interrupted; the same command resumes.
    """
    from analysis.training.distributed import run_distributed
    from analysis.training.scheduler import run_all
    from analysis.training.stacked import stackable
    from analysis.training.stacked_runs import GPU_STACK, run_stacked
    from analysis.training.trainer import run_job

    runs, numerics = prepare(workspace, design_file, workers)
    if stack is None:
        stack = GPU_STACK if numerics.device.startswith("cuda") and stackable(runs.proxy) else 1
    if processes > 1:
        outcomes = run_distributed(runs.work(replace(numerics, processes=processes)))
    elif stack > 1:
        items = runs.work(numerics)
        alone = [item for item in items if item.job.n_snapshots]  # a stack keeps no snapshots
        outcomes = run_all(alone, run_job, 1) if alone else []
        outcomes += run_stacked([item for item in items if not item.job.n_snapshots], stack)
    else:
        outcomes = run_all(runs.work(numerics), run_job, workers)
    _raise_for(outcomes)
    finish_study(runs)


def prepare(workspace: Path, design_file: Path, workers: int, device: str = "auto") -> tuple[StudyRuns, Numerics]:
    """Check the data, write the design and choose how to compute: what comes before any run.

    Args:
        workspace: curated workspace.
        design_file: the study.
        workers: processes, for the plan's time.
        device: "auto", "cpu" or "cuda"; one that this machine lacks needs literal `dtype` and `compile`.
    """
    from analysis.study_runs import open_runs
    from analysis.training.probe import choose_numerics
    from pipelines.kernels.compile import user_cache_dir

    design, atoms = open_design(workspace, design_file)
    study = write_design(workspace, design, atoms, make_plan(design, atoms, workers, noise_of(workspace, design)).power)
    runs = open_runs(workspace, design, atoms)
    return runs, choose_numerics(runs.proxy, user_cache_dir() or study, device)


def progress(runs: StudyRuns) -> tuple[int, object]:
    """Return how many runs of a sweep are finished, and the ages of its checkpoints, which move while it runs."""
    folder = runs.study / "runs"
    finished = sum((folder / f"{c.name}-{b}" / "run.json").exists() for c, b in runs.design.runs())
    return finished, tuple(sorted(path.stat().st_mtime_ns for path in folder.glob("*/checkpoint.safetensors")))


class RunsLeft:
    """Print runs done, runs left and the time left of a sweep, at most every 5 s.

    Args:
        runs: the study.
    """

    def __init__(self, runs: StudyRuns) -> None:
        self._total = len(runs.design.runs())
        self._before = progress(runs)[0]
        self._start = self._shown = time.monotonic()

    def show(self, done: int) -> None:
        """Take the number of runs that are done."""
        now = time.monotonic()
        if now - self._shown < PROGRESS_S:
            return
        self._shown, fresh = now, done - self._before
        left = f"{(now - self._start) * (self._total - done) / fresh / 60:.1f}" if fresh else "?"
        print(
            f"sweep: {done} of {self._total} runs done, {self._total - done} left, {left} min left",
            file=sys.stderr,
            flush=True,
        )


def finish_study(runs: StudyRuns) -> None:
    """Count the n-grams, and say what was done and how fast."""
    from analysis.training.speed import speed_line

    runs.train_ngrams()
    done = [json.loads((folder / "run.json").read_text("utf-8")) for folder in records.list_runs(runs.study)]
    trained = [record for record in done if not record["cell"].startswith(NGRAM_PREFIX)]
    diverged = [record for record in trained if record["status"] == "diverged"]
    for record in diverged:
        print(f"run {record['run_id']} diverged: {record['reason']}")
    print(f"{len(trained)} runs done ({len(diverged)} diverged) in {runs.study}")
    print(speed_line(runs.proxy, trained))


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
