"""Sums and differences of effects, with the error that shared runs give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from analysis.commands import contrasts_of
from analysis.designs import Contrast
from analysis.effects import Study, differences_of, load_study, noise_scale
from analysis.effects_command import find_study
from analysis.statistics.covariance import combine
from analysis.statistics.moderated_t import Prior, dependences, fit_prior
from pipelines.contracts.errors import InputError, did_you_mean, message


def derive(study: Study, contrasts: Sequence[Contrast], factors: Mapping[str, float], blocks: int) -> dict:
    """Estimate a linear combination of retrained contrasts on one target.

    The covariance of the effects is kept: effects against one baseline share its noise, which cancels in their difference and
    counts twice in their sum. Variances are moderated as in their family; contrasts of different families borrow nothing.

    Args:
        study: finished runs.
        contrasts: of the design.
        factors: name of a contrast -> its factor.
        blocks: blocks of the design.

    Returns:
        estimate, se, df, lo, hi, p, n_blocks.

    Raises:
        InputError: if a contrast is unknown, they are not of one metric, target and population, or fewer than 2 blocks are complete.
    """
    by_name = {one.name: one for one in contrasts if one.method == "retrain"}
    for name in factors:
        if name not in by_name:
            raise InputError(
                message(
                    "effects", "no such contrast", repr(name), "a contrast of the design", did_you_mean(name, by_name)
                )
            )
    chosen = [by_name[name] for name in factors]
    places = {(one.metric, one.target, one.population) for one in chosen}
    if len(places) != 1:
        raise InputError(
            message("effects", "contrasts of different places", sorted(places), "one metric, target and population")
        )
    scale = np.array([noise_scale(one) for one in chosen])
    values = _series(study, chosen, blocks)
    complete = np.isfinite(values).all(axis=0)
    if complete.sum() < 2:
        raise InputError(message("effects", "nothing to combine", f"{complete.sum()} complete blocks", "at least 2"))
    names = sorted({cell for one in chosen for cell in one.coef})
    cells = np.array([[one.coef.get(cell, 0.0) for cell in names] for one in chosen])
    combination = np.array([list(factors.values())]) * scale
    found = combine(values[:, complete], cells, combination, _prior(study, chosen, contrasts, blocks))
    fields = ("mean", "se", "df", "lo", "hi", "p")
    mean, *rest = (float(getattr(found, name)[0]) for name in fields)
    return {"estimate": mean, **dict(zip(fields[1:], rest, strict=True)), "n_blocks": int(complete.sum())}


def run_derived(workspace: Path, design_id: str | None, plus: Sequence[str], minus: Sequence[str]) -> None:
    """Print the sum of some effects less the sum of others.

    Raises:
        InputError: as `derive`.
    """
    folder = find_study(workspace, design_id)
    study = load_study(folder)
    blocks = 1 + max(study.runs["block"].to_pylist(), default=-1)
    found = derive(study, contrasts_of(folder), {**dict.fromkeys(plus, 1.0), **dict.fromkeys(minus, -1.0)}, blocks)
    print("".join([*(f" + {name}" for name in plus), *(f" - {name}" for name in minus)]).strip(" +"))
    print(
        f"{found['estimate']:+.4f} [{found['lo']:+.4f}, {found['hi']:+.4f}] bpb, p {found['p']:.4f} (one test, not corrected), "
        f"df {found['df']:.1f}, {found['n_blocks']} blocks"
    )


def _series(study: Study, contrasts: Sequence[Contrast], blocks: int) -> np.ndarray:
    """Return contrasts within blocks in the scale of a difference of two cells, [contrasts, blocks]."""
    return np.array([differences_of(study, one, blocks) for one in contrasts]) / np.array(
        [[noise_scale(one)] for one in contrasts]
    )


def _prior(study: Study, chosen: Sequence[Contrast], contrasts: Sequence[Contrast], blocks: int) -> Prior:
    """Fit the prior of the variances to the family of the chosen contrasts, if they have one."""
    families = {(one.family, one.metric) for one in chosen}
    if len(families) != 1:
        return Prior(0.0, 0.0)
    mates = [one for one in contrasts if (one.family, one.metric) in families and one.method == "retrain"]
    values = _series(study, mates, blocks)
    values = values[np.isfinite(values).sum(axis=1) >= 2]
    n = np.isfinite(values).sum(axis=1)
    dependence = dependences(values, np.zeros(len(values), np.int64), 1)
    return fit_prior(np.nanvar(values, axis=1, ddof=1), n - 1, float(dependence[0]))
