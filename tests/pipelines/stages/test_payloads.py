"""Packed bytes: what is sent arrives, sliced rows carry nothing else, order does not matter."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipelines.contracts.ids import partition_of
from pipelines.stages.payloads import join_keys, pack, sorted_by_partition, split_by_partition, split_keys, unpack

SCHEMA = pa.schema([("n", pa.int64()), ("text", pa.large_string())])


def batch(numbers: list[int]) -> pa.RecordBatch:
    return pa.record_batch(
        [pa.array(numbers, pa.int64()), pa.array([f"t{n}" for n in numbers], pa.large_string())], schema=SCHEMA
    )


@given(st.lists(st.integers(0, 1000), max_size=40), st.integers(1, 7))
def test_rows_arrive_in_their_partition(numbers: list[int], partitions: int) -> None:
    where = np.array([n % partitions for n in numbers], np.int64)
    received: dict[int, list[bytes]] = {}
    for number, payload in split_by_partition(batch(numbers), where):
        received.setdefault(number, []).append(payload)
    for number in range(partitions):
        rows = unpack(received.get(number, [b""]), SCHEMA)
        assert rows["n"].to_pylist() == [n for n in numbers if n % partitions == number]


@given(st.lists(st.integers(0, 5) | st.sampled_from([(1 << 16) - 1, 1 << 16, 1 << 30]), max_size=40))
def test_rows_of_a_partition_stay_in_their_order(partition: list[int]) -> None:
    order, found = sorted_by_partition(np.array(partition, np.int64))
    assert order.tolist() == sorted(range(len(partition)), key=lambda row: partition[row])
    assert found.tolist() == sorted(partition)


def test_a_slice_does_not_carry_its_parent() -> None:
    whole = batch(list(range(50_000)))
    assert len(pack(whole.slice(10, 5))) < 2000


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)), max_size=50), st.integers(1, 9))
def test_keys_are_sorted_whatever_the_order_of_arrival(entries: list[tuple[int, int]], partitions: int) -> None:
    keys, nodes = (np.array([e[i] for e in entries], np.uint64) for i in (0, 1))
    for number, payload in split_keys(keys, nodes, partitions):
        expected = sorted(e for e in entries if partition_of(np.array([e[0]], np.uint64), partitions)[0] == number)
        halves = [payload[: len(payload) // 32 * 16], payload[len(payload) // 32 * 16 :]]
        assert join_keys(halves[::-1]).tolist() == expected
