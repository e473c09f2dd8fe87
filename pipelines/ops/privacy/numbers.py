"""Numbers that name a person: IP addresses, IBANs, payment cards. All of them carry a check of their own."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from pipelines.ops.privacy.spans import Span

_ZONE = re.compile(r"[0-9][0-9 ().\-/\u00a0\u2010-\u2013\u202f]{5,}[0-9]")
_IPV4 = re.compile(r"(?<![0-9.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9]|\.[0-9])")
_ADDRESS_BEFORE = re.compile(
    r"(?:\b(?:ips?|addr|address|hosts?|server|dns|ping|from|via|gateway|nameserver)\b\W{0,4}|//|@)\Z", re.IGNORECASE
)
_VERSION_BEFORE = re.compile(
    r"(?:\b(?:version|ver|release|build|firmware|section|oid|v)\.?:? ?|[\w§/-])\Z", re.IGNORECASE
)
_COLONS = re.compile(":[0-9A-Fa-f]{0,4}:")
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:])")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")  # RFC 4291: all that is allocated to hosts of the Internet
_IBAN_START = re.compile("[A-Z]{2}[0-9]{2}")  # a look-behind here would make the search ten times as slow
_CARD = re.compile(r"(?<![0-9.])[0-9](?:[ .-]?[0-9]){11,18}(?![0-9]|\.[0-9])")
_CARD_GROUPS = frozenset({(4, 4, 4, 4), (4, 4, 4, 4, 3), (4, 6, 5), (4, 6, 4), (4, 4, 4, 1)})

IBAN_LENGTHS: dict[str, int] = {
    # SWIFT IBAN registry, release 99 (2024): length in characters by country
    **dict.fromkeys(("NO",), 15), **dict.fromkeys(("BE",), 16), **dict.fromkeys(("DK", "FO", "FI", "FK", "GL", "NL", "SD"), 18),
    **dict.fromkeys(("MK", "SI"), 19), **dict.fromkeys(("AT", "BA", "EE", "KZ", "LT", "LU", "XK", "MN"), 20),
    **dict.fromkeys(("HR", "LI", "LV", "CH"), 21),
    **dict.fromkeys(("BH", "BG", "CR", "GE", "DE", "GB", "IE", "ME", "RS", "VA"), 22),
    **dict.fromkeys(("TL", "GI", "IQ", "IL", "AE", "SO", "OM"), 23),
    **dict.fromkeys(("AD", "CZ", "MD", "PK", "RO", "SA", "SK", "ES", "SE", "TN", "VG"), 24),
    **dict.fromkeys(("LY", "PT", "ST"), 25), **dict.fromkeys(("IS", "TR"), 26),
    **dict.fromkeys(("FR", "GR", "IT", "MR", "MC", "SM", "BI", "DJ"), 27),
    **dict.fromkeys(("AL", "AZ", "BY", "CY", "DO", "GT", "HN", "HU", "LB", "NI", "PL", "SV"), 28),
    **dict.fromkeys(("BR", "EG", "PS", "QA", "UA"), 29), **dict.fromkeys(("JO", "KW", "MU", "YE"), 30),
    **dict.fromkeys(("MT", "SC"), 31), **dict.fromkeys(("LC",), 32), **dict.fromkeys(("RU",), 33),
}  # fmt: skip


def digit_zones(text: str) -> list[tuple[int, int]]:
    """Return the stretches of digits and what may stand between the digits of one number.

    Every IPv4 address, card, telephone number and the larger part of every IBAN lies in one of them.
    """
    return [found.span() for found in _ZONE.finditer(text)]


def find_ipv4(text: str, zones: list[tuple[int, int]]) -> Iterator[Span]:
    """Yield public IPv4 addresses; private, loopback and documentation addresses say nothing of a person."""
    for start, end in zones:
        for found in _IPV4.finditer(text, start, min(len(text), end + 1)):
            octets = found[0].split(".")
            if any((len(octet) > 1 and octet[0] == "0") or int(octet) > 255 for octet in octets):
                continue
            if _VERSION_BEFORE.search(text, max(0, found.start() - 10), found.start()) and not _in_url(text, found):
                continue
            if all(len(octet) < 3 for octet in octets) and not _ADDRESS_BEFORE.search(
                text, max(0, found.start() - 20), found.start()
            ):
                continue  # 6.3.4.2 is a section; of random addresses 1 in 40 has no octet above 99
            if _continues(text, found.end()) or not ipaddress.IPv4Address(found[0]).is_global:
                continue
            yield Span(*found.span(), "ipv4")


def _in_url(text: str, found: re.Match[str]) -> bool:
    return text[max(0, found.start() - 2) : found.start()] == "//"


def _continues(text: str, end: int) -> bool:
    """Say whether a letter or digit follows, so that the number is a part of a longer name."""
    return end < len(text) and text[end].isalnum()


def find_ipv6(text: str) -> Iterator[Span]:
    """Yield IPv6 addresses of the allocated global unicast range that are not reserved for documentation."""
    done = 0
    for colons in _COLONS.finditer(text):
        start = max(done, colons.start() - 4)
        found = _IPV6.search(text, start, min(len(text), colons.start() + 41)) if colons.start() >= done else None
        if found is None:
            continue
        done = found.end()
        if found[0].count(":") < 7 and "::" not in found[0]:
            continue
        try:
            address = ipaddress.IPv6Address(found[0])
        except ValueError:
            continue
        if address in _GLOBAL_UNICAST and address.is_global:
            yield Span(*found.span(), "ipv6")


def find_ibans(text: str) -> Iterator[Span]:
    """Yield IBANs (ISO 13616): known country, its length, and the check digits right."""
    for found in _IBAN_START.finditer(text):
        length = IBAN_LENGTHS.get(found[0][:2])
        if found.start() and text[found.start() - 1].isalnum():
            continue
        end = _take(text, found.start(), length) if length else None
        if end is None or _continues(text, end):
            continue
        digits = re.sub("[ -]", "", text[found.start() : end])
        if digits.isupper() and mod97(digits) == 1:
            yield Span(found.start(), end, "iban")


def _take(text: str, start: int, count: int) -> int | None:
    """Return where `count` letters or digits end, with at most one space or hyphen between two; None if they do not."""
    at = start
    taken = 0
    while taken < count:
        if at < len(text) and text[at] in " -" and text[at - 1] not in " -":
            at += 1
        if at >= len(text) or not (text[at].isascii() and text[at].isalnum()):
            return None
        at += 1
        taken += 1
    return at


def mod97(iban: str) -> int:
    """Return the remainder of an IBAN by ISO 7064 MOD 97-10 (1 if the check digits are right)."""
    turned = iban[4:] + iban[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97


def find_cards(text: str, zones: list[tuple[int, int]]) -> Iterator[Span]:
    """Yield numbers of payment cards: an issuer's range and length (ISO/IEC 7812), and the Luhn digit right."""
    for start, end in zones:
        for found in _CARD.finditer(text, start, min(len(text), end + 1)):
            groups = re.split("[ .-]", found[0])
            digits = "".join(groups)
            if len(groups) > 1 and (tuple(map(len, groups)) not in _CARD_GROUPS or not _one_separator(found[0])):
                continue
            before = text[found.start() - 1] if found.start() else " "
            if before.isalnum() or before == "_" or _continues(text, found.end()):
                continue
            if is_card_range(digits) and luhn(digits):
                yield Span(*found.span(), "card")


def _one_separator(number: str) -> bool:
    return sum(separator in number for separator in " .-") == 1


def is_card_range(digits: str) -> bool:
    """Say whether a number has the prefix and length of a card network."""
    size = len(digits)
    two, three, four = int(digits[:2]), int(digits[:3]), int(digits[:4])
    return (
        (digits[0] == "4" and size in (13, 16, 19))  # Visa
        or (size == 16 and (51 <= two <= 55 or 2221 <= four <= 2720))  # Mastercard
        or (size == 15 and two in (34, 37))  # American Express
        or (size == 14 and (300 <= three <= 305 or two in (36, 38, 39)))  # Diners Club
        or (16 <= size <= 19 and (four == 6011 or 644 <= three <= 659 or two == 62 or 3528 <= four <= 3589))
        or (12 <= size <= 19 and four in (5018, 5020, 5038, 5893, 6304, 6759, 6761, 6762, 6763))  # Maestro
    )


def luhn(digits: str) -> bool:
    """Say whether the last digit is right by ISO/IEC 7812-1, annex B.

    >>> luhn("4111111111111111"), luhn("4111111111111112")
    (True, False)
    """
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0
