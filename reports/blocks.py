"""What a page is made of: prose, key numbers, banners, and figures (chart, table, the SQL behind both)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import duckdb

Row = dict[str, Any]
Spec = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """How a column of a query is shown.

    Attributes:
        name: column of the query.
        label: heading; its unit belongs in it.
        kind: how values are formatted.
    """

    name: str
    label: str
    kind: Literal["text", "count", "bytes", "share", "number", "effect", "code", "long", "verdict"] = "text"


@dataclass(frozen=True)
class Prose:
    """A paragraph of plain text."""

    text: str


@dataclass(frozen=True)
class Banner:
    """A warning that must be seen; `level` error is red and goes to the top of the report."""

    text: str
    level: Literal["error", "note"] = "note"


@dataclass(frozen=True)
class Tile:
    """A key number."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Tiles:
    """Key numbers in a row."""

    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Figure:
    """Charts with the table and the SQL that they were made from.

    Attributes:
        name: id in the page, unique in the report.
        title: heading.
        caption: one sentence that says what it shows.
        sql: the query; anyone can run it on the snapshot.
        columns: columns of the table.
        rows: result of the query.
        charts: Vega-Lite specifications, side by side.
        limit: rows of the table that are printed.
    """

    name: str
    title: str
    caption: str
    sql: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    charts: tuple[Spec, ...] = ()
    limit: int = 200


@dataclass(frozen=True)
class Finding:
    """A sentence about an effect, with the colour of its verdict."""

    text: str
    verdict: str


@dataclass(frozen=True)
class Findings:
    """A list of findings."""

    title: str
    items: tuple[Finding, ...]


@dataclass(frozen=True)
class MarkedText:
    """A text whose pieces are marked by kind: colour, and a number that says the same without colour.

    Attributes:
        name: id in the page, unique in the report.
        title: heading.
        caption: one sentence that says what it shows.
        pieces: (text, kind or None, what to say of it); in order.
        colours: kind to colour; its order gives the numbers.
        sql: the query that it was made from.
    """

    name: str
    title: str
    caption: str
    pieces: tuple[tuple[str, str | None, str], ...]
    colours: dict[str, str]
    sql: str


Block = Prose | Banner | Tiles | Figure | Findings | MarkedText


@dataclass(frozen=True)
class Page:
    """One section of the report.

    Attributes:
        slug: anchor.
        title: heading and entry of the navigation.
        blocks: content, in order.
    """

    slug: str
    title: str
    blocks: tuple[Block, ...] = field(default=())


def query(con: duckdb.DuckDBPyConnection, sql: str, params: list[Any] | None = None) -> tuple[Row, ...]:
    """Run a query and return its rows as dictionaries."""
    relation = con.sql(sql, params=params) if params else con.sql(sql)
    names = relation.columns
    return tuple(dict(zip(names, values, strict=True)) for values in relation.fetchall())


def scalar(con: duckdb.DuckDBPyConnection, sql: str) -> Any:
    """Run a query and return its one value."""
    return con.sql(sql).fetchall()[0][0]


def figure(
    con: duckdb.DuckDBPyConnection,
    name: str,
    title: str,
    caption: str,
    sql: str,
    columns: tuple[Column, ...],
    draw: Callable[[tuple[Row, ...]], tuple[Spec, ...]] | None = None,
) -> Figure:
    """Run a query and make a figure of it; without rows nothing is drawn."""
    rows = query(con, sql)
    charts = draw(rows) if draw is not None and rows else ()
    return Figure(name, title, caption, sql, columns, rows, charts)
