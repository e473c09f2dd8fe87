"""Vega-Lite charts, made with Altair: one look, Okabe-Ito colours, the same colour for the same slice.

Every chart fills the width of its container. No selection parameters are used: Altair numbers them by a
process-wide counter, and the same database must give the same page.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import altair as alt

from reports.blocks import Row, Spec

# Okabe and Ito (2008), "Color universal design"; black is left to text
OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
KEPT = "#009E73"
OTHER = "#B8BEC6"
INK = "#1f2430"
_PAPER = "#f7f5ee"
UNDETERMINED = "#DDE1E6"
_MORE = ("#5B6C8F", "#A67C00", "#7FC8AE", "#8E5A7A", "#2A9FD6", "#8C3B00", "#A89F1A", "#6B7280")
_BAR_STEP_PX = 34

THEME: Spec = {
    "font": "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif",
    "background": "transparent",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "#3b4252", "titleColor": "#3b4252", "gridColor": "#eceff3", "domainColor": "#c5cad3",
        "tickColor": "#c5cad3", "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": 500, "labelLimit": 190,
    },
    "legend": {"labelColor": "#3b4252", "titleColor": "#3b4252", "labelFontSize": 12, "titleFontSize": 12,
               "orient": "bottom", "columns": 3, "labelLimit": 150, "symbolType": "square"},
    "title": {"anchor": "start", "fontSize": 13, "fontWeight": 600, "color": "#1f2430"},
}  # fmt: skip


def colours(names: Iterable[str]) -> dict[str, str]:
    """Give every name a colour by its place in the list; names beyond the palette repeat darker tones.

    >>> colours(["web", "wiki"])
    {'web': '#0072B2', 'wiki': '#E69F00'}
    """
    palette = (*OKABE_ITO, *_MORE)
    return {name: palette[i % len(palette)] for i, name in enumerate(dict.fromkeys(names))}


def outcome_colours(outcomes: Sequence[str]) -> dict[str, str]:
    """Give outcomes of curation their colours: kept is green, the rest by place, "other" grey."""
    others = [name for name in outcomes if name not in ("kept", "other reasons")]
    palette = [colour for colour in (*OKABE_ITO, *_MORE) if colour != KEPT]
    chosen = {name: palette[i % len(palette)] for i, name in enumerate(others)}
    return {name: {"kept": KEPT, "other reasons": OTHER}.get(name) or chosen[name] for name in outcomes}


def finish(chart: alt.Chart | alt.LayerChart, height_px: int) -> Spec:
    """Make a specification that fills its container's width and has a fixed height (no legend, no axis)."""
    fitted = alt.AutoSizeParams(type="fit-x", contains="padding")
    return chart.properties(width="container", height=height_px, autosize=fitted).to_dict()


def rows_data(rows: Sequence[Row]) -> alt.Data:
    """Put rows into a chart, inline."""
    return alt.Data(values=list(rows))


def _amount_axis(column: str) -> alt.Axis:
    """Return an axis with short numbers: shares in percent, columns named `..._bytes` in B, kB, MB."""
    if column == "weight" or column.endswith("_frac"):
        return alt.Axis(tickCount=5, format="%")
    unit = "B" if column.endswith("_bytes") else ""
    return alt.Axis(tickCount=5, labelExpr=f"replace(format(datum.value, '~s'), /([kMG]?)$/, ' $1{unit}')")


def stacked_bars(
    rows: Sequence[Row],
    category: str,
    value: str,
    stack: str,
    palette: dict[str, str],
    title: str,
    value_format: str = ",d",
) -> Spec:
    """Draw horizontal bars, stacked in the order of the palette.

    Args:
        rows: one per (category, stack).
        category: column on the y axis, in the order of its first row.
        value: column on the x axis.
        stack: column of the pieces.
        palette: colour of every piece; its order is the order of the stack.
        title: title of the chart and of its axis.
        value_format: d3 format of the tooltip.
    """
    order = list(dict.fromkeys(row[category] for row in rows))
    pieces = list(palette)
    data = [{**row, "piece_order": pieces.index(row[stack])} for row in rows]
    chart = (
        alt.Chart(rows_data(data), title=title)
        .mark_bar(height={"band": 0.72})
        .encode(
            y=alt.Y(field=category, type="nominal", sort=order, title=None),
            x=alt.X(field=value, type="quantitative", stack="zero", title=None, axis=_amount_axis(value)),
            color=alt.Color(
                field=stack,
                type="nominal",
                title=None,
                scale=alt.Scale(domain=pieces, range=list(palette.values())),
            ),
            order=alt.Order(field="piece_order", type="quantitative"),
            tooltip=[
                alt.Tooltip(field=category, type="nominal"),
                alt.Tooltip(field=stack, type="nominal"),
                alt.Tooltip(field=value, type="quantitative", format=value_format),
            ],
        )
    )
    return finish(chart, _BAR_STEP_PX * len(order))


