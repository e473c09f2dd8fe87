"""Noise and power of a study: what seeds alone do, and what could have been detected.

Noise is keyed by (proxy, tokens, learning rate, metric, cell type) and never used for another key (science notes 18): a
larger proxy, a longer run or another rate has other noise, and so has an own-slice cell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.designs import Contrast
from analysis.effects import Study
from analysis.statistics.moderated_t import planned_df
from analysis.statistics.multiple_testing import Correction, level_of_next
from analysis.statistics.power import minimum_detectable_effect
from analysis.statistics.spread import achieved_correlation, pooled_sd

BASE = "base"
"""Cell type of a cell by itself; differences of cells have the family of their contrasts."""


@dataclass(frozen=True)
class CellKey:
    """What a cell's noise is keyed by, besides metric and cell type.

    Attributes:
        proxy_id: hash of the proxy.
        tokens: training tokens of a run.
        lr: peak learning rate.
    """

    proxy_id: str
    tokens: int
    lr: float


def cell_keys(study: Study, rates: Mapping[str, float]) -> dict[str, CellKey]:
    """Return the keys of the cells that have runs.

    Args:
        study: the runs.
        rates: cell -> peak learning rate.
    """
    rows = study.runs.to_pylist()
    return {
        run["cell"]: CellKey(run["proxy_id"], run["tokens"], rates[run["cell"]]) for run in rows if run["cell"] in rates
    }


def noise_rows(
    study: Study,
    keys: Mapping[str, CellKey],
    vary: Mapping[str, str],
    contrasts: Sequence[Contrast],
    targets: Sequence[str],
    blocks: int,
    design_id: str,
) -> list[dict]:
    """Measure the spread over blocks of single cells, and of the differences of every family.

    Args:
        study: finished runs.
        keys: what the noise of each cell is keyed by.
        vary: cells whose runs differ in nothing but seeds -> which seeds ("all", "init", "data", "order").
        contrasts: contrasts of the design; differences of two retrained cells are used.
        targets: held-out targets.
        blocks: blocks of the design.
        design_id: the study.

    Returns:
        Rows of the table `noise`: sd when only the named seeds vary (these do not add up), then per family.
    """
    rows = []
    for cell, seeds in vary.items():
        for target in targets:
            single = _series(study, [cell], target, "kept", blocks)
            if cell in keys and (spread := pooled_sd(single)):
                rows.append(_row(design_id, keys[cell], BASE, target, "kept", seeds) | {
                    "sd_between_seeds": spread.sd, "sd_lo": spread.lo, "sd_hi": spread.hi, "n_blocks": spread.df + 1})  # fmt: skip
    pairs: dict[tuple[CellKey, str, str, str], list[tuple[str, str]]] = {}
    for one in contrasts:
        plus, minus = (next((c for c, x in one.coef.items() if x == sign), None) for sign in (1.0, -1.0))
        if one.method == "retrain" and one.metric == "bpb" and len(one.coef) == 2 and plus in keys and minus in keys:
            pairs.setdefault((keys[plus], one.family, one.target, one.population), []).append((plus, minus))
    for (key, family, target, population), cells in pairs.items():
        plus, minus = (_series(study, [pair[side] for pair in cells], target, population, blocks) for side in (0, 1))
        paired, between = pooled_sd(plus - minus), pooled_sd(np.where(np.isfinite(plus), minus, np.nan))
        if paired and between:
            rows.append(_row(design_id, key, family, target, population, "all") | {
                "sd_between_seeds": between.sd, "sd_paired": paired.sd, "sd_lo": paired.lo, "sd_hi": paired.hi,
                "rho": achieved_correlation(plus, minus), "n_blocks": paired.df + 1})  # fmt: skip
    return rows


def _row(design_id: str, key: CellKey, kind: str, target: str, population: str, vary: str) -> dict:
    return {"design_id": design_id, "proxy_id": key.proxy_id, "tokens": key.tokens, "lr": key.lr, "metric": "bpb",
            "cell_type": kind, "vary": vary, "target": target, "population": population}  # fmt: skip


def _series(study: Study, cells: Sequence[str], target: str, population: str, blocks: int) -> np.ndarray:
    """Return the scores of cells, [cells, blocks]; NaN where a run is missing."""
    return np.array(
        [
            [study.values.get((cell, block, "bpb", target, population), math.nan) for block in range(blocks)]
            for cell in cells
        ]
    )


@dataclass(frozen=True)
class FamilyNoise:
    """Noise of a family's paired differences, and where it is from: assumed, measured, or registry."""

    sd: float
    source: str


def family_noise(rows: Sequence[dict], key: CellKey | None, source: str) -> dict[str, FamilyNoise]:
    """Pool the rows of one key over targets, blocks weighing.

    Args:
        rows: of the table `noise`, of any studies.
        key: only rows of exactly this key count; None takes all (of one study).
        source: "measured" or "registry".
    """
    found: dict[str, list[tuple[float, int]]] = {}
    for row in rows:
        if row["cell_type"] == BASE or row.get("sd_paired") is None:
            continue
        if key is None or (row["proxy_id"], row["tokens"], row["lr"]) == (key.proxy_id, key.tokens, key.lr):
            found.setdefault(row["cell_type"], []).append((row["sd_paired"] ** 2, row["n_blocks"] - 1))
    return {
        family: FamilyNoise(math.sqrt(sum(v * d for v, d in parts) / sum(d for _, d in parts)), source)
        for family, parts in found.items()
    }


def power_rows(
    contrasts: Sequence[Contrast],
    blocks: int,
    prior_sd: float,
    design_id: str,
    known: Mapping[str, FamilyNoise] | None = None,
    fdr: Correction = "bh",
) -> list[dict]:
    """Compute the minimum detectable effect per family of bpb contrasts.

    Args:
        contrasts: contrasts of the design.
        blocks: blocks.
        prior_sd: sd of a paired difference that is assumed of families without measured noise.
        design_id: the study.
        known: noise of families.
        fdr: how p values are corrected.
    """
    rows = []
    for family in sorted({contrast.family for contrast in contrasts if contrast.metric == "bpb"}):
        tests = sum(contrast.family == family and contrast.metric == "bpb" for contrast in contrasts)
        noise = (known or {}).get(family, FamilyNoise(prior_sd, "assumed"))
        df = planned_df(tests, blocks)
        worst = level_of_next(tests, 0, 0.05, fdr)
        rows.append(
            {
                "design_id": design_id,
                "family": family,
                "sd": noise.sd,
                "sd_source": noise.source,
                "n_blocks": blocks,
                "tests": tests,
                "df": df,
                "mde": noise.sd * minimum_detectable_effect(blocks, df),
                "mde_worst_case": noise.sd * minimum_detectable_effect(blocks, df, worst),
            }
        )
    return rows
