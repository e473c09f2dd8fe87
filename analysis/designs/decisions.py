"""Decisions: what the documents that a rule rejects do to the targets, when they come back."""

from __future__ import annotations

from analysis.design_file import DesignSpec
from analysis.design_kinds import DecisionSwaps
from analysis.designs.base import decision_contrasts, full_cell, full_mixture, section_of
from analysis.designs.cells import Cell, Contrast, difference
from analysis.designs.controls import with_controls
from analysis.designs.rejects import Group, decision_slices, groups, large_enough, overlap_note, swapped
from analysis.mixtures import Mixture, normalised, slice_weight
from analysis.slices import Atoms, Slice


def decisions(spec: DesignSpec, atoms: Atoms) -> tuple[list[Cell], list[Contrast]]:
    """Swap kept text for the rejects of each decision in turn, at one dose; and take the decision back, if asked.

    The swap compares equal doses of kept and rejected text of the same source and language. Without a decision
    ("off") its rejects are back at their natural dose; documents that fail other rules stay out, and what comes back
    is not deduplicated again. Both are judged on held-out text that no rule has chosen.

    Raises:
        ConfigError: if the file has no section `decisions`, or a decision has too few rejects.
    """
    section = asked(spec)
    full = full_mixture(spec, atoms)
    cells, contrasts = [full_cell(full)], []
    for name in section.decisions:
        found = groups(spec, atoms, full, name)
        usable = large_enough(spec, found, section.share, section.min_pool_tokens, name)
        dose = section.share * sum(group.weight for group in usable)
        text = (
            f"{section.share:.0%} of {len(usable)} sources and languages replaced by rejects of {name}: {dose:.1%} of the "
            f"slots (natural dose {natural_dose(found):.2%})"
        )
        cells.append(Cell(f"swap_{name}", swapped(full, [(usable, section.share)]), "treatment", "full", text,
                          target_slice=name))  # fmt: skip
        contrasts += decision_contrasts(spec, name, f"swap_{name}", difference(f"swap_{name}", "full"))
        if section.off:
            text = f"without the decision {name}: its rejects are back, {natural_dose(found):.2%} of the slots"
            back = [atom for group in found for atom in group.rejects]
            mixture = added_back(spec, atoms, full, back)
            cells.append(Cell(f"off_{name}", mixture, "treatment", "full", text, target_slice=name))
            contrasts += decision_contrasts(spec, name, f"off_{name}", difference(f"off_{name}", "full"))
    return with_controls(spec, cells, contrasts)


def asked(spec: DesignSpec) -> DecisionSwaps:
    """Return the section of the file.

    Raises:
        ConfigError: if there is none.
    """
    return section_of(spec, "decisions", spec.decisions, "decisions: {decisions: {...}}")


def natural_dose(found: list[Group]) -> float:
    """Return the share of all slots that the rejects would have, if the decision were off."""
    return sum(group.weight * group.natural for group in found)


def added_back(spec: DesignSpec, atoms: Atoms, full: Mixture, back: list[str]) -> Mixture:
    """Return the full mixture with some rejected atoms: slices keep their weights, inside each it is by tokens."""
    tokens = atoms.tokens_by_atom()
    weights: dict[str, float] = {}
    for name in spec.slices:
        mine = set(atoms.atoms_of(name))
        here = [atom for atom in (*full.weights, *back) if atom in mine]
        total = sum(tokens[atom] for atom in here)
        weights |= {atom: slice_weight(full, mine) * tokens[atom] / total for atom in here}
    return normalised(weights)


def needed_slices(spec: DesignSpec) -> tuple[Slice, ...]:
    """Return the slices of the decisions."""
    return decision_slices(asked(spec).decisions)


def notes(spec: DesignSpec, atoms: Atoms) -> tuple[str, ...]:
    """Say how the decisions overlap."""
    section = asked(spec)
    return tuple(overlap_note(atoms, section.decisions, name) for name in section.decisions)
