"""Proxy ladder: what each rung costs, how often it ranks as the top rung does, and which rung decides a question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import altair as alt

from reports.blocks import Block, Column, Page, Prose, Row, Spec, figure, query
from reports.charts import OKABE_ITO, finish, rows_data
from reports.pages.study import DESIGN_COLUMN, no_study

if TYPE_CHECKING:
    import duckdb

AGREEMENT_SQL = (
    "SELECT a.*, r.cpu_s_per_run, r.flops_per_run, r.model, r.is_top, r.position, r.n_blocks\n"
    "FROM rung_agreement a JOIN rungs r USING (design_id, rung_design_id)\n"
    "WHERE a.target = 'all' ORDER BY a.design_id, r.position"
)


def page(con: duckdb.DuckDBPyConnection) -> Page:
    """Make the page."""
    if empty := no_study(con):
        return Page("ladder", "Proxy ladder", (empty,))
    if not query(con, "SELECT 1 FROM rungs LIMIT 1"):
        text = (
            "No ladder was climbed: train one design with several proxies or budgets, then `mixtrace ladder WORKSPACE`."
        )
        return Page("ladder", "Proxy ladder", (Prose(text),))
    intro = Prose(
        "Rungs are studies of one design that differ in proxy or tokens. On each target, pairs of leave-outs and decisions whose "
        "order the top rung determines are looked up in the other rungs: same order, other order, or undetermined. The interval "
        "resamples cells and blocks; “90 %” is said only if its lower end is above .90. For the top rung itself, “redrawn” is "
        "what another study of the same size would reach: the ceiling. Whatever is chosen here was selected on these runs: "
        "confirm it with fresh seeds."
    )
    return Page("ladder", "Proxy ladder", (intro, _agreement(con), _targets(con), _answers(con)))


def _agreement(con: duckdb.DuckDBPyConnection) -> Block:
    return figure(
        con,
        "rung-agreement",
        "Cost against agreement",
        "Processor seconds of training per run, and the share of the pairs determined at the top that the rung puts in the same order.",
        AGREEMENT_SQL,
        (
            DESIGN_COLUMN,
            Column("rung", "rung"),
            Column("cpu_s_per_run", "processor time per run [s]", "number"),
            Column("flops_per_run", "arithmetic per run [FLOP]", "number"),
            Column("n_blocks", "blocks", "count"),
            Column("pairs", "pairs determined at the top", "count"),
            Column("agree", "same order", "count"),
            Column("disagree", "other order", "count"),
            Column("undetermined", "undetermined", "count"),
            Column("agreement", "agreement", "share"),
            Column("lo", "95 % from", "share"),
            Column("hi", "to", "share"),
            Column("redrawn", "redrawn", "share"),
            Column("claimed", "90 % may be said"),
        ),
        _chart,
    )


def _chart(rows: tuple[Row, ...]) -> tuple[Spec, ...]:
    """Draw the ladder that was climbed last."""
    ladder = rows[-1]["design_id"]
    mine = [row for row in rows if row["design_id"] == ladder and row["agreement"] is not None]
    return (agreement_chart(mine),) if mine else ()


def agreement_chart(rows: Sequence[Row]) -> Spec:
    """Draw agreement with its interval per rung, the cheapest on top, its processor seconds per run beside its name.

    The top rung stands at its ceiling.

    Args:
        rows: of one ladder by cost, with `rung`, `is_top`, `cpu_s_per_run`, `agreement`, `redrawn`, `lo`, `hi`.
    """
    data = [
        {
            **row,
            "label": f"{row['rung']}, {row['cpu_s_per_run']:.2g} s{' (top)' if row['is_top'] else ''}",
            "shown": row["redrawn"] if row["is_top"] else row["agreement"],
            "kind": "top rung again: ceiling" if row["is_top"] else "agreement",
        }
        for row in rows
    ]
    order = [row["label"] for row in data]
    scale = alt.Scale(domain=[0, 1])
    colour = alt.Color(
        field="kind", type="nominal", title=None,
        scale=alt.Scale(domain=list(dict.fromkeys(row["kind"] for row in data)), range=list(OKABE_ITO)),
    )  # fmt: skip
    tooltip = [
        alt.Tooltip(field="rung", type="nominal"),
        *(alt.Tooltip(field=name, type="quantitative", format=".1%") for name in ("shown", "lo", "hi")),
    ]
    title = "pairs in the order of the top rung, 95 % interval"
    base = alt.Chart(rows_data(data)).encode(
        y=alt.Y(field="label", type="nominal", sort=order, title=None), color=colour, tooltip=tooltip
    )
    whiskers = base.mark_rule(strokeWidth=2).encode(
        x=alt.X(field="lo", type="quantitative", scale=scale, title=title, axis=alt.Axis(format="%")),
        x2=alt.X2(field="hi"),
    )
    points = base.mark_point(filled=True, size=70, opacity=1).encode(
        x=alt.X(field="shown", type="quantitative", scale=scale)
    )
    claim = alt.Chart(alt.Data(values=[{"claim": 0.9}])).mark_rule(color="#9aa2ae", strokeDash=[4, 3])
    layers = alt.layer(claim.encode(x=alt.X(field="claim", type="quantitative", scale=scale)), whiskers, points)
    return finish(layers, 30 * len(order))


def _targets(con: duckdb.DuckDBPyConnection) -> Block:
    return figure(
        con,
        "rung-targets",
        "By target",
        "The same, target by target.",
        "SELECT a.*, r.position FROM rung_agreement a JOIN rungs r USING (design_id, rung_design_id)\n"
        "WHERE a.target <> 'all' ORDER BY a.design_id, a.target, a.population, r.position",
        (
            DESIGN_COLUMN,
            Column("target", "held-out target"),
            Column("population", "documents"),
            Column("rung", "rung"),
            Column("pairs", "pairs determined at the top", "count"),
            Column("agree", "same order", "count"),
            Column("disagree", "other order", "count"),
            Column("undetermined", "undetermined", "count"),
            Column("agreement", "agreement", "share"),
            Column("lo", "95 % from", "share"),
            Column("hi", "to", "share"),
            Column("reason", "note", "long"),
        ),
    )


def _answers(con: duckdb.DuckDBPyConnection) -> Block:
    return figure(
        con,
        "rung-answers",
        "Which is the cheapest rung that decides this question?",
        "For every contrast: the verdict at the top, and the cheapest rung with the same verdict.",
        "SELECT * FROM rung_answers ORDER BY rowid",
        (
            DESIGN_COLUMN,
            Column("contrast", "question"),
            Column("verdict_at_top", "verdict at the top", "verdict"),
            Column("estimate_at_top", "effect [bpb]", "effect"),
            Column("cheapest", "cheapest rung that decides it"),
            Column("reason", "note", "long"),
        ),
    )
