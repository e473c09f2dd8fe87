"""One pass over the bytes of a text that says which searches for personal data could find anything."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from pipelines.kernels.compile import INLINE, KERNEL

AT: Final = 1
"""Flag: an "@", a "%40", or "at" behind an opening bracket."""
ZONE: Final = 2
"""Flag: at least seven bytes from digit to digit with nothing but digits and what may part them."""
TOKEN: Final = 4
"""Flag: 16 bytes without a space, with a digit or a "_" among them, or 20 bytes of any kind."""
COLONS: Final = 8
"""Flag: "::" or seven colons."""
DASHES: Final = 16
"""Flag: five hyphens in a row, as before BEGIN PRIVATE KEY."""

_ZONE_BYTES: Final = 7
_TOKEN_BYTES: Final = 16
_LONG_TOKEN_BYTES: Final = 20
_DIGIT, _PART, _IN_TOKEN, _MARK = 1, 2, 4, 8


def _classes() -> np.ndarray:
    """Return what every byte may be part of, uint8 `[256]`."""
    table = np.zeros(256, np.uint8)
    table[list(b"0123456789")] = _DIGIT | _PART | _IN_TOKEN
    # of UTF-8: no-break spaces and the hyphens U+2010 to U+2013, byte by byte, so perhaps a few more than these
    table[list(b" ().-/\xc2\xa0\xe2\x80\x90\x91\x92\x93\xaf")] |= _PART
    table[list(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_+/=.~!@#$%^&*-:\"'>")] |= _IN_TOKEN
    table[list(b"@%([")] |= _MARK
    table.flags.writeable = False
    return table


CLASSES: Final = _classes()


@njit(**INLINE)
def _is_at(data: np.ndarray, i: int) -> bool:
    """Say whether "@", "%40", "(at" or "[at" (perhaps with a space inside) starts here."""
    if data[i] == 64:
        return True
    if data[i] == 37:
        return i + 2 < data.shape[0] and data[i + 1] == 52 and data[i + 2] == 48
    j = i + 1
    if j < data.shape[0] and data[j] == 32:
        j += 1
    return j + 1 < data.shape[0] and (data[j] | 32) == 97 and (data[j + 1] | 32) == 116


@njit(**KERNEL)
def privacy_flags(data: np.ndarray, classes: np.ndarray) -> int:
    """Return the flags of a text.

    Args:
        data: UTF-8, `uint8 [bytes]`.
        classes: CLASSES.

    Returns:
        AT, ZONE, TOKEN, COLONS and DASHES, combined by "or".
    """
    flags = colons = dashes = token = 0
    zone_start = -1
    named = False
    for i in range(data.shape[0]):
        byte = data[i]
        kind = classes[byte]
        if kind & _DIGIT:
            if zone_start < 0:
                zone_start = i
            elif i - zone_start >= _ZONE_BYTES - 1:
                flags |= ZONE
        elif not kind & _PART:
            zone_start = -1
        if kind & _IN_TOKEN:
            token += 1
            named |= (kind & _DIGIT) != 0 or byte == 95
            if token >= _LONG_TOKEN_BYTES or (token >= _TOKEN_BYTES and named):
                flags |= TOKEN
            if byte == 58:
                colons += 1
                if colons >= 7 or (i > 0 and data[i - 1] == 58):
                    flags |= COLONS
            dashes = dashes + 1 if byte == 45 else 0
            if dashes == 5:
                flags |= DASHES
        else:
            token = dashes = 0
            named = False
        if kind & _MARK and _is_at(data, i):
            flags |= AT
    return flags
