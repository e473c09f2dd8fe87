"""Replace personal data by placeholders, and count it by kind; the value itself goes nowhere.

The placeholder is one constant per kind, because an unkeyed hash of a telephone number can be undone by
hashing all telephone numbers. The keyed variant says which placeholders stand for the same value.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipelines.contracts.errors import ConfigError, message
from pipelines.contracts.recipe import Pii
from pipelines.kernels.privacy_scan import AT, CLASSES, COLONS, DASHES, TOKEN, ZONE, privacy_flags
from pipelines.ops.privacy.emails import find_emails
from pipelines.ops.privacy.numbers import digit_zones, find_cards, find_ibans, find_ipv4, find_ipv6
from pipelines.ops.privacy.secrets import find_private_keys, find_tokens, find_url_passwords
from pipelines.ops.privacy.spans import Span, merge_spans

KEY_VARIABLE = "MIXTRACE_PII_KEY"
_MIN_KEY_BYTES = 16
_TAG_CHARS = 12
_HEX_TO_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")  # no digits: masking twice changes nothing


@dataclass(frozen=True)
class Masker:
    """What is masked, and how.

    Attributes:
        kinds: kinds of data, of PII_KINDS.
        regions: countries whose national telephone numbers are known.
        key: key of the keyed placeholders; None for constant ones.
    """

    kinds: frozenset[str]
    regions: tuple[str, ...] = ()
    key: bytes | None = None

    def mask(self, text: str) -> tuple[str, dict[str, int]]:
        """Mask a text.

        Returns:
            The text, and how often each kind was masked (`pii_email` ...).
        """
        spans = find_spans(text, self.kinds, self.regions)
        if not spans:
            return text, {}
        counts: dict[str, int] = {}
        pieces: list[str] = []
        at = 0
        for start, end, kind in spans:
            pieces += (text[at:start], placeholder(kind, text[start:end], self.key))
            counts[f"pii_{kind}"] = counts.get(f"pii_{kind}", 0) + 1
            at = end
        pieces.append(text[at:])
        return "".join(pieces), counts


def make_masker(pii: Pii) -> Masker | None:
    """Make the masker of a recipe; None if it asks for none.

    Raises:
        ConfigError: if placeholders are keyed and the environment has no key.
    """
    if not pii.kinds:
        return None
    return Masker(frozenset(pii.kinds), pii.phone_regions, read_key() if pii.placeholder == "keyed" else None)


def read_key() -> bytes:
    """Read the key of the placeholders from the environment, where it stays: no output holds it.

    Raises:
        ConfigError: if there is none, or a short one that could be guessed.
    """
    key = os.environ.get(KEY_VARIABLE, "").encode()
    if len(key) < _MIN_KEY_BYTES:
        raise ConfigError(
            message(
                "pii.placeholder: keyed",
                f"no key in {KEY_VARIABLE}",
                f"{len(key)} bytes",
                f">= {_MIN_KEY_BYTES} random bytes",
            )
        )
    return key


def key_mark(pii: Pii) -> str | None:
    """Return a mark by which two keys differ (64 bits of an HMAC), or None without a key; it enters fingerprints."""
    if not pii.kinds or pii.placeholder != "keyed":
        return None
    return hmac.new(read_key(), b"mixtrace: mark of this key", hashlib.sha256).hexdigest()[:16]


def placeholder(kind: str, value: str, key: bytes | None) -> str:
    """Return what stands for a value: `<email>`, or with a key `<email:` 12 letters (48 bits of HMAC-SHA256) `>`.

    Spaces, hyphens, dots and brackets inside numbers, and case, do not tell two values apart.
    """
    if key is None:
        return f"<{kind}>"
    plain = (
        value.lower() if kind in ("email", "secret", "ipv4", "ipv6") else "".join(filter(str.isalnum, value.lower()))
    )
    digest = hmac.new(key, f"{kind}\0{plain}".encode(), hashlib.sha256).hexdigest()
    return f"<{kind}:{digest[:_TAG_CHARS].translate(_HEX_TO_LETTERS)}>"


def find_spans(text: str, kinds: frozenset[str], regions: tuple[str, ...]) -> list[Span]:
    """Find personal data.

    Args:
        text: any text.
        kinds: kinds to look for.
        regions: countries whose national telephone numbers are known.

    Returns:
        Spans without overlap, in order.
    """
    flags = privacy_flags(np.frombuffer(text.encode(), np.uint8), CLASSES)
    if not flags:
        return []
    return merge_spans(_all_spans(text, kinds, regions, flags))


def _all_spans(text: str, kinds: frozenset[str], regions: tuple[str, ...], flags: int) -> Iterator[Span]:
    if flags & AT and "email" in kinds:
        yield from find_emails(text)
    if "secret" in kinds:
        if flags & TOKEN:
            yield from find_tokens(text)
        if flags & DASHES:
            yield from find_private_keys(text)
        if flags & AT:
            yield from find_url_passwords(text)
    if flags & COLONS and "ipv6" in kinds:
        yield from find_ipv6(text)
    if flags & ZONE:
        yield from _numbers(text, kinds, regions)


def _numbers(text: str, kinds: frozenset[str], regions: tuple[str, ...]) -> Iterator[Span]:
    zones = digit_zones(text)
    if "ipv4" in kinds:
        yield from find_ipv4(text, zones)
    if "iban" in kinds:
        yield from find_ibans(text)
    if "card" in kinds:
        yield from find_cards(text, zones)
    if "phone" in kinds:
        from pipelines.ops.privacy.phones import find_phones  # libphonenumber's tables: only if they are asked for

        yield from find_phones(text, zones, regions)
