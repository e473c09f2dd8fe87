"""The file exchange gives every partition exactly its payloads."""

from __future__ import annotations

from pathlib import Path

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


def test_the_exchange_is_removed_when_it_is_done_with(tmp_path: Path) -> None:
    exchange.write_exchange(str(tmp_path), "match", "a", [(0, b"x")])
    exchange.remove_exchange(str(tmp_path), "match")
    assert not (tmp_path / "stages" / "match" / "_exchange").exists()
