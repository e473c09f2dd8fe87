"""Leave-one-out: what a slice does, by leaving it out; each contrast says what fills the gap."""

from __future__ import annotations

from analysis.design_file import DesignSpec
from analysis.designs.base import full_cell, full_mixture, slice_contrast
from analysis.designs.cells import Cell, Contrast, Family, Fill
from analysis.designs.controls import with_controls
from analysis.mixtures import Mixture, leave_out, slice_weight
from analysis.slices import Atoms
from pipelines.contracts.errors import ConfigError, message


def leave_one_out(spec: DesignSpec, atoms: Atoms) -> tuple[list[Cell], list[Contrast]]:
    """Leave every named slice out in turn, with every named fill.

    proportional  the others grow in proportion: total tokens and schedule stay, off-target cells show dilution, too
    none          the same data less the slice: a shorter run with its schedule rescaled, no dilution
    named         one other slice takes the weight: a swap, k -> j

    Raises:
        ConfigError: if the file leaves nothing out, or a named fill has nowhere to go.
    """
    if not spec.leave_out:
        raise ConfigError(message(spec.name, "nothing is left out", "no `leave_out`", "names of slices"))
    full = full_mixture(spec, atoms)
    cells, contrasts = [full_cell(full)], []
    for name in spec.leave_out:
        for fill in spec.fill:
            cell = leave_out_cell(spec, atoms, full, name, fill)
            cells.append(cell)
            contrasts += leave_out_contrasts(spec, name, cell.name, fill)
    return with_controls(spec, cells, contrasts)


def leave_out_cell(spec: DesignSpec, atoms: Atoms, full: Mixture, name: str, fill: Fill) -> Cell:
    """Build the cell without a slice.

    Raises:
        ConfigError: for a named fill without the slice that takes the weight.
    """
    mine = atoms.atoms_of(name, kept=True)
    if fill == "proportional":
        text = f"without {name}; the others grow in proportion (same tokens)"
        return Cell(f"without_{name}", leave_out(full, mine), "treatment", "full", text, target_slice=name)
    if fill == "none":
        left = round((1 - slice_weight(full, mine)) * spec.tokens)
        text = f"without {name} and with nothing in its place ({left:,} tokens)"
        return Cell(
            f"omit_{name}", leave_out(full, mine), "treatment", "full", text, "omit", target_slice=name, tokens=left
        )
    taker = spec.swap.get(name)
    if taker is None:
        where = f"fill: named, leave_out: {name}"
        raise ConfigError(message(where, "nothing to fill with", "no entry in `swap`", f"swap: {{{name}: a slice}}"))
    mixture = leave_out(full, mine, "named", atoms.atoms_of(taker, kept=True))
    return Cell(f"{name}_to_{taker}", mixture, "treatment", "full", f"{taker} takes the place of {name}",
                target_slice=name)  # fmt: skip


def leave_out_contrasts(spec: DesignSpec, name: str, cell: str, fill: Fill) -> list[Contrast]:
    """Compare a cell without a slice with the full one, on every target; positive: the slice helps there."""
    made = []
    place = {
        "proportional": "",
        "none": ", and with nothing in its place,",
        "named": f", with {spec.swap.get(name)} in its place,",
    }[fill]
    for target in spec.slices:
        sign = _expected_sign(spec, name, target, fill)
        family: Family = "own-slice" if sign else "cross-slice"
        meaning = f"positive: without {name}{place} the loss on {target} rises, so {name} helps there"
        if sign < 0:
            meaning += f" (negative by construction: {target} has the weight of {name} besides its own)"
        made.append(slice_contrast(spec, family, name, target, cell, fill=fill, expected_sign=sign, meaning=meaning))
        made.append(
            slice_contrast(
                spec,
                "downstream",
                name,
                target,
                cell,
                name=f"{cell} on {target} (choice)",
                metric="choice_margin",
                fill=fill,
                meaning=f"negative: without {name}{place} the right continuation of {target} stands out less, so {name} helps there",
            )
        )
    return made


def _expected_sign(spec: DesignSpec, name: str, target: str, fill: Fill) -> int:
    if target == name:
        return 1
    return -1 if fill == "named" and target == spec.swap.get(name) else 0
