"""The exchange of a shuffle through local files: one Arrow file per map task, one batch per partition.

A reduce reads only its batch of every file. On engines the exchange is Beam's own GroupByKey instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from pipelines.contracts import storage
from pipelines.contracts.manifest import stage_folder

_SCHEMA = pa.schema([("partition", pa.int32()), ("payload", pa.large_binary())])
_SPILL_BYTES = 64 << 20


def exchange_folder(workspace: str, stage: str) -> str:
    """Return the folder of the exchange files of a stage."""
    return storage.join(stage_folder(workspace, stage), "_exchange")


def write_exchange(workspace: str, stage: str, key: str, emitted: Iterable[tuple[int, bytes]]) -> None:
    """Write what a map task emits; batches are spilled, so memory stays bounded."""
    path = storage.join(exchange_folder(workspace, stage), f"{key}.arrow")
    with storage.atomic_write(path) as file, pa.ipc.new_file(file, _SCHEMA) as writer:
        pending: dict[int, list[bytes]] = {}
        held = 0
        index: list[int] = []
        for partition, payload in emitted:
            pending.setdefault(partition, []).append(payload)
            held += len(payload)
            if held >= _SPILL_BYTES:
                index += _spill(writer, pending)
                pending, held = {}, 0
        index += _spill(writer, pending)
        writer.write_batch(
            pa.record_batch(
                [pa.array(index, pa.int32()), pa.array([b""] * len(index), pa.large_binary())], schema=_SCHEMA
            )
        )


def _spill(writer: pa.ipc.RecordBatchFileWriter, pending: dict[int, list[bytes]]) -> list[int]:
    """Write one batch per partition; return the partitions in the order of the batches."""
    for partition in sorted(pending):
        payloads = pending[partition]
        columns = [pa.array([partition] * len(payloads), pa.int32()), pa.array(payloads, pa.large_binary())]
        writer.write_batch(pa.record_batch(columns, schema=_SCHEMA))
    return sorted(pending)


def read_exchange(workspace: str, stage: str, partition: int, keys: Iterable[str]) -> Iterator[bytes]:
    """Yield the payloads of one partition from the files of all map tasks (the last batch is the index)."""
    for key in keys:
        path = storage.join(exchange_folder(workspace, stage), f"{key}.arrow")
        with storage.open_read(path) as file, pa.ipc.open_file(file) as reader:
            index = reader.get_batch(reader.num_record_batches - 1).column("partition").to_pylist()
            for number, owner in enumerate(index):
                if owner == partition:
                    yield from (value.as_py() for value in reader.get_batch(number).column("payload"))


def remove_exchange(workspace: str, stage: str) -> None:
    """Remove the exchange files of a finished shuffle."""
    storage.remove_tree(exchange_folder(workspace, stage))
