"""URL block and allow lists: domains with all their subdomains, whole URLs, words.

An entry with a "/" behind the host is a whole URL, any other a domain; lines of hosts files ("0.0.0.0
example.org") are domains, too. The longest entry decides, and of equals the allow list: `blog.example.org`
may be allowed where `example.org` is blocked.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass

from pipelines.ops.list_files import read_list

_SINKHOLES = ("0.0.0.0", "127.0.0.1", "::1", "::")  # what hosts files send domains to
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_DEFAULT_PORT = re.compile(r":(?:80|443)\Z")
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class UrlList:
    """Entries of a list.

    Attributes:
        domains: normalised hosts.
        urls: normalised URLs.
    """

    domains: frozenset[str]
    urls: frozenset[str]


def split_url(url: str) -> tuple[str, str]:
    """Return host and the rest of a URL, so that spellings of one address are equal.

    Scheme, user, default port, fragment, a trailing dot of the host and a trailing "/" go; the host is lower-cased
    and written in IDNA.

    >>> split_url("HTTPS://user@Example.ORG:443/a/?b=1#c")
    ('example.org', '/a/?b=1')
    """
    bare = _SCHEME.sub("", url.strip(), count=1).partition("#")[0]
    end = min((at for mark in "/?" if (at := bare.find(mark)) >= 0), default=len(bare))
    host = _DEFAULT_PORT.sub("", bare[:end].rpartition("@")[2].lower()).rstrip(".")
    if not host.isascii():
        with contextlib.suppress(UnicodeError):  # no valid name: it is compared as it is written
            host = host.encode("idna").decode()
    return host, bare[end:].rstrip("/") if bare[end:] != "/" else ""


def parse_entries(entries: Iterable[str]) -> UrlList:
    """Sort entries into domains and whole URLs."""
    domains, urls = set(), set()
    for entry in entries:
        fields = entry.split()
        given = fields[1] if len(fields) == 2 and fields[0] in _SINKHOLES else entry
        host, rest = split_url(given)
        if rest:
            urls.add(host + rest)
        else:
            domains.add(host.removeprefix("*.").lstrip("."))
    return UrlList(frozenset(domains), frozenset(urls))


@functools.cache
def load_url_list(paths: tuple[str, ...]) -> UrlList:
    """Read list files as one list, once per process.

    Raises:
        ConfigError: from `read_list`.
    """
    return parse_entries(entry for path in paths for entry in read_list(path))


@functools.cache
def load_url_words(paths: tuple[str, ...]) -> frozenset[str]:
    """Read files of words as one set, once per process.

    Raises:
        ConfigError: from `read_list`.
    """
    return frozenset(entry.lower() for path in paths for entry in read_list(path))


def classify_url(url: str | None, block: UrlList, allow: UrlList) -> str:
    """Say how a URL is listed.

    Returns:
        `domain` or `url` (blocked by such an entry), `allowed` (would be blocked, but is allowed), else `no`.
    """
    if not url:
        return "no"
    host, rest = split_url(url)
    blocked, kind = _match(host, rest, block)
    if not blocked:
        return "no"
    return "allowed" if _match(host, rest, allow)[0] >= blocked else kind


def _match(host: str, rest: str, entries: UrlList) -> tuple[int, str]:
    """Return length and kind of the longest entry that covers a URL; length 0 if none does."""
    if host + rest in entries.urls:
        return len(host + rest), "url"
    suffix = host
    while suffix:
        if suffix in entries.domains:
            return len(suffix), "domain"
        suffix = suffix.partition(".")[2]
    return 0, ""


def count_url_words(url: str | None, words: frozenset[str]) -> int:
    """Count the listed words of a URL; words are what stands between other characters than letters and digits."""
    if not url or not words:
        return 0
    return sum(word in words for word in _WORD.findall(url.lower()))
