"""What the pages about the study share: whether there is one, whether it is void, and effects in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.blocks import Banner, Column, Finding, Prose, Row, query
from reports.format import effect, short_count

if TYPE_CHECKING:
    import duckdb

SIGN = (
    "Sign: an effect is the treatment minus the baseline in bits per byte on the held-out text. Positive = removing it raises "
    "bits per byte there = the slice helps; negative = the text is predicted better without it = the slice hurts there."
)

EFFECT_COLUMNS = (
    Column("contrast", "contrast"),
    Column("target", "held-out target"),
    Column("population", "documents"),
    Column("estimate", "effect [bpb]", "effect"),
    Column("lo", "95 % from", "effect"),
    Column("hi", "to", "effect"),
    Column("q", "q", "number"),
    Column("verdict", "verdict", "verdict"),
    Column("dilution", "dilution alone [bpb]", "effect"),
    Column("mde", "detectable [bpb]", "number"),
    Column("n_blocks", "blocks", "count"),
    Column("note", "note"),
)


def no_study(con: duckdb.DuckDBPyConnection) -> Prose | None:
    """Say that nothing was trained on this workspace, if that is so."""
    if query(con, "SELECT 1 FROM designs LIMIT 1"):
        return None
    return Prose(
        "No study was run on this workspace yet: `mixtrace train` and `mixtrace effects` fill this section."
    )


def void_banners(con: duckdb.DuckDBPyConnection) -> tuple[Banner, ...]:
    """Return a red banner for every design whose sham or shuffle control failed."""
    failed = query(
        con,
        "SELECT design_id, list_sort(list(DISTINCT control)) AS controls, list_sort(list(DISTINCT message)) AS messages\n"
        "FROM control_table WHERE NOT passed GROUP BY design_id ORDER BY design_id",
    )
    return tuple(
        Banner(
            f"This study is void: the {' and the '.join(row['controls'])} control failed ({'; '.join(row['messages'])}). "
            "Its effects are shown for diagnosis only; no verdict holds.",
            "error",
        )
        for row in failed
    )


def finding(row: Row) -> Finding:
    """Say an effect in words.

    >>> finding({"contrast": "without web", "target": "wiki", "estimate": 0.0312, "lo": 0.02, "hi": 0.04, "unit": "bpb",
    ...          "verdict": "helps", "train_tokens": 262144, "fill": "proportional", "population": "unfiltered"}).text
    'without web: helps on wiki (unfiltered): +0.0312 bpb [+0.0200, +0.0400] at 262 k tokens, fill proportional'
    """
    where = f"{row['target']} ({row['population']})" if row["population"] else row["target"]
    size = f"{effect(row['estimate'])} {row['unit']} [{effect(row['lo'])}, {effect(row['hi'])}]"
    budget = f"at {short_count(row['train_tokens'])} tokens, fill {row['fill']}"
    return Finding(f"{row['contrast']}: {row['verdict']} on {where}: {size} {budget}", row["verdict"])
