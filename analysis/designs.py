"""Designs: functions that return cells (what is trained) and contrasts (what is compared)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from analysis.data import pool_tokens
from analysis.design_file import DesignSpec
from analysis.mixtures import Mixture, leave_out, normalised, slice_weight, swap, with_pools
from analysis.schedule import SCHEDULE_VERSION, SHAM_SHARE, SHUFFLE_SHARE, Transform
from analysis.slices import Atoms, Slice
from pipelines.contracts.errors import ConfigError, message
from pipelines.contracts.ids import fingerprint

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


@dataclass(frozen=True)
class Cell:
    """One mixture that is trained, once per block."""

    name: str
    mixture: Mixture
    role: Literal["base", "treatment", "null", "positive"]
    baseline: str
    description: str
    transform: Transform = "none"
    target_slice: str = ""
    """Slice or decision that the cell is about."""


@dataclass(frozen=True)
class Contrast:
    """Treatment minus baseline on one target; the verdict speaks of `slice`."""

    name: str
    family: Literal["own-slice", "cross-slice", "decisions", "controls", "downstream"]
    slice: str
    target: str
    population: str
    metric: str
    fill: Literal["proportional", "named", "none"]
    treatment: str
    baseline: str
    delta: float
    expected_sign: int
    meaning: str


@dataclass(frozen=True)
class Design:
    """A study, hashed before any result exists."""

    spec: DesignSpec
    targets: tuple[str, ...]
    cells: tuple[Cell, ...]
    contrasts: tuple[Contrast, ...]
    corpus: str

    @property
    def design_id(self) -> str:
        """Hash of everything that the study depends on."""
        cells = [[c.name, dict(c.mixture.weights), dict(c.mixture.pools), c.transform, c.baseline] for c in self.cells]
        return fingerprint(self.spec.model_dump(mode="json"), cells, self.corpus, SCHEDULE_VERSION)[:12]


def design_slices(spec: DesignSpec) -> tuple[Slice, ...]:
    """Return the slices of a design: its own (targets), and the two decisions."""
    own = tuple(Slice(name, one.where, "source", one.description) for name, one in spec.slices.items())
    return (*own, NEAR_DUPLICATES, QUALITY_REJECTS, NEAR_LEADERS)


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


def demo(spec: DesignSpec, atoms: Atoms) -> tuple[list[Cell], list[Contrast]]:
    """Build the demo study (science notes, section 5): leave-outs, sham, shuffle, two decisions."""
    full = full_mixture(spec, atoms)
    cells = [Cell("full", full, "base", "full", "every slice, kept documents")]
    contrasts: list[Contrast] = []
    for name in spec.leave_out:
        mixture = leave_out(full, atoms.atoms_of(name, kept=True))
        described = f"without {name}; the others grow in proportion (same tokens)"
        cells.append(Cell(f"without_{name}", mixture, "treatment", "full", described, target_slice=name))
        contrasts += _leave_out_contrasts(spec, name)
    cells.append(Cell("sham", full, "null", "full", f"a random {SHAM_SHARE:.0%} of the slots redrawn", "sham"))
    cells.append(
        Cell("shuffle", full, "positive", "full", f"tokens of {SHUFFLE_SHARE:.0%} of the slots shuffled", "shuffle")
    )
    for control in ("sham", "shuffle"):
        contrasts += _control_contrasts(spec, control)
    if spec.near_duplicates is not None:
        cells += _near_duplicate_cells(spec, atoms, full)
        contrasts += _decision_contrasts(spec, "near_duplicates", "near_duplicate_swap", "near_duplicate_base")
    if spec.rejects is not None:
        cells.append(_reject_cell(spec, atoms, full))
        contrasts += _decision_contrasts(spec, "quality_rejects", "quality_reject_swap", "full")
    return cells, contrasts


DESIGNS: dict[str, Callable[[DesignSpec, Atoms], tuple[list[Cell], list[Contrast]]]] = {"demo": demo}


def build_design(spec: DesignSpec, atoms: Atoms, corpus: str) -> Design:
    """Build a design from its file and the atoms of a workspace."""
    cells, contrasts = DESIGNS[spec.design](spec, atoms)
    return Design(spec, tuple(spec.slices), tuple(cells), tuple(contrasts), corpus)


def _contrast(spec: DesignSpec, family: str, slice_: str, target: str, treatment: str, **changes: object) -> Contrast:
    values: dict = {
        "name": f"{treatment} on {target}",
        "family": family,
        "slice": slice_,
        "target": target,
        "population": "kept",
        "metric": "bpb",
        "fill": "proportional",
        "treatment": treatment,
        "baseline": "full",
        "delta": spec.delta_bpb,
        "expected_sign": 0,
        "meaning": f"positive: without {slice_} the loss on {target} rises, so {slice_} helps there",
    }
    return Contrast(**{**values, **changes})


def _leave_out_contrasts(spec: DesignSpec, name: str) -> list[Contrast]:
    cell = f"without_{name}"
    made = []
    for target in spec.slices:
        own = target == name
        family = "own-slice" if own else "cross-slice"
        made.append(_contrast(spec, family, name, target, cell, expected_sign=1 if own else 0))
        made.append(
            _contrast(
                spec,
                "downstream",
                name,
                target,
                cell,
                name=f"{cell} on {target} (choice)",
                metric="choice_margin",
                meaning=f"negative: without {name} the right continuation of {target} stands out less, so {name} helps there",
            )
        )
    return made


def _control_contrasts(spec: DesignSpec, control: str) -> list[Contrast]:
    meaning = "positive: the control raises the loss"
    sign = 1 if control == "shuffle" else 0
    return [
        _contrast(spec, "controls", control, target, control, fill="named", expected_sign=sign, meaning=meaning)
        for target in spec.slices
    ]


def _decision_contrasts(spec: DesignSpec, decision: str, cell: str, baseline: str) -> list[Contrast]:
    return [
        _contrast(
            spec,
            "decisions",
            decision,
            target,
            cell,
            baseline=baseline,
            population="unfiltered",
            fill="named",
            meaning=f"positive: training on {decision} instead raises the loss on {target}, so dropping them helps there",
        )
        for target in spec.slices
    ]


def _near_duplicate_cells(spec: DesignSpec, atoms: Atoms, full: Mixture) -> list[Cell]:
    """Build baseline and swap on a pool of about one epoch, drawn by component so that pairs survive together.

    Raises:
        ConfigError: if there are too few near-duplicates of the slice.
    """
    swap_spec = spec.near_duplicates
    assert swap_spec is not None
    tokens = atoms.tokens_by_atom()
    own = set(atoms.atoms_of(swap_spec.slice))
    leaders = [atom for atom in atoms.atoms_of("near_leaders") if atom in own]
    copies = [atom for atom in atoms.atoms_of("near_duplicates") if atom in own]
    weight = slice_weight(full, atoms.atoms_of(swap_spec.slice, kept=True))
    pool = sum(tokens[atom] for atom in leaders)
    seen = weight * spec.tokens * swap_spec.share
    available = sum(tokens[atom] for atom in copies)
    if pool == 0 or min(available, seen) < swap_spec.min_duplicate_tokens:
        raise ConfigError(
            message(
                "near_duplicates",
                "too few near-duplicates for a contrast",
                f"{available} tokens, {seen:.0f} of them seen",
                f"at least {swap_spec.min_duplicate_tokens} seen",
                f"Choose a slice with more than {swap_spec.slice!r} has.",
            )
        )
    share = min(1.0, weight * spec.tokens / pool)
    pools = dict.fromkeys((*leaders, *copies), share)
    inside = pool_tokens(atoms, pools)
    others = {atom: w for atom, w in full.weights.items() if atom not in own}
    held = sum(inside[atom] for atom in leaders)
    base = with_pools(normalised({**others, **{atom: weight * inside[atom] / held for atom in leaders}}), pools)
    pairs = [(a, b) for a in leaders for b in copies if _language(a) == _language(b) and inside[b] > 0]
    treatment = swap(base, pairs, swap_spec.share)
    text = f"{swap_spec.slice} only from documents that lead near-duplicates, about one epoch ({share:.1%} of the components)"
    return [
        Cell("near_duplicate_base", base, "base", "near_duplicate_base", text),
        Cell("near_duplicate_swap", treatment, "treatment", "near_duplicate_base",
             f"{swap_spec.share:.0%} of these replaced by their removed near-duplicates", target_slice="near_duplicates"),
    ]  # fmt: skip


def _language(atom: str) -> str:
    return atom.split("/")[1]


def _reject_cell(spec: DesignSpec, atoms: Atoms, full: Mixture) -> Cell:
    """Swap kept text for the rejects of the same slice and language, where there are enough of them."""
    reject = spec.rejects
    assert reject is not None
    tokens = atoms.tokens_by_atom()
    rejected = set(atoms.atoms_of("quality_rejects"))
    pairs = []
    for name in spec.slices:
        mine = atoms.atoms_of(name)
        for atom in (a for a in mine if a in full.weights):
            twins = [
                b
                for b in mine
                if b in rejected and _language(b) == _language(atom) and tokens[b] >= reject.min_pool_tokens
            ]
            pairs += [(atom, max(twins, key=lambda b: (tokens[b], b)))] if twins else []
    if not pairs:
        raise ConfigError(
            message("rejects", "no slice has enough rejects", "0 pairs", f"a pool of {reject.min_pool_tokens} tokens")
        )
    text = f"{reject.share:.0%} of each slice and language replaced by its own rejects ({len(pairs)} pairs)"
    return Cell(
        "quality_reject_swap",
        swap(full, pairs, reject.share),
        "treatment",
        "full",
        text,
        target_slice="quality_rejects",
    )
