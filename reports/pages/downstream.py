"""Effects on downstream tasks, with intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.blocks import Column, Page, Prose, Row, Spec, figure
from reports.charts import intervals
from reports.pages.study import EFFECT_COLUMNS, no_study

if TYPE_CHECKING:
    import duckdb


def page(con: duckdb.DuckDBPyConnection) -> Page:
    """Make the page."""
    if empty := no_study(con):
        return Page("downstream", "Downstream", (empty,))
    intro = Prose(
        "The task: which of four continuations is the true one of a held-out document? The three others come from the same "
        "slice, have the same length and belong to other components; no model chose them. What decides is the margin per byte "
        "(best other minus true continuation; positive is right), paired by item; accuracy is shown for orientation only, as 300 "
        "items resolve no less than about 7 points. Here higher is better: a negative effect says that the margin shrank."
    )

    def draw(rows: tuple[Row, ...]) -> tuple[Spec, ...]:
        return (
            intervals(
                rows,
                "contrast",
                "estimate",
                "effect on the margin",
                "bits per byte of margin, treatment − baseline",
            ),
        )

    effects = figure(
        con,
        "downstream-effects",
        "Effects on the margin",
        "Change of the margin of the true continuation under each contrast: each dot is an estimate, each line its 95 % interval.",
        "SELECT * FROM effect_table WHERE metric = 'choice_margin'\n"
        "ORDER BY design_id, method DESC, contrast_order, target_order",
        EFFECT_COLUMNS,
        draw,
    )
    scores = figure(
        con,
        "choice-scores",
        "Scores by cell",
        "Mean margin and accuracy of every cell on the questions of every target (chance is 25 %).",
        "SELECT * FROM choice_table",
        (
            Column("cell", "cell"),
            Column("model", "proxy"),
            Column("target", "held-out target"),
            Column("items", "items", "count"),
            Column("runs", "runs", "count"),
            Column("mean_margin_bpb", "mean margin [bpb]", "effect"),
            Column("accuracy_frac", "accuracy", "share"),
        ),
    )
    return Page("downstream", "Downstream", (intro, effects, scores))
