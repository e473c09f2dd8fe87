"""Secrets: keys and tokens by the form that their issuer gave them, and values assigned to a telling name."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from pipelines.ops.privacy.spans import Span

_EDGE, _END = r"(?<![A-Za-z0-9_])", r"(?![A-Za-z0-9_])"
# mark that is cheap to look for -> form; all from the issuers' documentation
_FORMS: dict[str, str] = {
    "AKIA": r"AKIA[A-Z2-7]{16}",  # AWS access key id
    "ASIA": r"ASIA[A-Z2-7]{16}",
    "ghp_": r"ghp_[A-Za-z0-9]{36}",  # GitHub
    "gho_": r"gho_[A-Za-z0-9]{36}",
    "ghu_": r"ghu_[A-Za-z0-9]{36}",
    "ghs_": r"ghs_[A-Za-z0-9]{36}",
    "ghr_": r"ghr_[A-Za-z0-9]{36,}",
    "github_pat_": r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}",
    "glpat-": r"glpat-[A-Za-z0-9_-]{20,}",  # GitLab
    "xox": r"xox[abeoprs]-[A-Za-z0-9-]{20,}",  # Slack
    "AIza": r"AIza[A-Za-z0-9_-]{35}",  # Google
    "GOCSPX-": r"GOCSPX-[A-Za-z0-9_-]{28}",
    "_live_": r"(?:sk|rk|pk)_live_[A-Za-z0-9]{16,}",  # Stripe
    "_test_": r"(?:sk|rk)_test_[A-Za-z0-9]{16,}",
    "sk-": r"sk-(?:proj-|ant-|svcacct-|or-)?[A-Za-z0-9_-]{32,}",  # OpenAI, Anthropic, OpenRouter
    "hf_": r"hf_[A-Za-z]{34}",  # Hugging Face
    "npm_": r"npm_[A-Za-z0-9]{36}",
    "pypi-": r"pypi-AgEI[A-Za-z0-9_-]{50,}",
    "SG.": r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}",  # SendGrid
    "eyJ": r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}",  # JSON Web Token, RFC 7519
    "hooks.slack.com/": r"hooks\.slack\.com/services/T[A-Z0-9]+/B[A-Z0-9]+/[A-Za-z0-9]{20,}",
}
_COMPILED = {mark: re.compile(_EDGE + form + _END) for mark, form in _FORMS.items()}
_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?P<name>[A-Z ]*PRIVATE KEY(?: BLOCK)?)-----.{0,16000}?(?:-----END (?P=name)-----|\Z)", re.DOTALL
)
_URL_USER = re.compile(r"(?<=://)(?P<secret>[^\s/:@<>\"']{1,64}:[^\s/:@<>\"']{3,128})@")
_NAMES = (
    "password",
    "passwd",
    "pwd",
    "secret",
    "api_key",
    "apikey",
    "api-key",
    "token",
    "access_key",
    "private_key",
    "auth_key",
)
_ASSIGNED = re.compile(
    r"[A-Za-z0-9_-]{0,16}[\"']?\s{0,3}(?::=|=>|[:=])\s{0,3}[\"']?(?P<secret>[A-Za-z0-9_+/=.~!@#$%^&*-]{8,200})"
)
_MIN_CHARS, _MIN_BITS = 16, 3.5  # bits per character; English words joined by "_" have about 3.2, random base64 5


def find_tokens(text: str) -> Iterator[Span]:
    """Yield keys and tokens of a known form, and random values assigned to a telling name."""
    for mark, form in _COMPILED.items():
        if mark in text:
            for found in form.finditer(text):
                if mark != "sk-" or _is_random(found[0][3:]):
                    yield Span(*found.span(), "secret")
    yield from _assigned(text)


def find_private_keys(text: str) -> Iterator[Span]:
    """Yield PEM and OpenPGP private keys (RFC 7468, RFC 9580), even if their end is cut off."""
    for found in _PRIVATE_KEY.finditer(text):
        yield Span(*found.span(), "secret")


def find_url_passwords(text: str) -> Iterator[Span]:
    """Yield user and password of URLs."""
    for found in _URL_USER.finditer(text):
        yield Span(*found.span("secret"), "secret")


def _assigned(text: str) -> Iterator[Span]:
    lower = text.lower()
    if len(lower) != len(text):  # a few letters grow when they are lowered; positions must agree
        lower = text
    for name in _NAMES:
        at = lower.find(name)
        while at >= 0:
            found = _ASSIGNED.match(text, at + len(name))
            if found and _is_random(found["secret"]):
                yield Span(*found.span("secret"), "secret")
            at = lower.find(name, at + len(name))


def _is_random(value: str) -> bool:
    """Say whether a value looks drawn at random: long, letters and digits mixed, high entropy."""
    if len(value) < _MIN_CHARS or not any(c.isdigit() for c in value) or not any(c.isalpha() for c in value):
        return False
    counts = Counter(value).values()
    entropy = -sum(n / len(value) * math.log2(n / len(value)) for n in counts)
    return entropy >= min(_MIN_BITS, math.log2(len(value)) - 0.5)
