"""Units of a study: groups of atoms that every cell scales alike, so that one gradient speaks for all of them.

Leaving a slice out or weighting it scales all atoms of the slice by one factor, so they are one unit; a swap of rejects
touches only some languages and splits them. Weights of cells then give the tokens of every unit exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.data import TokenStream
from analysis.influence.protocol import Unit

_DIGITS = 9
"""Decimals of relative weights that must agree."""


@dataclass(frozen=True)
class AtomGroup:
    """Atoms that are one unit.

    Attributes:
        name: the slice, with a number where it has several units.
        slice: source-level slice of the atoms.
        atoms: names.
    """

    name: str
    slice: str
    atoms: tuple[str, ...]


def group_atoms(tokens: Mapping[str, Mapping[str, float]], home: Mapping[str, str]) -> list[AtomGroup]:
    """Group the atoms of all cells.

    Args:
        tokens: cell to atom to planned training tokens.
        home: atom to its slice.

    Returns:
        Groups in the order of their first atom; the groups of a slice are numbered from the second on.
    """
    cells = list(tokens)
    groups: dict[tuple, list[str]] = {}
    for atom in sorted({atom for drawn in tokens.values() for atom in drawn}):
        column = np.array([tokens[cell].get(atom, 0.0) for cell in cells])
        key = (home[atom], *np.round(column / column.max(), _DIGITS))
        groups.setdefault(key, []).append(atom)
    made, seen = [], {}
    for (slice_, *_), atoms in groups.items():
        seen[slice_] = seen.get(slice_, 0) + 1
        name = slice_ if seen[slice_] == 1 else f"{slice_} ({seen[slice_]})"
        made.append(AtomGroup(name, slice_, tuple(atoms)))
    return made


def group_tokens(groups: Sequence[AtomGroup], tokens: Mapping[str, Mapping[str, float]]) -> dict[str, np.ndarray]:
    """Return cell to [groups] training tokens."""
    return {
        cell: np.array([sum(drawn.get(atom, 0.0) for atom in group.atoms) for group in groups])
        for cell, drawn in tokens.items()
    }


def sample_units(
    groups: Sequence[AtomGroup], tokens: Mapping[str, np.ndarray], stream_of: Callable[[str], TokenStream], rows: int
) -> list[Unit]:
    """Read rows of every group, as the first cell that has it trained on them.

    Args:
        groups: units.
        tokens: cell to [groups] training tokens; the first cell is asked first.
        stream_of: cell to its tokens.
        rows: at most; the order of slots is random, so the first ones are a random sample.

    Returns:
        Units of one token each: their scores are per token.
    """
    streams: dict[str, TokenStream] = {}
    units = []
    for at, group in enumerate(groups):
        cell = next(cell for cell, drawn in tokens.items() if drawn[at] > 0)
        stream = streams.setdefault(cell, stream_of(cell))
        mine = np.isin(np.array(stream.slots.names)[stream.slots.atom], group.atoms)
        chosen = np.flatnonzero(mine & ~stream.slots.shuffled)[:rows]
        if len(chosen):
            units.append(Unit(group.name, np.concatenate([stream.slots_tokens(s, s + 1) for s in chosen]), 1))
        else:  # so light that this block drew none of it
            units.append(Unit(group.name, np.empty((0, stream.context + 1), np.int64), 1))
    return units