def bars(
    rows: Sequence[Row],
    category: str,
    value: str,
    title: str,
    colour: str = OKABE_ITO[0],
    *,
    log: bool = False,
) -> Spec:
    """Draw horizontal bars in the order of the rows."""
    order = [row[category] for row in rows]
    scale = alt.Scale(type="symlog") if log else alt.Undefined
    chart = (
        alt.Chart(rows_data(rows), title=title)
        .mark_bar(color=colour, height={"band": 0.72})
        .encode(
            y=alt.Y(field=category, type="nominal", sort=order, title=None),
            x=alt.X(
                field=value,
                type="quantitative",
                title=None,
                scale=scale,
                axis=alt.Axis(format="~s", tickCount=5),
            ),
            tooltip=[
                alt.Tooltip(field=category, type="nominal"),
                alt.Tooltip(field=value, type="quantitative", format=",d"),
            ],
        )
    )
    return finish(chart, 26 * len(order))


VERDICT_COLOURS = {
    "helps": "#0072B2",
    "hurts": "#D55E00",
    "negligible": "#56B4E9",
    "undetermined": "#9AA2AE",
    "withheld": "#9AA2AE",
    "predicted": "#56B4E9",
    "passed": "#009E73",
    "failed": "#C1121F",
}


def heat_map(rows: Sequence[Row], x: str, y: str, value: str, title: str) -> Spec:
    """Draw a matrix of signed effects; undetermined cells are grey, the others shaded by the root of their size.

    Args:
        rows: one per cell, with columns `lo`, `hi` and `verdict` beside x, y and value.
        x: column of the columns, in the order of its first row.
        y: column of the rows, in the order of its first row.
        value: signed effect.
        title: title of the chart.
    """
    columns, lines = (list(dict.fromkeys(row[name] for row in rows)) for name in (x, y))
    # effects on the removed slice itself are ten times all others: a linear shade would hide the rest
    largest = max((abs(row[value]) for row in rows if row["verdict"] in ("helps", "hurts")), default=1.0)
    rows = [row for row in rows if row[value] is not None]
    data = [
        {
            **row,
            **_cell_colours(abs(row[value]) / largest, row["verdict"]),
            "label": f"{row[value]:+.3f}".replace("-", "−"),
            "interval": f"{row['lo']:+.4f} to {row['hi']:+.4f}".replace("-", "−"),
        }
        for row in rows
    ]
    axes = {
        "x": alt.X(
            field=x,
            type="nominal",
            sort=columns,
            title=None,
            axis=alt.Axis(orient="top", labelAngle=-30, domain=False),
        ),
        "y": alt.Y(field=y, type="nominal", sort=lines, title=None, axis=alt.Axis(domain=False)),
    }
    tooltip = [
        alt.Tooltip(field=y, type="nominal"),
        alt.Tooltip(field=x, type="nominal"),
        alt.Tooltip(field="label", type="nominal", title="effect"),
        alt.Tooltip(field="interval", type="nominal", title="95 % interval"),
        alt.Tooltip(field="verdict", type="nominal"),
    ]
    base = alt.Chart(rows_data(data), title=title).encode(**axes, tooltip=tooltip)
    cells = base.mark_rect(stroke="#ffffff", strokeWidth=2).encode(color=_literal_colour("fill"))
    labels = base.mark_text(fontSize=11).encode(
        text=alt.Text(field="label", type="nominal"), color=_literal_colour("ink")
    )
    return finish(alt.layer(cells, labels), 36 * len(lines))


def _literal_colour(name: str) -> alt.Color:
    return alt.Color(field=name, type="nominal", scale=None, legend=None)


def _cell_colours(relative: float, verdict: str) -> Row:
    """Return the colours of a cell and of its text.

    Args:
        relative: size of the effect over the largest determined effect.
        verdict: gives the hue (helps: blue, hurts: orange, negligible: pale); undetermined and withheld cells are grey.
    """
    if verdict in ("undetermined", "withheld"):
        return {"fill": UNDETERMINED, "ink": "#8a93a1"}
    if verdict == "negligible":
        return {"fill": _PAPER, "ink": INK}
    strength = 0.1 + 0.9 * math.sqrt(min(relative, 1.0))
    full = (0x00, 0x72, 0xB2) if verdict == "helps" else (0xD5, 0x5E, 0x00)
    mixed = (round(0xFA + (hue - 0xFA) * strength) for hue in full)
    return {
        "fill": "#" + "".join(f"{channel:02x}" for channel in mixed),
        "ink": "#ffffff" if strength > 0.6 else INK,
    }


