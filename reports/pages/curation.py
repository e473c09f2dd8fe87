"""What curation did with every record and every document, per source, by first reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.blocks import Block, Column, Page, Prose, Row, Spec, figure
from reports.charts import bars, outcome_colours, stacked_bars

if TYPE_CHECKING:
    import duckdb

_SHOWN_REASONS = 7


def page(con: duckdb.DuckDBPyConnection) -> Page:
    """Make the page."""
    blocks: tuple[Block, ...] = (
        Prose(
            "Every record that was read is a document, something else (a request, a blank line), or a dead letter. Every "
            "document is kept or dropped; of several reasons the first in the order of the recipe counts here, so the "
            "bars add up. Dropped documents stay in the workspace with their text, tokens and reasons."
        ),
        _funnel(con),
        _sources(con),
        _rules(con),
        _accounts(con),
        _dead_letters(con),
    )
    return Page("curation", "Curation", blocks)


def _funnel(con: duckdb.DuckDBPyConnection) -> Block:
    return figure(
        con,
        "funnel",
        "What became of the documents",
        "Documents and text bytes of every source: kept, or dropped for which first reason.",
        "SELECT f.* FROM funnel f JOIN sources s USING (source)\nORDER BY s.position, f.outcome = 'kept' DESC, f.documents DESC, f.outcome",
        (
            Column("source", "source"),
            Column("outcome", "outcome"),
            Column("documents", "documents", "count"),
            Column("document_frac", "of its documents", "share"),
            Column("text_bytes", "text", "bytes"),
            Column("byte_frac", "of its bytes", "share"),
        ),
        draw_funnel,
    )


def draw_funnel(rows: tuple[Row, ...]) -> tuple[Spec, ...]:
    """Draw documents and bytes by first reason; the rarest reasons together as "other reasons"."""
    totals: dict[str, int] = {}
    for row in rows:
        totals[row["outcome"]] = totals.get(row["outcome"], 0) + row["documents"]
    reasons = sorted((name for name in totals if name != "kept"), key=lambda name: (-totals[name], name))
    shown = {"kept", *reasons[:_SHOWN_REASONS]}
    sums: dict[tuple[str, str], Row] = {}
    for row in rows:
        outcome = row["outcome"] if row["outcome"] in shown else "other reasons"
        piece = sums.setdefault(
            (row["source"], outcome),
            {"source": row["source"], "outcome": outcome, "documents": 0, "text_bytes": 0},
        )
        piece["documents"] += row["documents"]
        piece["text_bytes"] += row["text_bytes"]
    pieces = [
        "kept",
        *reasons[:_SHOWN_REASONS],
        *(["other reasons"] if len(reasons) > _SHOWN_REASONS else []),
    ]
    palette = outcome_colours(pieces)
    drawn = list(sums.values())
    return (
        stacked_bars(drawn, "source", "documents", "outcome", palette, "documents"),
        stacked_bars(drawn, "source", "text_bytes", "outcome", palette, "text bytes"),
    )


def _sources(con: duckdb.DuckDBPyConnection) -> Block:
    return figure(
        con,
        "sources",
        "Sources",
        "What was read from every source, what was kept of it, and under which licence it came.",
        "SELECT * FROM source_totals",
        (
            Column("source", "source"),
            Column("format", "format"),
            Column("license", "licence"),
            Column("documents", "documents", "count"),
            Column("kept_documents", "kept", "count"),
            Column("text_bytes", "text", "bytes"),
            Column("kept_bytes", "kept text", "bytes"),
            Column("kept_tokens", "kept tokens", "count"),
            Column("heldout_tokens", "of them held out", "count"),
            Column("dead_letters", "dead letters", "count"),
        ),
    )


def _rules(con: duckdb.DuckDBPyConnection) -> Block:
    return figure(
        con,
        "rules",
        "Rules",
        "What every rule drops, and what it alone drops: the latter would come back if only that rule were switched off.",
        "SELECT * FROM rule_effects",
        (
            Column("rule", "rule"),
            Column("bound", "passes if", "code"),
            Column("documents", "documents failing", "count"),
            Column("first_documents", "as first reason", "count"),
            Column("only_documents", "failing only this", "count"),
            Column("only_bytes", "their text", "bytes"),
        ),
        lambda rows: (bars(rows[:10], "rule", "only_documents", "documents that fail only this rule", "#E69F00"),),
    )


def _accounts(con: duckdb.DuckDBPyConnection) -> Block:
    return figure(
        con,
        "accounts",
        "Every record is accounted for",
        "Records read, by what became of them; the rows add up to all records.",
        "SELECT outcome, records, records / sum(records) OVER () AS record_frac FROM accounts",
        (
            Column("outcome", "outcome"),
            Column("records", "records", "count"),
            Column("record_frac", "of all records", "share"),
        ),
    )


def _dead_letters(con: duckdb.DuckDBPyConnection) -> Block:
    found = figure(
        con,
        "dead-letters",
        "Dead letters",
        "Records that could not be read, decoded or extracted: each cost one record, never a batch.",
        "SELECT * FROM dead_letter_summary",
        (
            Column("source", "source"),
            Column("stage", "stage"),
            Column("error", "error"),
            Column("records", "records", "count"),
            Column("lost_bytes", "lost", "bytes"),
            Column("example", "first one", "code"),
            Column("message", "message"),
        ),
    )
    return found if found.rows else Prose("No dead letters: every record could be read.")
