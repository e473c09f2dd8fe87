"""Thresholds: a dose-response over how strict one rule is, with each step and the slope as contrasts."""

from __future__ import annotations

from itertools import pairwise

from analysis.data import pool_tokens
from analysis.design_file import DesignSpec
from analysis.design_kinds import Thresholds
from analysis.designs.base import NEAR_LEADERS, decision_contrasts, full_cell, full_mixture, section_of
from analysis.designs.cells import Cell, Contrast, difference, trend
from analysis.designs.controls import changed_share, with_controls
from analysis.designs.pools import pool_share
from analysis.designs.rejects import failing_only
from analysis.mixtures import Mixture, normalised, slice_weight, with_pools
from analysis.slices import Atoms, Slice
from pipelines.contracts.errors import ConfigError, message


def asked(spec: DesignSpec) -> Thresholds:
    """Return the section of the file.

    Raises:
        ConfigError: if there is none.
    """
    return section_of(spec, "thresholds", spec.thresholds, "thresholds: {signal: ..., min: [...]}")


def ladder(section: Thresholds) -> list[tuple[str, float, str]]:
    """Return (slice, threshold, predicate of what passes) from the laxest threshold to the strictest."""
    if section.jaccard:
        levels = sorted(section.jaccard, reverse=True)
        back = "first_reason = 'near_duplicate' AND similarity < {0}"
        return [(f"jaccard_{i}", level, back.format(level)) for i, level in enumerate(levels)]
    strict = section.min or section.max
    levels = sorted(strict, reverse=not section.min)
    sign = ">=" if section.min else "<="
    pool = f"(kept OR ({failing_only(section.rules)}))" if section.rules else "kept"
    where = "{pool} AND ({signal} IS NULL OR {signal} {sign} {level})"
    return [
        (f"passes_{i}", level, where.format(pool=pool, signal=section.signal, sign=sign, level=level))
        for i, level in enumerate(levels)
    ]


def needed_slices(spec: DesignSpec) -> tuple[Slice, ...]:
    """Return a slice per threshold: what passes it, or which near-duplicates come back."""
    section = asked(spec)
    what = "near-duplicates less alike than {0:g}" if section.jaccard else f"{section.signal} at threshold {{0:g}}"
    steps = [(name, level, where) for name, level, where in ladder(section)]
    if section.jaccard:  # nothing comes back at the strictest threshold, so it needs no slice
        steps = steps[:-1]
    made = [Slice(name, where, "decision", what.format(level)) for name, level, where in steps]
    return (*made, NEAR_LEADERS) if section.jaccard else tuple(made)


def thresholds(spec: DesignSpec, atoms: Atoms) -> tuple[list[Cell], list[Contrast]]:
    """Build a cell per threshold; slices keep their weights, inside each what passes is taken by tokens.

    Contrasts are a laxer threshold minus the next stricter one, and the fitted change over the whole range: positive
    says that strictness helps.

    Raises:
        ConfigError: if a step changes too little to be seen.
    """
    section = asked(spec)
    full = full_mixture(spec, atoms)
    if section.jaccard:
        return _with_contrasts(spec, [full_cell(full)], _jaccard_cells(spec, atoms, full), "near_duplicates")
    cells = [full_cell(full)]
    steps: list[tuple[float, Cell]] = []
    for name, level, _ in ladder(section):
        mixture = _passing(spec, atoms, full, name)
        cell = Cell(f"{section.signal}_{level:g}", mixture, "treatment", "full", _described(spec, atoms, name, level),
                    target_slice=section.signal or "")  # fmt: skip
        steps.append((level, cells[0] if changed_share(mixture, full) < 1e-9 else cell))
    _check_steps(section, steps)
    return _with_contrasts(spec, cells, steps, str(section.signal))


def _described(spec: DesignSpec, atoms: Atoms, name: str, level: float) -> str:
    tokens, passes = atoms.tokens_by_atom(), set(atoms.atoms_of(name))
    mine = {atom for slice_ in asked(spec).slices or spec.slices for atom in atoms.atoms_of(slice_)}
    held = sum(tokens[atom] for atom in mine & passes)
    return f"{asked(spec).signal} at threshold {level:g}: {held:,} tokens of its slices pass"