def intervals(rows: Sequence[Row], category: str, value: str, title: str, axis_title: str) -> Spec:
    """Draw an estimate and its interval per row, around zero, coloured by verdict.

    Args:
        rows: with columns `lo`, `hi` and `verdict` beside category and value.
        category: column on the y axis, in the order of the rows.
        value: estimate.
        title: title of the chart.
        axis_title: what is on the x axis, with unit and sign in words.
    """
    rows = [row for row in rows if row[value] is not None]
    order = list(dict.fromkeys(row[category] for row in rows))
    verdicts = [name for name in VERDICT_COLOURS if any(row["verdict"] == name for row in rows)]
    y = alt.Y(field=category, type="nominal", sort=order, title=None)
    colour = alt.Color(
        field="verdict", type="nominal", title=None,
        scale=alt.Scale(domain=verdicts, range=[VERDICT_COLOURS[name] for name in verdicts]),
    )  # fmt: skip
    tooltip = [
        alt.Tooltip(field=category, type="nominal"),
        *(alt.Tooltip(field=name, type="quantitative", format="+.4f") for name in (value, "lo", "hi")),
        alt.Tooltip(field="verdict", type="nominal"),
    ]
    base = alt.Chart(rows_data(rows), title=title)
    lines = base.mark_rule(strokeWidth=2).encode(
        y=y,
        x=alt.X(field="lo", type="quantitative", title=axis_title),
        x2=alt.X2(field="hi"),
        color=colour,
        tooltip=tooltip,
    )
    points = base.mark_point(filled=True, size=70, opacity=1).encode(
        y=y, x=alt.X(field=value, type="quantitative"), color=colour, tooltip=tooltip
    )
    zero = alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(color="#9aa2ae", strokeDash=[4, 3])
    return finish(alt.layer(zero.encode(x=alt.X(field="zero", type="quantitative")), lines, points), 30 * len(order))


def curves(rows: Sequence[Row], x: str, y: str, line: str, colour: str, palette: dict[str, str], title: str) -> Spec:
    """Draw one line per run.

    Args:
        rows: one per (run, step).
        x: column on the x axis.
        y: column on the y axis.
        line: column that tells the lines apart.
        colour: column that colours them.
        palette: colour of every value of it.
        title: title of the chart.
    """
    chart = (
        alt.Chart(rows_data(rows), title=title)
        .mark_line(strokeWidth=1.2, opacity=0.8)
        .encode(
            x=alt.X(field=x, type="quantitative", title=x.replace("_", " "), axis=alt.Axis(format="~s")),
            y=alt.Y(field=y, type="quantitative", title=y.replace("_", " "), scale=alt.Scale(zero=False)),
            detail=alt.Detail(field=line, type="nominal"),
            color=alt.Color(
                field=colour,
                type="nominal",
                title=None,
                scale=alt.Scale(domain=list(palette), range=list(palette.values())),
            ),
        )
    )
    return finish(chart, 260)


def scatter(rows: Sequence[Row], x: str, y: str, colour: str, palette: dict[str, str], title: str) -> Spec:
    """Draw a point per row around the line on which both columns are equal.

    Args:
        rows: one per point.
        x: column on the x axis.
        y: column on the y axis, in the unit of x.
        colour: column that colours them.
        palette: colour of every value of it.
        title: title of the chart.
    """
    values = [row[name] for row in rows for name in (x, y)]
    ends = [{x: end, y: end} for end in (min(values), max(values))]
    scale = alt.Scale(zero=False)
    axes = {
        "x": alt.X(field=x, type="quantitative", title=x, scale=scale),
        "y": alt.Y(field=y, type="quantitative", title=y, scale=scale),
    }
    points = (
        alt.Chart(rows_data(rows), title=title)
        .mark_point(filled=True, size=36, opacity=0.75)
        .encode(
            **axes,
            color=alt.Color(
                field=colour,
                type="nominal",
                title=None,
                scale=alt.Scale(domain=list(palette), range=list(palette.values())),
            ),
            tooltip=[
                alt.Tooltip(field=colour, type="nominal"),
                *(alt.Tooltip(field=name, type="quantitative", format=".3f") for name in (x, y)),
            ],
        )
    )
    line = alt.Chart(alt.Data(values=ends)).mark_line(color="#9aa2ae", strokeDash=[4, 3]).encode(**axes)
    return finish(alt.layer(line, points), 320)
