"""E-mail addresses: written out, percent-encoded in a URL, or hidden from simple harvesters."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipelines.ops.privacy.spans import Span

# Atoms of RFC 5322 without those that end a word in running text ("|", "`", "{" ...); \w takes in RFC 6531.
_LOCAL = re.compile(r"[\w.!#$%&'*+/=?^~-]{1,64}\Z")
_LABEL = r"\w(?:[\w-]{0,61}\w)?"
_DOMAIN = re.compile(rf"(?:{_LABEL}\.){{1,8}}(?P<top>[^\W\d_]{{2,24}}|xn--[a-z0-9-]{{2,59}})(?![\w-]*@)")
_DOT = r"(?:\.| ?[\[(]\s?dot\s?[\])] ?| dot )"
_HIDDEN_AT = re.compile(r"[\[(]\s?at\s?[\])]", re.IGNORECASE)
_HIDDEN_LOCAL = re.compile(rf"(?:[\w+-]{{1,32}}{_DOT}){{0,3}}[\w+-]{{1,32}} ?\Z", re.IGNORECASE)
_HIDDEN_DOMAIN = re.compile(rf" ?(?:{_LABEL}{_DOT}){{1,4}}[^\W\d_]{{2,24}}\b", re.IGNORECASE)
_MARKS = ("@", "%40")
# What follows the last dot of names such as icon@2x.png, of which no top-level domain exists.
_FILE_ENDINGS = frozenset(
    ["png", "jpg", "jpeg", "gif", "webp", "svg", "ico", "css", "js", "json", "xml", "html", "htm", "txt", "pdf", "min"]
)
_LONGEST_LOCAL = 64
_URL_USER = re.compile(r"://[^\s/@]*:\Z")


def find_emails(text: str) -> Iterator[Span]:
    """Yield the e-mail addresses of a text."""
    for mark in _MARKS:
        at = text.find(mark)
        while at >= 0:
            span = _around(text, at, mark)
            if span is not None:
                yield span
            at = text.find(mark, at + 1)
    for hidden in _HIDDEN_AT.finditer(text):
        before = _HIDDEN_LOCAL.search(text[max(0, hidden.start() - _LONGEST_LOCAL) : hidden.start()])
        after = _HIDDEN_DOMAIN.match(text, hidden.end())
        if before and after:
            yield Span(hidden.start() - len(before[0]), after.end(), "email")


def _around(text: str, at: int, mark: str) -> Span | None:
    """Return the address around a mark, if there is one."""
    domain = _DOMAIN.match(text, at + len(mark))
    if domain is None or domain["top"].lower() in _FILE_ENDINGS:
        return None
    local = _LOCAL.search(text[max(0, at - _LONGEST_LOCAL) : at])
    if local is None:
        return None
    name = local[0].rpartition("=" if mark == "%40" else "/")[2].lstrip(".'*!?=#&~^/$")
    if not name or name.endswith("."):
        return None
    if name == "git" and text.startswith(":", domain.end()):  # git@host:owner/repository names no person
        return None
    start = at - len(name)
    if start and text[start - 1] == ":" and _URL_USER.search(text, max(0, start - _LONGEST_LOCAL), start):
        return None  # user:password@host
    return Span(start, domain.end(), "email")
