"""Levels with intervals: one row per thing that is measured, one mark per cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt

from reports.blocks import Row, Spec
from reports.charts import finish, rows_data

_MARK_PX = 9


def levels(
    rows: Sequence[Row],
    category: str,
    value: str,
    colour: str,
    palette: Mapping[str, str],
    title: str,
    axis_title: str,
) -> Spec:
    """Draw a value and its interval per row, side by side within a category.

    Args:
        rows: with columns `lo` and `hi` (None where there is no interval) beside the others.
        category: column on the y axis, in the order of the rows.
        value: column on the x axis.
        colour: column that tells the marks of a category apart.
        palette: colour of every value of it.
        title: title of the chart.
        axis_title: what is on the x axis, with unit and sign in words.
    """
    order = list(dict.fromkeys(row[category] for row in rows))
    names = [name for name in palette if any(row[colour] == name for row in rows)]
    shared = {
        "y": alt.Y(field=category, type="nominal", sort=order, title=None),
        "yOffset": alt.YOffset(field=colour, type="nominal", sort=names),
        "color": alt.Color(
            field=colour, type="nominal", title=None, scale=alt.Scale(domain=names, range=[palette[n] for n in names])
        ),
        "tooltip": [
            alt.Tooltip(field=category, type="nominal"),
            alt.Tooltip(field=colour, type="nominal"),
            *(alt.Tooltip(field=name, type="quantitative", format="+.4f") for name in (value, "lo", "hi")),
        ],
    }
    base = alt.Chart(rows_data(rows), title=title)
    lines = base.mark_rule(strokeWidth=2).encode(
        x=alt.X(field="lo", type="quantitative", title=axis_title), x2=alt.X2(field="hi"), **shared
    )
    points = base.mark_point(filled=True, size=40, opacity=1).encode(
        x=alt.X(field=value, type="quantitative"), **shared
    )
    return finish(alt.layer(lines, points), max(120, _MARK_PX * len(names) * len(order)))
