"""Effects that a law predicts: rows of the table `effects` beside the retrained ones, joined by contrast and metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from analysis.designs import Contrast
from analysis.laws.protocol import Curve
from analysis.laws.study import METRIC, POPULATION, StudySwarm

INTERVAL = "new swarms of this size, the law's form held fixed"


def from_law(
    asked: StudySwarm,
    curve: Curve,
    replicates: Sequence[Curve],
    contrasts: Sequence[Contrast],
    cells: Mapping[str, dict],
    mixtures: Mapping[str, np.ndarray],
) -> list[dict]:
    """Predict the contrasts that are about mixtures of the slices.

    A law knows bits per byte of the kept held-out text after the swarm's tokens. Contrasts of other metrics or
    populations, and of cells that are transformed (sham, shuffle, canary), are not its question and have no row; a cell
    that is no mixture of the slices (rejects, other tokens, another rate) gives a row with that reason.

    Args:
        asked: the swarm.
        curve: the law fitted to all runs.
        replicates: the law fitted to bootstrap samples of the runs.
        contrasts: of a study with the swarm's slices, proxy and tokens.
        cells: rows of the table `cells` by name.
        mixtures: [slices] weights of the cells that are mixtures of the slices (`study.slice_mixtures`).

    Returns:
        Rows of `records.ESTIMATES`; estimate, se and a percentile interval, no p: a prediction decides nothing.
    """
    rows = []
    for contrast in contrasts:
        names = list(contrast.coef)
        mine = contrast.metric == METRIC and contrast.population == POPULATION and contrast.target in asked.spec.slices
        if not mine or contrast.method != "retrain" or any(cells[name]["transform"] != "none" for name in names):
            continue
        row = {"design_id": asked.design_id, **contrast.labels(), "method": "law", "n_blocks": len(asked.swarm.runs),
               "interval_population": INTERVAL}  # fmt: skip
        if reason := _unanswerable(asked, contrast, cells, mixtures):
            rows.append({**row, "reason": reason})
            continue
        weights = np.stack([mixtures[name] for name in names])
        coefficients = np.array([contrast.coef[name] for name in names])
        target = asked.swarm.targets.index(contrast.target)
        found = float(coefficients @ curve.mean(weights)[:, target])
        draws = np.array([coefficients @ one.mean(weights)[:, target] for one in replicates])
        lo, hi = np.quantile(draws, [0.025, 0.975])
        rows.append({**row, "estimate": found, "se": float(draws.std(ddof=1)), "lo": float(lo), "hi": float(hi),
                     "reason": _outside(asked, dict(zip(names, weights, strict=True)))})  # fmt: skip
    return rows


def _unanswerable(
    asked: StudySwarm, contrast: Contrast, cells: Mapping[str, dict], mixtures: Mapping[str, np.ndarray]
) -> str | None:
    if contrast.target not in asked.swarm.targets:
        return f"law: the swarm did not move {contrast.target}"
    for name in contrast.coef:
        if name not in mixtures:
            return f"law: {name} is no mixture of the swarm's slices"
        changed = [key for key in ("tokens", "lr") if cells[name].get(key) not in (None, _usual(asked, key))]
        if changed:
            return f"law: {name} has other {' and '.join(changed)} than the swarm"
    return None


def _usual(asked: StudySwarm, key: str) -> float:
    return asked.spec.tokens if key == "tokens" else asked.spec.proxy.lr


def _outside(asked: StudySwarm, mixtures: Mapping[str, np.ndarray]) -> str | None:
    """Say which weights leave the range of the swarm: there the law extrapolates."""
    least, most = asked.swarm.weights.min(0), asked.swarm.weights.max(0)
    said = [
        f"{slice_} {weight:.3f} in {name} (swarm {lo:.3f} to {hi:.3f})"
        for name, weights in mixtures.items()
        for slice_, weight, lo, hi in zip(asked.swarm.slices, weights, least, most, strict=True)
        if not lo - 1e-9 <= weight <= hi + 1e-9
    ]
    return f"law: extrapolates: {', '.join(said)}" if said else None
