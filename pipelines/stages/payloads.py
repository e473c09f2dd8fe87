"""Packed bytes that cross a shuffle: one Arrow IPC stream, or one array of fixed-size entries."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from pipelines.contracts.ids import partition_of
from pipelines.contracts.tasks import Payload


def pack(batch: pa.RecordBatch) -> bytes:
    """Serialise a record batch (only the rows of a slice, not its parent buffers)."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def unpack(payloads: Iterable[Payload], schema: pa.Schema) -> pa.Table:
    """Read packed batches into one table; empty payloads are skipped."""
    batches = [batch for payload in payloads if payload for batch in pa.ipc.open_stream(payload)]
    return pa.Table.from_batches(batches, schema)


def split_by_partition(batch: pa.RecordBatch, partition: np.ndarray) -> Iterator[tuple[int, bytes]]:
    """Cut a batch into one packed payload per partition.

    Args:
        batch: [rows].
        partition: [rows] partition number of every row.
    """
    if batch.num_rows == 0:
        return
    ordered = batch
    if (partition[1:] < partition[:-1]).any():  # taking is slow for long lists: who can sends them in order
        order, partition = sorted_by_partition(partition)
        ordered = batch.take(pa.array(order))
    for number, start, end in _runs(partition):
        yield number, pack(ordered.slice(start, end - start))


KEY_ENTRY = np.dtype([("key", "<u8"), ("node", "<u8")])


def split_keys(keys: np.ndarray, nodes: np.ndarray, partitions: int) -> Iterator[tuple[int, bytes]]:
    """Pack (key, node) entries per partition of the key.

    Args:
        keys: [entries] uint64 hashes.
        nodes: [entries] uint64 packed (part, row).
        partitions: number of partitions.
    """
    yield from split_entries(partition_of(keys, partitions), keys, nodes)


def split_entries(partition: np.ndarray, keys: np.ndarray, nodes: np.ndarray) -> Iterator[tuple[int, bytes]]:
    """Pack (key, node) entries, given the partition of each.

    Args:
        partition: [entries] int32.
        keys: [entries] uint64.
        nodes: [entries] uint64.
    """
    entries = np.empty(len(keys), KEY_ENTRY)
    entries["key"], entries["node"] = keys, nodes
    yield from split_records(partition, entries)


def split_records(partition: np.ndarray, records: np.ndarray) -> Iterator[tuple[int, bytes]]:
    """Pack records, given the partition of each; of one partition they stay in their order.

    Args:
        partition: [records] integers.
        records: [records] of a structured type.
    """
    order, partition = sorted_by_partition(partition)
    ordered = records[order]
    for number, start, end in _runs(partition):
        yield number, ordered[start:end].tobytes()


def sorted_by_partition(partition: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sort rows by their partition; rows of one partition stay in their order.

    Args:
        partition: [rows] integers, not negative.

    Returns:
        (order int64 [rows], partition [rows] in that order).
    """
    if partition.max(initial=0) < 1 << 16:
        partition = partition.astype(np.uint16)  # numpy sorts these by counting, in a tenth of the time
    order = np.argsort(partition, kind="stable")
    return order, partition[order]


def _runs(partition: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Yield (number, start, end) of every partition of sorted rows."""
    starts = np.flatnonzero(np.diff(partition.astype(np.int64), prepend=-1)).tolist()
    for start, end in itertools.pairwise([*starts, len(partition)]):
        yield int(partition[start]), start, end


def join_entries(payloads: Iterable[Payload]) -> np.ndarray:
    """Join packed (key, node) entries in the order of their arrival, for who needs none."""
    return np.frombuffer(b"".join(payloads), KEY_ENTRY)


def join_keys(payloads: Iterable[Payload]) -> np.ndarray:
    """Join packed (key, node) entries, sorted by key and node so that arrival order does not matter."""
    joined = join_entries(payloads)
    return joined[np.lexsort((joined["node"], joined["key"]))]


def node_of(part: int | np.ndarray, row: np.ndarray) -> np.ndarray:
    """Pack part and row into one uint64."""
    return (np.asarray(part).astype(np.uint64) << np.uint64(32)) | row.astype(np.uint64)


def part_and_row(node: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unpack nodes into (part, row), both int32."""
    return (node >> np.uint64(32)).astype(np.int32), (node & np.uint64(0xFFFFFFFF)).astype(np.int32)


def node_partition(nodes: np.ndarray, partitions: int) -> np.ndarray:
    """Assign nodes to partitions; they are positions, so they are spread first (Fibonacci hashing)."""
    return partition_of(nodes * np.uint64(0x9E3779B97F4A7C15), partitions)
