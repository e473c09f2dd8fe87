"""The demo study: leave-outs and two curation decisions in one design (science notes, section 5)."""

from __future__ import annotations

from analysis.data import pool_tokens
from analysis.design_file import DesignSpec, NearDuplicateSwap
from analysis.designs.base import decision_contrasts, full_cell, full_mixture, language
from analysis.designs.cells import Cell, Contrast, difference
from analysis.designs.controls import with_controls
from analysis.designs.leave_out import leave_out_cell, leave_out_contrasts
from analysis.mixtures import Mixture, normalised, slice_weight, swap, with_pools
from analysis.slices import Atoms
from pipelines.contracts.errors import ConfigError, message


def demo(spec: DesignSpec, atoms: Atoms) -> tuple[list[Cell], list[Contrast]]:
    """Build the demo study (science notes, section 5): leave-outs, sham, shuffle, two decisions."""
    full = full_mixture(spec, atoms)
    cells = [full_cell(full)]
    contrasts: list[Contrast] = []
    for name in spec.leave_out:
        cells.append(leave_out_cell(spec, atoms, full, name, "proportional"))
        contrasts += leave_out_contrasts(spec, name, f"without_{name}", "proportional")
    if spec.near_duplicates is not None:
        cells += _near_duplicate_cells(spec, atoms, full)
        contrasts += decision_contrasts(
            spec, "near_duplicates", "near_duplicate_swap", difference("near_duplicate_swap", "near_duplicate_base")
        )
    if spec.rejects is not None:
        cells.append(_reject_cell(spec, atoms, full))
        contrasts += decision_contrasts(
            spec, "quality_rejects", "quality_reject_swap", difference("quality_reject_swap", "full")
        )
    return with_controls(spec, cells, contrasts)


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
        raise _too_few(swap_spec, f"{available} tokens, {seen:.0f} of them seen")
    share = min(1.0, weight * spec.tokens / pool)
    pools = dict.fromkeys((*leaders, *copies), share)
    inside = pool_tokens(atoms, pools)
    others = {atom: w for atom, w in full.weights.items() if atom not in own}
    held = sum(inside[atom] for atom in leaders)
    pairs = [(a, b) for a in leaders for b in copies if language(a) == language(b) and inside[a] > 0 and inside[b] > 0]
    if not pairs:
        raise _too_few(swap_spec, f"none of one language in {share:.2%} of the components, which is about one epoch")
    base = with_pools(normalised({**others, **{atom: weight * inside[atom] / held for atom in leaders}}), pools)
    treatment = swap(base, pairs, swap_spec.share)
    text = f"{swap_spec.slice} only from documents that lead near-duplicates, about one epoch ({share:.1%} of the components)"
    return [
        Cell("near_duplicate_base", base, "base", "near_duplicate_base", text),
        Cell("near_duplicate_swap", treatment, "treatment", "near_duplicate_base",
             f"{swap_spec.share:.0%} of these replaced by their removed near-duplicates", target_slice="near_duplicates"),
    ]  # fmt: skip


def _too_few(swap_spec: NearDuplicateSwap, found: str) -> ConfigError:
    hint = f"Choose a slice with more than {swap_spec.slice!r} has, or more tokens."
    expected = f"at least {swap_spec.min_duplicate_tokens} tokens seen"
    return ConfigError(message("near_duplicates", "too few near-duplicates for a contrast", found, expected, hint))


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
                if b in rejected and language(b) == language(atom) and tokens[b] >= reject.min_pool_tokens
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
