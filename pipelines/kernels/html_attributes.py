"""Names of tags, and what their attributes say: words in class names, and whether an element is hidden."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit, uint64

from pipelines.kernels.compile import KERNEL

_GT, _SLASH, _QUOTE, _EQUALS = 62, 47, 34, 61
_FNV, _FNV_PRIME = uint64(0xCBF29CE484222325), uint64(0x100000001B3)
_VALUE_BYTES: Final = 512  # of a value that are looked at


@njit(**KERNEL)
def is_space(byte: int) -> bool:
    """Say whether a byte is white space."""
    return byte == 32 or (byte >= 9 and byte <= 13)


@njit(**KERNEL)
def tag_code(data: np.ndarray, at: int, table: np.ndarray) -> tuple[int, int]:
    """Return (code, end) of the tag name that starts at `at`; 0 is every tag that is not in the table."""
    value = _FNV
    while at < data.shape[0]:
        byte = data[at]
        if is_space(byte) or byte in (_GT, _SLASH):
            break
        if byte >= 65 and byte <= 90:
            byte += 32
        value = (value ^ uint64(byte)) * _FNV_PRIME
        at += 1
    slot = np.int64(value % uint64(table.shape[0]))
    while table[slot, 1]:
        if table[slot, 0] == value:
            return np.int64(table[slot, 1]), at
        slot = (slot + 1) % table.shape[0]
    return 0, at


@njit(**KERNEL)
def _starts_with(data: np.ndarray, at: int, word: np.ndarray) -> bool:
    if at + word.shape[0] > data.shape[0]:
        return False
    for k in range(word.shape[0]):
        byte = data[at + k]
        if byte >= 65 and byte <= 90:
            byte += 32
        if byte != word[k]:
            return False
    return True


@njit(**KERNEL)
def _attribute_value(data: np.ndarray, at: int) -> tuple[int, int, int]:
    """Return (begin, end) of the value that "=" at `at` gives, and the place after it."""
    n = data.shape[0]
    if at >= n or data[at] != _EQUALS:
        return at, at, at
    at += 1
    if at >= n or data[at] != _QUOTE:
        return at, at, at
    at += 1
    value = at
    while at < n and data[at] != _QUOTE:
        at += 1
    return value, at, at + 1


@njit(**KERNEL)
def read_attributes(
    data: np.ndarray, at: int, steps: np.ndarray, found: np.ndarray, words: np.ndarray
) -> tuple[int, int, bool]:
    """Read attributes up to the end of the tag.

    Returns:
        (place after ">", groups of words found in class, id, role and itemprop, whether the element is hidden).
    """
    n = data.shape[0]
    hints, hidden = uint64(0), False
    while at < n:
        while at < n and (is_space(data[at]) or data[at] == _SLASH):
            at += 1
        if at >= n or data[at] == _GT:
            return at + 1, hints, hidden
        name = at
        while at < n and data[at] != _EQUALS and data[at] != _GT and not is_space(data[at]):
            at += 1
        size = at - name
        value, end, at = _attribute_value(data, at)
        named = (
            _starts_with(data, name, words[0, :5])  # class
            or (size == 2 and _starts_with(data, name, words[1, :2]))  # id
            or (size == 4 and _starts_with(data, name, words[2, :4]))  # role
            or (size == 8 and _starts_with(data, name, words[3, :8]))  # itemprop
        )
        if named:
            state = 0
            for k in range(value, min(end, value + _VALUE_BYTES)):
                state = steps[state, data[k]]
                hints |= found[state]
        elif size == 6 and _starts_with(data, name, words[4, :6]):  # hidden
            hidden = True
        elif size == 5 and _starts_with(data, name, words[5, :5]):  # style
            hidden = hidden or _hides(data, value, min(end, value + _VALUE_BYTES), words)
        elif size == 11 and _starts_with(data, name, words[6, :11]):  # aria-hidden
            hidden = hidden or (end - value == 4 and _starts_with(data, value, words[7, :4]))
    return n, hints, hidden


@njit(**KERNEL)
def _hides(data: np.ndarray, at: int, end: int, words: np.ndarray) -> bool:
    """Say whether a style has `display:none` or `visibility:hidden`."""
    while at < end:
        is_display = _starts_with(data, at, words[8, :8])
        if is_display or _starts_with(data, at, words[9, :11]):
            at += 8 if is_display else 11
            while at < end and is_space(data[at]):
                at += 1
            return _starts_with(data, at, words[10, :4]) if is_display else _starts_with(data, at, words[4, :6])
        at += 1
    return False


ATTRIBUTE_WORDS: Final = np.zeros((11, 16), dtype=np.uint8)
for _row, _word in enumerate(
    ["class", "id", "role", "itemprop", "hidden", "style", "aria-hidden", "true", "display:", "visibility:", "none"]
):
    ATTRIBUTE_WORDS[_row, : len(_word)] = np.frombuffer(_word.encode(), np.uint8)
