"""LDS on real training: which attribution method predicts what training on half of the data gives?

48 units (6 slices x 8 topics, equal tokens) are trained on in random halves of 24, one pass each, 2 repeats with other weights
and order. A method scores the units on models of all 48; minus the sum of the scores of a half is its prediction of the loss on
a held-out piece. LDS = Spearman over halves, mean over queries; the interval is a two-way bootstrap over halves and queries; the
ceiling is what the noise of the retrains leaves (science-notes 27). Slice-LDS: the same halves, every unit with the mean score of
its slice, whole held-out slices as queries. A method whose interval includes 0 is not usable.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import torch

from analysis import records
from analysis.commands import open_design
from analysis.data import HeldOut
from analysis.influence.ekfac import ekfac
from analysis.influence.exact_ngram import ExactNgram
from analysis.influence.gradients import score_together
from analysis.influence.lds import Lds, gain, linear_datamodelling_score, predict_subsets, slope
from analysis.influence.protocol import Query, Unit
from analysis.influence.tracin import tracin
from analysis.laws.linear import LinearLaw
from analysis.models import Proxy
from analysis.models.neural import load
from analysis.study_runs import open_runs
from analysis.training import snapshots
from analysis.training.probe import Numerics
from analysis.training.scheduler import WorkItem, run_all
from analysis.training.trainer import RunJob, model_seed, run_job
from benchmarks.science.contract import Bench, Claim, Results
from benchmarks.science.lds_data import UnitStream, draw_subsets, make_heldouts, make_queries, make_units
from reports.charts import OKABE_ITO, rows_data

TITLE = "LDS: which attribution method predicts retraining"
METHODS = {
    "ekfac": "EK-FAC at the end of the training",
    "tracin": "TracIn, Adam's preconditioner, snapshots",
    "tracin-sgd": "TracIn without a preconditioner",
    "ngram": "exact leave-one-out of the 3-gram",
    "own-slice": "no method: a unit helps queries of its own slice, by the same amount",
    "datamodel": "linear law of the retrains themselves, 10-fold (needs the retrains)",
}
RIVAL = "own-slice"
SEED = "lds"
FOLDS = 10
RIDGE = 0.05
"""Penalty of the datamodel: 48 coefficients from 45 subsets."""


@dataclass(frozen=True)
class Settings:
    """The study.

    Attributes:
        topics: units per slice.
        rows: rows per unit, of the proxy's context.
        subsets: random halves.
        repeats: trainings of each.
        queries: held-out pieces per slice.
        query_tokens: of a piece, at least.
        full_runs: models of all units, whose scores are averaged.
        n_snapshots: of each of these.
    """

    topics: int = 8
    rows: int = 64
    subsets: int = 30
    repeats: int = 2
    queries: int = 8
    query_tokens: int = 128
    full_runs: int = 3
    n_snapshots: int = 4


FULL = Settings()
SMALL = Settings(topics=2, rows=8, subsets=4, repeats=2, queries=2, query_tokens=16, full_runs=1, n_snapshots=2)


@dataclass(frozen=True)
class Corpus:
    """What the study trains on and asks."""

    proxy: Proxy
    slices: list[str]
    units: list[Unit]
    heldouts: list[HeldOut]
    queries: list[Query]
    members: np.ndarray  # [subsets, units] bool
    path: Path  # of the units' rows

    @property
    def query_slice(self) -> np.ndarray:
        """[queries] index of each query's slice."""
        return np.concatenate([np.full(len(h.component), at) for at, h in enumerate(self.heldouts)])

    @property
    def unit_slice(self) -> np.ndarray:
        """[units] index of each unit's slice."""
        return np.repeat(np.arange(len(self.slices)), len(self.units) // len(self.slices))


def measure(bench: Bench, settings: Settings) -> Results:
    """Train the halves and the full models, attribute, and compare."""
    corpus = prepare(bench, settings)
    outcomes = run_all(jobs(bench, settings, corpus), run_job, bench.workers)
    failed = [outcome for outcome in outcomes if outcome.status != "done"]
    if any(outcome.status == "interrupted" for outcome in failed):
        raise KeyboardInterrupt
    if failed:
        raise RuntimeError(f"{len(failed)} runs failed, the first: {failed[0].reason}")
    measured = np.array(
        [[losses(run_folder(bench, r, s)) for s in range(settings.subsets)] for r in range(settings.repeats)]
    )
    tau = attribute(bench, settings, corpus)
    predicted = {method: predict_subsets(scores, corpus.members) for method, scores in tau.items()}
    predicted["datamodel"] = datamodel(corpus.members, measured.mean(0))
    sliced = np.stack([measured[:, :, corpus.query_slice == at].mean(2) for at in range(len(corpus.slices))], 2)
    rows = []
    for method in METHODS:
        whole = linear_datamodelling_score(predicted[method], measured)
        above = gain(predicted[method], predicted[RIVAL], measured)
        rows.append({"method": method, "level": "documents", **found(whole), "gain": list(above)})
        if method != "datamodel":
            means = slice_means(tau[method], corpus)
            rows.append({"method": method, "level": "slices", **found(linear_datamodelling_score(means, sliced))})
    return {
        "lds": rows,
        "loss_sd_between_subsets": float(measured.mean(0).std(0, ddof=1).mean()),
        "loss_sd_between_repeats": float(measured.std(0, ddof=1).mean()) if settings.repeats > 1 else None,
        "scale": {m: slope(predicted[m], measured.mean(0)) for m in ("ekfac", "tracin", "ngram")},
        "tokens_per_subset": int(corpus.members[0].sum()) * settings.rows * corpus.proxy.context,
        "parameters": corpus.proxy.size.parameters if corpus.proxy.size else 0,
        "units": [unit.name for unit in corpus.units],
    }


def found(score: Lds) -> dict[str, Any]:
    """Return a score as JSON."""
    body = {name: getattr(score, name) for name in ("lds", "lo", "hi", "n_subsets", "n_queries", "n_repeats")}
    return {**body, "ceiling": None if math.isnan(score.ceiling) else score.ceiling, "usable": score.usable}


def prepare(bench: Bench, settings: Settings) -> Corpus:
    """Make units, queries and subsets."""
    design, atoms = open_design(bench.workspace, bench.design)
    proxy = open_runs(bench.workspace, design, atoms).proxy
    slices, where = list(design.targets), str(bench.workspace)
    units = make_units(where, atoms, slices, settings.topics, settings.rows, proxy.context)
    heldouts = make_heldouts(where, atoms, slices, settings.queries, settings.query_tokens)
    path = bench.folder / "units.npy"
    np.save(path, np.stack([unit.rows for unit in units]))
    members = draw_subsets(len(units), settings.subsets, SEED)
    queries = make_queries(heldouts, proxy.context, proxy.eos_id)
    return Corpus(proxy, slices, units, heldouts, queries, members, path)


def run_folder(bench: Bench, repeat: int, subset: int | None) -> Path:
    """Name the folder of a run; subset None is a run of all units."""
    return bench.folder / "runs" / (f"full-{repeat}" if subset is None else f"subset-{subset:03d}-{repeat}")


def jobs(bench: Bench, settings: Settings, corpus: Corpus) -> list[WorkItem]:
    """Return all runs: those of all units first."""
    items = []
    everything = tuple(range(len(corpus.units)))
    plan: list[tuple[int, int | None]] = [(repeat, None) for repeat in range(settings.full_runs)]
    plan += [(repeat, subset) for subset in range(settings.subsets) for repeat in range(settings.repeats)]
    for repeat, subset in plan:
        members = everything if subset is None else tuple(int(u) for u in np.flatnonzero(corpus.members[subset]))
        folder = run_folder(bench, repeat, subset)
        labels = {"design_id": SEED, "cell": folder.name.rsplit("-", 1)[0], "block": repeat}
        job = RunJob(
            corpus.proxy, UnitStream(corpus.path, members, f"{SEED}/{repeat}"), model_seed(0, repeat), folder,
            corpus.heldouts, (), Numerics(), labels, n_snapshots=settings.n_snapshots if subset is None else 0,
        )  # fmt: skip
        items.append(WorkItem(folder.name, folder, float(len(members)), job))
    return items


def losses(folder: Path) -> np.ndarray:
    """Read the [queries] nats per token of a finished run, in the order of the held-out sets."""
    scores = records.read_table(folder / "scores.parquet", "scores").to_pylist()
    last = max(row["train_tokens"] for row in scores)
    kept = [row for row in scores if row["train_tokens"] == last and row["population"] == "kept"]
    return np.array([row["nats"] / row["tokens"] for row in kept])


def attribute(bench: Bench, settings: Settings, corpus: Corpus) -> dict[str, np.ndarray]:
    """Score units by every method: method to [units, queries]; neural ones are means over the full runs."""
    torch.set_num_threads(1)
    kept: dict[str, list[np.ndarray]] = {}
    for repeat in range(settings.full_runs):
        for method, tau in _scores_of_run(run_folder(bench, repeat, None), corpus).items():
            kept.setdefault(method, []).append(tau)
    made = {method: np.mean(scores, axis=0) for method, scores in kept.items()}
    proxy = corpus.proxy
    made["ngram"] = ExactNgram(3, proxy.vocab_size, proxy.eos_id).score(corpus.units, corpus.queries)
    made["own-slice"] = (corpus.unit_slice[:, None] == corpus.query_slice).astype(float)
    return made


def _scores_of_run(folder: Path, corpus: Corpus) -> dict[str, np.ndarray]:
    """Score units on one full run, or read what was scored before."""
    path = folder / "tau.npz"
    if path.exists():
        with np.load(path) as kept:
            return {name: kept[name] for name in kept.files}
    record = json.loads((folder / "run.json").read_text("utf-8"))
    model, states, tokens = load(folder), snapshots.load(folder), record["tokens"]
    weights = {name: value.detach().clone() for name, value in model.named_parameters()}
    order = UnitStream(corpus.path, tuple(range(len(corpus.units))), f"{SEED}/{record['block']}")
    along = [tracin(model, states, order.rows, tokens, precondition=adam) for adam in (True, False)]
    scores = score_together(along, corpus.units, corpus.queries)
    made = {one.method: tau for one, tau in zip(along, scores, strict=True)}
    print(f"{folder.name}: tracin done", flush=True)
    made["ekfac"] = ekfac(model, weights, order.rows, tokens).score(corpus.units, corpus.queries)
    print(f"{folder.name}: ekfac done", flush=True)
    np.savez(path, **made)
    return made


def datamodel(members: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Predict each subset from a linear law of the others (10-fold), [subsets, queries]."""
    weights = members / members.sum(1, keepdims=True)
    made = np.empty_like(measured)
    fold = np.arange(len(members)) % min(FOLDS, len(members))
    for one in np.unique(fold):
        curve = LinearLaw(RIDGE / members.shape[1]).fit(weights[fold != one], measured[fold != one])
        level = measured[fold != one].mean(0)
        made[fold == one] = curve.mean(weights[fold == one]) - level
    return made


def slice_means(tau: np.ndarray, corpus: Corpus) -> np.ndarray:
    """Predict subsets for whole slices: every unit has the mean score of its slice; [subsets, slices]."""
    sums = np.stack([tau[:, corpus.query_slice == at].mean(1) for at in range(len(corpus.slices))], 1)
    means = np.stack([sums[corpus.unit_slice == at].mean(0) for at in range(len(corpus.slices))])
    return predict_subsets(means[corpus.unit_slice], corpus.members)


def claims(results: Results) -> list[Claim]:
    """Say what must hold: the study has power, some method is usable and adds to what the labels know."""
    rows = {(row["method"], row["level"]): row for row in results["lds"]}
    usable = [method for method in ("ekfac", "tracin") if rows[method, "documents"]["usable"]]
    best = rows["ekfac", "documents"]
    return [
        Claim(
            "retrains of halves are reliable enough to judge by (ceiling at least .5)",
            _number(best["ceiling"]), best["ceiling"] is not None and best["ceiling"] >= 0.5,
        ),
        Claim("a gradient method is usable: its interval lies above 0", ", ".join(usable) or "none", bool(usable)),
        Claim(
            "gradients add to knowing the slice: EK-FAC scores above the rival “own slice”",
            _gain(best), best["gain"][1] > 0,
        ),
        Claim("EK-FAC is usable for slices", _interval(rows["ekfac", "slices"]), rows["ekfac", "slices"]["usable"]),
    ]  # fmt: skip


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"


def _interval(row: dict[str, Any]) -> str:
    return f"{row['lds']:.2f} [{row['lo']:.2f}, {row['hi']:.2f}]"


def _gain(row: dict[str, Any]) -> str:
    if row["method"] == RIVAL or "gain" not in row:
        return "–"
    return f"{row['gain'][0]:+.2f} [{row['gain'][1]:+.2f}, {row['gain'][2]:+.2f}]"


def lines(results: Results) -> list[str]:
    """Lay the scores out as a table."""
    first = results["lds"][0]
    made = [
        f"{first['n_subsets']} halves of {len(results['units'])} units, {first['n_repeats']} repeats, {first['n_queries']} held-out "
        f"pieces; {results['tokens_per_subset']:,} tokens per run of a proxy of {results['parameters'] / 1e6:.2f} M parameters. "
        f"Loss moves by {results['loss_sd_between_subsets']:.3f} nats per token between halves.",
        "",
        "| method | level | LDS [95 % interval] | ceiling | above “own slice” [95 %] | verdict |",
        "|---|---|---|---|---|---|",
    ]
    for row in results["lds"]:
        verdict = "usable" if row["usable"] else "not usable"
        made.append(
            f"| {METHODS[row['method']]} | {row['level']} | {_interval(row)} | {_number(row['ceiling'])} | {_gain(row)} | {verdict} |"
        )
    slopes = ", ".join(f"{METHODS[method]} {value:.2f}" for method, value in results["scale"].items())
    return [
        *made,
        "",
        f"Slope of measured on predicted losses (1 = sizes are right; below 1 = predicted too large): {slopes}.",
    ]


def charts(results: Results) -> dict[str, dict[str, Any]]:
    """Draw every score with its interval, and the ceiling."""
    data = rows_data([{**row, "name": METHODS[row["method"]]} for row in results["lds"]])
    y = alt.Y("name:N", title=None, sort=list(METHODS.values()), axis=alt.Axis(labelLimit=420))
    colour = alt.Color("level:N", title="queries", scale=alt.Scale(range=[OKABE_ITO[0], OKABE_ITO[1]]))
    base = alt.Chart(data).encode(y=y, yOffset="level:N", color=colour)
    x = alt.X("lo:Q", title="LDS (line: 95 % interval; tick: ceiling)")
    layers = (
        base.mark_rule(strokeWidth=2).encode(x=x, x2="hi:Q"),
        base.mark_point(filled=True, size=60).encode(x="lds:Q"),
        base.mark_tick(thickness=2, size=12, color="#1f2430").encode(x="ceiling:Q"),
    )
    return {"scores": alt.layer(*layers).properties(height=40 * len(METHODS)).to_dict()}
