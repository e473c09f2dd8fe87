"""Numbers as people read them."""

from __future__ import annotations

from typing import Any


def count(value: float | None) -> str:
    """Write a whole number with thin thousands separators.

    >>> count(1234567)
    '1,234,567'
    """
    return "–" if value is None else f"{round(value):,}"


def short_count(value: float | None) -> str:
    """Write a large number short.

    >>> short_count(1234567), short_count(262144), short_count(12)
    ('1.23 M', '262 k', '12')
    """
    if value is None:
        return "–"
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g} {unit}"
    return f"{value:.3g}"


def byte_size(value: float | None) -> str:
    """Write a number of bytes in decimal units.

    >>> byte_size(1500), byte_size(62_400_000)
    ('1.5 kB', '62.4 MB')
    """
    if value is None:
        return "–"
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= limit:
            return f"{value / limit:.1f} {unit}"
    return f"{value:.0f} B"


def share(value: float | None) -> str:
    """Write a share in percent.

    >>> share(0.1234), share(0.0001)
    ('12.3 %', '< 0.1 %')
    """
    if value is None:
        return "–"
    return "< 0.1 %" if 0 < value < 0.001 else f"{100 * value:.1f} %"


def number(value: float | None) -> str:
    """Write a number to three or four significant digits.

    >>> number(0.012345), number(3.0)
    ('0.01235', '3')
    """
    return "–" if value is None else f"{value:.4g}"


def effect(value: float | None) -> str:
    """Write a signed effect to four decimals, with a true minus sign.

    >>> effect(-0.01234)
    '−0.0123'
    """
    return "–" if value is None else f"{value:+.4f}".replace("-", "−")


def text(value: Any) -> str:
    """Write anything else; lists are joined.

    >>> text(["a", "b"]), text(None), text(True)
    ('a, b', '–', 'yes')
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(str(item) for item in value) if isinstance(value, list | tuple) else str(value)


FORMATS = {
    "text": text,
    "code": text,
    "long": text,
    "verdict": text,
    "count": count,
    "bytes": byte_size,
    "share": share,
    "number": number,
    "effect": effect,
}
