"""Rejects: documents that only one decision keeps out, and mixtures in which they are back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow.compute as pc

from analysis.design_file import DesignSpec
from analysis.designs.base import language
from analysis.mixtures import Mixture, normalised
from analysis.slices import Atoms, Slice
from pipelines.contracts.errors import ConfigError, message

ANY = "_or_more"
"""Ends the name of the slice of all documents that fail a decision's rules, whatever else they fail."""


@dataclass(frozen=True)
class Group:
    """Kept text and its own rejects: one target, source and language.

    Attributes:
        kept: atoms of the mixture.
        rejects: rejected atom -> its training tokens.
        weight: weight of the kept atoms.
        tokens: training tokens of the kept atoms.
    """

    kept: tuple[str, ...]
    rejects: Mapping[str, int]
    weight: float
    tokens: int

    @property
    def natural(self) -> float:
        """Share of the rejects in the group, if the decision were off."""
        back = sum(self.rejects.values())
        return back / (back + self.tokens)


def failing_only(rules: tuple[str, ...]) -> str:
    """Return the predicate of the documents that fail some of these rules and no other: what would come back."""
    return f"NOT kept AND len(failed_rules) > 0 AND list_has_all([{_listed(rules)}], failed_rules)"


def decision_slices(decisions: Mapping[str, tuple[str, ...]]) -> tuple[Slice, ...]:
    """Return two slices per decision: what would come back without it, and all that fails its rules."""
    made = []
    for name, rules in decisions.items():
        text = ", ".join(rules)
        made.append(Slice(name, failing_only(rules), "decision", f"fails {text} and no other rule"))
        where = f"NOT kept AND list_has_any([{_listed(rules)}], failed_rules)"
        made.append(Slice(f"{name}{ANY}", where, "predicate", f"fails {text}, whatever else"))
    return tuple(made)


def _listed(rules: tuple[str, ...]) -> str:
    return ", ".join(f"'{rule}'" for rule in rules)


def groups(spec: DesignSpec, atoms: Atoms, mixture: Mixture, decision: str) -> list[Group]:
    """Lay out kept text beside the rejects of a decision, by target, source and language; groups without any are left out."""
    tokens, source = atoms.tokens_by_atom(), atoms.sources()
    rejected = set(atoms.atoms_of(decision))
    found = []
    for name in spec.slices:
        mine = atoms.atoms_of(name)
        for place in sorted({(source[atom], language(atom)) for atom in mine}):
            here = [atom for atom in mine if (source[atom], language(atom)) == place]
            kept = tuple(atom for atom in here if atom in mixture.weights)
            rejects = {atom: tokens[atom] for atom in here if atom in rejected}
            if kept and rejects:
                weight = sum(mixture.weights[atom] for atom in kept)
                found.append(Group(kept, rejects, weight, sum(tokens[atom] for atom in kept)))
    return found


def large_enough(
    spec: DesignSpec, found: list[Group], share: float, min_pool_tokens: int, decision: str
) -> list[Group]:
    """Return the groups whose rejects can fill a share without being read too often.

    Raises:
        ConfigError: if there are none.
    """
    usable = [
        group
        for group in found
        if sum(group.rejects.values()) >= max(min_pool_tokens, share * group.weight * spec.tokens / spec.max_epochs)
    ]
    if not usable:
        most = max((sum(group.rejects.values()) for group in found), default=0)
        where = f"decision {decision!r}"
        raise ConfigError(
            message(where, "no source and language has enough rejects", f"{most} tokens at most",
                    f"{min_pool_tokens} that fail no other rule")
        )  # fmt: skip
    return usable


def swapped(mixture: Mixture, changes: list[tuple[list[Group], float]]) -> Mixture:
    """Replace a share of the kept weight of each group by its rejects, for each (groups, share)."""
    weights = dict(mixture.weights)
    for found, share in changes:
        for group in found:
            for atom in group.kept:
                weights[atom] -= share * mixture.weights[atom]
            total = sum(group.rejects.values())
            for atom, size in group.rejects.items():
                weights[atom] = weights.get(atom, 0.0) + share * group.weight * size / total
    return normalised(weights, mixture.pools)


def overlap_note(atoms: Atoms, decisions: Mapping[str, tuple[str, ...]], name: str) -> str:
    """Say how much a decision's rules keep out, how much of that only they do, and what they share with the others."""

    def size(*slices: str) -> int:
        chosen = pc.equal(atoms.table["split"], "train")
        for one in slices:
            chosen = pc.and_(chosen, atoms.table[f"in_{one}"])
        return int(pc.sum(atoms.table["tokens"].filter(chosen)).as_py() or 0)

    every = size(f"{name}{ANY}")
    shared = {other: size(f"{name}{ANY}", f"{other}{ANY}") for other in decisions if other != name}
    said = [f"{tokens:,} also fail {other}" for other, tokens in shared.items() if tokens]
    return ", ".join([f"{name}: {every:,} tokens fail its rules, {size(name):,} of them no other rule", *said])
