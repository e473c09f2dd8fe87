"""Hashes of the normal forms of plain addresses, which is what nearly all addresses are.

Plain is what the regular expression `_PLAIN` of pipelines/ops/normal_urls.py matches: `http` or `https`, a
lower-case host, a path of unreserved characters without dots at the start of a segment. Its normal form differs by
`https`, the prefix `www.` and final slashes only.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import int64, njit

from pipelines.kernels.compile import KERNEL
from pipelines.kernels.xxh3 import LONGEST, SHORTEST, xxh3_128

_SCHEME: Final = tuple(b"https://")
_WWW: Final = tuple(b"www.")
_SLASH: Final = ord("/")
_HOST, _HOST_END, _SEGMENT, _SEGMENT_START = 1, 2, 4, 8


def _classes() -> np.ndarray:
    """Return of every byte where it may stand, uint8 [256]."""
    table = np.zeros(256, np.uint8)
    for characters, where in (
        (b"abcdefghijklmnopqrstuvwxyz0123456789", _HOST | _HOST_END | _SEGMENT | _SEGMENT_START),
        (b"ABCDEFGHIJKLMNOPQRSTUVWXYZ_~", _SEGMENT | _SEGMENT_START),
        (b"-", _HOST | _SEGMENT | _SEGMENT_START),
        (b".", _HOST | _SEGMENT),
    ):
        table[list(characters)] = where
    return table


_CLASS: Final = _classes()


@njit(**KERNEL)
def hash_plain_addresses(
    data: np.ndarray, offsets: np.ndarray, wanted: np.ndarray, hashes: np.ndarray, hashed: np.ndarray
) -> None:
    """Fill `hashes` and `hashed` for the wanted addresses that are plain, if their normal form is not too long.

    Args:
        data: uint8, UTF-8 bytes of all addresses.
        offsets: int64 `[rows + 1]`.
        wanted: bool `[rows]`.
        hashes: uint64 `[rows, 2]`, upper and lower half of xxh3-128 of the normal form.
        hashed: bool `[rows]`; false where the caller has to do it.
    """
    normal = np.zeros(LONGEST, np.uint8)
    for place in range(len(_SCHEME)):
        normal[place] = _SCHEME[place]
    for row in range(len(hashed)):
        if not wanted[row]:
            continue
        end = offsets[row + 1]
        host = _host_start(data, offsets[row], end)
        if host < 0:
            continue
        last = _plain_end(data, host, end)
        length = len(_SCHEME) + last - host
        if last < 0 or length < SHORTEST or length > LONGEST:
            continue
        for place in range(last - host):
            normal[len(_SCHEME) + place] = data[host + place]
        hashes[row, 0], hashes[row, 1] = xxh3_128(normal, int64(0), length)
        hashed[row] = True


@njit(**KERNEL)
def _host_start(data: np.ndarray, start: int, end: int) -> int:
    """Return where the host starts, behind one `www.` if a name of two parts follows; -1 if that is not plain."""
    place = 0
    while place < 4 and start < end and data[start] == _SCHEME[place]:
        start += 1
        place += 1
    if place < 4:
        return -1
    if start < end and data[start] == _SCHEME[4]:
        start += 1
    for place in range(5, 8):
        if start >= end or data[start] != _SCHEME[place]:
            return -1
        start += 1
    if not _has_www(data, start, end):
        return start
    start += len(_WWW)
    dot = start
    while dot < end and data[dot] != _WWW[3] and _CLASS[data[dot]] & _HOST:
        dot += 1
    two = dot > start and dot + 1 < end and data[dot] == _WWW[3] and _CLASS[data[dot + 1]] & _HOST_END
    return -1 if not two or _has_www(data, start, end) else start


@njit(**KERNEL)
def _has_www(data: np.ndarray, start: int, end: int) -> bool:
    """Say whether `www.` stands at `start`."""
    if end - start < len(_WWW):
        return False
    w = data[start] == _WWW[0] and data[start + 1] == _WWW[1] and data[start + 2] == _WWW[2]
    return w and data[start + 3] == _WWW[3]


@njit(**KERNEL)
def _plain_end(data: np.ndarray, start: int, end: int) -> int:
    """Return where a host and path end, less final slashes; -1 if they are not plain."""
    while end > start and data[end - 1] == _SLASH:
        end -= 1
    host_end = start
    while host_end < end and _CLASS[data[host_end]] & _HOST:
        host_end += 1
    if host_end == start or not _CLASS[data[start]] & _HOST_END or not _CLASS[data[host_end - 1]] & _HOST_END:
        return -1
    needed = _HOST  # what the next byte must be
    for place in range(host_end, end):
        if data[place] == _SLASH:
            if needed == _SEGMENT_START:
                return -1
            needed = _SEGMENT_START
        elif needed == _HOST or not _CLASS[data[place]] & needed:
            return -1
        else:
            needed = _SEGMENT
    return end
