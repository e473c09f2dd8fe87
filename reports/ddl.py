"""DuckDB tables from Arrow schemas: types, NOT NULL, and a comment on every table and column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    import duckdb

_SCALARS: dict[pa.DataType, str] = {
    pa.bool_(): "BOOLEAN",
    pa.int8(): "TINYINT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.uint8(): "UTINYINT",
    pa.uint16(): "USMALLINT",
    pa.uint32(): "UINTEGER",
    pa.uint64(): "UBIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.string(): "VARCHAR",
    pa.large_string(): "VARCHAR",
    pa.binary(): "BLOB",
    pa.large_binary(): "BLOB",
}


def sql_type(type_: pa.DataType) -> str:
    """Return the DuckDB type of an Arrow type.

    Raises:
        KeyError: for a type that no table of ours has.

    >>> sql_type(pa.list_(pa.struct([("rule", pa.string()), ("count", pa.int32())])))
    'STRUCT("rule" VARCHAR, "count" INTEGER)[]'
    """
    if pa.types.is_fixed_size_list(type_):
        return f"{sql_type(type_.value_type)}[{type_.list_size}]"
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return f"{sql_type(type_.value_type)}[]"
    if pa.types.is_struct(type_):
        return "STRUCT(" + ", ".join(f'"{f.name}" {sql_type(f.type)}' for f in type_) + ")"
    if pa.types.is_map(type_):
        return f"MAP({sql_type(type_.key_type)}, {sql_type(type_.item_type)})"
    return _SCALARS[type_]


def quoted(text: str) -> str:
    """Quote a text as an SQL literal.

    >>> quoted("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def create_table(con: duckdb.DuckDBPyConnection, name: str, schema: pa.Schema, note: str = "") -> None:
    """Create an empty, commented table.

    Args:
        con: connection; the table goes to its current database.
        name: name of the table.
        schema: Arrow schema whose metadata carry `doc` and `unit`.
        note: sentence to add to the comment of the table.
    """
    columns = ", ".join(f'"{f.name}" {sql_type(f.type)}{"" if f.nullable else " NOT NULL"}' for f in schema)
    con.execute(f'CREATE TABLE "{name}" ({columns})')
    doc = (schema.metadata or {}).get(b"doc", b"").decode()
    con.execute(f'COMMENT ON TABLE "{name}" IS {quoted(" ".join(filter(None, (doc, note))))}')
    for column in schema:
        con.execute(f'COMMENT ON COLUMN "{name}"."{column.name}" IS {quoted(column_comment(column))}')


def column_comment(column: pa.Field) -> str:
    """Return the meaning of a column, with its unit in square brackets at the end."""
    metadata = column.metadata or {}
    doc, unit = metadata.get(b"doc", b"").decode(), metadata.get(b"unit", b"").decode()
    return f"{doc} [{unit}]" if unit else doc
