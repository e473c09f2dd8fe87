"""Identity: stable values, uniform fractions and partitions."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.contracts import ids


def test_document_ids_separate_their_parts() -> None:
    assert ids.document_id("a", "b/c", 1) != ids.document_id("a/b", "c", 1)
    assert ids.document_id("a", "b", 1) == xxhash.xxh3_128_hexdigest(b"a\0b\x001")


@settings(deadline=None)  # the first call loads Arrow's functions
@given(st.lists(st.binary(min_size=16, max_size=16)), st.integers(0, 3))
def test_halves_of_hex_ids(raw: list[bytes], skipped: int) -> None:
    hex_ids = [value.hex() for value in raw]
    expected = [[int.from_bytes(value[:8], "big"), int.from_bytes(value[8:], "big")] for value in raw]
    assert ids.hex_to_u64(hex_ids).tolist() == [upper for upper, _ in expected]
    column = pa.chunked_array([hex_ids, hex_ids[::-1]], pa.string())
    assert ids.hex_to_u64_pairs(column[skipped:]).tolist() == [*expected, *expected[::-1]][skipped:]


def test_ids_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="widths"):
        ids.hex_to_u64(["00" * 15])


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1), st.integers(1, 5000))
def test_partitions_are_ranges_of_the_high_bits(keys: list[int], partitions: int) -> None:
    found = ids.partition_of(np.array(keys, np.uint64), partitions)
    assert found.tolist() == [(key >> 32) * partitions >> 32 for key in keys]
    assert found.min() >= 0
    assert found.max() < partitions


def test_fractions_are_uniform_and_salted() -> None:
    values = np.array([ids.fraction(str(i), "x") for i in range(4000)])
    assert abs(values.mean() - 0.5) < 0.02
    assert abs((values < 0.1).mean() - 0.1) < 0.02
    assert ids.fraction("1", "x") != ids.fraction("1", "y")


def test_canonical_json_is_one_text_per_value() -> None:
    assert ids.canonical_json({"b": 1, "a": [1.5, "ä"]}) == '{"a":[1.5,"ä"],"b":1}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        ids.canonical_json(float("nan"))
