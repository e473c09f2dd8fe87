"""Where a big file can be cut: lines, row groups, record batches, the streams of a multistream dump.

Offsets of documents do not depend on the cuts, so that `part_mb` moves no id.
"""

from __future__ import annotations

import bz2
import itertools
import re
from collections.abc import Iterable, Iterator

from pipelines.contracts import storage
from pipelines.contracts.errors import InputError, message
from pipelines.contracts.recipe import Source
from pipelines.contracts.tasks import Piece
from pipelines.readers.columnar import record_batches, row_group_bytes
from pipelines.readers.compression import is_compressed
from pipelines.readers.transcode import utf16_name

_MULTISTREAM = re.compile(r"^(.*multistream)(\d*)\.xml(.*\.bz2)$")
_STREAM_MAGIC = re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")
_MAGIC_BYTES = 10


def cut_file(source: Source, full: str, path: str, size: int, limit: int) -> list[Piece]:
    """Cut a file into pieces of about `limit` bytes; one piece if it is small or cannot be cut.

    Args:
        source: the source that the file belongs to.
        full: the file.
        path: the file, relative to the root of its source.
        size: bytes of the file as it lies there.
        limit: bytes of a piece.

    Raises:
        InputError: if the index of a multistream dump does not fit it.
    """
    whole = [Piece(path, 0, None)]
    if source.format == "mediawiki" and storage.exists(index_of(full)):
        cuts = _chosen(_streams(full, size), size, limit)
        return [Piece(path, start, end) for start, end in _pairs([*cuts, size])]
    if size <= limit or is_compressed(path):
        return whole
    if source.format == "jsonl" or (source.format == "text" and source.text.unit == "line"):
        with storage.open_read(full) as file:
            starts = [0] if utf16_name(file.read(4)) else list(range(0, size, limit))
    elif source.format == "parquet":
        starts = _grouped(row_group_bytes(full), limit)
    elif source.format == "arrow":
        count = record_batches(full)
        starts = _grouped([size // count] * count, limit) if count else [0]
    else:
        return whole
    return [*(Piece(path, start, end) for start, end in _pairs(starts)), Piece(path, starts[-1], None)]


def index_of(path: str) -> str:
    """Return where the index of a bz2 multistream dump lies; for any other file, a path that does not exist."""
    found = _MULTISTREAM.match(path)
    return f"{found[1]}-index{found[2]}.txt{found[3]}" if found else path + ".no-index"


def _pairs(starts: list[int]) -> Iterator[tuple[int, int]]:
    return itertools.pairwise(starts)


def _grouped(sizes: list[int], limit: int) -> list[int]:
    """Return the first index of every run of about `limit` bytes."""
    starts, filled = [0], 0
    for index, size in enumerate(sizes):
        if filled and filled + size > limit:
            starts.append(index)
            filled = 0
        filled += size
    return starts


def _chosen(streams: Iterable[int], size: int, limit: int) -> list[int]:
    """Return the starts of the pieces: 0, and the streams at which the piece before is big enough."""
    starts = [0]
    for offset in streams:
        if offset - starts[-1] >= limit and size - offset > 0:
            starts.append(offset)
    return starts


def _streams(path: str, size: int) -> Iterator[int]:
    """Yield the compressed offsets of the streams of a multistream dump, as its index (`offset:id:title`) names them.

    Raises:
        InputError: if a line is none, or there is no stream where it says.
    """
    index, last = index_of(path), 0
    with storage.open_read(index) as packed, storage.open_read(path) as dump, bz2.open(packed) as lines:
        for number, line in enumerate(lines, 1):
            where = line.partition(b":")[0]
            offset = int(where) if where.isdigit() else -1
            if offset == last:
                continue
            if last < offset < size:
                dump.seek(offset)
                if _STREAM_MAGIC.match(dump.read(_MAGIC_BYTES)):
                    last = offset
                    yield offset
                    continue
            hint = "Take the index that was made with the dump, or remove it: the dump is then read as one piece."
            expected = f"the offset of a bz2 stream of {path}, after {last}"
            got = line[:80].decode("utf-8", "replace").rstrip()
            raise InputError(message(f"{index}: line {number}", "index does not fit the dump", got, expected, hint))
