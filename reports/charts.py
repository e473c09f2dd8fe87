"""Vega-Lite charts, made with Altair: one look, Okabe-Ito colours, the same colour for the same slice.

Every chart fills the width of its container. No selection parameters are used: Altair numbers them by a
process-wide counter, and the same database must give the same page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import altair as alt

from reports.blocks import Row, Spec

# Okabe and Ito (2008), "Color universal design"; black is left to text
OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
KEPT = "#009E73"
OTHER = "#B8BEC6"
UNDETERMINED = "#E3E6EA"
_MORE = ("#5B6C8F", "#A67C00", "#7FC8AE", "#8E5A7A", "#2A9FD6", "#8C3B00", "#A89F1A", "#6B7280")
_BAR_STEP = 34
_TALLEST_FACET = 12

THEME: Spec = {
    "font": "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif",
    "background": "transparent",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "#3b4252", "titleColor": "#3b4252", "gridColor": "#eceff3", "domainColor": "#c5cad3",
        "tickColor": "#c5cad3", "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": 500, "labelLimit": 190,
    },
    "legend": {"labelColor": "#3b4252", "titleColor": "#3b4252", "labelFontSize": 12, "titleFontSize": 12,
               "orient": "bottom", "columns": 4, "labelLimit": 220, "symbolType": "square"},
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


def finish(chart: alt.Chart | alt.LayerChart, height: int | alt.Step) -> Spec:
    """Make a specification that fills its container's width."""
    sized = chart.properties(
        width="container", height=height, autosize=alt.AutoSizeParams(type="fit-x", contains="padding")
    )
    return sized.to_dict()


def rows_data(rows: Sequence[Row]) -> alt.Data:
    """Put rows into a chart, inline."""
    return alt.Data(values=list(rows))


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
            x=alt.X(
                field=value,
                type="quantitative",
                stack="zero",
                title=None,
                axis=alt.Axis(format="~s", tickCount=5),
            ),
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
    return finish(chart, alt.Step(_BAR_STEP))


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
    return finish(chart, alt.Step(26))
