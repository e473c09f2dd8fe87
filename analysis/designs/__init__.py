"""Designs: functions (spec, atoms) -> (cells, contrasts), one file per kind, in the dict `DESIGNS`."""

from __future__ import annotations

from collections.abc import Callable

from analysis.design_file import DesignSpec
from analysis.designs import decisions, factorial, halves, thresholds
from analysis.designs.base import NEAR_DUPLICATES, NEAR_LEADERS, QUALITY_REJECTS
from analysis.designs.cells import Cell, Contrast, Design, difference
from analysis.designs.confirmation import confirmation
from analysis.designs.demo import demo
from analysis.designs.duplication import duplication
from analysis.designs.leave_out import leave_one_out
from analysis.designs.reweight import reweight
from analysis.designs.robustness import with_options
from analysis.designs.single_slice import single_slice
from analysis.designs.swarm import swarm
from analysis.designs.tasks import task_contrasts
from analysis.slices import Atoms, Slice

__all__ = ["DESIGNS", "Cell", "Contrast", "Design", "build_design", "design_slices", "difference"]

DESIGNS: dict[str, Callable[[DesignSpec, Atoms], tuple[list[Cell], list[Contrast]]]] = {
    "demo": demo,
    "swarm": swarm,
    "confirmation": confirmation,
    "leave_one_out": leave_one_out,
    "reweight": reweight,
    "single_slice": single_slice,
    "decisions": decisions.decisions,
    "thresholds": thresholds.thresholds,
    "duplication": duplication,
    "factorial": factorial.factorial,
    "halves": halves.halves,
}
DECISIONS: dict[str, Callable[[DesignSpec], tuple[Slice, ...]]] = {
    "demo": lambda _: (NEAR_DUPLICATES, QUALITY_REJECTS, NEAR_LEADERS),
    "decisions": decisions.needed_slices,
    "thresholds": thresholds.needed_slices,
    "factorial": factorial.needed_slices,
    "halves": halves.needed_slices,
}
"""Slices that a kind needs besides its targets: decisions, rejects of a rule, what passes a threshold."""
BY_SOURCE = frozenset({"decisions", "factorial", "halves"})
"""Kinds whose atoms hold documents of one source each."""
NOTES: dict[str, Callable[[DesignSpec, Atoms], tuple[str, ...]]] = {
    "decisions": decisions.notes,
    "factorial": factorial.notes,
}
"""What the plan of a kind says besides its cells."""


def design_slices(spec: DesignSpec) -> tuple[Slice, ...]:
    """Return the slices of a design: its own (targets), and those of its kind."""
    own = tuple(Slice(name, one.where, "source", one.description) for name, one in spec.slices.items())
    return (*own, *DECISIONS.get(spec.design, _no_decisions)(spec))


def _no_decisions(_: DesignSpec) -> tuple[Slice, ...]:
    return ()


def build_design(spec: DesignSpec, atoms: Atoms, corpus: str) -> Design:
    """Build a design from its file and the atoms of a workspace."""
    cells, contrasts = with_options(spec, *DESIGNS[spec.design](spec, atoms))
    contrasts = [*contrasts, *task_contrasts(spec, contrasts)]
    notes = NOTES[spec.design](spec, atoms) if spec.design in NOTES else ()
    return Design(spec, tuple(spec.slices), tuple(cells), tuple(contrasts), corpus, notes)
