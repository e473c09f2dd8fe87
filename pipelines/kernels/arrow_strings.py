"""Arrow string columns as two plain arrays that kernels can read."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

PAD_BYTES: Final[int] = 64
"""Bytes that may be read past the last text byte; kernels load up to 16 at a time."""


class StringBuffers(NamedTuple):
    """The texts of a column. Both arrays are read-only, so that a kernel compiles for one type only.

    Attributes:
        data: UTF-8 bytes of all rows, `uint8 [bytes + at least PAD_BYTES]`; what the padding holds is undefined.
        offsets: `int64 [rows + 1]`, from 0; row i is `data[offsets[i]:offsets[i + 1]]`.
    """

    data: np.ndarray
    offsets: np.ndarray

    @property
    def rows(self) -> int:
        """Number of texts."""
        return len(self.offsets) - 1

    @property
    def longest_bytes(self) -> int:
        """Bytes of the longest text, 0 without rows."""
        return int(np.diff(self.offsets).max(initial=0))


def string_buffers(
    array: pa.StringArray | pa.LargeStringArray | pa.ChunkedArray, *, padded: bool = True
) -> StringBuffers:
    """View a string column as bytes and offsets, without copying the bytes where that is safe.

    Bytes are copied when the Arrow buffer ends less than PAD_BYTES after the last text (its size, not its
    capacity, counts: only that is known for buffers of any origin), and for several chunks.

    Args:
        array: `string` or `large_string` without nulls; slices, empty arrays and several chunks are fine.
        padded: false for kernels that read nothing behind the last byte of a text; one chunk is then never copied.

    Raises:
        TypeError: Not a column of strings.
        ValueError: The column holds nulls.
    """
    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        raise TypeError(f"string_buffers: not a column of strings: got {array.type}; expected string or large_string")
    if array.null_count:
        raise ValueError(f"string_buffers: nulls in the column: got {array.null_count}; expected none")
    if isinstance(array, pa.ChunkedArray):
        return _concatenate([string_buffers(chunk, padded=padded) for chunk in array.chunks])
    _, offset_buffer, data_buffer = array.buffers()
    if len(array) == 0 or offset_buffer is None:  # an empty array may have no buffers
        return _freeze(np.zeros(PAD_BYTES, np.uint8), np.zeros(1, np.int64))
    width = np.int64 if pa.types.is_large_string(array.type) else np.int32
    offsets = np.frombuffer(offset_buffer, width)[array.offset : array.offset + len(array) + 1]
    first, last = int(offsets[0]), int(offsets[-1])
    offsets = offsets.astype(np.int64) - first
    if last > first and last + (PAD_BYTES if padded else 0) <= data_buffer.size:
        return _freeze(np.frombuffer(data_buffer, np.uint8)[first:], offsets)
    data = np.zeros(last - first + PAD_BYTES, np.uint8)
    if last > first:
        data[: last - first] = np.frombuffer(data_buffer, np.uint8, last - first, first)
    return _freeze(data, offsets)


def _concatenate(chunks: list[StringBuffers]) -> StringBuffers:
    """Join the chunks of a column."""
    if len(chunks) == 1:
        return chunks[0]
    data = [chunk.data[: chunk.offsets[-1]] for chunk in chunks]
    lengths = [np.diff(chunk.offsets) for chunk in chunks]
    offsets = np.concatenate([np.zeros(1, np.int64), *lengths]).cumsum()
    return _freeze(np.concatenate([*data, np.zeros(PAD_BYTES, np.uint8)]), offsets)


def _freeze(data: np.ndarray, offsets: np.ndarray) -> StringBuffers:
    """Make both arrays read-only."""
    data.flags.writeable = False
    offsets.flags.writeable = False
    return StringBuffers(data, offsets)
