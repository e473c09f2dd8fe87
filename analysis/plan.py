"""Plan: what a study costs and what it can detect, before anything is trained. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyarrow.compute as pc

from analysis.data import pool_tokens
from analysis.designs import Cell, Design
from analysis.heldout import POPULATIONS, heldout_documents
from analysis.noise import FamilyNoise, power_rows
from analysis.slices import Atoms
from pipelines.contracts.errors import ConfigError, message

PRIOR_S_PER_RUN = 13.0
"""Measured on one core without AMX for the demo proxy and 262k tokens, evaluation included."""
PRIOR_S_PER_COUNT = 0.4
"""The same for a 3-gram, which is counted."""
PRIOR_TOKENS = 262_144


@dataclass(frozen=True)
class Plan:
    """What a design will take.

    Attributes:
        runs: cells x blocks.
        train_tokens: in all runs.
        seconds: expected wall time.
        epochs: greatest epochs of an atom per cell, with the atom.
        text_bytes: text that a run of each cell reads: equal tokens are not equal bytes.
        power: rows of the table `power`.
        notes: what a reader should know.
    """

    runs: int
    train_tokens: int
    seconds: float
    epochs: dict[str, tuple[str, float]]
    text_bytes: dict[str, float]
    power: list[dict]
    notes: tuple[str, ...]


def make_plan(design: Design, atoms: Atoms, workers: int, known: Mapping[str, FamilyNoise] | None = None) -> Plan:
    """Compute the plan.

    Args:
        design: cells, contrasts, blocks.
        atoms: documents.
        workers: processes.
        known: measured noise of families; that of the others is assumed.

    Raises:
        ConfigError: if the design needs more runs than its budget, reads an atom too often, or a target has no
            held-out component: all before training.
    """
    spec = design.spec
    runs = len(design.runs())
    most = len(replace(design, added_blocks=spec.looks.max_blocks - spec.blocks).runs()) if spec.looks else runs
    if most > spec.max_runs:
        raise ConfigError(message("design", "more runs than the budget", most, f"at most max_runs = {spec.max_runs}"))
    epochs = {cell.name: _greatest_epochs(design, atoms, cell) for cell in design.cells}
    for cell, (atom, value) in epochs.items():
        if value > spec.max_epochs:
            hint = "Use fewer tokens, a smaller weight, or raise max_epochs."
            raise ConfigError(
                message(
                    f"cell {cell}", f"reads {atom} too often", f"{value:.1f} epochs", f"at most {spec.max_epochs}", hint
                )
            )
    notes = tuple(_target_note(atoms, target) for target in design.targets)
    train_tokens = sum(design.tokens(cell) for cell, _ in design.runs())
    seconds = _prior_s(design) * train_tokens / PRIOR_TOKENS / workers
    power = power_rows(design.contrasts, design.blocks, spec.prior_sd_bpb, design.design_id, known, spec.fdr or "bh")
    sizes = bytes_per_token(atoms)
    text_bytes = {
        cell.name: design.tokens(cell) * sum(weight * sizes[atom] for atom, weight in cell.mixture.weights.items())
        for cell in design.cells
    }
    return Plan(runs, train_tokens, seconds, epochs, text_bytes, power, notes)


def bytes_per_token(atoms: Atoms) -> dict[str, float]:
    """Return the text per token of every atom, over its training documents."""
    train = atoms.table.filter(pc.equal(atoms.table["split"], "train"))
    sums = train.group_by("atom").aggregate([("tokens", "sum"), ("bytes", "sum")])
    columns = (sums[name].to_pylist() for name in ("atom", "tokens_sum", "bytes_sum"))
    return {atom: size / tokens for atom, tokens, size in zip(*columns, strict=True)}


def _prior_s(design: Design) -> float:
    return PRIOR_S_PER_COUNT if design.spec.proxy.model == "ngram" else PRIOR_S_PER_RUN


def _greatest_epochs(design: Design, atoms: Atoms, cell: Cell) -> tuple[str, float]:
    mixture, tokens = cell.mixture, design.tokens(cell)
    available = pool_tokens(atoms, {atom: mixture.pools.get(atom, 1.0) for atom in mixture.weights})
    epochs = {atom: weight * tokens / max(available[atom], 1) for atom, weight in mixture.weights.items()}
    atom = max(epochs, key=lambda name: (epochs[name], name))
    return atom, epochs[atom]


def _target_note(atoms: Atoms, target: str) -> str:
    parts = []
    for population in POPULATIONS:
        rows = heldout_documents(atoms, target, population)
        components = len(set(rows["component"].to_pylist()))
        if components == 0:
            raise ConfigError(
                message(
                    f"slice {target!r}",
                    "no held-out component",
                    f"none of population {population!r}",
                    "at least one",
                    "Raise split.min_heldout_bytes in the recipe.",
                )
            )
        parts.append(f"{population} {rows.num_rows} documents in {components} components")
    return f"held-out {target}: {', '.join(parts)}"


def _budgets(design: Design) -> str:
    tokens = sorted({design.tokens(cell) for cell in design.cells})
    return f"{tokens[0]:,}" if len(tokens) == 1 else f"{tokens[0]:,} to {tokens[-1]:,}"


def format_plan(design: Design, plan: Plan) -> str:
    """Lay the plan out for a terminal."""
    spec = design.spec
    lines = [
        f"design {spec.name} ({design.design_id}): {len(design.cells)} cells, {design.blocks} blocks, {plan.runs} runs "
        f"of {_budgets(design)} tokens, {plan.train_tokens / 1e6:.1f} M in all",
        f"expected time {plan.seconds / 60:.1f} minutes of training (at {_prior_s(design):g} s per {PRIOR_TOKENS:,} tokens and core, assumed)",
        f"{'cell':<22} {'role':<10} {'epochs at most':>14} {'text (kB)':>9}  {'what was changed'}",
    ]
    lines += [
        f"{c.name:<22} {c.role:<10} {plan.epochs[c.name][1]:>14.2f} {plan.text_bytes[c.name] / 1000:>9,.0f}  {c.description}"
        for c in design.cells
    ]
    lines.append(
        f"{'family':<14} {'tests':>5} {'sd (bpb)':>9} {'detectable':>11} {'worst case':>11}   minimum effect at 80 % power"
    )
    lines += [
        f"{row['family']:<14} {row['tests']:>5} {row['sd']:>9.3f} {row['mde']:>11.3f} {row['mde_worst_case']:>11.3f}   sd {row['sd_source']}"
        for row in plan.power
    ]
    return "\n".join([*lines, *plan.notes, *design.notes])
