"""What all designs begin with: the full mixture, the decisions as slices, plain contrasts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar

from analysis.design_file import DesignSpec
from analysis.designs.cells import Cell, Contrast, Family, difference
from analysis.mixtures import Mixture, normalised
from analysis.slices import Atoms, Slice
from pipelines.contracts.errors import ConfigError, message

Section = TypeVar("Section")
NEAR_DUPLICATES = Slice(
    "near_duplicates", "first_reason = 'near_duplicate'", "decision", "removed as a near-duplicate of a kept document"
)
QUALITY_REJECTS = Slice(
    "quality_rejects",
    "NOT kept AND first_reason NOT IN ('near_duplicate', 'exact_duplicate', 'url_duplicate')",
    "decision",
    "dropped by the quality rules",
)
NEAR_LEADERS = Slice(
    "near_leaders", "kept AND leads_near_duplicate", "predicate", "kept, with a near-duplicate removed"
)


def section_of(spec: DesignSpec, name: str, section: Section | None, example: str) -> Section:
    """Return the section of a file that its kind of design is about.

    Args:
        spec: the file.
        name: name of the section.
        section: what the file has there.
        example: what it could say, for the message.

    Raises:
        ConfigError: if the file has none.
    """
    if section is None:
        raise ConfigError(message(spec.name, f"no section `{name}`", "nothing", example))
    return section


def full_mixture(spec: DesignSpec, atoms: Atoms) -> Mixture:
    """Return the full mixture: stated weights over slices, natural (by tokens) inside each; kept documents only.

    Raises:
        ConfigError: if two slices overlap, or one has no kept training document.
    """
    tokens = atoms.tokens_by_atom()
    weights: dict[str, float] = {}
    for name in spec.slices:
        mine = atoms.atoms_of(name, kept=True)
        if not mine:
            raise ConfigError(
                message(f"slice {name!r}", "nothing to train on", "no kept training document", "at least one")
            )
        overlap = sorted(set(mine) & set(weights))
        if overlap:
            raise ConfigError(
                message(f"slice {name!r}", "overlaps another slice", overlap[0], "slices without common documents")
            )
        share = spec.weights.get(name, 1.0) / sum(tokens[atom] for atom in mine)
        weights.update({atom: share * tokens[atom] for atom in mine})
    return normalised(weights)


def full_cell(mixture: Mixture) -> Cell:
    """Return the baseline of most contrasts."""
    return Cell("full", mixture, "base", "full", "every slice, kept documents")


def language(atom: str) -> str:
    """Return the language of an atom's documents (atoms are named slices/language[/dropped])."""
    return atom.split("/")[1]


def slice_contrast(
    spec: DesignSpec, family: Family, slice_: str, target: str, treatment: str, **changes: object
) -> Contrast:
    """Return treatment minus full on the kept documents of one target."""
    values: dict = {
        "name": f"{treatment} on {target}",
        "family": family,
        "slice": slice_,
        "target": target,
        "population": "kept",
        "metric": "bpb",
        "fill": "proportional",
        "coef": difference(treatment, "full"),
        "delta": spec.delta_bpb,
        "expected_sign": 0,
        "meaning": f"positive: without {slice_} the loss on {target} rises, so {slice_} helps there",
    }
    return Contrast(**{**values, **changes})


DROPPED = "positive: training on {0} instead raises the loss on {1}, so dropping them helps there"


def decision_contrasts(
    spec: DesignSpec,
    decision: str,
    label: str,
    coef: Mapping[str, float],
    meaning: str = DROPPED,
    own: Collection[str] = (),
) -> list[Contrast]:
    """Return the contrasts of a decision, one per target: judged on text that no rule has chosen.

    Args:
        spec: the design.
        decision: what the verdict speaks of.
        label: begins the names.
        coef: cell -> coefficient.
        meaning: what a positive estimate says; {0} is the decision, {1} the target.
        own: targets whose own text the cells change, if they leave that of the others alone.
    """
    return [
        slice_contrast(
            spec,
            "decisions",
            decision,
            target,
            label,
            coef=coef,
            population="unfiltered",
            fill="named",
            meaning=meaning.format(decision, target),
            noise_group="own" if target in own else "",
        )
        for target in spec.slices
    ]
