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
        "SELECT e.design_id, d.name, method, population FROM effects e JOIN designs d USING (design_id)\n"
        "WHERE metric = 'bpb' GROUP BY d.design_order, e.design_id, d.name, method, population\n"
        "ORDER BY d.design_order, method DESC, population DESC",
    )
    matrices = [_matrix(con, number, group) for number, group in enumerate(groups)]
    return Page("perplexity", "Perplexity", (Prose(SIGN), Prose(_HOW), *matrices, _decisions(con)))


def _matrix(con: duckdb.DuckDBPyConnection, number: int, group: Row) -> Block:
    def draw(rows: tuple[Row, ...]) -> tuple[Spec, ...]:
        return (heat_map(rows, "target", "contrast", "estimate", "effect on bits per byte"),)

    return figure(
        con,
        f"effects-{number}",
        f"Contrast × held-out target: {group['population']} documents, {group['method']}, study “{group['name']}”",
        "Change of bits per byte on each held-out target (columns) under each contrast (rows): blue = the slice or decision "
        "helps there, orange = it hurts, pale = negligible, grey = undetermined.",
        "SELECT * FROM effect_table\n"
        f"WHERE metric = 'bpb' AND design_id = '{group['design_id']}' AND method = '{group['method']}'\n"
        f"  AND population = '{group['population']}' ORDER BY contrast_order, target",
        EFFECT_COLUMNS,
        draw,
    )


def _decisions(con: duckdb.DuckDBPyConnection) -> Block:
    def draw(rows: tuple[Row, ...]) -> tuple[Spec, ...]:
        return (
            intervals(
                rows,
                "label",
                "estimate",
                "effect of each decision's contrast",
                "bits per byte, treatment − baseline",
            ),
        )

    return figure(
        con,
        "decision-effects",
        "Decisions of curation",
        "What swapping in dropped documents does, on held-out text that no rule filtered: each dot is an estimate, each line its "
        "95 % interval.",
        "SELECT *, contrast || ' → ' || target AS label FROM effect_table\n"
        "WHERE family = 'decisions' AND metric = 'bpb' AND population = 'unfiltered' ORDER BY design_id, contrast_order, target",
        EFFECT_COLUMNS,
        draw,
    )
