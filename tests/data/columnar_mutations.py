"""Malformed Parquet and Arrow files from sound ones, by seed; and what all mutated files share: limits, texts, cases."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from tests.data.sentences import LANGUAGES, Writer

COLUMNAR = ("parquet", "arrow", "arrow-stream")
MAX_RECORD_BYTES = 150_000  # limits under which the mutated files are to be read
MAX_PAGE_BYTES = 100_000
FREE_BYTES = 1_000_000
RECORDS = 12
_COLUMNAR_DAMAGE = (
    "bit flips",
    "range of zeros",
    "range of random bytes",
    "deleted range",
    "truncated file",
    "foot",
    "bomb",
    "empty file",
)


@dataclass(frozen=True)
class Case:
    """A malformed file.

    Attributes:
        kind: format, one of `FORMATS`.
        suffix: compression.
        mutation: what was done to it.
        data: the file.
        sound: records in the sound original.
        survivors: contents of the records that must be read in spite of the damage.
    """

    kind: str
    suffix: str
    mutation: str
    data: bytes
    sound: int
    survivors: tuple[bytes, ...]


def made_texts(seed: int) -> list[str]:
    writer = Writer(seed)
    return [writer.document(LANGUAGES[writer.below(len(LANGUAGES))], 4 + writer.below(8)) for _ in range(RECORDS)]


def sound_table(seed: int) -> pa.Table:
    """Return the rows of a sound Parquet or Arrow file."""
    texts = made_texts(seed)
    return pa.table(
        {"id": range(len(texts)), "text": texts, "url": [f"https://t.example/{n}" for n in range(len(texts))]}
    )


def _sound_columnar(kind: str, table: pa.Table, draw: random.Random) -> tuple[bytes, list[tuple[int, int]], int]:
    """Write a file of groups of three rows.

    Returns:
        The file, where every group lies in it, and where what follows the groups starts.
    """
    sink = io.BytesIO()
    if kind == "parquet":
        compression = draw.choice(["none", "snappy", "zstd", "gzip"])
        pq.write_table(table, sink, row_group_size=3, compression=compression, use_dictionary=draw.random() < 0.5)
        metadata = pq.ParquetFile(io.BytesIO(sink.getvalue())).metadata
        groups, start = [], 4
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            end = start + sum(group.column(c).total_compressed_size for c in range(group.num_columns))
            groups.append((start, end))
            start = end
        return sink.getvalue(), groups, start
    options = pa.ipc.IpcWriteOptions(compression=draw.choice([None, "lz4", "zstd"]))
    new, groups = (pa.ipc.new_file if kind == "arrow" else pa.ipc.new_stream), []
    with new(sink, table.schema, options=options) as writer:
        for batch in table.to_batches(max_chunksize=3):
            start = sink.tell()
            writer.write_batch(batch)
            groups.append((start, sink.tell()))
    return sink.getvalue(), groups, groups[-1][1]


def _columnar_bomb(kind: str, draw: random.Random) -> bytes:
    """Write rows that are far larger decoded than in the file."""
    if draw.random() < 0.5:
        text = pa.array(["x" * 2 * MAX_RECORD_BYTES] * 40)
    else:
        text = pa.DictionaryArray.from_arrays(pa.array([0] * 40, pa.int32()), pa.array(["x" * 1_000_000]))
    sink, table = io.BytesIO(), pa.table({"text": text})
    if kind == "parquet":
        pq.write_table(table, sink, compression="zstd", use_dictionary=draw.random() < 0.7, store_schema=False)
    else:
        new = pa.ipc.new_file if kind == "arrow" else pa.ipc.new_stream
        with new(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(table)
    return sink.getvalue()


def _damage_columnar(data: bytes, name: str, foot: int, draw: random.Random) -> tuple[bytes, int, int]:
    """Damage a file; the file, and the range of the sound one that was touched."""
    if name == "truncated file":
        keep = draw.randrange(len(data))
        return data[:keep], keep, len(data)
    start = draw.randrange(foot, len(data)) if name == "foot" else draw.randrange(len(data))
    size = draw.randint(1, 4) if name in ("bit flips", "foot") else draw.randint(10, 600)
    end = min(start + size, len(data))
    changed = {
        "range of zeros": bytes(end - start),
        "range of random bytes": draw.randbytes(end - start),
        "deleted range": b"",
    }.get(name, bytes(b ^ (1 << draw.randrange(8)) for b in data[start:end]))
    return data[:start] + changed + data[end:], start, end if changed else len(data)


def columnar_cases(kind: str, count: int, seed: int) -> Iterator[Case]:
    """Make malformed files of one columnar format."""
    for number in range(count):
        name = _COLUMNAR_DAMAGE[number % len(_COLUMNAR_DAMAGE)]
        draw = random.Random(f"{kind}/{seed}/{number}")
        table = sound_table(draw.randrange(40))
        texts = [text.encode() for text in table["text"].to_pylist()]
        if name in ("empty file", "bomb"):
            data = b"" if name == "empty file" else _columnar_bomb(kind, draw)
            yield Case(kind, "", name, data, 0 if name == "bomb" else len(texts), ())
            continue
        sound, groups, foot = _sound_columnar(kind, table, draw)
        data, start, end = _damage_columnar(sound, name, foot, draw)
        lost = [low < end and start < high for low, high in groups]
        if start < groups[0][0] or (kind == "parquet" and end > foot):
            lost = [True] * len(groups)  # without a schema or a footer there is no row
        if kind == "arrow-stream" or (kind == "arrow" and end > foot):
            lost = [any(lost[: at + 1]) for at in range(len(lost))]  # read from the front
        if kind == "arrow" and end > foot and name != "truncated file":
            lost = [True] * len(groups)  # a footer may still be one and point elsewhere
        rows = [text for at, text in enumerate(texts) if not lost[at // 3]]
        yield Case(kind, "", name, data, len(texts), tuple(rows))
