"""Slices of the corpus, and the mixtures that the study trained on: weights, tokens, epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.blocks import Block, Column, Page, Prose, Row, Spec, figure, query
from reports.charts import stacked_bars
from reports.pages.study import DESIGN_COLUMN, no_study, slice_colours

if TYPE_CHECKING:
    import duckdb


def page(con: duckdb.DuckDBPyConnection) -> Page:
    """Make the page."""
    if empty := no_study(con):
        return Page("mixtures", "Mixtures", (empty,))
    intro = Prose(
        "A slice is a set of documents that an SQL predicate selects; a decision of curation is a slice, too. Slices may "
        "overlap, so weights lie on atoms: the disjoint pieces into which the slices cut the corpus (shown here summed by slice; "
        "each atom is in the table mixture_weights). Equal tokens are not equal bytes: both are shown."
    )
    designs = query(con, "SELECT design_id, name FROM designs ORDER BY design_order")
    return Page(
        "mixtures",
        "Mixtures",
        (intro, _slices(con), *(_weights(con, i, row) for i, row in enumerate(designs))),
    )


def _slices(con: duckdb.DuckDBPyConnection) -> Block:
    return figure(
        con,
        "slices",
        "Slices",
        "The slices of the study: their predicate over all documents, and the documents, tokens and text that they hold.",
        "SELECT s.*, s.bytes / nullif(s.tokens, 0) AS bytes_per_token, f.found_documents, f.kept_documents FROM slices s\n"
        "LEFT JOIN (SELECT design_id, slice, count(*) AS found_documents, count(*) FILTER (kept) AS kept_documents\n"
        "  FROM slice_documents JOIN decisions USING (doc_id) GROUP BY design_id, slice) f USING (design_id, slice) ORDER BY s.rowid",
        (
            DESIGN_COLUMN,
            Column("slice", "slice"),
            Column("kind", "kind"),
            Column("description", "what it is"),
            Column("where_sql", "predicate", "code"),
            Column("found_documents", "documents", "count"),
            Column("kept_documents", "of them kept", "count"),
            Column("tokens", "tokens", "count"),
            Column("bytes", "text", "bytes"),
            Column("bytes_per_token", "bytes per token", "number"),
        ),
    )


def _weights(con: duckdb.DuckDBPyConnection, number: int, design: Row) -> Block:
    def draw(rows: tuple[Row, ...]) -> tuple[Spec, ...]:
        drawn = [row for row in rows if row["weight"] > 0]
        names = {row["slice"] for row in drawn}
        palette = {name: colour for name, colour in slice_colours(con).items() if name in names}
        return (stacked_bars(drawn, "cell", "weight", "slice", palette, "share of the training tokens", ".3f"),)

    return figure(
        con,
        f"mixtures-{number}",
        f"Mixtures of the study “{design['name']}”",
        "What every cell was trained on: the share of each slice, its tokens and text, and how often each token was seen.",
        "SELECT cell, role, slice, sum(weight) AS weight, sum(planned_tokens)::BIGINT AS planned_tokens,\n"
        "  sum(drawn_tokens)::BIGINT AS drawn_tokens, sum(drawn_bytes)::BIGINT AS drawn_bytes,\n"
        "  sum(drawn_tokens) / nullif(sum(pool_tokens), 0) AS mean_epochs, max(epochs) AS most_epochs\n"
        f"FROM mixture_table WHERE design_id = '{design['design_id']}'\n"
        "GROUP BY cell_order, cell, role, slice HAVING weight > 0 ORDER BY cell_order, slice",
        (
            Column("cell", "cell"),
            Column("role", "role"),
            Column("slice", "slice"),
            Column("weight", "weight", "share"),
            Column("planned_tokens", "planned tokens", "count"),
            Column("drawn_tokens", "drawn tokens (block 0)", "count"),
            Column("drawn_bytes", "their text", "bytes"),
            Column("mean_epochs", "epochs", "number"),
            Column("most_epochs", "most epochs of an atom", "number"),
        ),
        draw,
    )
