"""Random halves: what a unit of data does, from runs on random halves of all units (for the LDS, science notes 27)."""

from __future__ import annotations

import numpy as np

from analysis.design_file import DesignSpec
from analysis.design_kinds import Halves
from analysis.designs.base import full_cell, full_mixture, section_of, slice_contrast
from analysis.designs.cells import Cell, Contrast, Family
from analysis.designs.controls import with_controls
from analysis.mixtures import Mixture, normalised, slice_weight
from analysis.schedule import generator
from analysis.slices import Atoms, Slice
from pipelines.contracts.errors import ConfigError, message


def asked(spec: DesignSpec) -> Halves:
    """Return the section of the file.

    Raises:
        ConfigError: if there is none.
    """
    return section_of(spec, "halves", spec.halves, "halves: {groups: 4, pairs: 12}")


def group_name(number: int) -> str:
    """Name a group of components."""
    return f"group_{number:02d}"


def needed_slices(spec: DesignSpec) -> tuple[Slice, ...]:
    """Return a slice per group: components whose hash is that number, modulo the number of groups."""
    count = asked(spec).groups
    where = "md5_number_lower(component) % {0} = {1}"
    return tuple(
        Slice(group_name(i), where.format(count, i), "predicate", f"components of group {i} of {count}")
        for i in range(count)
    )


def units_of(spec: DesignSpec, atoms: Atoms, mixture: Mixture) -> dict[str, list[str]]:
    """Return the atoms of every unit (source x group) of a mixture, by the name of the unit."""
    source = atoms.sources()
    units: dict[str, list[str]] = {}
    for number in range(asked(spec).groups):
        mine = set(atoms.atoms_of(group_name(number)))
        for atom in mixture.weights:
            if atom in mine:
                units.setdefault(f"{source[atom]}/{number}", []).append(atom)
    return dict(sorted(units.items()))


def draw_halves(units: int, pairs: int, seed: int) -> np.ndarray:
    """Draw halves with their complements: every unit is in just half of them.

    Returns:
        [2 pairs, units] bool; row 2i + 1 is what row 2i leaves out.
    """
    rng = generator(seed, "halves")
    drawn = []
    for _ in range(pairs):
        chosen = np.zeros(units, bool)
        chosen[rng.permutation(units)[: units // 2]] = True
        drawn += [chosen, ~chosen]
    return np.array(drawn)


def halves(spec: DesignSpec, atoms: Atoms) -> tuple[list[Cell], list[Contrast]]:
    """Train on random halves of the units, each a shorter run on what the full run would have read of them.

    The contrast of a unit is the mean of the halves without it minus the mean of those with it, the datamodel's
    coefficient (Ilyas et al. 2022, arXiv 2202.00622): positive: the unit helps.

    Raises:
        ConfigError: if the file has no section `halves`, or there are fewer than 4 units.
    """
    section = asked(spec)
    full = full_mixture(spec, atoms)
    units = units_of(spec, atoms, full)
    if len(units) < 4:
        raise ConfigError(message("halves", "too few units", len(units), "at least 4 of source x group"))
    drawn = draw_halves(len(units), section.pairs, spec.seed)
    names = list(units)
    cells = [full_cell(full)]
    for number, chosen in enumerate(drawn):
        atoms_in = [atom for name, inside in zip(names, chosen, strict=True) if inside for atom in units[name]]
        share = slice_weight(full, atoms_in)
        mixture = normalised({atom: full.weights[atom] for atom in atoms_in})
        text = f"{int(chosen.sum())} of {len(names)} units, with nothing in the place of the others"
        cells.append(Cell(f"half_{number:02d}", mixture, "treatment", "full", text, "omit",
                          tokens=round(share * spec.tokens)))  # fmt: skip
    contrasts = [
        _contrast(spec, atoms, name, target, units[name], drawn[:, at])
        for at, name in enumerate(names)
        for target in spec.slices
    ]
    return with_controls(spec, cells, contrasts)


def _contrast(spec: DesignSpec, atoms: Atoms, unit: str, target: str, mine: list[str], inside: np.ndarray) -> Contrast:
    half = len(inside) / 2
    coef = {f"half_{number:02d}": (-1.0 if with_it else 1.0) / half for number, with_it in enumerate(inside.tolist())}
    own = set(mine) <= set(atoms.atoms_of(target))
    family: Family = "own-slice" if own else "cross-slice"
    meaning = f"positive: halves without {unit} are worse on {target} than halves with it, so it helps there"
    return slice_contrast(spec, family, unit, target, "", name=f"unit {unit} on {target}", fill="none", coef=coef,
                          expected_sign=int(own), meaning=meaning)  # fmt: skip
