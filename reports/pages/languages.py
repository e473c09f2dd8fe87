"""Languages of the documents, by source, before and after the decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.blocks import Block, Column, Page, Prose, Row, Spec, figure, query
from reports.charts import bars, colours, stacked_bars

if TYPE_CHECKING:
    import duckdb

_SHOWN_LANGUAGES = 15


def page(con: duckdb.DuckDBPyConnection) -> Page:
    """Make the page."""
    sources = [row["source"] for row in query(con, "SELECT source FROM sources ORDER BY position")]

    def draw(rows: tuple[Row, ...]) -> tuple[Spec, ...]:
        shown = list(dict.fromkeys(row["lang"] for row in rows))[:_SHOWN_LANGUAGES]
        drawn = [row for row in rows if row["lang"] in shown]
        palette = colours(sources)
        return (
            stacked_bars(drawn, "lang", "text_bytes", "source", palette, "text bytes read"),
            stacked_bars(drawn, "lang", "kept_bytes", "source", palette, "text bytes kept"),
        )

    found: Block = figure(
        con,
        "languages-table",
        "Languages by source",
        "Text by most likely language and source, as read and as kept; the fifteen languages with most text are drawn.",
        "SELECT l.*, sum(text_bytes) OVER (PARTITION BY lang) AS all_bytes FROM languages l JOIN sources s USING (source)\n"
        "ORDER BY all_bytes DESC, lang, s.position",
        (
            Column("lang", "language"),
            Column("source", "source"),
            Column("documents", "documents", "count"),
            Column("kept_documents", "kept", "count"),
            Column("text_bytes", "text", "bytes"),
            Column("kept_bytes", "kept text", "bytes"),
            Column("mean_score", "mean score", "number"),
        ),
        draw,
    )
    intro = Prose(
        "The language of a document is the most likely label of the lid.176 model; und means that nothing is known."
    )
    return Page("languages", "Languages", (intro, found, _fertility(con)))


def _fertility(con: duckdb.DuckDBPyConnection) -> Block:
    """Show what the tokenizer makes of each language."""

    def draw(rows: tuple[Row, ...]) -> tuple[Spec, ...]:
        title = "bytes of text per token (more is cheaper)"
        return (bars(rows[:_SHOWN_LANGUAGES], "lang", "bytes_per_token", title),)

    return figure(
        con,
        "fertility",
        "What a token holds, by language",
        "Measured on kept documents drawn by hash, the language with most text first. Equal tokens are not equal text: a "
        "language with half the bytes per token costs twice the training for the same text.",
        "SELECT * FROM fertility ORDER BY text_bytes DESC, lang",
        (
            Column("lang", "language"),
            Column("documents", "documents", "count"),
            Column("text_bytes", "text", "bytes"),
            Column("tokens", "tokens", "count"),
            Column("bytes_per_token", "bytes per token", "number"),
            Column("tokens_per_word", "tokens per word", "number"),
        ),
        draw,
    )
