"""From a swarm to the tables that are shown: laws, mixtures, weights of the optimum, and what was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.laws.baselines import mixmin, regmix, uniform
from analysis.laws.catalogue import LAWS, SMOOTH
from analysis.laws.choice import Choice, choose
from analysis.laws.confirmation import Confirmation
from analysis.laws.optimum import REPLICATES, CredibleSet, Row, check_utility, compare, credible_set
from analysis.laws.protocol import Law
from analysis.laws.swarm import Swarm
from pipelines.contracts.errors import ConfigError, message

Tables = dict[str, list[dict]]


@dataclass(frozen=True)
class SliceModels:
    """What MixMin needs: held-out items under a model of each slice.

    Attributes:
        log_probability_nats: [items, slices].
        tokens: [items] length of each item.
        importance: [items] weight of each item.
    """

    log_probability_nats: np.ndarray
    tokens: np.ndarray
    importance: np.ndarray


@dataclass(frozen=True)
class Question:
    """What is asked of a swarm.

    Attributes:
        natural: [slices] natural weights.
        upper: [slices] from `upper_limits`.
        importance: [targets] weight of each target in the utility; any scale.
        lower: [slices] from `lower_limits`; None for 0.
        slice_models: for MixMin; without them its row says so.
    """

    natural: np.ndarray
    upper: np.ndarray
    importance: np.ndarray
    lower: np.ndarray | None = None
    slice_models: SliceModels | None = None


@dataclass(frozen=True)
class Answer:
    """What a swarm says.

    Attributes:
        choice: all laws, cross-validated.
        smooth: the best law with a gradient; the optimum is by it.
        found: optimum and bootstrap.
        rows: the optimum beside what is known.
    """

    choice: Choice
    smooth: Law
    found: CredibleSet
    rows: tuple[Row, ...]


def answer(
    swarm: Swarm,
    question: Question,
    confirmations: Mapping[str, Confirmation] | None = None,
    replicates: int = REPLICATES,
    laws: Mapping[str, Sequence[Law]] = LAWS,
) -> Answer:
    """Choose a law, find the optimum under limits, and compare it with natural, uniform, RegMix and MixMin.

    Args:
        swarm: the runs.
        question: limits and utility.
        confirmations: by mixture, from `confirm`.
        replicates: bootstrap samples of the runs.
        laws: candidates by name.

    Raises:
        ConfigError: if natural is not a mixture of the slices, or the utility is not usable; before any fit.
    """
    natural, upper, lower = question.natural, question.upper, question.lower
    if natural.shape != (len(swarm.slices),) or (natural < 0).any() or abs(natural.sum() - 1) > 1e-6:
        raise ConfigError(
            message("natural", "not a mixture", natural.tolist(), f"{len(swarm.slices)} weights that sum to 1")
        )
    importance = check_utility(question.importance, len(swarm.targets))
    choice = choose(swarm.weights, swarm.values, laws)
    smooth = next(one for one in choice.candidates if one.name in SMOOTH).law
    found = credible_set(smooth, swarm.weights, swarm.values, importance, natural, upper, replicates, lower)
    others = {"uniform": uniform(upper, lower)} | _published(swarm, question, importance)
    curve = smooth.fit(swarm.weights, swarm.values)
    rows = compare(found, curve, importance, natural, upper, others, confirmations, lower)
    return Answer(choice, smooth, found, tuple(rows))


def summarise(
    swarm: Swarm,
    question: Question,
    confirmations: Mapping[str, Confirmation] | None = None,
    replicates: int = REPLICATES,
    laws: Mapping[str, Sequence[Law]] = LAWS,
) -> Tables:
    """Answer a question about any swarm as rows of "laws", "mixtures", "weights", "left_out"; see `answer`."""
    said = answer(swarm, question, confirmations, replicates, laws)
    lo, hi = said.found.interval()
    best = said.found.best
    columns = zip(swarm.slices, question.natural, question.upper, best.weights, lo, hi, strict=True)
    return {
        "laws": law_rows(said),
        "mixtures": [
            {"mixture": row.name, "gain": row.gain, "lo": row.lo, "hi": row.hi, "p_better": row.beats_natural,
             "over_limit": row.over, "gap": best.gap if row.name == "optimum" else None, "status": row.status,
             "weights": None if row.weights is None else row.weights.tolist()}
            for row in said.rows
        ],
        "weights": [
            {"slice": name, "natural": float(a), "most": float(u), "optimum": float(w), "lo": float(x), "hi": float(y)}
            for name, a, u, w, x, y in columns
        ],
        "left_out": [{"what": what, "reason": reason} for what, reason in swarm.left_out],
    }  # fmt: skip


def law_rows(said: Answer) -> list[dict]:
    """Return a row per law and strength, best first."""
    return [
        {"law": one.name, "strength": getattr(one.law, "strength", None), "cv_spearman": 100 * one.spearman, "cv_rmse_sd": one.rmse,
         "chosen": one is said.choice.best, "optimum_by": one.law == said.smooth}
        for one in said.choice.candidates
    ]  # fmt: skip


def _published(swarm: Swarm, question: Question, importance: np.ndarray) -> dict[str, np.ndarray | str]:
    """Return the mixtures of RegMix and MixMin, or the reason why there is none."""
    models, upper, lower = question.slice_models, question.upper, question.lower
    mixtures: dict[str, np.ndarray | str] = {
        "MixMin": "no mixture: needs log-probabilities of a model per slice" if models is None
        else mixmin(models.log_probability_nats, models.tokens, upper, lower, models.importance).weights
    }  # fmt: skip
    try:
        utility = swarm.values @ importance
        mixtures["RegMix"] = regmix(swarm.weights, utility, question.natural, upper, lower=lower)
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
