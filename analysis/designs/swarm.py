"""Swarm: mixtures drawn around the natural one, from which laws learn how weights set losses.

A mixture is a draw of Dirichlet(strength * prior), the prior being the natural weights to the power `temperature` (below 1:
flatter), the strength log-uniform between its ends (RegMix, Liu et al. 2024, arXiv 2407.01492). Draws beyond a cap, a floor or
`max_epochs` are drawn again, so that all are draws of one distribution: exchangeable, as conformal intervals ask.

Every mixture of the swarm is run in block 0 only: with the same seeds for all, what the seeds add to every run is the same and
is left out of the comparison. The natural mixture, sham and shuffle are run in every block, so are leave-outs if the file
names some. The natural mixture over blocks is the null: how far seeds alone move a score.
"""

from __future__ import annotations

import numpy as np

from analysis.design_file import DesignSpec, SwarmSpec
from analysis.designs.base import full_cell, full_mixture, section_of, slice_contrast
from analysis.designs.cells import Cell, Contrast, Family
from analysis.designs.controls import with_controls
from analysis.laws.capped_simplex import lower_limits, upper_limits
from analysis.mixtures import Mixture, leave_out, normalised, slice_weight
from analysis.schedule import generator
from analysis.slices import Atoms
from pipelines.contracts.errors import ConfigError, message

SWARM = "swarm_"
"""What the cells of the swarm are called, before their number."""
ONLY = "only_"
"""What the cells of one slice alone are called, before the slice (for MixMin)."""
_TRIES = 10_000


def swarm(spec: DesignSpec, atoms: Atoms) -> tuple[list[Cell], list[Contrast]]:
    """Build a swarm with its controls.

    Raises:
        ConfigError: if the file has no section `swarm`, or caps, floors and epochs leave too little room to draw in.
    """
    section = section_of(spec, "swarm", spec.swarm, "swarm: {runs: 48}")
    full = natural_mixture(spec, atoms)
    names = tuple(spec.slices)
    natural = np.array([slice_weight(full, atoms.atoms_of(name, kept=True)) for name in names])
    tokens = atoms.tokens_by_atom()
    available = {name: sum(tokens[atom] for atom in atoms.atoms_of(name, kept=True)) for name in names}
    upper = upper_limits(names, section.caps, available, spec.tokens, spec.max_epochs)
    lower = lower_limits(names, section.floors, upper)
    drawn = draw_mixtures(section, natural, lower, upper, spec.seed)
    compared, contrasts = _leave_outs(spec, atoms, full)
    cells = [full_cell(full), *compared]
    cells, contrasts = with_controls(spec, cells, contrasts)  # the sham is as strong as a leave-out
    for number, weights in enumerate(drawn):
        said = ", ".join(f"{name} {weight:.3f}" for name, weight in zip(names, weights, strict=True))
        mixture = slice_mixture(full, atoms, dict(zip(names, weights, strict=True)))
        cells.append(Cell(f"{SWARM}{number:03d}", mixture, "treatment", "full", said, blocks=1))
    if section.single_slices:
        for name in names:
            alone = slice_mixture(full, atoms, {name: 1.0})
            cells.append(Cell(f"{ONLY}{name}", alone, "treatment", "full", f"{name} alone", blocks=1))
    return cells, contrasts


def _leave_outs(spec: DesignSpec, atoms: Atoms, full: Mixture) -> tuple[list[Cell], list[Contrast]]:
    """Leave the slices that the file names out in turn: retrained beside what the law predicts."""
    cells, contrasts = [], []
    for name in spec.leave_out:
        mixture = leave_out(full, atoms.atoms_of(name, kept=True))
        described = f"without {name}; the others grow in proportion (same tokens)"
        cells.append(Cell(f"without_{name}", mixture, "treatment", "full", described, target_slice=name))
        for target in spec.slices:
            own = target == name
            family: Family = "own-slice" if own else "cross-slice"
            contrasts.append(slice_contrast(spec, family, name, target, f"without_{name}", expected_sign=int(own)))
    return cells, contrasts


def natural_mixture(spec: DesignSpec, atoms: Atoms) -> Mixture:
    """Return the mixture that the swarm is drawn around: the stated weights, or, without any, the tokens that there are."""
    full = full_mixture(spec, atoms)
    if spec.weights:
        return full
    tokens = atoms.tokens_by_atom()
    return normalised({atom: float(tokens[atom]) for atom in full.weights})


def slice_mixture(full: Mixture, atoms: Atoms, weights: dict[str, float]) -> Mixture:
    """Give every slice a weight; inside of a slice the atoms stay in proportion."""
    made: dict[str, float] = {}
    for name, weight in weights.items():
        mine = atoms.atoms_of(name, kept=True)
        whole = slice_weight(full, mine)
        made.update({atom: weight * full.weights[atom] / whole for atom in mine})
    return normalised(made)


def draw_mixtures(spec: SwarmSpec, natural: np.ndarray, lower: np.ndarray, upper: np.ndarray, seed: int) -> np.ndarray:
    """Draw the mixtures of a swarm; the first n of a longer swarm are those of a shorter one.

    Args:
        spec: how many, how strong.
        natural: [slices] natural weights.
        lower: [slices] least weights.
        upper: [slices] greatest weights.
        seed: of the design.

    Returns:
        [runs, slices].

    Raises:
        ConfigError: if limits leave fewer than one draw in 10,000.
    """
    prior = natural**spec.temperature
    prior = prior / prior.sum()
    least, most = np.log(spec.strength)
    drawn = []
    for number in range(spec.runs):
        rng = generator(seed, "swarm", number)
        for _ in range(_TRIES):
            weights = rng.dirichlet(prior * np.exp(rng.uniform(least, most)))
            if np.isfinite(weights).all() and (weights >= lower).all() and (weights <= upper).all():
                break
        else:
            room = f"weights from {lower.round(3).tolist()} to {upper.round(3).tolist()}"
            raise ConfigError(
                message("swarm", "limits cannot be met", f"0 of {_TRIES} draws within {room}", "wider limits",
                        "Raise a cap or max_epochs, lower a floor, or train on fewer tokens.")
            )  # fmt: skip
        drawn.append(weights)
    return np.array(drawn)
