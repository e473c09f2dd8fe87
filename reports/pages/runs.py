"""Every run of the study: what it trained, on what, how fast, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.blocks import Block, Column, Page, Prose, Row, Spec, figure, query
from reports.charts import colours, curves
from reports.pages.study import no_study

if TYPE_CHECKING:
    import duckdb


NO_SAMPLES = "No run has written samples: `mixtrace model generate RUN --save` lets one continue held-out documents."


def page(con: duckdb.DuckDBPyConnection) -> Page:
    """Make the page."""
    if empty := no_study(con):
        return Page("runs", "Runs", (empty,))
    samples = _samples(con) if query(con, "SELECT 1 FROM samples LIMIT 1") else (Prose(NO_SAMPLES),)
    return Page("runs", "Runs", (_runs(con), _curves(con), *samples))


def _runs(con: duckdb.DuckDBPyConnection) -> Block:
    return figure(
        con,
        "run-table",
        "All runs",
        "One row per run; a run that diverged is an outcome and stays in the table. Held-out bits per byte are means over targets.",
        "SELECT * FROM run_table",
        (
            Column("run_id", "run", "code"),
            Column("cell", "cell"),
            Column("block", "block", "count"),
            Column("model", "proxy"),
            Column("status", "status"),
            Column("tokens", "tokens", "count"),
            Column("kept_bpb", "held-out bpb, kept", "number"),
            Column("unfiltered_bpb", "held-out bpb, unfiltered", "number"),
            Column("train_nats_per_token", "training loss [nats per token]", "number"),
            Column("train_cpu_s", "processor time [s]", "number"),
            Column("tokens_per_cpu_s", "tokens per s", "count"),
            Column("device", "device"),
            Column("dtype", "dtype"),
            Column("compiled", "compiled"),
        ),
    )


def _curves(con: duckdb.DuckDBPyConnection) -> Block:
    def draw(rows: tuple[Row, ...]) -> tuple[Spec, ...]:
        palette = colours(row["cell"] for row in rows)
        return (
            curves(
                rows,
                "train_tokens",
                "train_nats_per_token",
                "run_id",
                "cell",
                palette,
                "training loss [nats per token]",
            ),
        )

    return figure(
        con,
        "training-curves",
        "Training loss",
        "Loss on the training stream by tokens seen, one line per run, coloured by cell.",
        "SELECT c.run_id, r.cell, r.block, c.train_tokens, c.train_nats_per_token\n"
        "FROM curves c JOIN run_table r USING (run_id) ORDER BY r.cell_order, r.block, c.run_id, c.train_tokens",
        (
            Column("run_id", "run", "code"),
            Column("cell", "cell"),
            Column("block", "block", "count"),
            Column("train_tokens", "tokens", "count"),
            Column("train_nats_per_token", "loss [nats per token]", "number"),
        ),
        draw,
    )


def _samples(con: duckdb.DuckDBPyConnection) -> tuple[Block, ...]:
    texts = figure(
        con,
        "samples",
        "Samples",
        "Beginnings of held-out documents, what a run made of them, and how they really go on. For people to look at.",
        "SELECT * FROM samples ORDER BY design_id, run_id, target, doc_id",
        (
            Column("run_id", "run", "code"),
            Column("target", "target"),
            Column("prompt", "given", "long"),
            Column("continuation", "written", "long"),
            Column("reference", "there", "long"),
            Column("sampling", "sampling"),
            Column("doc_id", "document", "code"),
        ),
    )
    scores = figure(
        con,
        "sample-scores",
        "BLEU and ROUGE of the samples",
        "How much of the references the samples hold, by words, or by characters where no spaces are written. Never in a verdict.",
        "SELECT * FROM sample_scores ORDER BY design_id, run_id, target",
        (
            Column("run_id", "run", "code"),
            Column("target", "target"),
            Column("samples", "samples", "count"),
            Column("units", "units"),
            Column("bleu", "BLEU", "number"),
            Column("rouge1", "ROUGE-1", "number"),
            Column("rouge2", "ROUGE-2", "number"),
            Column("rougeL", "ROUGE-L", "number"),
            Column("direction", "better"),
            Column("reason", "grade", "long"),
        ),
    )
    return texts, scores
