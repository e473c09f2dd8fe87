"""Controls: what must be zero is zero, what must hurt hurts, and how small an effect could be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.blocks import Block, Column, Page, Prose, Row, figure, query
from reports.charts import intervals
from reports.pages.study import DESIGN_COLUMN, no_study, void_banners

if TYPE_CHECKING:
    import duckdb


def page(con: duckdb.DuckDBPyConnection) -> Page:
    """Make the page."""
    if empty := no_study(con):
        return Page("controls", "Controls", (empty,))
    intro = Prose(
        "The sham redraws a share of the training slots from the same mixture: its true effect is zero, at a perturbation as "
        "large as that of a real contrast. The shuffle destroys the order of tokens in as many slots: it must hurt. The canary plants "
        "made-up facts in a small share of them: their own test must improve, and no other score may move by more than what counts as negligible. If "
        "either fails, the study is void."
    )
    return Page(
        "controls",
        "Controls",
        (*void_banners(con), trust(con), intro, _controls(con), *_looks(con), _power(con), _noise(con)),
    )


def trust(con: duckdb.DuckDBPyConnection) -> Block:
    """Ask of every study, in order, whether it can be trusted."""
    return figure(
        con,
        "trust",
        "Can this study be trusted?",
        "In the order of asking: is the proxy good enough, do the controls hold, how noisy is it, and what could it have seen?",
        "SELECT * FROM trust_table",
        (
            DESIGN_COLUMN,
            Column("question", "question"),
            Column("verdict", "result", "verdict"),
            Column("value", "number [bpb]", "effect"),
            Column("lo", "95 % from", "effect"),
            Column("hi", "to", "effect"),
            Column("detail", "found and expected", "long"),
        ),
    )


def _controls(con: duckdb.DuckDBPyConnection) -> Block:
    def draw(rows: tuple[Row, ...]) -> tuple[dict, ...]:
        return (
            intervals(
                rows,
                "control",
                "estimate",
                "effect of each control, mean over targets",
                "bits per byte (positive = worse)",
            ),
        )

    return figure(
        con,
        "controls-table",
        "Did the controls hold?",
        "The effect of every control with its 95 % interval: sham must lie about zero, shuffle must hurt, the canary's own test must improve.",
        "SELECT *, CASE WHEN passed THEN 'passed' ELSE 'failed' END AS verdict FROM controls ORDER BY rowid",
        (
            DESIGN_COLUMN,
            Column("control", "control"),
            Column("verdict", "result", "verdict"),
            Column("estimate", "effect [bpb]", "effect"),
            Column("lo", "95 % from", "effect"),
            Column("hi", "to", "effect"),
            Column("detail", "found and expected"),
        ),
        draw,
    )


def _looks(con: duckdb.DuckDBPyConnection) -> tuple[Block, ...]:
    """Show the looks at studies that were extended; nothing if none was."""
    if not query(con, "SELECT 1 FROM looks LIMIT 1"):
        return ()
    looks = figure(
        con,
        "looks",
        "Looks",
        "Studies to which blocks were added after a look at their results: each look may reject at its own level only, so that all of "
        "them together keep to alpha .05.",
        "SELECT * FROM looks ORDER BY design_id, look",
        (
            DESIGN_COLUMN,
            Column("look", "look", "count"),
            Column("at", "blocks were added at"),
            Column("blocks_before", "blocks seen", "count"),
            Column("blocks_after", "blocks after", "count"),
            Column("max_blocks", "at most", "count"),
            Column("spending", "spending"),
            Column("level", "level of the look", "number"),
            Column("alpha_spent", "alpha spent so far", "number"),
        ),
    )
    return (looks,)


def _power(con: duckdb.DuckDBPyConnection) -> Block:
    return figure(
        con,
        "power",
        "Minimum detectable effect",
        "How large an effect must be to be found with 80 % power, by family of tests: for one test, and at the corrected level.",
        "SELECT * FROM power ORDER BY rowid",
        (
            DESIGN_COLUMN,
            Column("family", "family"),
            Column("sd_source", "noise is"),
            Column("sd", "sd of paired differences [bpb]", "number"),
            Column("n_blocks", "blocks", "count"),
            Column("tests", "tests", "count"),
            Column("mde", "detectable, one test [bpb]", "number"),
            Column("mde_worst_case", "detectable, corrected [bpb]", "number"),
        ),
    )


def _noise(con: duckdb.DuckDBPyConnection) -> Block:
    return figure(
        con,
        "noise",
        "Noise",
        "How much a score moves when nothing but seeds changes – all of them, or one kind alone, which do not add up – and what "
        "pairing by block takes away of it. Valid for this proxy, budget and rate only.",
        "SELECT * FROM noise ORDER BY rowid",
        (
            DESIGN_COLUMN,
            Column("cell_type", "cells"),
            Column("vary", "seeds that change"),
            Column("target", "held-out target"),
            Column("population", "documents"),
            Column("sd_between_seeds", "sd between seeds [bpb]", "number"),
            Column("sd_paired", "sd of paired differences [bpb]", "number"),
            Column("sd_lo", "sd from", "number"),
            Column("sd_hi", "to (95 %)", "number"),
            Column("rho", "correlation achieved", "number"),
            Column("n_blocks", "blocks", "count"),
            Column("tokens", "at tokens", "count"),
            Column("lr", "learning rate", "number"),
            Column("proxy_id", "proxy", "code"),
        ),
    )
