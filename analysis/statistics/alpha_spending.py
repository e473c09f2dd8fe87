"""Alpha spending: how small a p must be at each look, so that looking again does not raise the error rate.

Lan & DeMets (1983, doi:10.1093/biomet/70.3.659): the share of alpha that is spent by a look is a function of
the share of the information seen by then, fixed before the first look. Boundaries come from the recursive
integration of Armitage, McPherson & Rowe (1969, doi:10.2307/2343787). They are given as nominal two-sided levels
and so hold for a t test, too (Jennison & Turnbull 1999, section 3.8: the significance-level approach), as
nearly as its degrees of freedom allow; benchmarks/science/simulations.py measures how nearly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy import optimize, special

Spending = Literal["obrien_fleming", "pocock"]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(256)
_LEAST = 1e-290
"""What is smaller is not spent; the bound of it is still a number (37 sd)."""
_BEYOND_Z = 37.0


def spent(fraction: np.ndarray, alpha: float = 0.05, kind: Spending = "obrien_fleming") -> np.ndarray:
    """Return how much of a two-sided alpha may be spent by a share of the information.

    O'Brien-Fleming type: 4 - 4 Phi(z(1 - alpha / 4) / sqrt(t)), half of it on each side; Pocock type: alpha ln(1 + (e - 1) t).

    Args:
        fraction: [looks] share of the planned blocks that were seen, in [0, 1]; more than 1 counts as 1.
        alpha: two-sided error rate over all looks.
        kind: spends little at first (obrien_fleming), or evenly (pocock).

    Returns:
        [looks] two-sided error rate spent so far.

    >>> spent(np.array([0.5, 1.0])).round(4).tolist()
    [0.0031, 0.05]
    """
    seen = np.clip(fraction, 0.0, 1.0)
    if kind == "pocock":
        return alpha * np.log1p((np.e - 1) * seen)
    with np.errstate(divide="ignore"):
        return 4 * special.ndtr(special.ndtri(alpha / 4) / np.sqrt(seen))


def nominal_levels(
    blocks: Sequence[int], planned_blocks: int, alpha: float = 0.05, kind: Spending = "obrien_fleming"
) -> np.ndarray:
    """Return the two-sided level at which each look may reject.

    A level depends on the looks before it, never on those after: a look may be added at any time, as long
    as the wish for it does not come from the results. What is left after the planned blocks is nothing: later looks get 0.

    Args:
        blocks: blocks seen at each look, increasing; the last entry is the look at hand.
        planned_blocks: blocks at which all of alpha is spent, fixed before the first look.
        alpha: two-sided error rate over all looks.
        kind: spending function.

    Returns:
        [looks] nominal two-sided levels; reject at a look if p <= its level.

    Raises:
        ValueError: if the looks do not increase.

    >>> nominal_levels([5, 10], 10).round(4).tolist()
    [0.0031, 0.049]
    """
    if any(after <= before for before, after in zip([0, *blocks], blocks, strict=False)):
        raise ValueError(f"alpha spending: looks must increase: got {list(blocks)} blocks")
    times = np.asarray(blocks, float) / planned_blocks
    increments = np.diff(spent(times, alpha, kind), prepend=0.0)
    levels = np.zeros(len(times))
    nodes, density, before = np.zeros(1), np.ones(1), 0.0  # of the paths that went on: a point mass at 0
    for look in np.flatnonzero(increments > _LEAST):
        step, sd = float(np.sqrt(times[look] - before)), float(np.sqrt(times[look]))
        bound = _bound(nodes, density, step, float(increments[look]), sd)
        levels[look] = 2 * special.ndtr(-bound / sd)
        following = bound * _NODES
        kernel = np.exp(-0.5 * ((following[:, None] - nodes) / step) ** 2) / (step * np.sqrt(2 * np.pi))
        nodes, density, before = following, bound * _WEIGHTS * (kernel @ density), float(times[look])
    return levels


def _bound(nodes: np.ndarray, density: np.ndarray, step: float, increment: float, sd: float) -> float:
    """Solve for the bound that a path crosses, for the first time now, with the given probability.

    Args:
        nodes: values of the process at the look before, of the paths that went on.
        density: their probabilities.
        step: sd of what was added since.
        increment: two-sided probability to be spent now.
        sd: sd of the process now.
    """

    def excess(bound: float) -> float:
        beyond = special.ndtr((nodes - bound) / step) + special.ndtr((-nodes - bound) / step)
        return float(density @ beyond) - increment

    return float(optimize.brentq(excess, 0.0, _BEYOND_Z * sd, xtol=1e-12))
