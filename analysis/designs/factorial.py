"""Two-level factorials over curation decisions, 2^(k-p): main effects and two-way interactions from few cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from analysis.design_file import DesignSpec
from analysis.design_kinds import Factorial
from analysis.designs.base import decision_contrasts, full_cell, full_mixture, section_of
from analysis.designs.cells import Cell, Contrast
from analysis.designs.controls import with_controls
from analysis.designs.rejects import Group, decision_slices, groups, large_enough, overlap_note, swapped
from analysis.mixtures import Mixture
from analysis.slices import Atoms, Slice
from pipelines.contracts.errors import ConfigError, message

Effect = tuple[str, ...]
"""A main effect (one factor) or an interaction (two)."""


@dataclass(frozen=True)
class Fraction:
    """The cells of a fraction.

    Attributes:
        factors: names of the factors.
        levels: [cells, factors] -1 (the decision is on, as curated) or +1 (its rejects are back).
    """

    factors: tuple[str, ...]
    levels: np.ndarray

    def column(self, effect: Effect) -> np.ndarray:
        """Return the [cells] signs of an effect: the product of the levels of its factors."""
        return self.levels[:, [self.factors.index(name) for name in effect]].prod(axis=1)

    def aliases(self, effect: Effect) -> list[Effect]:
        """Return the main effects and two-way interactions that the cells cannot tell from this one."""
        mine = self.column(effect)
        return [other for other in self.effects() if other != effect and abs(mine @ self.column(other)) == len(mine)]

    def effects(self) -> list[Effect]:
        """Return all main effects and two-way interactions."""
        return [(name,) for name in self.factors] + list(combinations(self.factors, 2))


def fraction_of(factors: tuple[str, ...], generators: Mapping[str, tuple[str, ...]]) -> Fraction:
    """Lay out a fraction: all levels of the free factors; a generated factor has the product of its generators.

    >>> fraction_of(("a", "b", "c"), {"c": ("a", "b")}).levels.tolist()
    [[-1, -1, 1], [-1, 1, -1], [1, -1, -1], [1, 1, 1]]
    """
    free = [name for name in factors if name not in generators]
    base = np.array(list(product((-1, 1), repeat=len(free))))
    columns = {name: base[:, at] for at, name in enumerate(free)}
    for name, sources in generators.items():
        columns[name] = np.prod([columns[source] for source in sources], axis=0)
    return Fraction(factors, np.stack([columns[name] for name in factors], axis=1))


def factorial(spec: DesignSpec, atoms: Atoms) -> tuple[list[Cell], list[Contrast]]:
    """Train every cell of the fraction; effects are contrasts over all of them.

    Raises:
        ConfigError: if the file has no section `factorial`, a decision has too few rejects, or an effect is aliased.
    """
    section = asked(spec)
    fraction = fraction_of(tuple(section.factors), section.generators)
    wanted = check_aliases(section, fraction)
    full = full_mixture(spec, atoms)
    usable = {name: _usable(spec, section, atoms, full, name) for name in section.factors}
    names = []
    cells = [full_cell(full)]
    for row in fraction.levels:
        back = [name for name, level in zip(fraction.factors, row, strict=True) if level > 0]
        names.append("back_" + "_and_".join(back) if back else "full")
        if back:
            mixture = swapped(full, [(usable[name], section.share) for name in back])
            text = f"{section.share:.0%} of the kept text of each source and language replaced by rejects of {', of '.join(back)} each"
            cells.append(Cell(names[-1], mixture, "treatment", "full", text, target_slice=":".join(back)))
    contrasts: list[Contrast] = []
    for effect in wanted:
        signs = fraction.column(effect)
        coef = {name: float(sign) * 2 / len(signs) for name, sign in zip(names, signs, strict=True)}
        contrasts += decision_contrasts(spec, ":".join(effect), ":".join(effect), coef, _meaning(effect))
    return with_controls(spec, cells, contrasts)


def asked(spec: DesignSpec) -> Factorial:
    """Return the section of the file.

    Raises:
        ConfigError: if there is none.
    """
    return section_of(spec, "factorial", spec.factorial, "factorial: {factors: {...}}")


def check_aliases(section: Factorial, fraction: Fraction) -> list[Effect]:
    """Return the effects that are estimated: all main effects, and the interactions that the file asks for.

    Raises:
        ConfigError: if one of them cannot be told from another effect that the file does not call negligible.
    """
    order = fraction.factors.index
    pairs = [tuple(sorted(pair, key=order)) for pair in section.interactions]
    negligible = {tuple(sorted(pair, key=order)) for pair in section.negligible}
    wanted: list[Effect] = [*((name,) for name in fraction.factors), *pairs]
    for effect in wanted:
        signs = fraction.column(effect)
        confounded = [":".join(other) for other in fraction.aliases(effect) if other not in negligible]
        if abs(signs.sum()) == len(signs):
            confounded.append("the mean")
        if confounded:
            where = f"factorial: effect {':'.join(effect)}"
            raise ConfigError(
                message(where, "aliased", f"the same cells as {', '.join(confounded)}",
                        "an effect of its own", "Use other generators, or name what can be neglected in `negligible`.")
            )  # fmt: skip
    return wanted


def _usable(spec: DesignSpec, section: Factorial, atoms: Atoms, full: Mixture, name: str) -> list[Group]:
    found = groups(spec, atoms, full, name)
    return large_enough(spec, found, section.share, section.min_pool_tokens, name)


def _meaning(effect: Effect) -> str:
    if len(effect) == 1:
        return "positive: text that {0} rejects raises the loss on {1}, averaged over the other decisions, so dropping it helps there"
    return "positive: on {1}, the rejects of either decision of {0} do more harm where those of the other are, too"


def needed_slices(spec: DesignSpec) -> tuple[Slice, ...]:
    """Return the slices of the factors."""
    return decision_slices(asked(spec).factors)


def notes(spec: DesignSpec, atoms: Atoms) -> tuple[str, ...]:
    """Say the generators, the aliases and how the decisions overlap."""
    section = asked(spec)
    fraction = fraction_of(tuple(section.factors), section.generators)
    k, p = len(section.factors), len(section.generators)
    made = [f"{name} = {' x '.join(sources)}" for name, sources in section.generators.items()]
    said = [f"factorial 2^({k}-{p}): {len(fraction.levels)} cells; generators: {', '.join(made) or 'none'}"]
    for effect in fraction.effects():
        others = fraction.aliases(effect)
        if others and effect < min(others):
            said.append(f"aliased: {' = '.join(':'.join(one) for one in (effect, *others))}")
    full = full_mixture(spec, atoms)
    for name in section.factors:
        dose = section.share * sum(group.weight for group in _usable(spec, section, atoms, full, name))
        said.append(f"dose of {name}: {dose:.1%} of the slots")
    return (*said, *(overlap_note(atoms, section.factors, name) for name in section.factors))
