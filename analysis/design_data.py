"""A design on a workspace: its cells, and the tokens of each run. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from analysis.data import TokenStream, token_stream
from analysis.design_file import DesignSpec
from analysis.designs import BY_SOURCE, Cell, Design, build_design, design_slices
from analysis.slices import Atoms, partition


def design_of(workspace: Path, spec: DesignSpec) -> tuple[Design, Atoms]:
    """Build the cells of a design on a workspace.

    Raises:
        ConfigError: with the slice, for what the workspace lacks.
        InputError: if a shard is missing or cut short.
    """
    atoms = partition(str(workspace), design_slices(spec), by_source=spec.design in BY_SOURCE)
    return build_design(spec, atoms, atoms.corpus), atoms


def cell_stream(workspace: Path, design: Design, atoms: Atoms, cell: Cell, block: int) -> TokenStream:
    """Return the tokens of one run; whole batches only."""
    spec = design.spec
    slots = design.tokens(cell) // spec.proxy.context // spec.proxy.batch * spec.proxy.batch
    mixtures = (cell.mixture, design.cell(cell.baseline).mixture)
    seed = f"{spec.seed}/{block}"
    return token_stream(str(workspace), atoms, mixtures, seed, cell.transform, slots, spec.proxy.context, cell.share)
