"""Duplication: a dose-response over epochs, the same tokens read from smaller and smaller pools."""

from __future__ import annotations

import math
from itertools import pairwise

from analysis.data import pool_tokens
from analysis.design_file import DesignSpec
from analysis.design_kinds import Duplication
from analysis.designs.base import decision_contrasts, full_cell, full_mixture, section_of
from analysis.designs.cells import Cell, Contrast, difference, trend
from analysis.designs.controls import with_controls
from analysis.designs.pools import pool_share
from analysis.mixtures import Mixture, normalised, slice_weight
from analysis.slices import Atoms
from pipelines.contracts.errors import ConfigError, message

DECISION = "no_repetition"
TOLERANCE = 0.25
"""How far the epochs of a cell may be from what the file says (whole components, so a pool may be too large)."""


def duplication(spec: DesignSpec, atoms: Atoms) -> tuple[list[Cell], list[Contrast]]:
    """Read the named slices once, twice, four times ... at the same tokens, from nested samples of components.

    A run of few tokens meets hardly any copies in its corpus, so repetition is made, not found: the pool is cut down
    until the run reads it as often as the file says. Contrasts are each step and the fitted change over all of them;
    positive: repetition raises the loss, so avoiding it helps.

    Raises:
        ConfigError: if the file has no section `duplication`, components are too large for a pool, or a run repeats too little.
    """
    section = section_of(spec, "duplication", spec.duplication, "duplication: {slices: [...]}")
    full = full_mixture(spec, atoms)
    repeated = [_cell(spec, section, atoms, full, epochs) for epochs in section.epochs]
    first = repeated[0]
    contrasts: list[Contrast] = []
    for (few, less), (many, more) in pairwise(zip(section.epochs, repeated, strict=True)):
        contrasts += _contrasts(spec, f"epochs {few:g} to {many:g}", difference(more.name, less.name))
    levels = {cell.name: math.log2(epochs) for epochs, cell in zip(section.epochs, repeated, strict=True)}
    span = levels[repeated[-1].name] - levels[first.name]
    label = f"epochs {section.epochs[0]:g} to {section.epochs[-1]:g}, fitted"
    contrasts += _contrasts(spec, label, {cell: span * factor for cell, factor in trend(levels).items()})
    return with_controls(spec, [full_cell(full), *repeated], contrasts)


def _contrasts(spec: DesignSpec, label: str, coef: dict[str, float]) -> list[Contrast]:
    meaning = "positive: reading the same text more often raises the loss on {1}, so avoiding that helps there"
    own = spec.duplication.slices if spec.duplication else ()
    return decision_contrasts(spec, DECISION, label, coef, meaning, own)


def _cell(spec: DesignSpec, section: Duplication, atoms: Atoms, full: Mixture, epochs: float) -> Cell:
    weights, pools = dict(full.weights), {}
    said = []
    repeated = 0.0
    for name in section.slices:
        mine = atoms.atoms_of(name, kept=True)
        drawn = slice_weight(full, mine) * spec.tokens
        share = pool_share(atoms, mine, drawn / epochs)
        inside = {atom: size for atom, size in pool_tokens(atoms, dict.fromkeys(mine, share)).items() if size}
        held = sum(inside.values())
        found = drawn / held
        if abs(found / epochs - 1) > TOLERANCE:
            what = f"a pool of {held:,} tokens, {found:.2f} epochs"
            raise ConfigError(
                message(f"duplication of {name!r}", f"cannot be read {epochs:g} times", what,
                        f"{epochs:g} epochs within {TOLERANCE:.0%}", "Name a slice of smaller documents, or more tokens.")
            )  # fmt: skip
        for atom in mine:
            del weights[atom]
        weights |= {atom: drawn / spec.tokens * size / held for atom, size in inside.items()}
        pools |= dict.fromkeys(inside, share)
        repeated += max(0.0, drawn - held)
        said.append(f"{name} from {held:,} tokens ({found:.2f} epochs)")
    if epochs > 1 and repeated < section.min_duplicate_tokens:
        where = f"duplication, {epochs:g} epochs"
        raise ConfigError(
            message(where, "too few duplicate tokens", f"{repeated:.0f}", f"at least {section.min_duplicate_tokens}")
        )
    text = f"{', '.join(said)}: {repeated:,.0f} repeated tokens"
    role = "base" if epochs == section.epochs[0] else "treatment"
    base = f"epochs_{section.epochs[0]:g}"
    return Cell(f"epochs_{epochs:g}", normalised(weights, pools), role, base, text, target_slice=DECISION)
