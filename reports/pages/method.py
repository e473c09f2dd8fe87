"""What was measured how, at how many tokens, and how to ask the snapshot oneself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.blocks import Block, Column, Page, Prose, figure, query
from reports.pages.study import DESIGN_COLUMN

if TYPE_CHECKING:
    import duckdb

_STATISTICS = (
    "A block is one draw of all seeds (weights, order, sample), the same for every cell. An effect is the mean within-block "
    "difference; its interval comes from a paired t whose variance is moderated within the family. Verdicts: helps or hurts if q "
    "≤ .05 (Benjamini–Hochberg within the family), negligible if two one-sided tests place it within ±δ, else undetermined. "
    "Perplexity, nats per token and bits per byte are one measurement; bits per byte is shown because it compares across tokenizers."
)
_DRILL_DOWN = "SELECT * FROM effect_documents('{design}', '{contrast}') LIMIT 25"


def page(con: duckdb.DuckDBPyConnection) -> Page:
    """Make the page."""
    blocks: list[Block] = []
    budgets = query(con, "SELECT min(tokens) AS least, max(tokens) AS most FROM runs")[0]
    if budgets["most"] is not None:
        span = (
            f"{budgets['most']:,}"
            if budgets["least"] == budgets["most"]
            else f"{budgets['least']:,} to {budgets['most']:,}"
        )
        blocks += [
            Prose(
                f"All effects here were measured on small proxies trained on {span} tokens each. They hold at that budget, for these "
                "proxies and this held-out text; nothing here is a statement about language models in general."
            ),
            Prose(_STATISTICS),
            _budgets(con),
            *_documents_of_an_effect(con),
        ]
    blocks += [_facts(con), _dictionary(con)]
    return Page("method", "Method", tuple(blocks))


def _budgets(con: duckdb.DuckDBPyConnection) -> Block:
    return figure(
        con,
        "budgets",
        "What was trained",
        "Runs by study and proxy: how many, on how many tokens, where, and how much processor time they took.",
        "SELECT r.design_id, d.name, r.model, r.proxy_id, r.device, r.dtype, count(*) AS runs,\n"
        "  count(*) FILTER (r.status <> 'finished') AS diverged, count(DISTINCT r.block) AS blocks, min(r.tokens) AS least_tokens,\n"
        "  max(r.tokens) AS most_tokens, sum(r.train_cpu_s) AS train_cpu_s, median(r.tokens_per_cpu_s) AS tokens_per_cpu_s\n"
        "FROM runs r LEFT JOIN designs d USING (design_id) GROUP BY ALL ORDER BY r.design_id, r.model, r.proxy_id, r.device, r.dtype",
        (
            DESIGN_COLUMN,
            Column("name", "study"),
            Column("model", "proxy"),
            Column("proxy_id", "proxy id", "code"),
            Column("device", "device"),
            Column("dtype", "dtype"),
            Column("runs", "runs", "count"),
            Column("diverged", "diverged", "count"),
            Column("blocks", "blocks", "count"),
            Column("least_tokens", "tokens, least", "count"),
            Column("most_tokens", "tokens, most", "count"),
            Column("train_cpu_s", "processor time [s]", "number"),
            Column("tokens_per_cpu_s", "tokens per s (median)", "count"),
        ),
    )


def _documents_of_an_effect(con: duckdb.DuckDBPyConnection) -> tuple[Block, ...]:
    """Show the way from an effect to its documents, on a decision if there is one."""
    chosen = query(
        con,
        "SELECT e.design_id, e.contrast, e.slice FROM effects e JOIN slice_documents s USING (design_id, slice)\n"
        "ORDER BY e.family = 'decisions' DESC, e.design_id, e.contrast LIMIT 1",
    )
    if not chosen:
        return ()
    row = chosen[0]
    found = figure(
        con,
        "effect-documents",
        f"From an effect to its documents: {row['contrast']}",
        f"The first documents of the slice “{row['slice']}” that this effect speaks of, and the decision on each.",
        _DRILL_DOWN.format(design=row["design_id"].replace("'", "''"), contrast=row["contrast"].replace("'", "''")),
        (
            Column("doc_id", "document", "code"),
            Column("source", "source"),
            Column("place", "address or file"),
            Column("lang", "language"),
            Column("split", "split"),
            Column("kept", "kept"),
            Column("failed_rules", "reasons"),
            Column("leader", "repeats", "code"),
            Column("similarity", "similarity", "number"),
            Column("n_tokens", "tokens", "count"),
        ),
    )
    return (found,)


def _facts(con: duckdb.DuckDBPyConnection) -> Block:
    return figure(
        con,
        "facts",
        "Recipe",
        "What the corpus was curated by; the whole recipe lies in recipe.json of the workspace.",
        "SELECT * FROM workspace_info ORDER BY rowid",
        (Column("name", "fact"), Column("value", "value", "code")),
    )


def _dictionary(con: duckdb.DuckDBPyConnection) -> Block:
    return figure(
        con,
        "dictionary",
        "Tables of the snapshot",
        "Everything in this report can be asked of the DuckDB file beside it (its name is in CURRENT); every table and column is commented.",
        "SELECT table_name AS name, 'table' AS kind, comment FROM duckdb_tables() WHERE NOT internal\n"
        "UNION ALL SELECT view_name, 'view', comment FROM duckdb_views() WHERE NOT internal\n"
        "UNION ALL SELECT function_name, 'macro', comment FROM duckdb_functions() WHERE NOT internal ORDER BY kind, name",
        (Column("name", "name", "code"), Column("kind", "kind"), Column("comment", "what it holds")),
    )
