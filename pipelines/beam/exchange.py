"""The exchange of a shuffle through local files: one file per map task, with the payloads of every partition together.

Behind the payloads, which start at multiples of 64 bytes, lies an index: (partition, start, bytes) of each as int64,
and in the last 8 bytes of the file their number. A reduce maps the files and copies nothing; on object stores it asks
for its ranges. On engines the exchange is Beam's own GroupByKey instead.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import IO

import numpy as np
import pyarrow as pa

from pipelines.contracts import storage
from pipelines.contracts.manifest import stage_folder
from pipelines.contracts.tasks import Payload

_ALIGNMENT = 64
_SPILL_BYTES = 64 << 20
_COUNT_BYTES, _ENTRY_BYTES = 8, 24


def exchange_folder(workspace: str, stage: str) -> str:
    """Return the folder of the exchange files of a stage."""
    return storage.join(stage_folder(workspace, stage), "_exchange")


def write_exchange(workspace: str, stage: str, key: str, emitted: Iterable[tuple[int, bytes]]) -> None:
    """Write what a map task emits; it is written every 64 MB, so memory stays bounded."""
    path = storage.join(exchange_folder(workspace, stage), f"{key}.bin")
    with storage.atomic_write(path) as file:
        pending: dict[int, list[bytes]] = {}
        held = 0
        index: list[tuple[int, int, int]] = []
        for partition, payload in emitted:
            pending.setdefault(partition, []).append(payload)
            held += len(payload)
            if held >= _SPILL_BYTES:
                _write(file, pending, index)
                pending, held = {}, 0
        _write(file, pending, index)
        file.write(np.array(index, "<i8").tobytes())
        file.write(len(index).to_bytes(_COUNT_BYTES, "little"))


def _write(file: IO[bytes], pending: dict[int, list[bytes]], index: list[tuple[int, int, int]]) -> None:
    """Write payloads, those of a partition together, and add where they lie to the index."""
    start = _aligned(index[-1][1] + index[-1][2]) if index else 0
    for partition in sorted(pending):
        for payload in pending[partition]:
            index.append((partition, start, len(payload)))
            file.write(payload)
            end = start + len(payload)
            start = _aligned(end)
            file.write(bytes(start - end))


def _aligned(place: int) -> int:
    return -(-place // _ALIGNMENT) * _ALIGNMENT


def read_exchange(workspace: str, stage: str, partition: int, keys: Iterable[str]) -> Iterator[Payload]:
    """Yield the payloads of one partition from the files of all map tasks; views of mapped files if these are local."""
    for key in keys:
        path = storage.join(exchange_folder(workspace, stage), f"{key}.bin")
        if storage.is_local(path):
            with pa.memory_map(path.removeprefix("file://")) as mapped:
                view = memoryview(mapped.read_buffer()).cast("B")
                yield from (view[start : start + size] for start, size in _ranges(mapped, partition))
        else:
            with storage.open_read(path) as file:
                for start, size in _ranges(file, partition):
                    file.seek(start)
                    yield file.read(size)


def _ranges(file: IO[bytes] | pa.NativeFile, partition: int) -> list[tuple[int, int]]:
    """Return (start, bytes) of the payloads of a partition, from the index of a file."""
    end = file.seek(0, os.SEEK_END) - _COUNT_BYTES
    file.seek(end)
    count = int.from_bytes(file.read(_COUNT_BYTES), "little")
    file.seek(end - count * _ENTRY_BYTES)
    index = np.frombuffer(file.read(count * _ENTRY_BYTES), "<i8").reshape(-1, 3)
    return [(start, size) for _, start, size in index[index[:, 0] == partition].tolist()]


def remove_exchange(workspace: str, stage: str) -> None:
    """Remove the exchange files of a finished shuffle."""
    storage.remove_tree(exchange_folder(workspace, stage))
