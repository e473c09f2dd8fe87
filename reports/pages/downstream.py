"""Tasks: what each metric is worth, effects with intervals, scores by cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.blocks import Block, Column, Page, Prose, Row, Spec, figure, query
from reports.charts import bars, colours, intervals
from reports.level_charts import levels
from reports.pages.study import EFFECT_COLUMNS, no_study

if TYPE_CHECKING:
    import duckdb

INTRO = (
    "Continuation choice asks which of four continuations is the true one of a held-out document; cloze asks for the last word of "
    "a sentence in the same way; the others come from the same slice, have the same length and belong to other components, and no "
    "model chose them. Minimal pairs are two sentences that differ in one point of grammar. What decides is the margin per byte "
    "(best other minus right choice; positive is right), or bits per byte of the right answer where there are no others; accuracy "
    "is shown for orientation only. For margins higher is better: a negative effect says that the margin shrank."
)
NO_TASKS = (
    "The studies of this workspace name no tasks. `tasks: [pairs_en, pairs_zh, cloze, lambada]` in a design lets every run answer "
    "them at its end."
)
GREY = "#9AA2AE"
_GRADES = """
SELECT m.design_id, d.name, m.metric || ' on ' || m.target || CASE WHEN m.population = 'unfiltered' THEN ' (unfiltered)' ELSE '' END
  AS label, m.metric, m.target, m.population, m.direction, m.chance, m.value, m.signal, m.noise, m.snr, m.snr_of_noise, m.cells,
  m.n_blocks, m.items, m.components, m.decision_grade, CASE WHEN m.decision_grade THEN 'may rank' ELSE 'display only' END AS grade,
  m.reason
FROM metrics m JOIN designs d USING (design_id)
ORDER BY d.design_order, m.decision_grade DESC, m.snr DESC NULLS LAST, label
"""
_LEVELS = """
SELECT c.design_id, c.cell, c.metric, c.target, c.value, c.lo, c.hi, c.n_blocks, m.chance, m.items, m.decision_grade
FROM cell_metrics c JOIN metrics m USING (design_id, metric, target, population)
LEFT JOIN (SELECT design_id, cell, min(rowid) AS cell_order FROM cells GROUP BY design_id, cell) o USING (design_id, cell)
WHERE c.population = 'items' AND (m.metric IN ('margin', 'total_margin') OR m.target = 'lambada' AND m.metric = 'gold_bpb')
ORDER BY c.design_id, m.metric, c.target, coalesce(o.cell_order, -1), c.cell
"""
_FINETUNED = """
SELECT design_id, run_id, task, start, coalesce(class, 'all (macro)') AS class, any_value(passages) AS passages, count(*) AS seeds,
  avg(accuracy) AS accuracy, any_value(chance) AS chance, avg("precision") AS "precision", avg(recall) AS recall, avg(f1) AS f1
