"""Hash functions as kernels: xxh32, xxh64, fmix32, mix64, and the unaligned loads that they read with.

xxHash: Y. Collet, "xxHash fast digest algorithm", specification 0.1.1, seed 0. fmix32: A. Appleby,
MurmurHash3. mix64: the finaliser of SplitMix64 (Steele, Lea, Flood 2014, doi:10.1145/2660193.2660195).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import njit, types, uint32, uint64
from numba.core.typing.templates import Signature
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from pipelines.kernels.compile import BOUNDSCHECK, INLINE, KERNEL

P32_1: Final = np.uint32(0x9E3779B1)
P32_2: Final = np.uint32(0x85EBCA77)
P32_3: Final = np.uint32(0xC2B2AE3D)
P32_4: Final = np.uint32(0x27D4EB2F)
P32_5: Final = np.uint32(0x165667B1)
P64_1: Final = np.uint64(0x9E3779B185EBCA87)
P64_2: Final = np.uint64(0xC2B2AE3D27D4EB4F)
P64_3: Final = np.uint64(0x165667B19E3779F9)
P64_4: Final = np.uint64(0x85EBCA77C2B2AE63)
P64_5: Final = np.uint64(0x27D4EB2F165667C5)


def _unaligned_load(bits: int, result: types.Integer) -> Any:
    """Make an intrinsic that reads `bits` little-endian bits at any byte of a uint8 array."""

    @intrinsic
    def load(typing_context: Any, data: Any, start: Any) -> tuple[Signature, Any]:
        def generate(context: Any, builder: Any, signature: Signature, arguments: Any) -> Any:
            array = make_array(signature.args[0])(context, builder, arguments[0])
            pointer = builder.gep(array.data, [arguments[1]], source_etype=ir.IntType(8))
            return builder.load(builder.bitcast(pointer, ir.IntType(bits).as_pointer()), align=1, typ=ir.IntType(bits))

        return result(data, types.int64), generate

    return load


_raw_u32 = _unaligned_load(32, types.uint32)
_raw_u64 = _unaligned_load(64, types.uint64)


@njit(**INLINE)
def load_u32(data: np.ndarray, start: int) -> int:
    """Read `data[start:start + 4]` (uint8, contiguous) as a little-endian uint32, aligned or not."""
    if BOUNDSCHECK and (start < 0 or start + 4 > data.shape[0]):
        raise IndexError("load_u32: out of bounds")
    return _raw_u32(data, start)


@njit(**INLINE)
def load_u64(data: np.ndarray, start: int) -> int:
    """Read `data[start:start + 8]` (uint8, contiguous) as a little-endian uint64, aligned or not."""
    if BOUNDSCHECK and (start < 0 or start + 8 > data.shape[0]):
        raise IndexError("load_u64: out of bounds")
    return _raw_u64(data, start)


@njit(**INLINE)
def rotl32(x: int, count: int) -> int:
    """Rotate 32 bits to the left."""
    return uint32((uint32(x) << uint32(count)) | (uint32(x) >> uint32(32 - count)))


@njit(**INLINE)
def rotl64(x: int, count: int) -> int:
    """Rotate 64 bits to the left."""
    return (uint64(x) << uint64(count)) | (uint64(x) >> uint64(64 - count))


@njit(**INLINE)
def fmix32(x: int) -> int:
    """Mix 32 bits so that every input bit moves every output bit (a bijection)."""
    x = uint32(x ^ (x >> uint32(16)))
    x = uint32(x * uint32(0x85EBCA6B))
    x = uint32(x ^ (x >> uint32(13)))
    x = uint32(x * uint32(0xC2B2AE35))
    return uint32(x ^ (x >> uint32(16)))


@njit(**INLINE)
def mix64(x: int) -> int:
    """Mix 64 bits so that every input bit moves every output bit (a bijection)."""
    x = uint64(x)
    x = (x ^ (x >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> uint64(27))) * uint64(0x94D049BB133111EB)
    return x ^ (x >> uint64(31))


@njit(**INLINE)
def _round32(lane: int, data: np.ndarray, start: int) -> int:
    return uint32(rotl32(uint32(lane + uint32(load_u32(data, start) * P32_2)), 13) * P32_1)


@njit(**KERNEL)
def xxh32(data: np.ndarray, start: int, end: int) -> int:
    """Return xxh32 (seed 0) of `data[start:end]`, a contiguous uint8 array."""
    p = start
    if end - start >= 16:
        v1, v2 = uint32(P32_1 + P32_2), uint32(P32_2)
        v3, v4 = uint32(0), uint32(uint32(0) - P32_1)
        while p <= end - 16:
            v1, v2 = _round32(v1, data, p), _round32(v2, data, p + 4)
            v3, v4 = _round32(v3, data, p + 8), _round32(v4, data, p + 12)
            p += 16
        h = uint32(rotl32(v1, 1) + rotl32(v2, 7) + rotl32(v3, 12) + rotl32(v4, 18))
    else:
        h = uint32(P32_5)
    h = uint32(h + uint32(end - start))
    while p + 4 <= end:
        h = uint32(rotl32(uint32(h + uint32(load_u32(data, p) * P32_3)), 17) * P32_4)
        p += 4
    while p < end:
        h = uint32(rotl32(uint32(h + uint32(uint32(data[p]) * P32_5)), 11) * P32_1)
        p += 1
    h = uint32(uint32(h ^ (h >> uint32(15))) * P32_2)
    h = uint32(uint32(h ^ (h >> uint32(13))) * P32_3)
    return uint32(h ^ (h >> uint32(16)))


@njit(**INLINE)
def _round64(lane: int, value: int) -> int:
    return rotl64(uint64(lane + uint64(value * P64_2)), 31) * P64_1


@njit(**INLINE)
def _merge64(h: int, lane: int) -> int:
    return uint64((h ^ _round64(uint64(0), lane)) * P64_1 + P64_4)


@njit(**KERNEL)
def xxh64(data: np.ndarray, start: int, end: int) -> int:
    """Return xxh64 (seed 0) of `data[start:end]`, a contiguous uint8 array."""
    p = start
    if end - start >= 32:
        v1, v2 = uint64(P64_1 + P64_2), uint64(P64_2)
        v3, v4 = uint64(0), uint64(uint64(0) - P64_1)
        while p <= end - 32:
            v1, v2 = _round64(v1, load_u64(data, p)), _round64(v2, load_u64(data, p + 8))
            v3, v4 = _round64(v3, load_u64(data, p + 16)), _round64(v4, load_u64(data, p + 24))
            p += 32
        h = uint64(rotl64(v1, 1) + rotl64(v2, 7) + rotl64(v3, 12) + rotl64(v4, 18))
        h = _merge64(_merge64(_merge64(_merge64(h, v1), v2), v3), v4)
    else:
        h = uint64(P64_5)
    h = uint64(h + uint64(end - start))
    while p + 8 <= end:
        h = uint64(rotl64(h ^ _round64(uint64(0), load_u64(data, p)), 27) * P64_1 + P64_4)
        p += 8
    if p + 4 <= end:
        h = uint64(rotl64(h ^ uint64(uint64(load_u32(data, p)) * P64_1), 23) * P64_2 + P64_3)
        p += 4
    while p < end:
        h = uint64(rotl64(h ^ uint64(uint64(data[p]) * P64_5), 11) * P64_1)
        p += 1
    h = uint64(uint64(h ^ (h >> uint64(33))) * P64_2)
    h = uint64(uint64(h ^ (h >> uint64(29))) * P64_3)
    return uint64(h ^ (h >> uint64(32)))
