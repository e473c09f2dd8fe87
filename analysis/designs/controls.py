"""Controls that every design carries: a sham at the dose of its treatments, the shuffle and the canary."""

from __future__ import annotations

from analysis.canary import CANARY
from analysis.design_file import DesignSpec
from analysis.designs.base import slice_contrast
from analysis.designs.cells import Cell, Contrast, difference
from analysis.mixtures import Mixture
from analysis.schedule import CONTROL_SHARE

CANARY_SHAM = "canary_sham"


def changed_share(mixture: Mixture, baseline: Mixture) -> float:
    """Return the share of the slots that differ between two coupled mixtures (their total variation distance).

    An atom that is drawn from another pool holds other text, so it counts as another atom.
    """
    weights = [{(a, m.pools.get(a, 1.0)): w for a, w in m.weights.items()} for m in (mixture, baseline)]
    return sum(abs(weights[0].get(key, 0.0) - weights[1].get(key, 0.0)) for key in {*weights[0], *weights[1]}) / 2


def dose(cells: list[Cell]) -> float:
    """Return the greatest share of slots that a treatment changes, so that the sham perturbs as much; 2 digits."""
    mixtures = {cell.name: cell.mixture for cell in cells}
    shares = [changed_share(c.mixture, mixtures[c.baseline]) for c in cells if c.role == "treatment"]
    return max(0.01, round(max(shares, default=CONTROL_SHARE), 2))


def with_controls(spec: DesignSpec, cells: list[Cell], contrasts: list[Contrast]) -> tuple[list[Cell], list[Contrast]]:
    """Add sham, shuffle and canary of the first cell to a design.

    The canary takes a small share of the slots, so it is compared with a sham of that share: what is left of the
    difference is what its text does, and not that of the text which it displaced.
    """
    made = _control_cells(spec, cells[0], dose(cells))
    compared = [one for control in ("sham", "shuffle") for one in _contrasts(spec, control, cells[0].name)]
    if spec.canary:
        compared += [*_contrasts(spec, CANARY, CANARY_SHAM), _own_test(spec)]
    return [*cells, *made], [*contrasts, *compared]


def _control_cells(spec: DesignSpec, base: Cell, share: float) -> list[Cell]:
    def cell(name: str, role: str, described: str, transform: str, share: float) -> Cell:
        return Cell(name, base.mixture, role, base.name, described, transform, share=share)  # type: ignore[arg-type]

    made = [
        cell("sham", "null", f"a random {share:.0%} of the slots redrawn", "sham", share),
        cell("shuffle", "positive", f"tokens of {CONTROL_SHARE:.0%} of the slots shuffled", "shuffle", CONTROL_SHARE),
    ]
    if spec.canary:
        part = f"a random {spec.canary:.1%} of the slots"
        made += [
            cell(CANARY_SHAM, "null", f"{part} redrawn", "sham", spec.canary),
            cell(CANARY, "positive", f"{part} (the same) hold made-up facts", "canary", spec.canary),
        ]
    return made


def _contrasts(spec: DesignSpec, control: str, baseline: str) -> list[Contrast]:
    meaning = "positive: the control raises the loss"
    sign = 1 if control == "shuffle" else 0
    return [
        slice_contrast(spec, "controls", control, target, control, coef=difference(control, baseline), fill="named",
                       expected_sign=sign, meaning=meaning)
        for target in spec.slices
    ]  # fmt: skip


def _own_test(spec: DesignSpec) -> Contrast:
    meaning = "negative: the facts in the slots make the same facts in other orders likelier, as they must"
    return slice_contrast(
        spec, "canary", CANARY, CANARY, CANARY, coef=difference(CANARY, CANARY_SHAM), population=CANARY, fill="named",
        expected_sign=-1, meaning=meaning,
    )  # fmt: skip
