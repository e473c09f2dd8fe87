"""Telephone numbers: found by their shape, decided by libphonenumber.

An international number (with +) needs no more than to be valid. A national number is taken only in the
groups in which its country writes it, or behind a word such as "tel": ten bare digits are far more often
an id or a time than a telephone (2147483647 is a valid number of Dallas).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import phonenumbers
from phonenumbers import PhoneNumberFormat

from pipelines.ops.privacy.spans import Span

_GROUP = re.compile("[0-9]+")
_CALL = re.compile(
    r"(?:\b(?:tele(?:phone|fono|fon|f\.?)|tel|tél|phone|fax|mobile?|mobil|cell|call|dial|sms|whatsapp|hotline|ring|text)"
    r"(?:[ ](?:number|us|me|at|on|no|nr))*|☎|📞)[ .:#]*[+(]*\Z",
    re.IGNORECASE,
)
_CALL_CHARS = 24
_MIN_DIGITS, _MAX_DIGITS = 7, 15  # E.164 ends at 15; shorter numbers are service numbers
_LONGEST_GAP = 3


def find_phones(text: str, zones: list[tuple[int, int]], regions: tuple[str, ...]) -> Iterator[Span]:
    """Yield telephone numbers.

    Args:
        text: any text.
        zones: from `digit_zones`.
        regions: countries (ISO 3166) whose national numbers are known.
    """
    for start, end in zones:
        groups = [found.span() for found in _GROUP.finditer(text, start, end)]
        first = 0
        while first < len(groups):
            span, used = _longest(text, groups, first, regions)
            if span is not None:
                yield span
            first += used


def _longest(text: str, groups: list[tuple[int, int]], first: int, regions: tuple[str, ...]) -> tuple[Span | None, int]:
    """Return the longest telephone number that starts at a group, and how many groups it takes (at least 1)."""
    begin = groups[first][0]
    gap = text[groups[first][1] : groups[first + 1][0]] if first + 1 < len(groups) else ""
    opened = begin > 0 and text[begin - 1] == "(" and ")" in gap  # else the bracket is around the whole number
    plus = text[begin - 1 - opened] == "+" if begin > opened else False
    start = begin - opened - plus
    if start > 0 and (text[start - 1].isalnum() or text[start - 1] in ("_.=#" if plus else "_.=#$€£%/")):
        return None, 1
    called = not plus and _is_called(text, start)
    ends = _ends(text, groups, first)
    sizes = [end - begin for begin, end in groups[first : first + len(ends)]]
    for used in range(len(ends), 0, -1):
        if not _MIN_DIGITS <= sum(sizes[:used]) <= _MAX_DIGITS or _is_glued(text, ends[used - 1]):
            continue
        number = text[start : ends[used - 1]]
        shaped = opened or text[begin] == "0" or sizes[:used] in ([3, 3, 4], [1, 3, 3, 4])
        if plus:
            found = _is_valid(number, None)
        elif called:
            found = any(_is_valid(number, region) for region in regions)
        else:
            found = shaped and used > 1 and any(_is_written_so(number, sizes[:used], region) for region in regions)
        if found:
            return Span(start, ends[used - 1], "phone"), used
    return None, 1


def _is_called(text: str, start: int) -> bool:
    """Say whether a word such as "tel" comes right before."""
    at = start
    while at > 0 and text[at - 1] in " .:#(":
        at -= 1
    if at == 0 or text[at - 1].isdigit() or start - at > 4:  # dates and tables: most groups end here
        return False
    return _CALL.search(text, max(0, start - _CALL_CHARS), start) is not None


def _ends(text: str, groups: list[tuple[int, int]], first: int) -> list[int]:
    """Return where the groups end that may belong to one number; a wide gap or a line of its own ends it."""
    ends = [groups[first][1]]
    for before, (start, end) in zip(groups[first:], groups[first + 1 :], strict=False):
        if start - before[1] > _LONGEST_GAP or len(ends) == 7:
            break
        ends.append(end)
    return ends


def _is_glued(text: str, end: int) -> bool:
    """Say whether the digits go on as a word, a decimal or a quantity."""
    after = text[end : end + 2]
    return bool(after) and (after[0].isalnum() or after[0] in "_%" or (after[0] in ".,-/:" and after[1:].isdigit()))


def _parse(number: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None
    return parsed if phonenumbers.is_valid_number(parsed) else None


def _is_valid(number: str, region: str | None) -> bool:
    return _parse(number, region) is not None


def _is_written_so(number: str, sizes: list[int], region: str) -> bool:
    """Say whether a number is valid and in the groups in which its country writes it."""
    parsed = _parse(number, region)
    if parsed is None:
        return False
    style = PhoneNumberFormat.NATIONAL
    written = [len(group) for group in _GROUP.findall(phonenumbers.format_number(parsed, style))]
    return sizes in (written, [1, *written] if parsed.country_code == 1 else written)
