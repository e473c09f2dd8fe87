"""Parquet and Arrow IPC: rows instead of bytes.

A row's offset is its number in a Parquet file, and 2^32 times the record batch plus the row in it in an Arrow
file; its length is the bytes of its text, which are counted a second time by Arrow's own offsets. Damage costs
what cannot be read without the damaged bytes: the rest of a row group (Parquet), a record batch (Arrow file), all
that follows (Arrow stream).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.contracts import storage
from pipelines.readers.records import RAW_BYTES, BadRecord, Item, ReadOptions, too_large
from pipelines.readers.rows import row_item

_BATCH_ROWS = 256  # rows that are Python objects at a time, if they are not large
_BATCH_BYTES = 8 << 20  # of text that is decoded at a time, if one row is not larger
_BATCH_STEP = 1 << 32  # between the offsets of two record batches
_FILE_MAGIC = b"ARROW1"
_STREAM_START = 8  # of the stream that an Arrow file holds
# KeyError: two columns of one name; OverflowError: lengths beyond 2^63; both from Arrow for damaged or odd files.
_FAULTS = (pa.ArrowException, OSError, ValueError, MemoryError, KeyError, OverflowError)
_Group = tuple[int, str, Iterator[pa.RecordBatch]]  # offset of the first row, what it is, its batches


class Columnar:
    """An opened Parquet or Arrow file, or a piece of one.

    Attributes:
        bytes_read: bytes of text in the batches so far, and the size of a file that could not be read.
    """

    def __init__(self, path: str, options: ReadOptions) -> None:
        self.bytes_read = 0
        self._path, self._options = path, options
        self._done = False

    def finished(self) -> bool:
        """Say whether the reader has come to the last row."""
        return self._done

    def after(self, item: Item) -> int:
        """Return the place after an item."""
        return item.offset + 1

    def batches(self) -> Iterator[tuple[int, pa.RecordBatch] | BadRecord]:
        """Yield (offset of the first row, batch of the mapped columns), and a bad record for what cannot be read."""
        size = storage.size_bytes(self._path)
        try:
            with storage.open_read(self._path) as file:
                for group in self._groups(file):
                    yield from self._group(*group)
        except _FAULTS as error:
            self.bytes_read += size
            text = f"file cannot be read: got {_short(error)}; expected {self._expected}"
            yield BadRecord(0, size, "unreadable_file", text)
        self._done = True

    def _group(
        self, offset: int, name: str, batches: Iterator[pa.RecordBatch]
    ) -> Iterator[tuple[int, pa.RecordBatch] | BadRecord]:
        """Yield the batches of one group; if one cannot be read, the rest of the group is one bad record."""
        while True:
            try:
                batch = next(batches, None)
                if batch is None:
                    return
                batch = _mapped(batch, self._options)
                self.bytes_read += pc.sum(batch["length"]).as_py() or 0
            except _FAULTS as error:
                text = f"rows of {name} cannot be read: got {_short(error)}; expected sound data (the rest is lost)"
                yield BadRecord(offset, 0, "unreadable_rows", text)
                return
            yield offset, batch
            offset += batch.num_rows

    _expected: str

    def _groups(self, file: Any) -> Iterator[_Group]:
        """Yield the groups of rows of the piece, which can be read one without another."""
        raise NotImplementedError


class ParquetRows(Columnar):
    """Groups are row groups, read page by page."""

    _expected = "a Parquet file with the text column that the recipe names"

    def _groups(self, file: Any) -> Iterator[_Group]:
        parquet = pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20)
        columns = [name for name in _wanted(self._options) if _find(parquet.schema_arrow, name)]
        _check_text(parquet.schema_arrow, self._options)
        rows = [parquet.metadata.row_group(number).num_rows for number in range(parquet.num_row_groups)]
        starts = list(itertools.accumulate(rows, initial=0))

        def batches(number: int) -> Iterator[pa.RecordBatch]:
            yield from parquet.iter_batches(_BATCH_ROWS, [number], columns, use_threads=False)

        for number in range(self._options.start, len(rows) if self._options.end is None else self._options.end):
            yield starts[number], f"row group {number}", batches(number)


class ArrowRows(Columnar):
    """Groups are the record batches of a file; a stream is one group."""

    _expected = "an Arrow IPC file or stream with the text column that the recipe names"

    def _groups(self, file: Any) -> Iterator[_Group]:
        is_file = file.read(len(_FILE_MAGIC)) == _FILE_MAGIC
        file.seek(0)
        lost: Exception | None = None
        try:
            reader = pa.ipc.open_file(file) if is_file else pa.ipc.open_stream(file)
        except _FAULTS as error:
            if not is_file:
                raise
            lost = error  # the footer is damaged or cut off, but what it lists is a stream
            file.seek(_STREAM_START)
            reader = pa.ipc.open_stream(file)
        _check_text(reader.schema, self._options)
        if not is_file or lost:
            number = 0
            for number, batches in enumerate(_one_by_one(reader)):
                yield number * _BATCH_STEP, f"record batch {number}", batches
            if lost:
                yield (number + 1) * _BATCH_STEP, "the footer", _raising(lost)
            return

        def batch(number: int) -> Iterator[pa.RecordBatch]:
            yield reader.get_batch(number)

        last = reader.num_record_batches if self._options.end is None else self._options.end
        for number in range(self._options.start, last):
            yield number * _BATCH_STEP, f"record batch {number}", batch(number)


def _one_by_one(reader: pa.RecordBatchReader) -> Iterator[Iterator[pa.RecordBatch]]:
    """Yield the batches of a stream, each as a group; one that cannot be read is the last."""
    ended = False

    def batch() -> Iterator[pa.RecordBatch]:
        nonlocal ended
        ended = True
        try:
            found = reader.read_next_batch()
        except StopIteration:
            return
        ended = False
        yield found

    while not ended:
        yield batch()


def _raising(error: Exception) -> Iterator[pa.RecordBatch]:
    raise error
    yield  # a generator, which raises when it is read


def read(opened: Columnar, options: ReadOptions) -> Iterator[Item]:
    """Read the rows of a file or piece."""
    for entry in opened.batches():
        if isinstance(entry, BadRecord):
            yield entry
            continue
        offset, batch = entry
        lengths = batch["length"].to_numpy()
        start = 0
        while start < batch.num_rows:
            fitting = int(np.searchsorted(np.cumsum(lengths[start : start + _BATCH_ROWS]), _BATCH_BYTES, "right"))
            rows = batch.slice(start, max(1, fitting))
            if lengths[start] > options.max_record_bytes:
                yield _large_row(rows, offset + start, int(lengths[start]), options)
                start += 1
                continue
            for row, value in enumerate(_values(rows, options), start):
                yield _row(value, offset + row, int(lengths[row]), options)
            start += rows.num_rows


@dataclass(frozen=True, slots=True)
class _Unreadable:
    """Stands for a value that cannot be a Python object: a time beyond the year 9999, an unknown time zone."""

    error: str


def _values(rows: pa.RecordBatch, options: ReadOptions) -> Iterator[dict[str, Any]]:
    """Yield the values of rows by column."""
    names = [name for name in rows.schema.names if name != "length"]
    columns = [_bytes(rows.column(names[0])).to_pylist(), *(_optional(rows.column(name)) for name in names[1:])]
    for values in zip(*columns, strict=True):
        yield dict(zip(names, values, strict=True))


def _optional(column: pa.Array) -> list[Any]:
    """Return the values of a column other than the text; where a value cannot be read, what is wrong with it."""
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)  # Python knows no nanoseconds
    try:
        values = column.to_pylist()
    except _FAULTS:
        values = [_readable(scalar.as_py) for scalar in column]
    return [_readable(value.decode) if isinstance(value, bytes) else value for value in values]


def _readable(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except _FAULTS as error:
        return _Unreadable(_short(error))


def _row(value: dict[str, Any], offset: int, length: int, options: ReadOptions) -> Item:
    content = value[options.fields.text] or b""
    for name, found in value.items():
        if isinstance(found, _Unreadable):
            text = f"field {name!r} cannot be read: got {found.error}; expected a sound value"
            return BadRecord(offset, length, "unreadable_value", text, content[:RAW_BYTES])
    return row_item(value, offset, length, content, options)


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


def row_group_bytes(path: str) -> list[int]:
    """Return the compressed bytes of the row groups of a Parquet file; none if it cannot be read."""
    try:
        with storage.open_read(path) as file:
            metadata = pq.ParquetFile(file).metadata
            groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
            return [sum(group.column(c).total_compressed_size for c in range(group.num_columns)) for group in groups]
    except _FAULTS:
        return []  # the reader says what is wrong with it


def record_batches(path: str) -> int:
    """Return the number of record batches of an Arrow file; 0 for a stream and for what cannot be read."""
    try:
        with storage.open_read(path) as file:
            return pa.ipc.open_file(file).num_record_batches
    except _FAULTS:
        return 0


def _wanted(options: ReadOptions) -> list[str]:
    fields = options.fields
    return [fields.text, *(name for name in (fields.id, fields.url, fields.date) if name is not None)]


def _find(schema: pa.Schema, path: str) -> pa.DataType | None:
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


def _check_text(schema: pa.Schema, options: ReadOptions) -> None:
    """Check that the text column is there and is text.

    Raises:
        ValueError: if it is not; the message says what was found.
    """
    name = options.fields.text
    found = _find(schema, name)
    if found is None:
        raise ValueError(f"no column {name!r} among {', '.join(schema.names[:20])}")
    value = found.value_type if pa.types.is_dictionary(found) else found
    if not any(test(value) for test in (_is_text, pa.types.is_null)):
        raise ValueError(f"column {name!r} of type {found}")


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    tests = (types.is_string, types.is_large_string, types.is_string_view, types.is_binary, types.is_large_binary)
    return any(test(kind) for test in (*tests, types.is_binary_view))


def _mapped(batch: pa.RecordBatch, options: ReadOptions) -> pa.RecordBatch:
    """Return the mapped columns under their dotted names, checked against their offsets, and the `length` of the text.

    A dictionary stays one: forty rows may share one text of 64 MB.

    Raises:
        pa.ArrowInvalid: if offsets or values do not fit (damaged IPC data can point anywhere).
    """
    names = [name for name in dict.fromkeys(_wanted(options)) if _find(batch.schema, name) is not None]
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


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
