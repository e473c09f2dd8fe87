"""Paragraphs and lines: repeated segments, bullets, ellipses, terminal punctuation."""

from __future__ import annotations

import numpy as np
from numba import njit, uint64

from pipelines.kernels.compile import KERNEL
from pipelines.kernels.hashing import load_u64, mix64
from pipelines.kernels.unicode_tables import SPACE, TERM, decode_utf8


@njit(**KERNEL)
def hash_segment(data: np.ndarray, start: int, end: int) -> tuple[int, int]:
    """Return (64-bit hash, characters) of `data[start:end]`."""
    value = uint64(end - start)
    chars = 0
    at = start
    while at + 8 <= end:
        word = load_u64(data, at)
        value = mix64(value ^ word)
        continuation = (word >> uint64(7)) & ((~word) >> uint64(6)) & uint64(0x0101010101010101)
        chars += 8 - np.int64((continuation * uint64(0x0101010101010101)) >> uint64(56))
        at += 8
    rest = uint64(0)
    while at < end:
        rest = (rest << uint64(8)) | uint64(data[at])
        chars += (data[at] & 0xC0) != 0x80
        at += 1
    return mix64(value ^ (rest + uint64(0x9E3779B97F4A7C15))), chars


@njit(**KERNEL)
def seen_before(key: int, keys: np.ndarray, epochs: np.ndarray, epoch: int) -> bool:
    """Add a key to the set of this epoch; say whether it was there."""
    mask = keys.shape[0] - 1
    at = np.int64(key & uint64(mask))
    while epochs[at] == epoch:
        if keys[at] == key:
            return True
        at = (at + 1) & mask
    epochs[at], keys[at] = epoch, key
    return False


@njit(**KERNEL)
def strip_left(data: np.ndarray, start: int, end: int, bits: np.ndarray) -> int:
    """Return where the text starts after white space."""
    while start < end:
        point, length = decode_utf8(data, start)
        if not bits[point] & SPACE:
            break
        start += length
    return start


@njit(**KERNEL)
def last_character(data: np.ndarray, start: int, end: int) -> tuple[int, int]:
    """Return (start, code point) of the last character before `end`."""
    at = end - 1
    while at > start and (data[at] & 0xC0) == 0x80:
        at -= 1
    point, _ = decode_utf8(data, at)
    return at, point


@njit(**KERNEL)
def strip_right(data: np.ndarray, start: int, end: int, bits: np.ndarray) -> int:
    """Return where the text ends before white space."""
    while end > start:
        at, point = last_character(data, start, end)
        if not bits[point] & SPACE:
            break
        end = at
    return end


@njit(**KERNEL)
def _repeated_segments(
    data: np.ndarray, start: int, end: int, least_run: int, keys: np.ndarray, epochs: np.ndarray, epoch: int
) -> tuple[int, int, int]:
    """Cut at runs of at least `least_run` line ends; return (segments, repeated ones, their characters)."""
    segments = repeated = repeated_chars = 0
    segment = at = start
    while True:
        run = 0
        while at < end:
            if data[at] != 10:
                at += 1
                continue
            after = at
            while after < end and data[after] == 10:
                after += 1
            if after - at >= least_run:
                run = after - at
                break
            at = after
        stop = at if run else end
        key, chars = hash_segment(data, segment, stop)
        segments += 1
        if seen_before(key, keys, epochs, epoch):
            repeated += 1
            repeated_chars += chars
        if run == 0:
            return segments, repeated, repeated_chars
        segment = at = at + run


@njit(**KERNEL)
def segment_duplicates(
    data: np.ndarray,
    start: int,
    end: int,
    bits: np.ndarray,
    keys: np.ndarray,
    epochs: np.ndarray,
    epoch: int,
    out: np.ndarray,
) -> int:
    """Fill out[0:3] for paragraphs and out[3:6] for line runs; return the epoch that was used last."""
    inner = strip_left(data, start, end, bits)
    epoch += np.uint32(1)
    out[0], out[1], out[2] = _repeated_segments(
        data, inner, strip_right(data, inner, end, bits), 2, keys, epochs, epoch
    )
    epoch += np.uint32(1)
    out[3], out[4], out[5] = _repeated_segments(data, start, end, 1, keys, epochs, epoch)
    return epoch


@njit(**KERNEL)
def _ends_in_ellipsis(data: np.ndarray, start: int, end: int) -> bool:
    """Say whether `data[start:end]` (not empty) ends in "..." or "…"."""
    _, point = last_character(data, start, end)
    if point == 0x2026:
        return True
    return end - start >= 3 and data[end - 1] == 46 and data[end - 2] == 46 and data[end - 3] == 46


@njit(**KERNEL)
def line_break(data: np.ndarray, at: int, end: int) -> int:
    r"""Return the bytes of the line break at `at` as str.splitlines has them (\r\n is one), or 0 if there is none."""
    byte = data[at]
    if 10 <= byte <= 12 or 28 <= byte <= 30:
        return 1
    if byte == 13:
        return 2 if at + 1 < end and data[at + 1] == 10 else 1
    if byte == 0xC2:  # U+0085
        return 2 if data[at + 1] == 0x85 else 0
    if byte == 0xE2:  # U+2028, U+2029
        return 3 if data[at + 1] == 0x80 and (data[at + 2] == 0xA8 or data[at + 2] == 0xA9) else 0
    return 0


@njit(**KERNEL)
def splitlines_statistics(data: np.ndarray, start: int, end: int, bits: np.ndarray, out: np.ndarray) -> None:
    """Fill lines, bullets and ellipses over the lines of str.splitlines."""
    lines = bullets = ellipses = 0
    at = start
    while at < end:
        stop, size = at, 0
        while stop < end:
            size = line_break(data, stop, end)
            if size:
                break
            stop += 1
        lines += 1
        inner = strip_left(data, at, stop, bits)
        if inner < stop:
            first, _ = decode_utf8(data, inner)
            bullets += first in (0x2022, 45)  # • and -
            ellipses += _ends_in_ellipsis(data, inner, strip_right(data, inner, stop, bits))
        at = stop + size
    out[0], out[1], out[2] = lines, bullets, ellipses


@njit(**KERNEL)
def line_statistics(
    data: np.ndarray,
    start: int,
    end: int,
    bits: np.ndarray,
    keys: np.ndarray,
    epochs: np.ndarray,
    epoch: int,
    out: np.ndarray,
) -> int:
    r"""Fill lines, bullets, ellipses, full (not blank) lines, terminal, short and repeated ones; return the epoch.

    Lines end in \n only; where other line ends occur, `splitlines_statistics` fills the first three again.
    """
    epoch += np.uint32(1)
    lines = bullets = ellipses = full = terminal = short = repeated_chars = 0
    at = start
    while at <= end:
        stop = at
        while stop < end and data[stop] != 10:
            stop += 1
        lines += stop < end or stop > at
        inner = strip_left(data, at, stop, bits)
        if inner < stop:
            full += 1
            first, _ = decode_utf8(data, inner)
            bullets += first in (0x2022, 45)  # • and -
            _, last = last_character(data, inner, stop)
            terminal += (bits[last] & TERM) != 0
            ellipses += _ends_in_ellipsis(data, inner, strip_right(data, inner, stop, bits))
            key, chars = hash_segment(data, at, stop)
            short += chars <= 30
            if seen_before(key, keys, epochs, epoch):
                repeated_chars += chars
        at = stop + 1
    out[0], out[1], out[2], out[3] = lines, bullets, ellipses, full
    out[4], out[5], out[6] = terminal, short, repeated_chars
    return epoch
