"""A swarm: runs of many mixtures with the metrics of their targets, checked before any law is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipelines.contracts.errors import InputError, message

_ROUNDING = 0.005


@dataclass(frozen=True)
class Swarm:
    """Finished runs.

    Attributes:
        slices: names of the slices.
        targets: names of the targets that vary.
        weights: [runs, slices] on the simplex.
        values: [runs, targets]; lower is better.
        left_out: (what, reason) of runs and targets that no law can use; nothing vanishes.
        runs: names of the runs.
    """

    slices: tuple[str, ...]
    targets: tuple[str, ...]
    weights: np.ndarray
    values: np.ndarray
    left_out: tuple[tuple[str, str], ...] = ()
    runs: tuple[str, ...] = ()


def swarm_of(
    slices: Sequence[str],
    targets: Sequence[str],
    weights: np.ndarray,
    values: np.ndarray,
    rounding: float = _ROUNDING,
    runs: Sequence[str] = (),
) -> Swarm:
    """Check weights and values.

    A run without a finite value (missing, diverged) and a target without variance are left out, with their reason.

    Args:
        slices: names of the slices.
        targets: names of the targets.
        weights: [runs, slices]; rows sum to 1 within `rounding` (published weights are rounded) and are scaled to 1.
        values: [runs, targets].
        rounding: largest difference of a sum from 1.
        runs: names of the runs; their numbers if not given.

    Raises:
        InputError: on weights that are negative, not finite or do not sum to 1 (slices that overlap count documents
            twice), on names that repeat, on shapes that do not fit, and if nothing is left.
    """
    if len(set(slices)) != len(slices) or len(set(targets)) != len(targets):
        raise InputError(message("swarm", "names repeat", [*slices, *targets], "each slice and each target once"))
    if weights.shape != (len(values), len(slices)) or values.shape[1:] != (len(targets),):
        shapes = f"weights {weights.shape}, values {values.shape}"
        raise InputError(
            message("swarm", "shapes do not fit", shapes, f"[runs, {len(slices)}], [runs, {len(targets)}]")
        )
    names = np.array(runs or [str(run) for run in range(len(weights))])
    sums = weights.sum(1)
    bad = ~np.isfinite(weights).all(1) | (weights < 0).any(1) | ~(np.abs(sums - 1) <= rounding)
    if bad.any():
        run = int(bad.argmax())
        raise InputError(
            message(f"swarm, run {names[run]}", "not a mixture", f"weights with a sum of {sums[run]:.6g}, least {weights[run].min():.6g}",
                    "weights from 0 up that sum to 1", "Slices that overlap must be split into atoms first.")
        )  # fmt: skip
    finite = np.isfinite(values).all(1)
    left_out = [(f"run {run}", "missing or diverged: a value is not finite") for run in names[~finite]]
    kept = values[finite]
    varies = np.ptp(kept, axis=0) > 1e-12 * np.abs(kept).max(axis=0, initial=1e-300) if len(kept) else np.zeros(0, bool)
    left_out += [(f"target {targets[i]}", "no variance: every run has the same value") for i in np.flatnonzero(~varies)]
    if not varies.any():
        raise InputError(message("swarm", "nothing to fit", left_out[:3], "finished runs whose metrics differ"))
    moved = tuple(name for name, use in zip(targets, varies, strict=True) if use)
    mixtures = (weights / sums[:, None])[finite]
    return Swarm(tuple(slices), moved, mixtures, kept[:, varies], tuple(left_out), tuple(names[finite].tolist()))


def swarm_from_table(table: pa.Table, slices: Sequence[str], targets: Sequence[str]) -> Swarm:
    """Make a swarm of a table with a row per run, a column per slice (weight) and per target (metric; null if missing).

    Raises:
        InputError: if a column is missing, and as `swarm_of`.
    """
    missing = sorted({*slices, *targets} - set(table.column_names))
    if missing:
        raise InputError(message("swarm", "missing columns", missing, "a column for each slice and each target"))

    def columns(names: Sequence[str]) -> np.ndarray:
        return np.column_stack([table[name].cast(pa.float64()).to_numpy(zero_copy_only=False) for name in names])

    return swarm_of(slices, targets, columns(slices), columns(targets))