FROM finetune_scores GROUP BY design_id, run_id, task, start, finetune_scores.class
ORDER BY design_id, run_id, task, start, finetune_scores.class NULLS FIRST
"""
_LEVEL_COLUMNS = (
    Column("cell", "cell"),
    Column("metric", "metric"),
    Column("target", "task"),
    Column("value", "mean over blocks [bpb]", "effect"),
    Column("lo", "95 % from", "effect"),
    Column("hi", "to", "effect"),
    Column("n_blocks", "blocks", "count"),
    Column("items", "items", "count"),
    Column("decision_grade", "may rank"),
)
_CHOICE_COLUMNS = (
    Column("cell", "cell"),
    Column("model", "proxy"),
    Column("target", "held-out target"),
    Column("items", "items", "count"),
    Column("runs", "runs", "count"),
    Column("mean_margin_bpb", "mean margin [bpb]", "effect"),
    Column("accuracy_frac", "accuracy", "share"),
)
_PART_COLUMNS = (
    Column("cell", "cell"),
    Column("model", "proxy"),
    Column("task", "task"),
    Column("part", "part"),
    Column("items", "items", "count"),
    Column("runs", "runs", "count"),
    Column("margin_bpb", "margin [bpb]", "effect"),
    Column("gold_bpb", "right answer [bpb]", "number"),
    Column("accuracy_frac", "accuracy", "share"),
)


def page(con: duckdb.DuckDBPyConnection) -> Page:
    """Make the page."""
    if empty := no_study(con):
        return Page("downstream", "Downstream", (empty,))
    blocks: list[Block] = [Prose(INTRO), _grades(con), _effects(con)]
    if query(con, "SELECT 1 FROM task_item_scores LIMIT 1"):
        blocks += [_levels(con), _parts(con)]
    else:
        blocks.append(Prose(NO_TASKS))
    if query(con, "SELECT 1 FROM finetune_scores LIMIT 1"):
        blocks.append(_finetuned(con))
    return Page("downstream", "Downstream", (*blocks, _choice(con)))


def _grades(con: duckdb.DuckDBPyConnection) -> Block:
    """Show signal-to-noise ratios; what may not rank mixtures is grey, with the reason."""

    def draw(rows: tuple[Row, ...]) -> tuple[Spec, ...]:
        several = len({row["design_id"] for row in rows}) > 1
        named = [{**row, "label": f"{row['name']}: {row['label']}" if several else row["label"]} for row in rows]
        good = [row for row in named if row["decision_grade"]]
        others = [row for row in named if not row["decision_grade"] and row["snr"] is not None]
        charts = []
        if good:
            charts.append(bars(good, "label", "snr", "signal-to-noise ratio: may rank mixtures"))
        if others:
            charts.append(bars(others, "label", "snr", "signal-to-noise ratio: display only", GREY))
        return tuple(charts)

    return figure(
        con,
        "metric-grades",
        "What each metric is worth",
        "Signal: the largest difference between two cells' means. Noise: the sd of the seeds. From a ratio of 5 on a metric may rank "
        "mixtures; accuracies never may. The ratio of noise is what so many cells and blocks give about when no cell differs.",
        _GRADES,
        (
            Column("metric", "metric"),
            Column("target", "target or task"),
            Column("population", "documents"),
            Column("direction", "better"),
            Column("chance", "chance", "number"),
            Column("value", "baseline", "number"),
            Column("snr", "SNR", "number"),
            Column("snr_of_noise", "SNR of noise", "number"),
            Column("cells", "cells", "count"),
            Column("n_blocks", "blocks", "count"),
            Column("items", "items", "count"),
            Column("components", "components", "count"),
            Column("grade", "grade"),
            Column("reason", "reason", "long"),
        ),
        draw,
    )


def _effects(con: duckdb.DuckDBPyConnection) -> Block:
    def draw(rows: tuple[Row, ...]) -> tuple[Spec, ...]:
        title = "bits per byte, treatment − baseline"
        kinds = (("effect on margins", False), ("effect on bits per byte of the right answer", True))
        chosen = [(name, [row for row in rows if (row["metric"] == "gold_bpb") is loss]) for name, loss in kinds]
        return tuple(intervals(some, "contrast", "estimate", name, title) for name, some in chosen if some)

    return figure(
        con,
        "downstream-effects",
        "Effects on tasks",
        "Change of a margin, or of the bits of the right answer, under each contrast: each dot is an estimate, each line its 95 % "
        "interval.",
        "SELECT * FROM effect_table WHERE family = 'downstream'\n"
        "ORDER BY design_id, method DESC, contrast_order, target_order",
        EFFECT_COLUMNS,
        draw,
    )


def _levels(con: duckdb.DuckDBPyConnection) -> Block:
    def draw(rows: tuple[Row, ...]) -> tuple[Spec, ...]:
        palette = colours(row["cell"] for row in rows)
        margins = [row for row in rows if row["metric"] != "gold_bpb"]
        return (
            levels(
                margins,
                "target",
                "value",
                "cell",
                palette,
                "margin by task and cell",
                "bits per byte; positive is right",
            ),
        )

    return figure(
        con,
        "task-levels",
        "Tasks by cell",
        "Mean margin of every cell on every task with its 95 % interval over seeds. By chance a margin over several others is below "
        "0: compare cells with cells.",
        _LEVELS,
        _LEVEL_COLUMNS,
        draw,
    )


def _parts(con: duckdb.DuckDBPyConnection) -> Block:
    return figure(
        con,
        "task-parts",
        "Phenomena and targets",
        "Every part of every task by cell: phenomena of grammar, targets of cloze. Accuracy is for display.",
        "SELECT * FROM task_table",
        _PART_COLUMNS,
    )


def _choice(con: duckdb.DuckDBPyConnection) -> Block:
    return figure(
        con,
        "choice-scores",
        "Continuation choice by cell",
        "Mean margin and accuracy of every cell on the questions of every target (chance is 25 %).",
        "SELECT * FROM choice_table",
        _CHOICE_COLUMNS,
    )


def _finetuned(con: duckdb.DuckDBPyConnection) -> Block:
    return figure(
        con,
        "finetune-scores",
        "Fine-tuned on labels",
        "A linear head on a run, all weights trained, asked about held-out documents; beside it the same from weights drawn anew. "
        "Means over seeds; of all classes, precision, recall and F1 are means over classes. For display.",
        _FINETUNED,
        (
            Column("run_id", "run", "code"),
            Column("task", "labels"),
            Column("start", "start"),
            Column("class", "class"),
            Column("passages", "passages", "count"),
            Column("seeds", "seeds", "count"),
            Column("accuracy", "accuracy", "number"),
            Column("chance", "largest class", "number"),
            Column("precision", "precision", "number"),
            Column("recall", "recall", "number"),
            Column("f1", "F1", "number"),
        ),
    )
