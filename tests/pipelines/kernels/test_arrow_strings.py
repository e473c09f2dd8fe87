"""String buffers against `to_pylist`, for every way in which Arrow may lay out a column."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.arrow_strings import PAD_BYTES, StringBuffers, string_buffers


def texts(buffers: StringBuffers) -> list[str]:
    data, offsets = buffers
    return [bytes(data[a:b]).decode() for a, b in itertools.pairwise(offsets)]


def check(array: pa.Array | pa.ChunkedArray) -> None:
    buffers = string_buffers(array)
    assert texts(buffers) == array.to_pylist()
    assert buffers.rows == len(array)
    assert buffers.longest_bytes == max((len(t.encode()) for t in array.to_pylist()), default=0)
    assert buffers.offsets.dtype == np.int64
    assert buffers.data.dtype == np.uint8
    assert buffers.offsets[0] == 0
    assert len(buffers.data) >= buffers.offsets[-1] + PAD_BYTES
    assert not buffers.data.flags.writeable
    assert not buffers.offsets.flags.writeable
    assert buffers.data.flags.c_contiguous


@settings(deadline=None)  # the first call pays for imports
@given(
    rows=st.lists(st.text(max_size=40), max_size=12),
    start=st.integers(0, 12),
    length=st.integers(0, 12),
    large=st.booleans(),
)
def test_slices_of_any_column(rows: list[str], start: int, length: int, large: bool) -> None:
    array = pa.array(rows, pa.large_string() if large else pa.string())
    check(array)
    check(array.slice(min(start, len(rows)), length))
    check(pa.chunked_array([array, array.slice(min(start, len(rows)))], type=array.type))


def test_long_tail_is_viewed_without_a_copy() -> None:
    array = pa.array(["a" * 1000, "b" * 1000, "c" * 1000])
    buffers = string_buffers(array.slice(1, 1))
    assert buffers.data.ctypes.data == array.buffers()[2].address + 1000
    check(array.slice(1, 1))
    check(array.slice(2, 1))


def test_column_without_buffers_and_buffers_without_room() -> None:
    check(pa.array([], pa.string()))
    check(pa.chunked_array([], type=pa.large_string()))
    check(pa.array(["", "", ""]))
    offsets = pa.py_buffer(np.array([0, 3, 5], np.int32))
    check(pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"abcde")]))
    check(pa.nulls(0, pa.string()))
    check(pa.array([None, None], pa.string()).drop_null())
    check(pa.Array.from_buffers(pa.string(), 0, [None, pa.py_buffer(b""), pa.py_buffer(b"")]))


def test_nulls_and_other_types_are_refused() -> None:
    with pytest.raises(ValueError, match="nulls in the column: got 1"):
        string_buffers(pa.array(["a", None]))
    with pytest.raises(TypeError, match="expected string or large_string"):
        string_buffers(pa.array([b"a"]))
    assert texts(string_buffers(pa.array([None, "a"]).slice(1))) == ["a"]


@settings(deadline=None)
@given(st.lists(st.text(max_size=40), max_size=12), st.integers(0, 12), st.booleans())
def test_without_padding_nothing_is_copied(rows: list[str], start: int, large: bool) -> None:
    array = pa.array(rows, pa.large_string() if large else pa.string()).slice(start)
    buffers = string_buffers(array, padded=False)
    assert texts(buffers) == array.to_pylist()
    assert not buffers.data.flags.writeable
    if buffers.offsets[-1]:
        held = np.frombuffer(array.buffers()[2], np.uint8)
        assert np.shares_memory(buffers.data, held)
