"""From a swarm to the tables that are shown: laws, mixtures, weights of the optimum, and what was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from analysis.laws.baselines import mixmin, regmix, uniform
from analysis.laws.catalogue import LAWS, SMOOTH
from analysis.laws.choice import Choice, choose
from analysis.laws.confirmation import Confirmation
from analysis.laws.optimum import REPLICATES, check_utility, compare, credible_set
from analysis.laws.protocol import Law
from analysis.laws.swarm import Swarm
from pipelines.contracts.errors import ConfigError, message

Tables = dict[str, list[dict]]


def summarise(
    swarm: Swarm,
    natural: np.ndarray,
    upper: np.ndarray,
    importance: np.ndarray,
    slice_models: tuple[np.ndarray, np.ndarray] | None = None,
    confirmations: Mapping[str, Confirmation] | None = None,
    replicates: int = REPLICATES,
    laws: Mapping[str, Sequence[Law]] = LAWS,
) -> Tables:
    """Choose a law, find the optimum under limits, and compare it with natural, uniform, RegMix and MixMin.

    Args:
        swarm: the runs.
        natural: [slices] natural weights.
        upper: [slices] from `upper_limits`.
        importance: [targets] weight of each target in the utility.
        slice_models: for MixMin, log-probabilities [items, slices] in nats and tokens [items]; without them its row
            says so.
        confirmations: by mixture, from `confirm`.
        replicates: bootstrap samples of the runs.
        laws: candidates by name.

    Returns:
        Rows of "laws", "mixtures", "weights", "left_out".

    Raises:
        ConfigError: if natural is not a mixture of the slices, or the utility is not usable; before any fit.
    """
    if natural.shape != (len(swarm.slices),) or (natural < 0).any() or abs(natural.sum() - 1) > 1e-6:
        raise ConfigError(
            message("natural", "not a mixture", natural.tolist(), f"{len(swarm.slices)} weights that sum to 1")
        )
    importance = check_utility(importance, len(swarm.targets))
    choice = choose(swarm.weights, swarm.values, laws)
    smooth = next(one for one in choice.candidates if one.name in SMOOTH).law
    found = credible_set(smooth, swarm.weights, swarm.values, importance, natural, upper, replicates)
    others = {"uniform": uniform(upper)} | _published(swarm, natural, upper, importance, slice_models)
    curve = smooth.fit(swarm.weights, swarm.values)
    rows = compare(found, curve, importance, natural, upper, others, confirmations)
    lo, hi = found.interval()
    return {
        "laws": _law_rows(choice, smooth),
        "mixtures": [
            {"mixture": row.name, "gain": row.gain, "lo": row.lo, "hi": row.hi, "p_better": row.beats_natural,
             "over_limit": row.over, "gap": found.best.gap if row.name == "optimum" else None, "status": row.status,
             "weights": None if row.weights is None else row.weights.tolist()}
            for row in rows
        ],
        "weights": [
            {"slice": name, "natural": float(a), "most": float(u), "optimum": float(w), "lo": float(x), "hi": float(y)}
            for name, a, u, w, x, y in zip(swarm.slices, natural, upper, found.best.weights, lo, hi, strict=True)
        ],
        "left_out": [{"what": what, "reason": reason} for what, reason in swarm.left_out],
    }  # fmt: skip


def _law_rows(choice: Choice, smooth: Law) -> list[dict]:
    return [
        {"law": one.name, "strength": getattr(one.law, "strength", None), "cv_spearman": 100 * one.spearman, "cv_rmse_sd": one.rmse,
         "chosen": one is choice.best, "optimum_by": one.law == smooth}
        for one in choice.candidates
    ]  # fmt: skip


def _published(
    swarm: Swarm,
    natural: np.ndarray,
    upper: np.ndarray,
    importance: np.ndarray,
    slice_models: tuple[np.ndarray, np.ndarray] | None,
) -> dict[str, np.ndarray | str]:
    """Return the mixtures of RegMix and MixMin, or the reason why there is none."""
    mixtures: dict[str, np.ndarray | str] = {
        "MixMin": "no mixture: needs log-probabilities of a model per slice" if slice_models is None
        else mixmin(*slice_models, upper).weights
    }  # fmt: skip
    try:
        mixtures["RegMix"] = regmix(swarm.weights, swarm.values @ importance, natural, upper)
    except ConfigError as error:
        mixtures["RegMix"] = f"no mixture: {error.message}"
    return mixtures


def format_mixtures(tables: Tables, unit: str) -> list[str]:
    """Draw the mixtures and the weights of the optimum as two Markdown tables.

    Args:
        tables: from `summarise`.
        unit: of the metrics, such as "nats" or "bpb".
    """
    lines = [f"| mixture | predicted gain on natural, {unit} (95 %) | P(better than natural) | over a limit by | status |",
             "|---|---|---|---|---|"]  # fmt: skip
    for row in tables["mixtures"]:
        shown = "– | – | –"
        if row["weights"] is not None:
            beats = "–" if row["mixture"] == "natural" else f"{row['p_better']:.2f}"
            shown = f"{row['gain']:+.4f} [{row['lo']:+.4f}, {row['hi']:+.4f}] | {beats} | {row['over_limit']:.3f}"
        lines.append(f"| {row['mixture']} | {shown} | {row['status']} |")
    lines += ["", "| slice | natural | most | optimum | 95 % |", "|---|---|---|---|---|"]
    for row in tables["weights"]:
        ends = f"{row['lo']:.3f} – {row['hi']:.3f}"
        lines.append(f"| {row['slice']} | {row['natural']:.3f} | {row['most']:.3f} | {row['optimum']:.3f} | {ends} |")
    return lines


def format_laws(tables: Tables) -> list[str]:
    """Draw the best strength of every law, and what was left out."""
    lines = ["| law | strength | Spearman × 100, cross-validated | rmse, sd of the target | |", "|---|---|---|---|---|"]
    seen: set[str] = set()
    for row in tables["laws"]:
        if row["law"] not in seen:
            mark = "chosen" if row["chosen"] else ""
            strength = "–" if row["law"] not in SMOOTH else f"{row['strength']:g}"
            lines.append(f"| {row['law']} | {strength} | {row['cv_spearman']:.2f} | {row['cv_rmse_sd']:.3f} | {mark} |")
            seen.add(row["law"])
    return [*lines, *(f"\nLeft out: {row['what']}: {row['reason']}." for row in tables["left_out"])]
