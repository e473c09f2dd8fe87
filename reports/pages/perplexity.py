"""What every contrast does to bits per byte on every held-out target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.blocks import Block, Page, Prose, Row, Spec, figure, query
from reports.charts import heat_map, intervals
from reports.pages.study import EFFECT_COLUMNS, SIGN, no_study

if TYPE_CHECKING:
    import duckdb

_HOW = (
    "Grey = undetermined: neither a difference nor its absence could be shown. Intervals are 95 %, over new seeds on this held-out "
    "text; q is corrected for all tests of a family. At equal tokens the gap that a slice leaves is filled by the others, so other "
    "targets gain by dilution alone: the table gives that predicted part beside each effect. Removing a slice hurts its own "
    "target by construction. Rules are judged on unfiltered held-out text, which the rule under test did not filter."
)


def page(con: duckdb.DuckDBPyConnection) -> Page:
    """Make the page."""
    if empty := no_study(con):
        return Page("perplexity", "Perplexity", (empty,))
    groups = query(
        con,
        "SELECT e.design_id, d.name, method FROM effects e JOIN designs d USING (design_id) WHERE metric = 'bpb' AND method NOT IN ('ekfac', 'tracin')\n"
        "GROUP BY d.design_order, e.design_id, d.name, method ORDER BY d.design_order, method DESC",
    )
    matrices = [_matrix(con, number, group) for number, group in enumerate(groups)]
    return Page("perplexity", "Perplexity", (Prose(SIGN), Prose(_HOW), *matrices, _decisions(con)))


def _matrix(con: duckdb.DuckDBPyConnection, number: int, group: Row) -> Block:
    def draw(rows: tuple[Row, ...]) -> tuple[Spec, ...]:
        return (heat_map(rows, "target", "cell", "estimate", "effect on bits per byte"),)

    return figure(
        con,
        f"effects-{number}",
        f"Contrast × held-out target: study “{group['name']}”, {group['method']}",
        "Change of bits per byte on each held-out target (columns) under each contrast (rows): blue = the slice helps there, "
        "orange = it hurts (for a decision: blue = dropping was right), pale = negligible, grey = undetermined.",
        "SELECT *, treatment || CASE WHEN population = 'kept' THEN '' ELSE ' (' || population || ')' END AS cell\n"
        f"FROM effect_table WHERE metric = 'bpb' AND design_id = '{group['design_id']}' AND method = '{group['method']}'\n"
        "ORDER BY contrast_order, target_order",
        EFFECT_COLUMNS,
        draw,
    )


def _decisions(con: duckdb.DuckDBPyConnection) -> Block:
    def draw(rows: tuple[Row, ...]) -> tuple[Spec, ...]:
        return (
            intervals(
                rows,
                "contrast",
                "estimate",
                "effect of adding dropped text",
                "bits per byte (positive = adding it is worse)",
            ),
        )

    return figure(
        con,
        "decision-effects",
        "Decisions of curation",
        "What swapping in dropped documents does, on held-out text: each dot is an estimate, each line its 95 % interval; the verdict "
        "speaks of the decision (helps = dropping was right).",
        "SELECT * FROM effect_table WHERE family = 'decisions' AND metric = 'bpb' AND method NOT IN ('law', 'ekfac', 'tracin') ORDER BY design_id, contrast_order, population",
        EFFECT_COLUMNS,
        draw,
    )
