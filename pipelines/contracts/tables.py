"""The one writer of data files: the same rows give the same bytes, however they arrived.

Parquet and Arrow files depend on how rows were cut into batches, so rows are collected and cut again
here, at a fixed number of rows (and of text bytes), and every cut is written as one contiguous chunk.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.contracts import storage
from pipelines.contracts.errors import StageError, message
from pipelines.contracts.manifest import OutputFile, output_file

ROWS_PER_GROUP = 2048
TEXT_BYTES_PER_GROUP = 16 << 20
_DICTIONARY_TYPES = (pa.string(), pa.list_(pa.string()))
_UNIQUE_STRINGS = {
    "doc_id",
    "native_id",
    "content_hash",
    "url",
    "component_id",
    "leader",
    "raw_hash",
    "split_key",
    "message",
}


class TableWriter:
    """Write one Parquet file of a table, atomically, as a context manager.

    Args:
        workspace: root of the workspace.
        path: file, relative to the workspace.
        schema: schema of the table; every batch must have exactly its columns and types.
        rows_per_group: rows of a row group.

    After the block, `output` describes the file.
    """

    def __init__(self, workspace: str, path: str, schema: pa.Schema, rows_per_group: int = ROWS_PER_GROUP) -> None:
        self.schema = schema
        self.rows = 0
        self.output: OutputFile | None = None
        self._workspace, self._path = workspace, path
        self._rows_per_group = rows_per_group
        self._pending: list[pa.Table] = []
        self._atomic = storage.atomic_write(storage.join(workspace, path))

    def __enter__(self) -> TableWriter:
        self._file = self._atomic.__enter__()
        dictionary = [f.name for f in self.schema if f.type in _DICTIONARY_TYPES and f.name not in _UNIQUE_STRINGS]
        self._parquet = pq.ParquetWriter(
            self._file, self.schema, compression="zstd", compression_level=1, use_dictionary=dictionary
        )
        return self

    def write(self, rows: pa.Table | pa.RecordBatch) -> None:
        """Append rows.

        Raises:
            StageError: if the columns or types are not those of the schema.
        """
        table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
        if table.schema.names != self.schema.names or table.schema.types != self.schema.types:
            raise StageError(message(self._path, "wrong columns", table.schema.to_string(), self.schema.to_string()))
        if table.num_rows:
            self._pending.append(table)
            self._flush(final=False)

    def _flush(self, *, final: bool) -> None:
        table = pa.concat_tables(self._pending) if self._pending else self.schema.empty_table()
        start = 0
        for stop in group_ends(table, self._rows_per_group, final=final):
            group = table.slice(start, stop - start).combine_chunks().cast(self.schema)
            self._parquet.write_table(group, row_group_size=max(1, group.num_rows))
            self.rows += group.num_rows
            start = stop
        self._pending = [table.slice(start)] if start < table.num_rows else []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush(final=True)
        finally:
            self._parquet.close()
            self._atomic.__exit__(kind, error, trace)
        if kind is None:
            self.output = output_file(self._workspace, self._path, self.rows)


def group_ends(table: pa.Table, rows_per_group: int, *, final: bool) -> list[int]:
    """Return where row groups end: at a fixed number of rows, or once the text of a group is large.

    Args:
        table: [rows] pending rows; its column `text`, if there is one, limits the bytes of a group.
        rows_per_group: rows of a full group.
        final: whether the rest is a (short) group, too.

    Returns:
        Ascending ends in (0, rows]; they depend on the rows only, not on how these arrived.
    """
    ends: list[int] = []
    if "text" not in table.schema.names:
        ends = list(range(rows_per_group, table.num_rows + 1, rows_per_group))
    elif table.num_rows:
        sizes = pc.binary_length(table["text"]).fill_null(0).to_numpy().astype(np.int64)
        total = np.cumsum(sizes)
        start = 0
        while start < len(sizes):
            base = total[start - 1] if start else 0
            end = int(np.searchsorted(total, base + TEXT_BYTES_PER_GROUP)) + 1  # the row that reaches the limit
            end = min(end, start + rows_per_group)
            if end > len(sizes):
                break
            ends.append(end)
            start = end
    if final and table.num_rows and (not ends or ends[-1] < table.num_rows):
        ends.append(table.num_rows)
    return ends


def write_table(workspace: str, path: str, table: pa.Table, schema: pa.Schema) -> OutputFile:
    """Write a whole table as one Parquet file."""
    with TableWriter(workspace, path, schema) as writer:
        writer.write(table)
    assert writer.output is not None
    return writer.output


def read_table(workspace: str, path: str, columns: list[str] | None = None) -> pa.Table:
    """Read a Parquet file of the workspace."""
    with storage.open_read(storage.join(workspace, path)) as file:
        return pq.ParquetFile(file).read(columns=columns, use_threads=False)


def read_batches(
    workspace: str, path: str, columns: list[str] | None = None, at_least_bytes: int = 1
) -> Iterator[pa.Table]:
    """Read a Parquet file of the workspace, some row groups at a time (bounded memory).

    Args:
        workspace: root of the workspace.
        path: file, relative to the workspace.
        columns: columns to read; all if None.
        at_least_bytes: row groups are read together until they have so many bytes (of all columns, uncompressed); each
            alone by default.
    """
    with storage.open_read(storage.join(workspace, path)) as file:
        parquet = pq.ParquetFile(file)
        groups: list[int] = []
        total = 0
        for group in range(parquet.num_row_groups):
            groups.append(group)
            total += parquet.metadata.row_group(group).total_byte_size
            if total >= at_least_bytes or group == parquet.num_row_groups - 1:
                yield parquet.read_row_groups(groups, columns=columns, use_threads=False)
                groups, total = [], 0
