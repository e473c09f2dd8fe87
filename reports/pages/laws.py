"""Laws and optimum: what a swarm taught, the mixture that it recommends, and whether fresh runs confirm it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.blocks import Banner, Block, Column, Page, Prose, Row, Spec, figure, query
from reports.charts import colours, curves, intervals, scatter
from reports.pages.study import no_study

if TYPE_CHECKING:
    import duckdb

_LAW_COLUMNS = (
    Column("law", "law"),
    Column("strength", "penalty", "number"),
    Column("spearman", "Spearman × 100, cross-validated", "number"),
    Column("rmse_sd", "error [sd of the target]", "number"),
    Column("chosen", "chosen"),
    Column("finds_optimum", "finds the optimum"),
)


def page(con: duckdb.DuckDBPyConnection) -> Page:
    """Make the page."""
    title = "Laws and optimum"
    if empty := no_study(con):
        return Page("laws", title, (empty,))
    swarms = query(
        con, "SELECT d.design_id, d.name FROM designs d SEMI JOIN laws l USING (design_id) ORDER BY d.design_order"
    )
    if not swarms:
        return Page(
            "laws",
            title,
            (
                Prose(
                    "No law was fitted on this workspace yet: train a swarm (`designs/swarm.yaml`), then `mixtrace laws`."
                ),
            ),
        )
    blocks: list[Block] = [
        Prose(
            "A swarm is a set of runs on mixtures that were drawn at random around the natural one. A law is a formula from the "
            "weights of the slices to the bits per byte of every held-out slice, chosen and fitted by cross-validation inside the "
            "swarm. Everything that a law has selected is shown only after fresh-seed runs against the natural mixture: the law "
            "favours its own optimum. For any other mixture: SELECT * FROM what_if({'slice': weight, ...})."
        )
    ]
    for number, swarm in enumerate(swarms):
        blocks += _swarm(con, number, swarm)
    return Page("laws", title, tuple(blocks))


def _swarm(con: duckdb.DuckDBPyConnection, number: int, swarm: Row) -> list[Block]:
    design, name = swarm["design_id"], swarm["name"]
    return [
        *_banner(con, design, name),
        _mixtures(con, number, design, name),
        _weights(con, number, design, name),
        _predictions(con, number, design, name),
        _curve(con, number, design, name),
        figure(
            con, f"laws-{number}", f"Laws of the swarm “{name}”",
            "Every law at every strength of its penalty, by how well it ranks runs that it has not seen; runs that no law could use are listed in law_left_out.",
            f"SELECT law, strength, spearman, rmse_sd, chosen, finds_optimum FROM laws WHERE design_id = '{design}' ORDER BY rowid",
            _LAW_COLUMNS,
        ),
    ]  # fmt: skip


def _banner(con: duckdb.DuckDBPyConnection, design: str, name: str) -> tuple[Banner, ...]:
    """Say what became of the optimum."""
    rows = query(con, f"SELECT * FROM law_mixtures WHERE design_id = '{design}' AND mixture = 'optimum'")
    if not rows:
        return ()
    (row,) = rows
    if row["status"].startswith("withheld"):
        return (Banner(f"The optimum of the swarm “{name}” is {row['status']}.", "error"),)
    if row["measured_gain"] is None:
        return (Banner(f"The optimum of the swarm “{name}” is {row['status']}: its weights are withheld. "
                       f"`mixtrace laws WORKSPACE {design} --confirm` trains what is missing."),)  # fmt: skip
    size = f"{row['measured_gain']:+.4f} [{row['measured_lo']:+.4f}, {row['measured_hi']:+.4f}]".replace("-", "−")
    return (Banner(f"The optimum of the swarm “{name}” is {row['status']}: measured gain on natural {size} bpb "
                   f"over {row['n_blocks']} blocks of fresh seeds."),)  # fmt: skip


def _mixtures(con: duckdb.DuckDBPyConnection, number: int, design: str, name: str) -> Block:
    def draw(rows: tuple[Row, ...]) -> tuple[Spec, ...]:
        points = [
            {"mixture": f"{row['mixture']}, {kind}", "gain": row[gain], "lo": row[lo], "hi": row[hi],
             "verdict": ("helps" if row[lo] > 0 else "hurts" if row[hi] < 0 else "undetermined") if kind == "measured" else "predicted"}
            for row in rows if row["mixture"] != "natural"
            for kind, gain, lo, hi in (("predicted", "gain", "lo", "hi"), ("measured", "measured_gain", "measured_lo", "measured_hi"))
            if row[gain] is not None
        ]  # fmt: skip
        title = "Gain on the natural mixture"
        return (
            (
                intervals(
                    points, "mixture", "gain", title, "bits per byte of the utility; positive: better than natural"
                ),
            )
            if points
            else ()
        )

    return figure(
        con,
        f"law-mixtures-{number}",
        f"Optimum of the swarm “{name}” beside what is known",
        "Utility loss of the natural mixture minus that of each mixture: by the law (95 % bootstrap over runs, the form of the law held fixed), and measured with fresh seeds.",
        f"SELECT * FROM law_mixtures WHERE design_id = '{design}' ORDER BY rowid",
        (
            Column("mixture", "mixture"),
            Column("gain", "predicted gain [bpb]", "effect"),
            Column("lo", "95 % from", "effect"),
            Column("hi", "to", "effect"),
            Column("p_better", "P(better than natural)", "number"),
            Column("measured_gain", "measured gain [bpb]", "effect"),
            Column("measured_lo", "95 % from", "effect"),
            Column("measured_hi", "to", "effect"),
            Column("n_blocks", "blocks", "count"),
            Column("over_limit", "over a limit by", "number"),
            Column("gap", "could gain at most [bpb]", "number"),
            Column("status", "status", "long"),
        ),
        draw,
    )


def _weights(con: duckdb.DuckDBPyConnection, number: int, design: str, name: str) -> Block:
    return figure(
        con,
        f"law-weights-{number}",
        f"Weights of the mixtures of the swarm “{name}”",
        "Share of the training tokens; a mixture that was selected by a law or recipe is withheld until fresh runs are there. Outside of the swarm's range a law extrapolates.",
        f"SELECT * FROM law_weight_table WHERE design_id = '{design}' ORDER BY mixture_order, slice_order",
        (
            Column("mixture", "mixture"),
            Column("slice", "slice"),
            Column("weight", "weight", "share"),
            Column("lo", "95 % from", "share"),
            Column("hi", "to", "share"),
            Column("natural_weight", "natural", "share"),
            Column("lower", "limits from", "share"),
            Column("upper", "to", "share"),
            Column("least", "swarm from", "share"),
            Column("most", "to", "share"),
        ),
    )


def _predictions(con: duckdb.DuckDBPyConnection, number: int, design: str, name: str) -> Block:
    def draw(rows: tuple[Row, ...]) -> tuple[Spec, ...]:
        palette = colours([row["target"] for row in rows])
        return (scatter(rows, "predicted", "measured", "target", palette, "Predicted against measured"),)

    return figure(
        con,
        f"law-predictions-{number}",
        f"Predicted and measured runs of the swarm “{name}”",
        "Bits per byte of every run of the swarm against the prediction of the law that was chosen and fitted without the run's fold; on the line they are equal.",
        f"SELECT cell, target, fold, predicted, measured, measured - predicted AS error FROM law_predictions WHERE design_id = '{design}' ORDER BY rowid",
        (
            Column("cell", "mixture"),
            Column("target", "target"),
            Column("fold", "fold", "count"),
            Column("predicted", "predicted [bpb]", "number"),
            Column("measured", "measured [bpb]", "number"),
            Column("error", "error [bpb]", "effect"),
        ),
        draw,
    )


def _curve(con: duckdb.DuckDBPyConnection, number: int, design: str, name: str) -> Block:
    def draw(rows: tuple[Row, ...]) -> tuple[Spec, ...]:
        palette = colours(dict.fromkeys(row["law"] for row in rows))
        return (
            curves(rows, "runs", "spearman", "law", "law", palette, "Learning curve: Spearman × 100 on the other runs"),
        )

    return figure(
        con,
        f"law-curve-{number}",
        f"Learning curve of the swarm “{name}”",
        "How well laws rank runs that they were not fitted on, by the number of runs that they were fitted on; the difference to LightGBM with a paired bootstrap over the judged runs.",
        f"SELECT * FROM law_curve WHERE design_id = '{design}' ORDER BY rowid",
        (
            Column("law", "law"),
            Column("runs", "learnt from", "count"),
            Column("tested", "judged by", "count"),
            Column("spearman", "Spearman × 100", "number"),
            Column("rmse_sd", "error [sd of the target]", "number"),
            Column("difference", "minus LightGBM", "effect"),
            Column("lo", "95 % from", "effect"),
            Column("hi", "to", "effect"),
        ),
        draw,
    )
