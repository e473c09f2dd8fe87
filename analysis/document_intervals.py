"""Intervals about new documents and seeds, beside those about new seeds on this held-out text."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from analysis.designs import Contrast
from analysis.designs.robustness import UTILITY
from analysis.effects import Study
from analysis.statistics.resampling import document_variance, new_documents_interval

DRAWS = 1000


def add_document_intervals(
    rows: list[dict], study: Study, contrasts: list[Contrast], blocks: int, utility: Mapping[str, float]
) -> None:
    """Put the interval about new documents and seeds into rows of bits per byte that have an estimate.

    Rows without sums per component (choice margins, or a target of one component) keep nulls.

    Args:
        rows: from `effects.measure`, one per contrast; changed in place.
        study: finished runs, with their sums per component.
        contrasts: in the order of the rows.
        blocks: blocks of the design.
        utility: weights of the targets in the utility.
    """
    for row, contrast in zip(rows, contrasts, strict=True):
        if row.get("estimate") is None or contrast.metric != "bpb":
            continue
        weights = utility if contrast.target == UTILITY else {contrast.target: 1.0}
        found = [(w, _variance(study, contrast, target, blocks)) for target, w in weights.items() if w > 0]
        if any(one is None for _, one in found):
            continue
        parts = [(w**2 * one[0], one[1]) for w, one in found if one is not None]
        variance = sum(part for part, _ in parts)
        df = variance**2 / sum(part**2 / (count - 1) for part, count in parts) if variance > 0 else 1.0
        wide = new_documents_interval(*(np.array([x]) for x in (row["estimate"], row["se"], row["df"], variance, df)))
        row |= {
            "components": sum(count for _, count in parts),
            "documents_se": float(wide.se[0]),
            "documents_lo": float(wide.lo[0]),
            "documents_hi": float(wide.hi[0]),
        }


def _variance(study: Study, contrast: Contrast, target: str, blocks: int) -> tuple[float, int] | None:
    """Return the variance over components of a contrast on one target [bpb^2], and how many components there are."""
    complete = []
    for block in range(blocks):
        sums = [study.sums.get((cell, block, target, contrast.population)) for cell in contrast.coef]
        if all(one is not None for one in sums):
            complete.append([one for one in sums if one is not None])
    if not complete:
        return None
    first = complete[0][0]
    if len(first.components) < 2:
        return None
    factors = np.array(list(contrast.coef.values()))
    difference = np.mean([factors @ np.stack([one.nats for one in cells]) for cells in complete], axis=0) / math.log(2)
    return float(document_variance(difference[None], first.bytes, DRAWS)[0]), len(first.components)
