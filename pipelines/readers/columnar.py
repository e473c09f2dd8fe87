"""Parquet and Arrow IPC: rows instead of bytes.

A row's offset is its number in a Parquet file, and 2^32 times the record batch plus the row in it in an Arrow
file; its length is the bytes of its text, which are counted a second time by Arrow's own offsets. Damage costs
what cannot be read without the damaged bytes: the rest of a row group (Parquet), a record batch (Arrow file), all
that follows (Arrow stream).
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.contracts import storage
from pipelines.readers.columns import BATCH_ROWS, FAULTS, batch_items, check_text, find, mapped, short, wanted
from pipelines.readers.ipc import check_message, check_stream, file_blocks, read_message
from pipelines.readers.pages import check_inflation, page_sizes
from pipelines.readers.records import BadRecord, Item, ReadOptions

_BATCH_MEMORY_BYTES = 64 << 20  # of a batch of Parquet rows, each of which may be as large as a page
_DECODING = 1 << 62  # plus an offset: where a worker is while Arrow decodes the rows from there on
_OPENING = 2 * _DECODING - 1
_KILLED = "reading killed a worker: got a dead process"
_BATCH_STEP = 1 << 32  # between the offsets of two record batches
_FILE_MAGIC = b"ARROW1"
_STREAM_START = 8  # of the stream that an Arrow file holds
# Offset of the first row, offset behind the last one if it is known, what it is, its batches.
_Group = tuple[int, int | None, str, Iterator[pa.RecordBatch]]


class Columnar(ABC):
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
        if self._kills(_OPENING):
            self.bytes_read += size
            yield BadRecord(0, size, "worker_killed", f"{_KILLED}; expected {self._expected}")
            self._done = True
            return
        try:
            with storage.open_read(self._path) as file:
                for group in self._groups(file):
                    yield from self._group(*group)
        except FAULTS as error:
            self.bytes_read += size
            text = f"file cannot be read: got {short(error)}; expected {self._expected}"
            yield BadRecord(0, size, "unreadable_file", text)
        self._done = True

    def _group(
        self, offset: int, end: int | None, name: str, batches: Iterator[pa.RecordBatch]
    ) -> Iterator[tuple[int, pa.RecordBatch] | BadRecord]:
        """Yield the batches of one group; if one cannot be read, the rest of the group is one bad record."""
        while end is None or offset < end:
            if self._kills(_DECODING + offset):
                text = f"{_KILLED} by the rows of {name}; expected sound data (the rest is lost)"
                yield BadRecord(offset, 0, "worker_killed", text)
                return
            try:
                batch = next(batches, None)
                if batch is None:
                    return
                batch = mapped(batch, self._options)
                self.bytes_read += pc.sum(batch["length"]).as_py() or 0
            except FAULTS as error:
                text = f"rows of {name} cannot be read: got {short(error)}; expected sound data (the rest is lost)"
                yield BadRecord(offset, 0, "unreadable_rows", text)
                return
            self._options.at(offset)
            yield offset, batch
            offset += batch.num_rows

    def _kills(self, mark: int) -> bool:
        """Say whether a worker died at a mark before; if not, note that this one is there now."""
        if mark in self._options.poison:
            return True
        self._options.at(mark)
        return False

    _expected: str

    @abstractmethod
    def _groups(self, file: Any) -> Iterator[_Group]:
        """Yield the groups of rows of the piece, which can be read one without another."""


class ParquetRows(Columnar):
    """Groups are row groups, read page by page."""

    _expected = "a Parquet file with the text column that the recipe names"

    def _groups(self, file: Any) -> Iterator[_Group]:
        parquet = pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20)
        columns = [name for name in wanted(self._options) if find(parquet.schema_arrow, name)]
        check_text(parquet.schema_arrow, self._options)
        rows = [parquet.metadata.row_group(number).num_rows for number in range(parquet.num_row_groups)]
        if min(rows, default=0) < 0:
            raise ValueError(f"a row group of {min(rows)} rows")
        starts = list(itertools.accumulate(rows, initial=0))

        def batches(number: int) -> Iterator[pa.RecordBatch]:
            largest = self._largest_page(file, parquet.metadata.row_group(number), columns)
            count = min(BATCH_ROWS, max(1, _BATCH_MEMORY_BYTES // max(1, largest)))
            yield from parquet.iter_batches(count, [number], columns, use_threads=False)

        for number in range(self._options.start, len(rows) if self._options.end is None else self._options.end):
            yield starts[number], starts[number + 1], f"row group {number}", batches(number)

    def _largest_page(self, file: Any, group: pq.RowGroupMetaData, columns: list[str]) -> int:
        """Return the bytes of the largest page of the mapped columns.

        Raises:
            BombError: if a page is beyond the limit.
        """
        largest = 0
        for number in range(group.num_columns):
            chunk = group.column(number)
            if any((chunk.path_in_schema + ".").startswith(name + ".") for name in columns):
                first = chunk.dictionary_page_offset or chunk.data_page_offset
                for given, taken in page_sizes(file, first, chunk.total_compressed_size):
                    check_inflation("a page", given, taken, self._options.inflation)
                    largest = max(largest, given)
        return largest


class ArrowRows(Columnar):
    """Groups are the record batches of a file; a stream is one group."""

    _expected = "an Arrow IPC file or stream with the text column that the recipe names"

    def _groups(self, file: Any) -> Iterator[_Group]:
        is_file = file.read(len(_FILE_MAGIC)) == _FILE_MAGIC
        file.seek(0)
        lost: Exception | None = None
        try:
            reader = pa.ipc.open_file(file) if is_file else pa.ipc.open_stream(file)
        except FAULTS as error:
            if not is_file:
                raise
            lost = error  # the footer is damaged or cut off, but what it lists is a stream
            file.seek(_STREAM_START)
            reader = pa.ipc.open_stream(file)
        check_text(reader.schema, self._options)
        if not is_file or lost:
            number, start = 0, _STREAM_START if lost else 0
            with storage.open_read(self._path) as beside:
                for number, batches in enumerate(
                    _one_by_one(reader, check_stream(beside, start, self._options.inflation))
                ):
                    yield number * _BATCH_STEP, None, f"record batch {number}", batches
            if lost:
                yield (number + 1) * _BATCH_STEP, None, "the footer", _raising(lost)
            return
        dictionaries, places = file_blocks(file, storage.size_bytes(self._path))

        def batch(number: int) -> Iterator[pa.RecordBatch]:
            waiting = [*dictionaries, *places[number : number + 1]]
            dictionaries.clear()  # Arrow reads all of them with the first batch
            for place in waiting:
                message = read_message(file, place)
                if message is not None:
                    check_message(message, self._options.inflation)
            yield reader.get_batch(number)

        last = reader.num_record_batches if self._options.end is None else self._options.end
        for number in range(self._options.start, last):
            yield number * _BATCH_STEP, None, f"record batch {number}", batch(number)


def _one_by_one(reader: pa.RecordBatchReader, checks: Iterator[None]) -> Iterator[Iterator[pa.RecordBatch]]:
    """Yield the batches of a stream, each as a group; one that cannot be read is the last."""
    ended = False

    def batch() -> Iterator[pa.RecordBatch]:
        nonlocal ended
        ended = True
        next(checks, None)
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
        else:
            offset, batch = entry
            yield from batch_items(batch, offset, options)


def row_group_bytes(path: str) -> list[int]:
    """Return the compressed bytes of the row groups of a Parquet file; none if it cannot be read."""
    try:
        with storage.open_read(path) as file:
            metadata = pq.ParquetFile(file).metadata
            groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
            return [sum(group.column(c).total_compressed_size for c in range(group.num_columns)) for group in groups]
    except FAULTS:
        return []  # the reader says what is wrong with it


def record_batches(path: str) -> int:
    """Return the number of record batches of an Arrow file; 0 for a stream and for what cannot be read."""
    try:
        with storage.open_read(path) as file:
            return pa.ipc.open_file(file).num_record_batches
    except FAULTS:
        return 0
