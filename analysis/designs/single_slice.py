"""Single slices: what one slice alone teaches about the targets, at the same tokens."""

from __future__ import annotations

from analysis.design_file import DesignSpec
from analysis.designs.base import full_cell, full_mixture, slice_contrast
from analysis.designs.cells import Cell, Contrast, difference
from analysis.designs.controls import with_controls
from analysis.mixtures import normalised
from analysis.slices import Atoms
from pipelines.contracts.errors import ConfigError, message


def single_slice(spec: DesignSpec, atoms: Atoms) -> tuple[list[Cell], list[Contrast]]:
    """Train on every named slice alone.

    On its own target a slice alone is compared with the full mixture: what do all the others add? On another target the
    slices alone are compared with each other, because all lack the target's own text and losing that says nothing.

    Raises:
        ConfigError: if the file names no slice.
    """
    if not spec.single:
        raise ConfigError(message(spec.name, "no slice is trained alone", "no `single`", "names of slices"))
    full = full_mixture(spec, atoms)
    cells, contrasts = [full_cell(full)], []
    for name in spec.single:
        mine = set(atoms.atoms_of(name, kept=True))
        mixture = normalised({atom: weight for atom, weight in full.weights.items() if atom in mine})
        cells.append(
            Cell(f"only_{name}", mixture, "treatment", "full", f"{name} alone (same tokens)", target_slice=name)
        )
    for target in spec.slices:
        for name in spec.single:
            contrasts += _on_own(spec, name) if name == target else _against_others(spec, name, target)
    return with_controls(spec, cells, contrasts)


def _on_own(spec: DesignSpec, name: str) -> list[Contrast]:
    meaning = f"positive: {name} alone is worse on {name} than with the others, so the other slices help there"
    coef = difference(f"only_{name}", "full")
    return [
        slice_contrast(spec, "cross-slice", f"all_but_{name}", name, "", name=f"all but {name} on {name}", coef=coef,
                       meaning=meaning)
    ]  # fmt: skip


def _against_others(spec: DesignSpec, name: str, target: str) -> list[Contrast]:
    others = [other for other in spec.single if other not in (name, target)]
    if not others:
        return []
    coef = {f"only_{other}": 1 / len(others) for other in others} | {f"only_{name}": -1.0}
    meaning = (
        f"positive: {name} alone is better on {target} than the other slices alone, on average, so {name} helps there"
    )
    return [
        slice_contrast(spec, "cross-slice", name, target, "", name=f"{name} alone on {target}", fill="named", coef=coef,
                       meaning=meaning)
    ]  # fmt: skip
