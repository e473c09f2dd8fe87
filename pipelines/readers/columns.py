"""From record batches to items: the mapped columns, checked, in slices of bounded size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.readers.records import RAW_BYTES, BadRecord, Item, ReadOptions, too_large
from pipelines.readers.rows import row_item

BATCH_ROWS = 256  # rows that are Python objects at a time, if they are not large
_BATCH_BYTES = 8 << 20  # of text that is decoded at a time, if one row is not larger
# KeyError: two columns of one name; OverflowError: lengths beyond 2^63; both from Arrow for damaged or odd files.
FAULTS = (pa.ArrowException, OSError, ValueError, MemoryError, KeyError, OverflowError)


def batch_items(batch: pa.RecordBatch, offset: int, options: ReadOptions) -> Iterator[Item]:
    """Yield the items of what `mapped` returned; `offset` is that of the first row."""
    lengths = batch["length"].to_numpy()
    start = 0
    while start < batch.num_rows:
        fitting = int(np.searchsorted(np.cumsum(lengths[start : start + BATCH_ROWS]), _BATCH_BYTES, "right"))
        rows = batch.slice(start, max(1, fitting))
        if lengths[start] > options.max_record_bytes:
            yield _large_row(rows, offset + start, int(lengths[start]), options)
            start += 1
            continue
        yield from _items(rows, offset + start, lengths[start : start + rows.num_rows].tolist(), options)
        start += rows.num_rows


@dataclass(frozen=True, slots=True)
class _Unreadable:
    """Stands for a value that cannot be a Python object: a time beyond the year 9999, an unknown time zone."""

    error: str


def _items(rows: pa.RecordBatch, offset: int, lengths: list[int], options: ReadOptions) -> Iterator[Item]:
    """Yield the items of rows; a value that cannot be read costs its row."""
    text, *names = [name for name in rows.schema.names if name != "length"]
    columns = [_bytes(rows.column(text)).to_pylist()]
    unreadable: dict[int, tuple[str, _Unreadable]] = {}
    for name in names:
        columns.append(_optional(rows.column(name)))
        if _Unreadable in set(map(type, columns[-1])):
            unreadable |= {row: (name, v) for row, v in enumerate(columns[-1]) if isinstance(v, _Unreadable)}
    names = [text, *names]
    for row, values in enumerate(zip(*columns, strict=True)):
        content = values[0] or b""
        if row in unreadable:
            name, found = unreadable[row]
            why = f"field {name!r} cannot be read: got {found.error}; expected a sound value"
            yield BadRecord(offset + row, lengths[row], "unreadable_value", why, content[:RAW_BYTES])
        else:
            yield row_item(dict(zip(names, values, strict=True)), offset + row, lengths[row], content, options)


def _optional(column: pa.Array) -> list[Any]:
    """Return the values of a column other than the text; where a value cannot be read, what is wrong with it."""
    try:
        if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
            column = column.cast(pa.timestamp("us", column.type.tz), safe=False)  # Python knows no nanoseconds
        binary = pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)
        return (column.cast(pa.large_string()) if binary else column).to_pylist()
    except FAULTS:
        values = [_readable(scalar.as_py) for scalar in column]
        return [_readable(value.decode) if isinstance(value, bytes) else value for value in values]


def _readable(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except FAULTS as error:
        return _Unreadable(short(error))


def _large_row(rows: pa.RecordBatch, offset: int, length: int, options: ReadOptions) -> Item:
    """Make the bad record of a first row that is too large, without a copy of it."""
    buffer = _bytes(rows.column(options.fields.text).slice(0, 1))[0].as_buffer()
    return too_large(
        offset, length, options.max_record_bytes, buffer.slice(0, min(RAW_BYTES, buffer.size)).to_pybytes()
    )


def _bytes(text: pa.Array) -> pa.Array:
    """Return texts as bytes: a text that is no UTF-8 costs one row, at extraction."""
    text = text.dictionary_decode() if pa.types.is_dictionary(text.type) else text
    return text.cast(pa.large_binary())


def wanted(options: ReadOptions) -> list[str]:
    """Return the names of the mapped columns, the text first."""
    fields = options.fields
    return [fields.text, *(name for name in (fields.id, fields.url, fields.date) if name is not None)]


def find(schema: pa.Schema, path: str) -> pa.DataType | None:
    """Return the type of a field; dots reach into structs."""
    if path in schema.names:
        return schema.field(path).type
    first, *rest = path.split(".")
    found = schema.field(first).type if first in schema.names else None
    for name in rest:
        found = (
            found.field(name).type if found is not None and pa.types.is_struct(found) and _has(found, name) else None
        )
    return found


def _has(struct: pa.StructType, name: str) -> bool:
    return struct.get_field_index(name) >= 0


def check_text(schema: pa.Schema, options: ReadOptions) -> None:
    """Check that the text column is there and is text.

    Raises:
        ValueError: if it is not; the message says what was found.
    """
    name = options.fields.text
    found = find(schema, name)
    if found is None:
        raise ValueError(f"no column {name!r} among {', '.join(schema.names[:20])}")
    value = found.value_type if pa.types.is_dictionary(found) else found
    if not any(test(value) for test in (_is_text, pa.types.is_null)):
        raise ValueError(f"column {name!r} of type {found}")


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    tests = (types.is_string, types.is_large_string, types.is_string_view, types.is_binary, types.is_large_binary)
    return any(test(kind) for test in (*tests, types.is_binary_view))


def mapped(batch: pa.RecordBatch, options: ReadOptions) -> pa.RecordBatch:
    """Return the mapped columns under their dotted names, checked against their offsets, and the `length` of the text.

    A dictionary stays one: forty rows may share one text of 64 MB.

    Raises:
        pa.ArrowInvalid: if offsets or values do not fit (damaged IPC data can point anywhere).
    """
    names = [name for name in dict.fromkeys(wanted(options)) if find(batch.schema, name) is not None]
    arrays = []
    for name in names:
        array = _column(batch, name)
        if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
            array = array.cast(pa.binary() if pa.types.is_string(array.type) else pa.large_binary())
        array.validate(full=True)
        arrays.append(array)
    return pa.record_batch([*arrays, _lengths(arrays[0])], names=[*names, "length"])


def _lengths(text: pa.Array) -> pa.Array:
    """Return the bytes of every text; 0 where there is none."""
    if pa.types.is_null(text.type):
        return pa.array([0] * len(text), pa.int64())
    if pa.types.is_dictionary(text.type):
        lengths = pc.binary_length(text.dictionary).cast(pa.int64()).take(text.indices)
    elif pa.types.is_string_view(text.type) or pa.types.is_binary_view(text.type):
        views = np.frombuffer(text.buffers()[1], np.int32)[4 * text.offset :: 4][
            : len(text)
        ]  # length, and where it lies
        lengths = pc.if_else(text.is_valid(), pa.array(views, pa.int64()), 0)
    else:
        lengths = pc.binary_length(text).cast(pa.int64())
    return lengths.fill_null(0)


def _column(batch: pa.RecordBatch, path: str) -> pa.Array:
    if path in batch.schema.names:
        return batch.column(path)
    first, *rest = path.split(".")
    array = batch.column(first)
    array.validate(full=True)
    return pc.struct_field(array, rest)


def short(error: BaseException) -> str:
    """Say in one line what an exception says."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
