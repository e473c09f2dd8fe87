"""Coverage, error rates and power of the statistics on made studies whose truth is known.

Every repetition is a study of 20 contrasts against one baseline; half of them have an effect of the size that the plan calls
detectable. The functions of `analysis/statistics` are called as `mixtrace effects` calls them. A rate is averaged over the
contrasts of a study first, because they are correlated; its Monte-Carlo error is that of the mean over studies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np

from analysis.statistics.alpha_spending import nominal_levels
from analysis.statistics.covariance import combine
from analysis.statistics.equivalence import tost_p
from analysis.statistics.moderated_t import PairedT, Prior, moderated_paired_t, planned_df
from analysis.statistics.multiple_testing import benjamini_hochberg, benjamini_yekutieli
from analysis.statistics.power import minimum_detectable_effect
from analysis.statistics.resampling import document_variance, new_documents_interval
from benchmarks.science.contract import Bench, Claim, Results
from benchmarks.science.simulated_noise import NOISES, Noise, differences, paired_sd
from reports.charts import rows_data

TITLE = "Simulations: coverage, error rates, power"
ALPHA = 0.05
BLOCKS = (3, 5, 10)


@dataclass(frozen=True)
class Settings:
    """How often, and how large.

    Attributes:
        repetitions: made studies per scenario.
        contrasts: contrasts per study; the second half has effects.
        looks: blocks at which a growing study is looked at.
        seed: of all draws.
    """

    repetitions: int = 12_000
    contrasts: int = 20
    looks: tuple[int, ...] = (3, 5, 10)
    seed: int = 0


FULL = Settings()
SMALL = Settings(repetitions=300, contrasts=10)


def measure(bench: Bench | None, settings: Settings) -> Results:
    """Simulate everything; a minute or so, so that nothing is kept between calls."""
    return {
        "scenarios": [scenario(noise, blocks, settings) for noise in NOISES for blocks in BLOCKS],
        "looks": [looking(kind, settings) for kind in ("none", "obrien_fleming", "pocock")],
        "documents": [documents(components, settings) for components in (10, 20, 40)],
        "derived": [derived(blocks, settings) for blocks in BLOCKS],
        "bootstrap": [seed_bootstrap(blocks, settings) for blocks in BLOCKS],
    }


def rate(happened: np.ndarray) -> tuple[float, float]:
    """Return the mean of a rate and its Monte-Carlo standard error.

    Args:
        happened: [repetitions, ...] events, or [repetitions] rates.
    """
    each = happened.reshape(len(happened), -1).mean(axis=1)
    return round(float(each.mean()), 5), round(float(each.std(ddof=1) / len(each) ** 0.5), 5)


def tested(draws: np.ndarray) -> PairedT:
    """Run the moderated paired t of many studies: every study is a group.

    Args:
        draws: [repetitions, contrasts, blocks].

    Returns:
        Estimates, each [repetitions, contrasts].
    """
    repetitions, contrasts, blocks = draws.shape
    test = moderated_paired_t(draws.reshape(-1, blocks), np.repeat(np.arange(repetitions), contrasts))
    return PairedT(*(getattr(test, name).reshape(repetitions, contrasts) for name in PairedT.__dataclass_fields__))


def scenario(noise: Noise, blocks: int, settings: Settings) -> dict[str, Any]:
    """Measure coverage, errors and power of one kind of noise and number of blocks."""
    contrasts, half = settings.contrasts, settings.contrasts // 2
    sd = paired_sd(noise, contrasts)
    expected_df = planned_df(contrasts, blocks)
    size = minimum_detectable_effect(blocks, expected_df, ALPHA) * sd
    truth = np.where(np.arange(contrasts) % 2 == 1, size, 0.0)
    null, real = truth == 0, truth != 0
    rng = np.random.default_rng([settings.seed, blocks, NOISES.index(noise)])
    draws = differences(rng, noise, settings.repetitions, contrasts, blocks)
    test, nothing = tested(draws + truth[:, None]), tested(draws)
    covered = (test.lo <= truth) & (truth <= test.hi)
    by_one = covered.mean(axis=0)
    found: dict[str, Any] = {"noise": noise, "blocks": blocks, "contrasts": contrasts, "with_effect": half,
        "median_df": round(float(np.median(test.df)), 1), "planned_df": round(expected_df, 1),
        "coverage": rate(covered), "least_coverage": [round(float(by_one.min()), 5), int(by_one.argmin())],
        "false_positives": rate(test.p[:, null] <= ALPHA),
        "power": rate(test.p[:, real] <= ALPHA),
        "false_negligible": rate(
            tost_p(test.mean, test.se, test.df, np.broadcast_to(size, test.mean.shape))[:, real] <= ALPHA
        )}  # fmt: skip
    for name, adjust in (("bh", benjamini_hochberg), ("by", benjamini_yekutieli)):
        hit = adjust(test.p) <= ALPHA
        found[f"fdr_{name}"] = rate(hit[:, null].sum(axis=1) / np.maximum(hit.sum(axis=1), 1))
        found[f"power_{name}"] = rate(hit[:, real])
        found[f"any_{name}"] = rate((adjust(nothing.p) <= ALPHA).any(axis=1))
    return found


def looking(kind: str, settings: Settings) -> dict[str, Any]:
    """Look at growing studies without any effect: how often does a test, or a corrected family, find one at some look?"""
    levels = np.full(len(settings.looks), ALPHA)
    if kind != "none":
        levels = nominal_levels(settings.looks, settings.looks[-1], ALPHA, kind)  # type: ignore[arg-type]
    rng = np.random.default_rng([settings.seed, 100])
    draws = differences(rng, "normal", settings.repetitions, settings.contrasts, settings.looks[-1])
    single = np.zeros(draws.shape[:2], bool)
    family = np.zeros(len(draws), bool)
    for blocks, level in zip(settings.looks, levels, strict=True):
        p = tested(draws[:, :, :blocks]).p
        single |= p <= level
        family |= (benjamini_hochberg(p) <= level).any(axis=1)
    return {"spending": kind, "looks": list(settings.looks), "levels": [round(float(x), 5) for x in levels],
            "false_positives": rate(single), "any_bh": rate(family)}  # fmt: skip


def documents(components: int, settings: Settings) -> dict[str, Any]:
    """Measure how often either interval covers the effect on all documents: 5 blocks, components of unequal length."""
    rng = np.random.default_rng([settings.seed, 200, components])
    repetitions, blocks, truth, of_document, of_seed = settings.repetitions, 5, 0.05, 0.1, 0.02
    size = rng.lognormal(6, 0.7, components)
    effect = truth + rng.normal(0, of_document, (repetitions, components))
    seeds = rng.normal(0, of_seed, (repetitions, blocks))
    ratios = (effect @ size / size.sum())[:, None] + seeds
    test = moderated_paired_t(ratios, np.arange(repetitions))  # groups of one: nothing is borrowed
    variance = document_variance((effect + seeds.mean(axis=1, keepdims=True)) * size, size, seed=settings.seed)
    wide = new_documents_interval(test.mean, test.se, test.df, variance, np.full(repetitions, components - 1.0))
    return {"components": components, "blocks": blocks,
            "coverage_new_documents": rate((wide.lo <= truth) & (truth <= wide.hi)),
            "coverage_seeds_only": rate((test.lo <= truth) & (truth <= test.hi))}  # fmt: skip


def derived(blocks: int, settings: Settings) -> dict[str, Any]:
    """Measure coverage of the difference of two effects that share their baseline, with and without their covariance."""
    rng = np.random.default_rng([settings.seed, 300, blocks])
    contrasts = settings.contrasts
    draws = differences(rng, "normal", min(settings.repetitions, 4000), contrasts, blocks)
    cells = np.hstack([np.eye(contrasts), -np.ones((contrasts, 1))])
    sides = np.array([[1.0, -1.0] + [0.0] * (contrasts - 2), [1.0, 1.0] + [0.0] * (contrasts - 2)])
    shared, independent = np.zeros((2, len(draws), 2), bool)
    for at, one in enumerate(draws):
        for covered, design in ((shared, cells), (independent, np.eye(contrasts))):
            prior = None if design is cells else Prior(np.inf, float(one.var(axis=1, ddof=1).mean()))
            found = combine(one, design, sides, prior)
            covered[at] = (found.lo <= 0) & (found.hi >= 0)
    return {"blocks": blocks, "difference": rate(shared[:, 0]), "sum": rate(shared[:, 1]),
            "difference_if_independent": rate(independent[:, 0]), "sum_if_independent": rate(independent[:, 1])}  # fmt: skip


def seed_bootstrap(blocks: int, settings: Settings) -> dict[str, Any]:
    """Measure coverage of the percentile bootstrap over seeds, which is not used: 400 draws, one contrast."""
    rng = np.random.default_rng([settings.seed, 400, blocks])
    draws = rng.standard_normal((settings.repetitions, blocks))
    weights = rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=400) / blocks
    low, high = np.quantile(draws @ weights.T, [ALPHA / 2, 1 - ALPHA / 2], axis=1)
    return {"blocks": blocks, "coverage": rate((low <= 0) & (high >= 0))}


def claims(results: Results) -> list[Claim]:
    """Coverage 95 +- 1 %, errors at most nominal (within 3 Monte-Carlo errors), power as planned."""
    even = [row for row in results["scenarios"] if row["noise"] != "heteroscedastic"]
    uneven = [row for row in results["scenarios"] if row["noise"] == "heteroscedastic" and row["blocks"] >= 5]
    every, looks = results["scenarios"], [row for row in results["looks"] if row["spending"] != "none"]
    many = [row for row in results["documents"] if row["components"] >= 20]
    both = [{"coverage": row[side]} for row in results["derived"] for side in ("difference", "sum")]
    return [
        _covers("equal noise, normal or t5, 3 to 10 blocks: intervals cover 95 ± 1 %", even, "coverage"),
        _covers("sd unequal by 25, 5 and 10 blocks: intervals cover 95 ± 1 %, averaged over contrasts", uneven, "coverage"),
        _covers("differences and sums of effects that share a baseline: 95 ± 1 %", both, "coverage"),
        _covers("new documents and seeds, 20 components or more: 95 ± 1 %", many, "coverage_new_documents"),
        _at_most("equal noise: false positives of single tests are at most 5 %", even, "false_positives"),
        _at_most("false discovery rate by Benjamini-Hochberg, half of the contrasts null, any noise: at most 5 %", every, "fdr_bh"),
        _at_most("equal noise: any discovery by Benjamini-Hochberg where there is none: at most 5 %", even, "any_bh"),
        _at_most("any noise: any discovery by Benjamini-Yekutieli where there is none: at most 5 %", every, "any_by"),
        _at_most("equal noise: an effect of exactly δ is called negligible at most 5 %", even, "false_negligible"),
        _at_most("alpha spending: false positives over all looks are at most 5 %", looks, "false_positives"),
        _within("equal noise: an effect of the planned detectable size is found with 80 ± 6 %", even, "power", 0.80, 0.06),
    ]  # fmt: skip


def _within(text: str, rows: list[dict[str, Any]], name: str, centre: float, width: float) -> Claim:
    """Claim that all rates lie about a value, but for 3 Monte-Carlo errors."""
    found = [row[name] for row in rows]
    rates = [value for value, _ in found]
    holds = all(abs(value - centre) <= width + 3 * error for value, error in found)
    return Claim(text, f"{min(rates):.1%} to {max(rates):.1%}", holds)


def _covers(text: str, rows: list[dict[str, Any]], name: str) -> Claim:
    return _within(text, rows, name, 1 - ALPHA, 0.01)


def _at_most(text: str, rows: list[dict[str, Any]], name: str) -> Claim:
    """Claim that no rate exceeds alpha, but for 3 Monte-Carlo errors."""
    value, error = max((row[name] for row in rows), key=lambda found: found[0])
    holds = all(value <= ALPHA + 3 * error for value, error in (row[name] for row in rows))
    return Claim(text, f"at most {value:.1%} ± {error:.1%}", holds)


def coverage_table(results: Results) -> list[str]:
    """Return a row per kind of noise and number of blocks."""
    head = ["noise", "blocks", "coverage", "of the worst contrast", "false positives", "power (plan: 80 %)", "FDR, BH", "FDR, BY",
            "any of none, BH", "any of none, BY", "δ called negligible", "df: median (planned)"]  # fmt: skip
    names = ("false_positives", "power", "fdr_bh", "fdr_by", "any_bh", "any_by", "false_negligible")
    rows = [
        [row["noise"], row["blocks"], _percent(row["coverage"]), f"{row['least_coverage'][0]:.1%}",
         *(_percent(row[name]) for name in names), f"{row['median_df']:.1f} ({row['planned_df']:.1f})"]
        for row in results["scenarios"]
    ]  # fmt: skip
    return _table(head, rows)


def lines(results: Results) -> list[str]:
    """Return the tables of coverage and errors, of looks, and of what else was simulated."""
    looks = [
        [row["spending"], ", ".join(map(str, row["looks"])), ", ".join(f"{level:.5f}" for level in row["levels"]),
         _percent(row["false_positives"]), _percent(row["any_bh"])]
        for row in results["looks"]
    ]  # fmt: skip
    rest = [[f"new documents and seeds, 5 blocks, {row['components']} components", _percent(row["coverage_new_documents"]),
             f"{_percent(row['coverage_seeds_only'])} by the interval for new seeds"] for row in results["documents"]]  # fmt: skip
    rest += [[f"{side} of two effects with one baseline, {row['blocks']} blocks", _percent(row[side]),
              f"{_percent(row[f'{side}_if_independent'])} if taken for independent"]
             for row in results["derived"] for side in ("difference", "sum")]  # fmt: skip
    rest += [[f"percentile bootstrap over seeds, {row['blocks']} blocks", _percent(row["coverage"]), "not used, for this reason"]
             for row in results["bootstrap"]]  # fmt: skip
    return [
        *coverage_table(results), "", "Where noise is unequal by 25, intervals of the noisiest contrasts are too short, worst at 3 blocks, and "
        "Benjamini-Hochberg may find too much where there is nothing; Benjamini-Yekutieli (`fdr: by`) does not.", "",
        *_table(["alpha is spent", "looks at blocks", "levels", "false positives over all looks", "any of none, BH, over all looks"], looks), "",
        *_table(["interval", "coverage", "beside it"], rest),
    ]  # fmt: skip


def _percent(found: list[float]) -> str:
    return f"{found[0]:.1%} ± {found[1]:.1%}"


def _table(head: list[str], rows: list[list[Any]]) -> list[str]:
    return [f"| {' | '.join(map(str, row))} |" for row in (head, ["---"] * len(head), *rows)]


def charts(results: Results) -> dict[str, dict[str, Any]]:
    """Draw coverage: the mean over contrasts, and the worst contrast."""
    rows = [
        {"noise": row["noise"], "blocks": str(row["blocks"]), "contrasts": which, "coverage": value}
        for row in results["scenarios"]
        for which, value in (("mean", row["coverage"][0]), ("worst", row["least_coverage"][0]))
    ]
    marks = alt.Chart(rows_data(rows)).mark_point(filled=True, size=60, opacity=0.9)
    points = marks.encode(
        x=alt.X(field="coverage", type="quantitative", scale=alt.Scale(domain=[0.84, 1.0]), axis=alt.Axis(format="%"),
                title="share of 95 % intervals that hold the truth"),
        y=alt.Y(field="noise", type="nominal", sort=list(NOISES), title=None),
        yOffset=alt.YOffset(field="blocks", type="nominal", sort=[str(blocks) for blocks in BLOCKS]),
        color=alt.Color(field="blocks", type="nominal", title="blocks", sort=[str(blocks) for blocks in BLOCKS],
                        scale=alt.Scale(range=["#E69F00", "#56B4E9", "#0072B2"])),
        shape=alt.Shape(field="contrasts", type="nominal", title="of the contrasts"),
    )  # fmt: skip
    rule = alt.Chart(alt.Data(values=[{"x": 0.94}, {"x": 0.95}, {"x": 0.96}])).mark_rule(
        color="#9aa2ae", strokeDash=[4, 3]
    )
    return {
        "coverage": alt.layer(rule.encode(x=alt.X(field="x", type="quantitative")), points)
        .properties(height=180)
        .to_dict()
    }
