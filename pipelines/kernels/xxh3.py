"""xxh3 with 128 bits of 17 to 128 bytes, the length of most addresses.

Y. Collet, "xxHash fast digest algorithm", specification 0.2.0, XXH3, seed 0. Other lengths have other rules, and are
left to the package xxhash.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit, uint64

from pipelines.kernels.compile import INLINE, KERNEL
from pipelines.kernels.hashing import P64_1, P64_2, P64_4, load_u64

SHORTEST: Final = 17
LONGEST: Final = 128
_SECRET: Final = np.frombuffer(
    bytes.fromhex(
        "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221"
        "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
        "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    ),
    "<u8",
)
"""The first 128 bytes of the secret of the specification."""
_LOW: Final = np.uint64(0xFFFFFFFF)
_HALF: Final = np.uint64(32)


@njit(**INLINE)
def _fold_product(x: int, y: int) -> int:
    """Multiply to 128 bits; return the exclusive or of both halves."""
    x0, x1, y0, y1 = x & _LOW, x >> _HALF, y & _LOW, y >> _HALF
    x0_y1, x1_y0 = x0 * y1, x1 * y0
    middle = ((x0 * y0) >> _HALF) + (x0_y1 & _LOW) + (x1_y0 & _LOW)
    high = x1 * y1 + (x0_y1 >> _HALF) + (x1_y0 >> _HALF) + (middle >> _HALF)
    return uint64(x * y) ^ uint64(high)


@njit(**INLINE)
def _mix16(data: np.ndarray, start: int, word: int) -> int:
    """Mix 16 bytes with two words of the secret."""
    return _fold_product(load_u64(data, start) ^ _SECRET[word], load_u64(data, start + 8) ^ _SECRET[word + 1])


@njit(**INLINE)
def _avalanche(h: int) -> int:
    h = uint64(h ^ (h >> uint64(37))) * uint64(0x165667919E3779F9)
    return uint64(h ^ (h >> _HALF))


@njit(**KERNEL)
def xxh3_128(data: np.ndarray, start: int, end: int) -> tuple[int, int]:
    """Return the upper and lower 64 bits of xxh3-128 of `data[start:end]`, a contiguous uint8 array of 17 to 128 bytes."""
    length = end - start
    low, high = uint64(length) * P64_1, uint64(0)
    for pair in range((length - 1) // 32, -1, -1):  # from the middle outwards: one half from each end
        front, back = start + 16 * pair, end - 16 * (pair + 1)
        low = (low + _mix16(data, front, 4 * pair)) ^ (load_u64(data, back) + load_u64(data, back + 8))
        high = (high + _mix16(data, back, 4 * pair + 2)) ^ (load_u64(data, front) + load_u64(data, front + 8))
    upper = low * P64_1 + high * P64_4 + uint64(length) * P64_2
    return uint64(0) - _avalanche(upper), _avalanche(low + high)
