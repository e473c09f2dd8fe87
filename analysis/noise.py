"""Noise and power of a study: what seeds alone do, and what could have been detected."""

from __future__ import annotations

import math

import numpy as np

from analysis.designs import Contrast
from analysis.effects import Study
from analysis.statistics.power import minimum_detectable_effect


def noise_rows(study: Study, targets: tuple[str, ...], blocks: int, design_id: str) -> list[dict]:
    """Measure the spread over seeds of the baseline and of the sham's paired differences."""
    rows = []
    for target in targets:
        base, sham = (_series(study, cell, target, blocks) for cell in ("full", "sham"))
        both = np.isfinite(base) & np.isfinite(sham)
        if both.sum() < 2:
            continue
        rho = float(np.corrcoef(base[both], sham[both])[0, 1]) if both.sum() > 2 else None
        rows.append(
            {
                "design_id": design_id,
                "metric": "bpb",
                "target": target,
                "population": "kept",
                "sd_between_seeds": float(base[both].std(ddof=1)),
                "sd_paired": float((sham - base)[both].std(ddof=1)),
                "rho": rho,
                "n_blocks": int(both.sum()),
            }
        )
    return rows


def _series(study: Study, cell: str, target: str, blocks: int) -> np.ndarray:
    return np.array([study.values.get((cell, block, "bpb", target, "kept"), math.nan) for block in range(blocks)])


def power_rows(
    contrasts: list[Contrast],
    blocks: int,
    sd: float,
    source: str,
    design_id: str,
    family_sd: dict[str, float] | None = None,
) -> list[dict]:
    """Compute the minimum detectable effect per family of bpb contrasts.

    Args:
        contrasts: contrasts of the design.
        blocks: blocks.
        sd: sd of a paired difference, used where the family has none of its own.
        source: "assumed" or "measured".
        design_id: the study.
        family_sd: measured sd per family.
    """
    rows = []
    for family in sorted({contrast.family for contrast in contrasts if contrast.metric == "bpb"}):
        tests = sum(contrast.family == family and contrast.metric == "bpb" for contrast in contrasts)
        used = (family_sd or {}).get(family, sd)
        df = tests * (blocks - 1)  # variances are moderated within the family
        rows.append(
            {
                "design_id": design_id,
                "family": family,
                "sd": used,
                "sd_source": source,
                "n_blocks": blocks,
                "tests": tests,
                "mde": used * minimum_detectable_effect(blocks, df),
                "mde_worst_case": used * minimum_detectable_effect(blocks, df, 0.05 / tests),
            }
        )
    return rows


def measured_sd(effects: list[dict]) -> dict[str, float]:
    """Return the sd of paired differences per family, from the moderated standard errors."""
    found: dict[str, list[float]] = {}
    for row in effects:
        if row["metric"] == "bpb" and row.get("se") is not None:
            found.setdefault(row["family"], []).append(row["se"] ** 2 * row["n_blocks"])
    return {family: float(np.sqrt(np.mean(values))) for family, values in found.items()}
