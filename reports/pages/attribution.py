"""Attribution: what gradients say of slices and documents, how far retraining agrees, which slice raised which tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt

from reports.blocks import Block, Column, MarkedText, Page, Prose, Row, Spec, figure, query
from reports.charts import OKABE_ITO, finish, rows_data
from reports.pages.study import DESIGN_COLUMN, no_study, slice_colours

if TYPE_CHECKING:
    import duckdb

_HOW = (
    "Gradient methods predict what removing text would do, without retraining: EK-FAC (influence function at the end of the "
    "training) and TracIn (gradients along it). Unit: rise of the loss on the target if the unit is removed and nothing takes its "
    "place; positive = it helps there. A prediction is no verdict. How far it may be believed is the agreement with what was "
    "retrained: where its interval includes 0 the method is not usable, and what it says below is shown for diagnosis only. Ranks are "
    "what it is for: sizes are linear extrapolations, the slope says by how much they are too large."
)
_LDS_SQL = (
    "SELECT l.*, d.name AS study FROM lds l JOIN designs d USING (design_id) ORDER BY d.design_order, method, level"
)
_TRACED_TEXTS = 12


def page(con: duckdb.DuckDBPyConnection) -> Page:
    """Make the page."""
    if empty := no_study(con):
        return Page("attribution", "Attribution", (empty,))
    if not query(con, "SELECT 1 FROM attributions LIMIT 1"):
        text = "Nothing was attributed on this workspace yet: `mixtrace influence` scores a trained study."
        return Page("attribution", "Attribution", (Prose(text),))
    blocks = (Prose(_HOW), _agreement(con), *_slices(con), _predictions(con), _documents(con), *_texts(con))
    return Page("attribution", "Attribution", blocks)


def _agreement(con: duckdb.DuckDBPyConnection) -> Block:
    return figure(
        con,
        "lds",
        "Agreement with retraining",
        "Spearman correlation of predicted and measured (line: 95 % interval; tick: what the noise of the retrains lets the truth "
        "reach): over the losses of all treatment cells, and over the contrasts of other slices and decisions.",
        _LDS_SQL,
        (
            Column("study", "study"),
            Column("method", "method"),
            Column("level", "over"),
            Column("lds", "agreement", "effect"),
            Column("lo", "95 % from", "effect"),
            Column("hi", "to", "effect"),
            Column("ceiling", "ceiling", "number"),
            Column("slope", "slope (1: sizes are right)", "number"),
            Column("sign_agreement", "sign right, of determined", "share"),
            Column("coverage", "inside the measured interval", "share"),
            Column("n_subsets", "cells or contrasts", "count"),
            Column("n_queries", "targets", "count"),
            Column("n_repeats", "blocks", "count"),
            Column("usable", "usable"),
            Column("reason", "why not", "long"),
        ),
        _agreement_chart,
    )


def _agreement_chart(rows: tuple[Row, ...]) -> tuple[Spec, ...]:
    shown = [
        {**row, "what": f"{row['study']}: {row['method']}, {row['level']}"} for row in rows if row["lds"] is not None
    ]
    if not shown:
        return ()
    y = alt.Y("what:N", title=None, sort=[row["what"] for row in shown], axis=alt.Axis(labelLimit=300))
    base = alt.Chart(rows_data(shown), title="agreement with retraining").encode(y=y)
    zero = alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(color="#9aa2ae", strokeDash=[4, 3]).encode(x="zero:Q")
    lines = base.mark_rule(strokeWidth=2, color=OKABE_ITO[0]).encode(
        x=alt.X("lo:Q", title="Spearman correlation"), x2="hi:Q"
    )
    points = base.mark_point(filled=True, size=70, color=OKABE_ITO[0]).encode(x="lds:Q")
    ticks = base.mark_tick(thickness=2, size=14, color=OKABE_ITO[5]).encode(x="ceiling:Q")
    return (finish(alt.layer(zero, lines, points, ticks), 34 * len(shown)),)


def _slices(con: duckdb.DuckDBPyConnection) -> list[Block]:
    groups = query(
        con,
        "SELECT DISTINCT a.design_id, d.name, a.method, d.design_order FROM attributions a JOIN designs d USING (design_id)\n"
        "WHERE unit_kind = 'slice' ORDER BY d.design_order, a.method",
    )
    return [_matrix(con, number, group) for number, group in enumerate(groups)]


def _matrix(con: duckdb.DuckDBPyConnection, number: int, group: Row) -> Block:
    return figure(
        con,
        f"attributed-slices-{number}",
        f"Slice × held-out target: study “{group['name']}”, {group['method']}",
        "Bits per byte that the target (column) is predicted to lose if all of the slice (row) is removed, with nothing in its place: "
        "blue = the slice helps there, orange = it harms.",
        "SELECT unit, target, bpb, nats_per_token, se, tokens, n_blocks FROM attributions\n"
        f"WHERE unit_kind = 'slice' AND population = 'kept' AND design_id = '{group['design_id']}' AND method = '{group['method']}'\n"
        "ORDER BY rowid",
        (
            Column("unit", "slice"),
            Column("target", "target"),
            Column("bpb", "predicted [bpb]", "effect"),
            Column("nats_per_token", "nats per token", "effect"),
            Column("se", "se over blocks [nats]", "number"),
            Column("tokens", "training tokens", "count"),
            Column("n_blocks", "blocks", "count"),
        ),
        _matrix_chart,
    )


def _matrix_chart(rows: tuple[Row, ...]) -> tuple[Spec, ...]:
    """Shade by the root of the size: a slice on its own target is far above the rest."""
    largest = max(abs(row["bpb"]) for row in rows) or 1.0
    data = [
        {**row, "shade": (1 if row["bpb"] > 0 else -1) * (abs(row["bpb"]) / largest) ** 0.5,
         "label": f"{row['bpb']:+.3f}".replace("-", "−")}
        for row in rows
    ]  # fmt: skip
    x = alt.X("target:N", sort=list(dict.fromkeys(row["target"] for row in rows)), title=None,
              axis=alt.Axis(orient="top", labelAngle=-30, domain=False))  # fmt: skip
    y = alt.Y("unit:N", sort=list(dict.fromkeys(row["unit"] for row in rows)), title=None, axis=alt.Axis(domain=False))
    scale = alt.Scale(domain=[-1, 0, 1], range=[OKABE_ITO[5], "#fafafa", OKABE_ITO[0]])
    base = alt.Chart(rows_data(data), title="predicted loss without the slice [bpb]").encode(x=x, y=y)
    cells = base.mark_rect(stroke="#ffffff", strokeWidth=2).encode(color=alt.Color("shade:Q", scale=scale, legend=None))
    ink = alt.condition("abs(datum.shade) > 0.7", alt.value("#ffffff"), alt.value("#1f2430"))
    labels = base.mark_text(fontSize=11).encode(text="label:N", color=ink)
    return (finish(alt.layer(cells, labels), 36 * len({row["unit"] for row in rows})),)


def _predictions(con: duckdb.DuckDBPyConnection) -> Block:
    return figure(
        con,
        "predicted-effects",
        "Predicted beside measured",
        "Every contrast that was both predicted by gradients and measured: by retraining the same proxy, or exactly on the 3-gram "
        "(another model, nothing in the place of what was removed).",
        "SELECT * FROM predicted_effects",
        (
            DESIGN_COLUMN,
            Column("contrast", "contrast"),
            Column("population", "documents"),
            Column("fill", "fill"),
            Column("method", "method"),
            Column("predicted", "predicted [bpb]", "effect"),
            Column("measured_by", "measured by"),
            Column("measured", "measured [bpb]", "effect"),
            Column("measured_lo", "95 % from", "effect"),
            Column("measured_hi", "to", "effect"),
            Column("verdict", "verdict of the measurement", "verdict"),
            Column("reason", "agreement", "long"),
        ),
        _scatter,
    )


def _scatter(rows: tuple[Row, ...]) -> tuple[Spec, ...]:
    """Draw retrained contrasts other than own-slice, whose size would hide the rest."""
    shown = [row for row in rows if row["measured_by"] == "retrain" and row["family"] != "own-slice"]
    if not shown:
        return ()
    methods = list(dict.fromkeys(row["method"] for row in shown))
    colour = alt.Color("method:N", title=None, scale=alt.Scale(domain=methods, range=list(OKABE_ITO[: len(methods)])))
    base = alt.Chart(rows_data(shown), title="other slices and decisions").encode(
        x=alt.X("predicted:Q", title="predicted [bits per byte]"), color=colour, tooltip=["contrast:N", "method:N", "predicted:Q", "measured:Q"]
    )  # fmt: skip
    errors = base.mark_rule(opacity=0.35).encode(
        y=alt.Y("measured_lo:Q", title="retrained [bits per byte]"), y2="measured_hi:Q"
    )
    points = base.mark_point(filled=True, size=45).encode(y="measured:Q", shape=alt.Shape("method:N", title=None))
    return (finish(alt.layer(errors, points), 320),)


def _documents(con: duckdb.DuckDBPyConnection) -> Block:
    return figure(
        con,
        "attributed-documents",
        "Documents that helped or harmed most",
        "By what was drawn of each in the scored rows of one run: place 1, 2, … helped the target most, −1, −2, … harmed it. "
        "`mixtrace explain WORKSPACE DOC_ID` tells the life of a document.",
        "SELECT * FROM attributed_documents",
        (
            DESIGN_COLUMN,
            Column("method", "method"),
            Column("target", "target"),
            Column("place", "place", "count"),
            Column("nats_per_token", "nats per token if removed", "effect"),
            Column("tokens", "tokens drawn", "count"),
            Column("slice", "slice"),
            Column("lang", "language"),
            Column("origin", "from", "long"),
            Column("doc_id", "document", "code"),
        ),
    )


def _texts(con: duckdb.DuckDBPyConnection) -> list[Block]:
    """Make one marked text per traced text."""
    texts = query(
        con,
        "SELECT DISTINCT design_id, doc_id, target FROM token_traces ORDER BY design_id, target = '', target, doc_id",
    )
    palette = slice_colours(con)
    slices = [row["slice"] for row in query(con, "SELECT DISTINCT slice FROM token_traces")]
    colours = {name: colour for name, colour in palette.items() if name in slices}
    return [_text(con, number, one, colours) for number, one in enumerate(texts[:_TRACED_TEXTS])]


def _text(con: duckdb.DuckDBPyConnection, number: int, one: Row, colours: dict[str, str]) -> Block:
    doc_id = one["doc_id"].replace("'", "''")
    sql = (
        "SELECT position, token, raised_by, best_slice, delta_nats, se FROM traced_tokens\n"
        f"WHERE design_id = '{one['design_id']}' AND doc_id = '{doc_id}' ORDER BY position"
    )
    pieces = tuple(
        (row["token"], row["raised_by"], f"{row['best_slice']} raised it by {row['delta_nats']:.2f} nats")
        for row in query(con, sql)
    )
    marked = sum(kind is not None for _, kind, _ in pieces)
    place = f"held-out document of {one['target']}" if one["target"] else "text that was given"
    caption = (
        f"The beginning of a {place} ({one['doc_id']}). A mark says which slice raised the token most: the proxy that saw it gives "
        f"the token a higher probability than the proxy without it, by more than .1 nats and three standard errors over blocks "
        f"({marked} of {len(pieces)} tokens). The number is that of the slice."
    )
    return MarkedText(
        f"traced-{number}",
        f"Which slice raised which tokens: {one['target'] or one['doc_id']}",
        caption,
        pieces,
        colours,
        sql,
    )
