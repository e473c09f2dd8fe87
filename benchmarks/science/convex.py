"""Gradient oracle: influence functions against retraining, where both are exact.

An L2-penalised softmax regression on hashed contexts is trained on 48 units (slices x topics) of real text to a gradient norm
below 1e-8 in float64, and again without each unit (science-notes 24). The influence function may then differ from retraining by
the second order only; the attributors for proxies run on the same model through their own code. This proves signs and units, nats
per token if removed with nothing in its place; it says nothing of how well they do on a proxy, which is not convex.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import torch

from analysis.commands import open_design
from analysis.influence.convex import GRADIENT_NORM, ConvexProblem, HashedSoftmax, convex_data
from analysis.influence.ekfac import ekfac
from analysis.influence.gradients import GradientAttributor, Point
from analysis.influence.lds import spearman_columns
from analysis.influence.protocol import Query, Unit
from benchmarks.science.contract import Bench, Claim, Results
from benchmarks.science.lds_data import make_heldouts, make_queries, make_units
from reports.charts import OKABE_ITO, rows_data

DRAWS = 10
"""Targets that are sampled for every row: the rows are few, their Fisher matrix is an expectation over targets."""
TITLE = "Gradient oracle: influence against exact retraining"
METHODS = {"influence": "influence function, exact Hessian", "ekfac": "EK-FAC", "identity": "plain gradient products"}


@dataclass(frozen=True)
class Settings:
    """The study.

    Attributes:
        topics: units per slice.
        rows: rows per unit.
        context: tokens per row.
        vocab_size: tokens are taken modulo this.
        buckets: hashed features.
        l2: strength of the penalty.
        queries: held-out pieces per slice.
        query_tokens: of a piece, at least.
    """

    topics: int = 8
    rows: int = 1
    context: int = 64
    vocab_size: int = 512
    buckets: int = 96
    l2: float = 3e-3
    queries: int = 1
    query_tokens: int = 128


FULL = Settings()
SMALL = Settings(topics=6, context=16, vocab_size=32, buckets=16, l2=1e-2, query_tokens=16)


def measure(bench: Bench, settings: Settings) -> Results:
    """Fit, retrain without every unit, and predict that by every method."""
    torch.set_num_threads(1)
    design, atoms = open_design(bench.workspace, bench.design)
    where, slices, v = str(bench.workspace), list(design.targets), settings.vocab_size
    texts = make_heldouts(where, atoms, slices, settings.queries, settings.query_tokens)
    units = [
        Unit(unit.name, unit.rows % v, unit.tokens)
        for unit in make_units(where, atoms, slices, settings.topics, settings.rows, settings.context)
    ]
    whole = [query.rows[query.mask.all(1)] % v for query in make_queries(texts, settings.context, 0)]
    queries = [
        Query(slice_, rows, np.ones((len(rows), settings.context), bool))
        for slice_, rows in zip(slices, whole, strict=True)
    ]
    problem = ConvexProblem(convex_data(np.concatenate([u.rows for u in units]), v, settings.buckets), settings.l2)
    owner = np.repeat(np.arange(len(units)), settings.rows * settings.context)
    masks = [(owner == at).astype(float) for at in range(len(units))]
    data = [convex_data(query.rows, v, settings.buckets) for query in queries]
    fit = problem.fit(np.ones(len(owner)))
    measured = problem.leave_one_out(fit.theta, masks, data)
    predicted = {
        "influence": problem.influence(fit.theta, masks, data),
        **_attributed(fit.theta, units, queries, settings),
    }
    return {
        "methods": [{"method": name, **_compare(predicted[name], measured)} for name in METHODS],
        "gradient_norm": fit.gradient_norm,
        "parameters": int(fit.theta.size),
        "tokens": len(owner),
        "units": len(units),
        "points": [
            {"measured": float(measured[u, q]), "predicted": float(predicted["influence"][u, q])}
            for u in range(len(units)) for q in range(len(queries))
        ],
    }  # fmt: skip


def _attributed(
    theta: np.ndarray, units: list[Unit], queries: list[Query], settings: Settings
) -> dict[str, np.ndarray]:
    """Score by the attributors for proxies, through their own code."""
    twin = HashedSoftmax(settings.vocab_size, settings.context, theta)
    weights = {"theta": torch.from_numpy(theta.copy())}
    rows, tokens = np.concatenate([unit.rows for unit in units]), sum(unit.tokens for unit in units)
    plain = GradientAttributor("identity", twin, [Point(weights, lambda gradient: gradient, 1.0)], tokens)
    return {
        "ekfac": ekfac(twin, weights, np.tile(rows, (DRAWS, 1)), tokens, damping=settings.l2).score(units, queries),
        "identity": plain.score(units, queries),
    }


def _compare(predicted: np.ndarray, measured: np.ndarray) -> dict[str, float]:
    """Compare [units, queries] predictions with retraining."""
    x, y = predicted.ravel(), measured.ravel()
    return {
        "pearson": float(np.corrcoef(x, y)[0, 1]),
        "spearman": float(spearman_columns(x[:, None], y[:, None])[0]),
        "relative_error": float(np.linalg.norm(x - y) / np.linalg.norm(y)),
        "slope": float((x * y).sum() / (x**2).sum()),
    }


def claims(results: Results) -> list[Claim]:
    """The influence function is that of retraining, and EK-FAC approximates it in its units."""
    rows = {row["method"]: row for row in results["methods"]}
    exact, factored = rows["influence"], rows["ekfac"]
    return [
        Claim("the model is at its optimum", f"gradient norm {results['gradient_norm']:.1e}", results["gradient_norm"] < GRADIENT_NORM),
        Claim("the influence function predicts retraining", f"r {exact['pearson']:.4f}", exact["pearson"] > 0.99),
        Claim("EK-FAC predicts retraining", f"r {factored['pearson']:.3f}", factored["pearson"] > 0.9),
        Claim("EK-FAC is in nats per token: slope within a factor of 1.5", f"{factored['slope']:.2f}", 1 / 1.5 < factored["slope"] < 1.5),
    ]  # fmt: skip


def lines(results: Results) -> list[str]:
    """Lay the agreement out as a table."""
    rows = [
        f"| {METHODS[row['method']]} | {row['pearson']:.4f} | {row['spearman']:.3f} | {row['relative_error']:.1%} | {row['slope']:.2f} |"
        for row in results["methods"]
    ]
    return [
        f"{results['units']} units left out in turn, {results['tokens']:,} tokens, {results['parameters']:,} parameters.",
        "",
        "| method | Pearson r | Spearman | relative error | slope of retraining on it |",
        "|---|---|---|---|---|",
        *rows,
    ]


def charts(results: Results) -> dict[str, dict[str, Any]]:
    """Draw predicted against measured."""
    chart = alt.Chart(rows_data(results["points"])).mark_point(filled=True, opacity=0.6, color=OKABE_ITO[0]).encode(
        x=alt.X("predicted:Q", title="influence function [nats per token if removed]"),
        y=alt.Y("measured:Q", title="retrained [nats per token]"),
    )  # fmt: skip
    return {"leave-one-out": chart.properties(height=320).to_dict()}
