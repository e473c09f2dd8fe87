"""Confirmation: a selected mixture is believed after fresh runs against natural, not before (science notes, 29)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from pipelines.contracts.errors import InputError, message

NEEDED = 5
SELECTED = ("optimum", "RegMix", "MixMin")
"""Mixtures that something has selected: their weights are withheld until fresh runs are there."""


@dataclass(frozen=True)
class Confirmation:
    """Natural minus candidate, over blocks of fresh seeds; positive: the candidate is better.

    Attributes:
        blocks: number of finished pairs.
        gain: mean difference; NaN without a pair.
        lo: end of the 95 % interval (Student's t, new seeds).
        hi: other end.
        status: "confirmed", or "not confirmed: <reason>".
    """

    blocks: int
    gain: float
    lo: float
    hi: float
    status: str


def confirm(candidate: np.ndarray, natural: np.ndarray) -> Confirmation:
    """Judge a selected mixture by fresh-seed runs.

    Args:
        candidate: [blocks] utility loss of the candidate; NaN for a missing or diverged run.
        natural: [blocks] the same of natural; block i shares its seeds with candidate i, and no block was in the swarm.

    Raises:
        InputError: if the two are not paired.
    """
    if np.shape(candidate) != np.shape(natural):
        shapes = f"{np.shape(candidate)} and {np.shape(natural)}"
        raise InputError(message("confirmation", "runs are not paired", shapes, "one of each in every block"))
    gains = np.asarray(natural, float) - np.asarray(candidate, float)
    lost = int((~np.isfinite(gains)).sum())
    gains = gains[np.isfinite(gains)]
    blocks = len(gains)
    if blocks < NEEDED:
        gain = float(gains.mean()) if blocks else math.nan
        lacking = f"{blocks} of {NEEDED} fresh-seed runs against natural"
        return Confirmation(blocks, gain, -math.inf, math.inf, f"not confirmed: {lacking}")
    half = float(stats.t.ppf(0.975, blocks - 1) * gains.std(ddof=1) / math.sqrt(blocks))
    gain = float(gains.mean())
    status = "confirmed"
    if lost:
        status = f"not confirmed: {lost} runs missing or diverged"
    elif gain - half <= 0:
        status = "not confirmed: worse than natural" if gain + half < 0 else "not confirmed: the interval includes 0"
    return Confirmation(blocks, gain, gain - half, gain + half, status)


NOT_CONFIRMED = confirm(np.zeros(0), np.zeros(0))
