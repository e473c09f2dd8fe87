"""Checks of shards: where documents end."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest

from pipelines.contracts.errors import VerifyError
from pipelines.stages.verify import without_end

ROWS = pa.array([[5, 6, 0], [0], [7, 0, 0]], pa.list_(pa.uint16()))


@pytest.mark.parametrize("first", [0, 1, 3])
def test_the_end_is_taken_off_every_document(first: int) -> None:
    rows = ROWS.slice(first)
    values, offsets = without_end(rows, 0, "shard", 0)
    cut = [values[a:b].tolist() for a, b in itertools.pairwise(offsets)]
    assert cut == [row[:-1] for row in rows.to_pylist()]


@pytest.mark.parametrize(("bad", "found"), [([], "[]"), ([5, 6], "[6]"), ([0, 9], "[9]")])
def test_a_document_without_an_end_is_named(bad: list[int], found: str) -> None:
    rows = pa.array([[5, 0], bad, [0]], pa.list_(pa.uint16()))
    with pytest.raises(VerifyError, match=r"shard, row 11: no end-of-text token") as caught:
        without_end(rows, 0, "shard", 10)
    assert found in caught.value.message


def test_nothing_but_empty_documents_is_named() -> None:
    with pytest.raises(VerifyError, match="row 0"):
        without_end(pa.array([np.zeros(0, np.uint16)], pa.list_(pa.uint16())), 0, "shard", 0)
