"""Token sequences as single sortable keys: 64-bit integers where they fit, strings of bytes where not.

Both sort as the sequences do, the oldest token first, so that `numpy.unique` and `searchsorted` work on either.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def token_bits(vocab_size: int) -> int:
    """Bits that hold a token id.

    >>> token_bits(4096), token_bits(4097)
    (12, 13)
    """
    return max(1, (vocab_size - 1).bit_length())


@dataclass(frozen=True)
class Packing:
    """How the tokens of a vocabulary are packed.

    >>> packing = Packing(4096)
    >>> packing.unpack(packing.pack(np.array([[1, 2, 3]])), 3).tolist()
    [[1, 2, 3]]
    """

    vocab_size: int

    @property
    def bits(self) -> int:
        """Bits of a token in an integer key."""
        return token_bits(self.vocab_size)

    @property
    def width(self) -> int:
        """Bytes of a token in a key of bytes."""
        return -(-self.bits // 8)

    def is_integer(self, length: int) -> bool:
        """Whether keys of so many tokens are integers."""
        return length * self.bits <= 64

    def pack(self, tokens: np.ndarray) -> np.ndarray:
        """[n, length] token ids >= 0 to [n] keys, uint64 or bytes (big-endian)."""
        n, length = tokens.shape
        if self.is_integer(length):
            key = np.zeros(n, np.uint64)
            for position in range(length):
                key = (key << np.uint64(self.bits)) | tokens[:, position].astype(np.uint64)
            return key
        whole = np.ascontiguousarray(tokens, ">u8").view(np.uint8).reshape(n, length, 8)
        packed = np.ascontiguousarray(whole[:, :, 8 - self.width :]).reshape(n, length * self.width)
        return packed.view(f"V{length * self.width}").reshape(n)

    def unpack(self, keys: np.ndarray, length: int) -> np.ndarray:
        """[n] keys back to [n, length] int64 token ids."""
        if self.is_integer(length):
            shifts = np.arange(length - 1, -1, -1).astype(np.uint64) * np.uint64(self.bits)
            mask = np.uint64((1 << self.bits) - 1)
            return ((keys[:, None] >> shifts) & mask).astype(np.int64)
        n = len(keys)
        whole = np.zeros((n, length, 8), np.uint8)
        packed = np.ascontiguousarray(keys).view(np.uint8).reshape(n, length, self.width)
        whole[:, :, 8 - self.width :] = packed
        return whole.view(">u8").reshape(n, length).astype(np.int64)

    def histories(self, keys: np.ndarray, length: int) -> np.ndarray:
        """Keys of `length` tokens without their last one."""
        if self.is_integer(length):
            return keys >> np.uint64(self.bits)
        return self.pack(self.unpack(keys, length)[:, :-1])

    def suffixes(self, keys: np.ndarray, length: int) -> np.ndarray:
        """Keys of `length` tokens without their first one."""
        if self.is_integer(length):
            return keys & np.uint64((1 << (self.bits * (length - 1))) - 1)
        return self.pack(self.unpack(keys, length)[:, 1:])

    def first(self, keys: np.ndarray, length: int) -> np.ndarray:
        """First tokens of keys of `length` tokens, [n] int64."""
        if self.is_integer(length):
            return (keys >> np.uint64(self.bits * (length - 1))).astype(np.int64)
        return self.unpack(keys, length)[:, 0]


def find(keys: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Look keys up in a sorted table; returns ([n] places, [n] whether the key is there)."""
    if not len(keys):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return at, keys[at] == wanted
