"""Up- and down-weighting: what more or less of a slice does, at the same tokens."""

from __future__ import annotations

import math

from analysis.design_file import DesignSpec
from analysis.designs.base import full_cell, full_mixture, slice_contrast
from analysis.designs.cells import Cell, Contrast, Family, difference, trend
from analysis.designs.controls import with_controls
from analysis.mixtures import Mixture, normalised, slice_weight
from analysis.slices import Atoms
from pipelines.contracts.errors import ConfigError, message


def reweight(spec: DesignSpec, atoms: Atoms) -> tuple[list[Cell], list[Contrast]]:
    """Give every named slice every named factor of its weight; the others take what is left, in proportion.

    All contrasts are the cell with less of the slice minus that with more of it, so that a positive one says that
    the slice helps, as for a leave-out. With several factors there is a slope, too: bits per byte per halving.

    Raises:
        ConfigError: if the file has no section `reweight`, or a weight would reach 1.
    """
    if spec.reweight is None:
        raise ConfigError(message(spec.name, "no section `reweight`", "nothing", "reweight: {slices: [...]}"))
    full = full_mixture(spec, atoms)
    cells, contrasts = [full_cell(full)], []
    for name in spec.reweight.slices:
        mine = atoms.atoms_of(name, kept=True)
        doses = {"full": 0.0}
        for factor in spec.reweight.factors:
            cell = f"{name}_x{factor:g}"
            described = f"{factor:g} times the weight of {name}; the others keep their proportions (same tokens)"
            mixture = scaled(full, mine, factor, f"reweight: {name} x {factor:g}")
            cells.append(Cell(cell, mixture, "treatment", "full", described, target_slice=name))
            doses[cell] = math.log2(factor)
            coef = difference("full", cell) if factor > 1 else difference(cell, "full")
            contrasts += _contrasts(spec, name, f"{cell} on", coef, f"with {'more' if factor > 1 else 'less'}")
        if len(doses) > 2:
            halving = {one: -value for one, value in trend(doses).items()}
            contrasts += _contrasts(spec, name, f"{name} per halving on", halving, "per halving of its weight")
    return with_controls(spec, cells, contrasts)


def scaled(mixture: Mixture, atoms: list[str], factor: float, where: str) -> Mixture:
    """Multiply the weight of some atoms; the others shrink or grow in proportion.

    Raises:
        ConfigError: if nothing would be left for the others.
    """
    weight = slice_weight(mixture, atoms)
    if factor * weight >= 1:
        found = f"a weight of {factor:g} x {weight:.3f}"
        raise ConfigError(message(where, "a weight that cannot be reached", found, "a product below 1"))
    mine = set(atoms)
    rest = (1 - factor * weight) / (1 - weight)
    return normalised({a: w * (factor if a in mine else rest) for a, w in mixture.weights.items()}, mixture.pools)


def _contrasts(spec: DesignSpec, name: str, label: str, coef: dict[str, float], change: str) -> list[Contrast]:
    made = []
    for target in spec.slices:
        own = target == name
        family: Family = "own-slice" if own else "cross-slice"
        meaning = (
            f"positive: the loss on {target} is higher where there is less of {name} ({change}), so {name} helps there"
        )
        made.append(
            slice_contrast(spec, family, name, target, "", name=f"{label} {target}", coef=coef,
                           expected_sign=int(own), meaning=meaning)
        )  # fmt: skip
    return made
