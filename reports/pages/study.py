"""What the pages about studies share: whether there is one, whether it is void, and effects in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.blocks import Banner, Column, Finding, Prose, Row, query
from reports.charts import colours
from reports.format import effect, short_count

if TYPE_CHECKING:
    import duckdb

SIGN = (
    "Sign: an effect is the treatment minus the baseline, in bits per byte of the held-out text (lower bits are better). For a "
    "slice that is left out, positive = removing it raises bits per byte there = the slice helps; negative = the text is "
    "predicted better without it = the slice hurts there. The column “a positive effect says” spells it out for every contrast, "
    "and the verdict speaks of the slice, or, where dropped documents are swapped in, of the decision to drop them."
)

DESIGN_COLUMN = Column("design_id", "design", "code")

EFFECT_COLUMNS = (
    Column("contrast", "contrast"),
    Column("slice", "speaks of"),
    Column("estimate", "effect [bpb]", "effect"),
    Column("lo", "95 % from", "effect"),
    Column("hi", "to", "effect"),
    Column("documents_lo", "new documents, too: from", "effect"),
    Column("documents_hi", "to", "effect"),
    Column("q", "q", "number"),
    Column("verdict", "verdict", "verdict"),
    Column("dilution", "dilution alone [bpb]", "effect"),
    Column("mde", "detectable [bpb]", "number"),
    Column("n_blocks", "blocks", "count"),
    Column("rho", "correlation achieved", "number"),
    Column("components", "held-out components", "count"),
    Column("worst_estimate", "effect, diverged runs at their worst [bpb]", "effect"),
    Column("train_tokens", "at tokens", "count"),
    Column("population", "documents"),
    Column("fill", "fill"),
    Column("meaning", "a positive effect says", "long"),
    Column("note", "note", "long"),
)


def no_study(con: duckdb.DuckDBPyConnection) -> Prose | None:
    """Say that nothing was trained on this workspace, if that is so."""
    if query(con, "SELECT 1 FROM designs LIMIT 1"):
        return None
    return Prose("No study was run on this workspace yet: `mixtrace train` and `mixtrace effects` fill this section.")


def void_banners(con: duckdb.DuckDBPyConnection) -> tuple[Banner, ...]:
    """Return a red banner for every design with a control that failed, or whose verdicts are withheld."""
    failed = query(
        con,
        "SELECT c.design_id, d.name, list(c.control ORDER BY c.rowid) AS controls, list(c.detail ORDER BY c.rowid) AS details\n"
        "FROM controls c LEFT JOIN designs d USING (design_id) "
        "WHERE NOT c.passed AND c.control IN ('sham', 'shuffle', 'canary') GROUP BY c.design_id, d.name ORDER BY c.design_id",
    )
    withheld = query(
        con,
        "SELECT e.design_id, d.name, min(e.reason) AS reason FROM effects e LEFT JOIN designs d USING (design_id)\n"
        "WHERE e.verdict = 'withheld' AND e.design_id NOT IN (SELECT design_id FROM controls WHERE NOT passed AND control IN ('sham', 'shuffle', 'canary'))\n"
        "GROUP BY e.design_id, d.name ORDER BY e.design_id",
    )
    notes = (
        Banner(
            f"The verdicts of the study “{row['name']}” are {row['reason']}. Its estimates and intervals stand: they are those of a "
            "weak model.",
            "error",
        )
        for row in withheld
    )
    return *notes, *(
        Banner(
            f"The study “{row['name']}” is void: the {' and the '.join(row['controls'])} control failed "
            f"({'; '.join(row['details'])}). Its effects are shown for diagnosis only; no verdict holds.",
            "error",
        )
        for row in failed
    )


_CHANGES = {
    "decisions": ("when swapped in", "dropping "),
    "utility": ("when swapped in", "dropping "),
    "optimum": ("against natural", ""),
}
"""Family to what was done to the slice or mixture that the verdict speaks of; slices are left out."""


def finding(row: Row) -> Finding:
    """Say an effect in words, with its interval and the budget that it was measured at.

    >>> finding({"slice": "web", "target": "wiki", "population": "kept", "estimate": 0.0312, "lo": 0.02, "hi": 0.04,
    ...          "verdict": "helps", "metric": "bpb", "train_tokens": 262144, "fill": "named", "family": "cross-slice"}).text
    'web helps on wiki: +0.0312 bpb [+0.0200, +0.0400] when left out (fill named; kept documents; at 262 k tokens)'
    >>> finding({"slice": "optimum", "target": "wiki", "population": "kept", "estimate": -0.0312, "lo": -0.04, "hi": -0.02,
    ...          "verdict": "helps", "metric": "bpb", "train_tokens": 262144, "fill": "named", "family": "optimum"}).text
    'optimum helps on wiki: −0.0312 bpb [−0.0400, −0.0200] against natural (fill named; kept documents; at 262 k tokens)'
    """
    unit = "bpb" if row["metric"] == "bpb" else "bpb of margin"
    size = f"{effect(row['estimate'])} {unit} [{effect(row['lo'])}, {effect(row['hi'])}]"
    change, speaks_of = _CHANGES.get(row["family"], ("when left out", ""))
    if row.get("dilution") is not None:
        change += f", of which its share alone (dilution) predicts {effect(row['dilution'])}"
    how = f"fill {row['fill']}; {row['population']} documents; at {short_count(row['train_tokens'])} tokens"
    return Finding(
        f"{speaks_of}{row['slice']} {row['verdict']} on {row['target']}: {size} {change} ({how})", row["verdict"]
    )


def slice_colours(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Give every source and slice its colour, the same in all charts of the report."""
    names = [row["source"] for row in query(con, "SELECT source FROM sources ORDER BY position")]
    names += [row["slice"] for row in query(con, "SELECT slice FROM slices ORDER BY rowid")]
    names += [row["slice"] for row in query(con, "SELECT DISTINCT slice FROM mixture_weights ORDER BY slice")]
    return colours(names)
