"""TracIn with Adam's preconditioner: follow what each unit's gradients did to the query along the training.

Pruthi et al. 2020, arXiv:2002.08484 (TracInCP): sum over checkpoints of lr * <grad(query), grad(unit)>. Training
here is AdamW on clipped gradients, so the step of a gradient g is lr * clip * g / (sqrt(v) + eps) with v Adam's
bias-corrected second moment (Xia et al. 2024, arXiv:2402.04333, precondition likewise). The steps of a run are cut
into equal segments with a snapshot in the middle of each:

    tau = n / N * sum over segments of (sum of lr) * clip * <grad(query), grad(unit) / (sqrt(v) + eps)>

To first order this is the change of the query's loss when the unit's rows are taken out of every batch: what
later steps make of the change (the curvature) is left out, and so is the change of v.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from analysis.influence.gradients import GradientAttributor, Point, flatten, mean_gradient, set_weights
from analysis.training.snapshots import Snapshot
from pipelines.contracts.errors import InputError, message

ADAM_EPS = 1e-8
CLIP_BATCHES = 8
"""Batches of the run from which the mean factor of clipping is measured at each snapshot."""


def tracin(
    model: Any, snapshots: Sequence[Snapshot], rows: np.ndarray, train_tokens: int, *, precondition: bool = True
) -> GradientAttributor:
    """Build the attributor of a run.

    Args:
        model: torch proxy of the run's shape.
        snapshots: of the run (`snapshots.load`).
        rows: [rows, context + 1] rows that the run trained on, to measure how much clipping shrank its gradients.
        train_tokens: tokens of the run.
        precondition: False leaves Adam's second moments out (plain TracIn); its scores have no unit then.

    Raises:
        InputError: if there is no snapshot.
    """
    if not snapshots:
        hint = "Set `snapshots` in the design and train again."
        raise InputError(message("influence", "no snapshots of the training", "none", "at least one", hint))
    points = []
    for snapshot in snapshots:
        matrix = torch.ones(())
        if precondition:
            pairs = model.named_parameters()
            second = flatten([snapshot.second_moments[name].to(weight.device) for name, weight in pairs])
            matrix = 1.0 / (second.sqrt() + ADAM_EPS)
        scale = snapshot.lr_sum * (_clip_factor(model, snapshot, rows) if precondition else 1.0)
        points.append(Point(snapshot.weights, lambda gradient, matrix=matrix: matrix * gradient, scale))
    return GradientAttributor("tracin" if precondition else "tracin-sgd", model, points, train_tokens)


def _clip_factor(model: Any, snapshot: Snapshot, rows: np.ndarray) -> float:
    """Measure by how much clipping shrinks gradients at a snapshot, on average over a few batches."""
    proxy = model.proxy
    set_weights(model, snapshot.weights)
    factors = []
    for start in range(0, min(len(rows), CLIP_BATCHES * proxy.batch), proxy.batch):
        norm = float(mean_gradient(model, rows[start : start + proxy.batch]).norm())
        factors.append(min(1.0, proxy.clip / norm) if norm > 0 else 1.0)
    return float(np.mean(factors))
