"""Controls that every design carries: a sham at the dose of its treatments, and the shuffle."""

from __future__ import annotations

from analysis.design_file import DesignSpec
from analysis.designs.base import slice_contrast
from analysis.designs.cells import Cell, Contrast
from analysis.mixtures import Mixture
from analysis.schedule import CONTROL_SHARE


def changed_share(mixture: Mixture, baseline: Mixture) -> float:
    """Return the share of the slots that differ between two coupled mixtures (their total variation distance)."""
    atoms = {*mixture.weights, *baseline.weights}
    return sum(abs(mixture.weights.get(a, 0.0) - baseline.weights.get(a, 0.0)) for a in atoms) / 2


def dose(cells: list[Cell]) -> float:
    """Return the greatest share of slots that a treatment changes, so that the sham perturbs as much; 2 digits."""
    mixtures = {cell.name: cell.mixture for cell in cells}
    shares = [changed_share(c.mixture, mixtures[c.baseline]) for c in cells if c.role == "treatment"]
    return max(0.01, round(max(shares, default=CONTROL_SHARE), 2))


def with_controls(spec: DesignSpec, cells: list[Cell], contrasts: list[Contrast]) -> tuple[list[Cell], list[Contrast]]:
    """Add sham and shuffle of the first cell to a design."""
    base = cells[0]
    share = dose(cells)
    made = [
        Cell(
            "sham", base.mixture, "null", base.name, f"a random {share:.0%} of the slots redrawn", "sham", share=share
        ),
        Cell(
            "shuffle",
            base.mixture,
            "positive",
            base.name,
            f"tokens of {CONTROL_SHARE:.0%} of the slots shuffled",
            "shuffle",
        ),
    ]
    compared = [contrast for control in ("sham", "shuffle") for contrast in _control_contrasts(spec, control)]
    return [*cells, *made], [*contrasts, *compared]


def _control_contrasts(spec: DesignSpec, control: str) -> list[Contrast]:
    meaning = "positive: the control raises the loss"
    sign = 1 if control == "shuffle" else 0
    return [
        slice_contrast(spec, "controls", control, target, control, fill="named", expected_sign=sign, meaning=meaning)
        for target in spec.slices
    ]
