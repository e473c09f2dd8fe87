"""The file exchange gives every partition exactly its payloads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.beam import exchange

EMITTED = st.lists(st.tuples(st.integers(0, 9), st.binary(max_size=40)), max_size=50)


@settings(max_examples=40, deadline=None)
@given(maps=st.lists(EMITTED, min_size=1, max_size=3), spill=st.sampled_from([1, 50, 1 << 20]))
def test_payloads_arrive_once_in_their_partition(
    tmp_path_factory: pytest.TempPathFactory, maps: list[list[tuple[int, bytes]]], spill: int
) -> None:
    workspace = str(tmp_path_factory.mktemp("ws"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exchange, "_SPILL_BYTES", spill)
        for number, emitted in enumerate(maps):
            exchange.write_exchange(workspace, "match", f"{number:05d}", emitted)
    keys = [f"{number:05d}" for number in range(len(maps))]
    for partition in range(10):
        expected = [payload for emitted in maps for p, payload in emitted if p == partition]
        assert list(exchange.read_exchange(workspace, "match", partition, keys)) == expected


def test_local_payloads_are_views_and_outlive_their_file(tmp_path: Path) -> None:
    exchange.write_exchange(str(tmp_path), "match", "a", [(0, b"x" * 70), (1, b"other"), (0, b"y")])
    views = list(exchange.read_exchange(str(tmp_path), "match", 0, ["a"]))
    exchange.remove_exchange(str(tmp_path), "match")
    assert all(isinstance(view, memoryview) for view in views)
    assert b"".join(views) == b"x" * 70 + b"y"
    assert all(np.frombuffer(view, np.uint8).ctypes.data % 64 == 0 for view in views)


def test_an_object_store_gives_the_same_payloads() -> None:
    emitted = [(number % 3, bytes([number]) * number) for number in range(100)]
    exchange.write_exchange("memory://exchange-test", "match", "a", emitted)
    for partition in range(4):
        read = list(exchange.read_exchange("memory://exchange-test", "match", partition, ["a"]))
        assert read == [payload for home, payload in emitted if home == partition]


def test_the_exchange_is_removed_when_it_is_done_with(tmp_path: Path) -> None:
    exchange.write_exchange(str(tmp_path), "match", "a", [(0, b"x")])
    exchange.remove_exchange(str(tmp_path), "match")
    assert not (tmp_path / "stages" / "match" / "_exchange").exists()
