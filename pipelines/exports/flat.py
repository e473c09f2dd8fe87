"""Flat token files: one array of ids in `NAME.npy` (or raw in `NAME.bin`), and `NAME.offsets.npy`.

Document i is `ids[offsets[i]:offsets[i + 1]]`, its end-of-text token included. Load both with `np.load(..., mmap_mode="r")`, a raw
file with `np.memmap(path, dtype)`.
"""

from __future__ import annotations

from typing import IO, Final

import numpy as np

from pipelines.contracts import schemas, storage
from pipelines.contracts.manifest import OutputFile, output_file
from pipelines.contracts.tables import TableWriter
from pipelines.contracts.tasks import Progress
from pipelines.exports.files import ExportFile, copy_tokens, documents_path

_CHUNK: Final = 1 << 20


def write_npy(
    workspace: str, file: ExportFile, out: str, id_type: np.dtype, end: int, progress: Progress
) -> list[OutputFile]:
    """Write one file of the export as `.npy`, as `pipelines.exports.run.Write` says."""
    return _write(workspace, file, out, id_type, end, progress, "npy")


def write_raw(
    workspace: str, file: ExportFile, out: str, id_type: np.dtype, end: int, progress: Progress
) -> list[OutputFile]:
    """Write one file of the export as bare ids, as `pipelines.exports.run.Write` says."""
    return _write(workspace, file, out, id_type, end, progress, "bin")


def _write(
    workspace: str, file: ExportFile, out: str, id_type: np.dtype, end: int, progress: Progress, suffix: str
) -> list[OutputFile]:
    with (
        TableWriter(out, documents_path(file), schemas.EXPORTED) as documents,
        storage.atomic_write(storage.join(out, f"{file.name}.{suffix}")) as sink,
    ):
        if suffix == "npy":
            write_header(sink, id_type, file.tokens)
        lengths = copy_tokens(workspace, file, sink, id_type, end, documents, progress)
    with storage.atomic_write(storage.join(out, f"{file.name}.offsets.npy")) as sink:
        write_header(sink, np.dtype(np.int64), len(lengths) + 1)
        sink.write(np.zeros(1, "<i8").data)
        last = 0
        for at in range(0, len(lengths), _CHUNK):
            ends = last + np.cumsum(lengths[at : at + _CHUNK], dtype=np.int64)
            sink.write(ends.astype("<i8", copy=False).data)
            last = int(ends[-1])
    assert documents.output is not None
    made = [output_file(out, f"{file.name}.{name}", file.documents) for name in (suffix, "offsets.npy")]
    return [*made, documents.output]


def write_header(sink: IO[bytes], dtype: np.dtype, size: int) -> None:
    """Write the header of a one-dimensional `.npy` file (format 1.0)."""
    description = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (size,)}
    np.lib.format.write_array_header_1_0(sink, description)
