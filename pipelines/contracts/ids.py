"""Identity: document ids, content hashes, canonical JSON, fingerprints and deterministic sampling."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Final

import numpy as np
import pyarrow as pa
import xxhash

HASH: Final = pa.binary(16)
_HEX_DIGITS: Final = 32


def canonical_json(value: object) -> str:
    """Serialise to JSON with sorted keys and no spaces; equal values give equal text.

    Raises:
        ValueError: if a number is not finite (it would not survive a round trip).
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def fingerprint(*parts: object) -> str:
    """Return the first 16 hex digits of sha256 over the canonical JSON of the parts."""
    return hashlib.sha256(canonical_json(list(parts)).encode()).hexdigest()[:16]


def document_id(source: str, path: str, position: int) -> str:
    """Identify a record by where it lies, as 32 hex digits.

    Args:
        source: name of the source in the recipe.
        path: path relative to the source root, with "/".
        position: decompressed byte offset of the record, or its row index in columnar formats.
    """
    return xxhash.xxh3_128_hexdigest(f"{source}\0{path}\0{position}".encode())


def content_hash(text: str | bytes) -> str:
    """Hash a cleaned NFC text (128-bit xxh3, 32 hex digits)."""
    return xxhash.xxh3_128_hexdigest(text.encode() if isinstance(text, str) else text)


def key64(text: str | bytes) -> int:
    """Hash a string to an unsigned 64-bit key (xxh3)."""
    return xxhash.xxh3_64_intdigest(text.encode() if isinstance(text, str) else text)


def hex_to_u64(hex_ids: Iterable[str] | pa.ChunkedArray) -> np.ndarray:
    """Return the upper 64 bits of 32-digit hex ids.

    Args:
        hex_ids: [rows] ids of 32 hex digits, none of them null.

    Returns:
        [rows] uint64.
    """
    return hex_to_u64_pairs(hex_ids)[:, 0].copy()


def hex_to_u64_pairs(hex_ids: Iterable[str] | pa.ChunkedArray) -> np.ndarray:
    """Return the upper and the lower 64 bits of 32-digit hex ids.

    Args:
        hex_ids: [rows] ids of 32 hex digits, none of them null.

    Returns:
        [rows, 2] uint64.

    Raises:
        ValueError: if an id has another length.
    """
    column = hex_ids if isinstance(hex_ids, pa.ChunkedArray) else pa.chunked_array([pa.array(hex_ids, pa.string())])
    fixed = column.cast(pa.binary()).cast(pa.binary(_HEX_DIGITS)).combine_chunks()
    start = fixed.offset * _HEX_DIGITS
    digits = memoryview(fixed.buffers()[1])[start : start + len(fixed) * _HEX_DIGITS]
    return np.frombuffer(bytes.fromhex(str(digits, "ascii")), ">u8").reshape(-1, 2).astype(np.uint64)


def hash_column(pairs: np.ndarray, is_there: np.ndarray) -> pa.FixedSizeBinaryArray:
    """Return 128-bit hashes as a column.

    Args:
        pairs: uint64 [rows, 2], upper and lower half.
        is_there: bool [rows]; false for null.
    """
    bitmap = pa.array(is_there).buffers()[1]
    data = pa.py_buffer(np.ascontiguousarray(pairs, ">u8"))
    return pa.FixedSizeBinaryArray.from_buffers(HASH, len(pairs), [bitmap, data])


def fraction(text: str | bytes, salt: str) -> float:
    """Map a string to [0, 1) by hash: the one source of randomness for samples and splits.

    >>> 0.0 <= fraction("a", "sample") < 1.0
    True
    """
    payload = text.encode() if isinstance(text, str) else text
    return (xxhash.xxh3_64_intdigest(salt.encode() + b"\0" + payload) >> 11) / float(1 << 53)


def partition_of(keys: np.ndarray, partitions: int) -> np.ndarray:
    """Assign 64-bit hash keys to partitions by their high bits (a range partition of a uniform hash).

    Args:
        keys: [rows] uint64.
        partitions: number of partitions, at most 2**31.

    Returns:
        [rows] int32 in [0, partitions).
    """
    return ((keys >> np.uint64(32)) * np.uint64(partitions) >> np.uint64(32)).astype(np.int32)
