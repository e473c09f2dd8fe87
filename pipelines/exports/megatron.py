"""Megatron-LM's indexed dataset: `NAME.bin` (ids) and `NAME.idx` (where documents lie), each without suffix a `--data-path`.

The layout is that of `megatron.core.datasets.indexed_dataset`, version 1 (Megatron-core 0.5 to 0.12; its predecessor
MMapIndexedDataset is the same): 9 bytes magic, uint64 version, uint8 type of an id, uint64 sequences, uint64 document
bounds; then int32 tokens per sequence, int64 byte offset per sequence, int64 bounds of documents in sequences. A document
is one sequence. There is no code for uint32, so ids of large vocabularies are int32.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

import numpy as np

from pipelines.contracts import schemas, storage
from pipelines.contracts.manifest import OutputFile, output_file
from pipelines.contracts.tables import TableWriter
from pipelines.contracts.tasks import Progress
from pipelines.exports.files import ExportFile, copy_tokens, documents_path

MAGIC: Final = b"MMIDIDX\x00\x00"
VERSION: Final = 1
TYPE_CODES: Final = {"int32": 4, "uint16": 8}
_CHUNK: Final = 1 << 20


def write(
    workspace: str, file: ExportFile, out: str, id_type: np.dtype, end: int, progress: Progress
) -> list[OutputFile]:
    """Write one file of the export, as `pipelines.exports.run.Write` says."""
    dtype = id_type if id_type == np.uint16 else np.dtype(np.int32)
    with (
        TableWriter(out, documents_path(file), schemas.EXPORTED) as documents,
        storage.atomic_write(storage.join(out, f"{file.name}.bin")) as sink,
    ):
        lengths = copy_tokens(workspace, file, sink, dtype, end, documents, progress)
    with storage.atomic_write(storage.join(out, f"{file.name}.idx")) as index:
        for block in index_blocks(lengths, dtype):
            index.write(block)
    assert documents.output is not None
    made = [output_file(out, f"{file.name}.{suffix}", file.documents) for suffix in ("bin", "idx")]
    return [*made, documents.output]


def index_blocks(lengths: np.ndarray, dtype: np.dtype) -> Iterator[bytes]:
    """Yield the bytes of an index, a bounded number at a time.

    Args:
        lengths: `int32 [documents]`, tokens of every document.
        dtype: type of an id in the `.bin` file.
    """
    count = len(lengths)
    yield MAGIC + struct.pack("<QBQQ", VERSION, TYPE_CODES[dtype.name], count, count + 1)
    yield lengths.astype("<i4").tobytes()
    start = 0
    for at in range(0, count, _CHUNK):
        ends = start + np.cumsum(lengths[at : at + _CHUNK], dtype=np.int64) * dtype.itemsize
        yield np.concatenate([[start], ends[:-1]]).astype("<i8").tobytes()
        start = int(ends[-1])
    for at in range(0, count + 1, _CHUNK):
        yield np.arange(at, min(count + 1, at + _CHUNK), dtype="<i8").tobytes()
