"""Decisions: keep, relax, or how many more blocks would tell; with the utility over targets and what each costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.blocks import Block, Column, Page, Prose, Row, Spec, figure, query
from reports.charts import intervals
from reports.pages.study import DESIGN_COLUMN, no_study, void_banners

if TYPE_CHECKING:
    import duckdb


def page(con: duckdb.DuckDBPyConnection) -> Page:
    """Make the page."""
    if empty := no_study(con):
        return Page("decisions", "Decisions", (empty,))
    if not query(con, "SELECT 1 FROM recommendations LIMIT 1"):
        text = "No study of this workspace asked about a curation decision, or `mixtrace effects` was not run yet."
        return Page("decisions", "Decisions", (Prose(text),))
    intro = Prose(
        "Keep: training on what the decision drops raises the loss. Relax: it lowers the loss. Either: the effect was shown to be "
        "negligible, so that tokens and cost decide. Undecided: neither was shown; the number of further blocks is what would decide it with 80 % "
        "power if the effect is as estimated – an estimate near ±δ is never decided. “Utility” is the weighted mean over all targets. "
        "“Sign” says whether the effect keeps its sign at a third of the learning rate and on twice the tokens."
    )
    return Page("decisions", "Decisions", (*void_banners(con), intro, _decisions(con)))


def _decisions(con: duckdb.DuckDBPyConnection) -> Block:
    def draw(rows: tuple[Row, ...]) -> tuple[Spec, ...]:
        named = [{**row, "what": f"{row['decision']} on {row['target']}"} for row in rows]
        axis = "bits per byte when the dropped text is trained on (positive = dropping it helps)"
        shown = [row for row in named if row["estimate"] is not None]
        return (
            (intervals(shown, "what", "estimate", "effect of what is dropped, 95 % over new seeds", axis),)
            if shown
            else ()
        )

    return figure(
        con,
        "decisions-table",
        "What to do about each decision",
        "One row per decision and held-out target, the utility over all targets first.",
        "SELECT * FROM decision_table",
        (
            DESIGN_COLUMN,
            Column("decision", "decision to drop"),
            Column("target", "held-out target"),
            Column("weight", "weight in the utility", "share"),
            Column("answer", "answer", "verdict"),
            Column("reason", "why", "long"),
            Column("more_blocks", "more blocks", "count"),
            Column("more_tokens", "their training tokens", "count"),
            Column("estimate", "effect [bpb]", "effect"),
            Column("lo", "95 % from", "effect"),
            Column("hi", "to", "effect"),
            Column("documents_lo", "new documents, too: from", "effect"),
            Column("documents_hi", "to", "effect"),
            Column("sign", "sign"),
            Column("sign_at_lower_rate", "at lr/3"),
            Column("sign_at_more_tokens", "on 2x tokens"),
            Column("dropped_documents", "documents that it drops", "count"),
            Column("dropped_tokens", "tokens that it drops", "count"),
        ),
        draw,
    )
