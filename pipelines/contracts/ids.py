"""Identity: document ids, content hashes, canonical JSON, fingerprints and deterministic sampling."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

import numpy as np
import xxhash


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


def hex_to_u64(hex_ids: Iterable[str]) -> np.ndarray:
    """Return the upper 64 bits of 32-digit hex ids.

    Args:
        hex_ids: [rows] ids of 32 hex digits.

    Returns:
        [rows] uint64.
    """
    digits = np.array(list(hex_ids), dtype="S32")
    if digits.size == 0:
        return np.empty(0, np.uint64)
    raw = np.frombuffer(bytes.fromhex(digits.tobytes().decode("ascii")), dtype=">u8")
    return raw.reshape(-1, 2)[:, 0].astype(np.uint64)


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
