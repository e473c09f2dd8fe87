"""Confirmation: mixtures that a law has selected, against natural, with seeds that no run of the swarm has seen."""

from __future__ import annotations

from analysis.design_file import DesignSpec
from analysis.designs.base import full_cell, section_of, slice_contrast
from analysis.designs.cells import Cell, Contrast
from analysis.designs.swarm import natural_mixture, slice_mixture
from analysis.slices import Atoms


def confirmation(spec: DesignSpec, atoms: Atoms) -> tuple[list[Cell], list[Contrast]]:
    """Build the cells of a confirmation: natural and every selected mixture, in every block.

    It has no controls of its own: proxy, tokens and targets are those of the swarm, whose controls are asked.

    Raises:
        ConfigError: if the file has no section `confirmation`.
    """
    section = section_of(spec, "confirmation", spec.confirmation, "a file made by `mixtrace laws --confirm`")
    full = natural_mixture(spec, atoms)
    cells, contrasts = [full_cell(full)], []
    for name, weights in section.mixtures.items():
        said = ", ".join(f"{slice_} {weight:.3f}" for slice_, weight in weights.items())
        cells.append(Cell(name, slice_mixture(full, atoms, weights), "treatment", "full", said))
        contrasts += [
            slice_contrast(spec, "optimum", name, target, name, fill="named",
                           meaning=f"negative: trained on the mixture {name}, {target} is predicted better than after natural")
            for target in spec.slices
        ]  # fmt: skip
    return cells, contrasts