def _passing(spec: DesignSpec, atoms: Atoms, full: Mixture, name: str) -> Mixture:
    tokens = atoms.tokens_by_atom()
    passes = set(atoms.atoms_of(name))
    weights = dict(full.weights)
    for slice_ in asked(spec).slices or spec.slices:
        mine = [atom for atom in atoms.atoms_of(slice_) if atom in passes]
        total = sum(tokens[atom] for atom in mine)
        weight = slice_weight(full, atoms.atoms_of(slice_, kept=True))
        if not total:
            where = f"slice {slice_!r}, threshold {name}"
            raise ConfigError(
                message(where, "nothing passes", "0 tokens", "some training text", "Name other `slices`.")
            )
        for atom in atoms.atoms_of(slice_, kept=True):
            weights.pop(atom, None)
        weights |= {atom: weight * tokens[atom] / total for atom in mine}
    return normalised(weights)


def _check_steps(section: Thresholds, steps: list[tuple[float, Cell]]) -> None:
    for (before, lax), (after, strict) in pairwise(steps):
        changed = changed_share(lax.mixture, strict.mixture)
        if changed < section.min_step_share:
            where = f"thresholds {section.signal}: {before:g} to {after:g}"
            found = f"{changed:.2%} of the slots"
            raise ConfigError(
                message(where, "a step that changes almost nothing", found, f"at least {section.min_step_share:.2%}")
            )


def _jaccard_cells(spec: DesignSpec, atoms: Atoms, full: Mixture) -> list[tuple[float, Cell]]:
    """Build cells on the documents that lead near-duplicates and about one epoch of them, by component.

    Raises:
        ConfigError: if a step adds too few duplicate tokens to a run.
    """
    section = asked(spec)
    own = set(atoms.atoms_of(section.slices[0]))
    weight = slice_weight(full, atoms.atoms_of(section.slices[0], kept=True))
    leaders = [atom for atom in atoms.atoms_of(NEAR_LEADERS.name) if atom in own]
    share = pool_share(atoms, leaders, weight * spec.tokens)
    steps: list[tuple[float, Cell]] = []
    seen_before = None
    for number, (name, level, _) in reversed(list(enumerate(ladder(section)))):
        strictest = number == len(section.jaccard) - 1
        copies = [] if strictest else [atom for atom in atoms.atoms_of(name) if atom in own]
        pools = dict.fromkeys((*leaders, *copies), share)
        inside = pool_tokens(atoms, pools)
        held = sum(inside.values())
        seen = weight * spec.tokens * sum(inside[atom] for atom in copies) / max(held, 1)
        if seen_before is not None and seen - seen_before < section.min_duplicate_tokens:
            where = f"thresholds: jaccard {level:g}"
            found = f"{seen - seen_before:.0f} more in a run than at the next stricter threshold"
            raise ConfigError(
                message(where, "too few duplicate tokens", found, f"at least {section.min_duplicate_tokens}",
                        "Name another slice, or raise `tokens`.")
            )  # fmt: skip
        seen_before = seen
        others = {atom: w for atom, w in full.weights.items() if atom not in own}
        mine = {atom: weight * size / held for atom, size in inside.items()}
        mixture = with_pools(normalised({**others, **mine}), {atom: share for atom, size in inside.items() if size})
        base = "jaccard_base" if strictest else f"jaccard_{level:g}"
        text = f"{section.slices[0]} from a pool of {held:,} tokens; near-duplicates below {level:g} are in it: {seen:,.0f} tokens of a run"
        role = "base" if strictest else "treatment"
        steps.insert(0, (level, Cell(base, mixture, role, "jaccard_base", text, target_slice="near_duplicates")))
    return steps


def _with_contrasts(
    spec: DesignSpec, cells: list[Cell], steps: list[tuple[float, Cell]], decision: str
) -> tuple[list[Cell], list[Contrast]]:
    contrasts: list[Contrast] = []
    for (before, lax), (after, strict) in pairwise(steps):
        coef = difference(lax.name, strict.name)
        contrasts += _named(spec, decision, f"{decision} {before:g} to {after:g}", coef)
    levels = {cell.name: level for level, cell in steps}
    span = max(levels.values()) - min(levels.values())
    lax_first = 1.0 if steps[0][0] > steps[-1][0] else -1.0
    slope = {cell: lax_first * span * factor for cell, factor in trend(levels).items()}
    contrasts += _named(spec, decision, f"{decision} {steps[0][0]:g} to {steps[-1][0]:g}, fitted", slope)
    known = {cell.name for cell in cells}
    return with_controls(spec, [*cells, *(cell for _, cell in steps if cell.name not in known)], contrasts)


def _named(spec: DesignSpec, decision: str, label: str, coef: dict[str, float]) -> list[Contrast]:
    meaning = "positive: the loss on {1} falls as the threshold of {0} gets stricter, so strictness helps there"
    return decision_contrasts(spec, decision, label, coef, meaning, asked(spec).slices)
