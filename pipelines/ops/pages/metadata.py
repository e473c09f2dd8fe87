"""What a page says of itself: title, date of publication, canonical address, language."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

_HEAD_CHARS = 1 << 16
_ROOT_CHARS = 4096
# All repetitions are bounded: a hostile page may hold a tag that never ends, and one that begins at every byte of it.
_GIVEN = r'(?:\s{1,99}[^\s=<>"]{1,99}(?:="[^"]{0,4000}")?){0,40}'
_HEAD_TAG = re.compile(rf"<(meta|link)({_GIVEN})\s{{0,99}}/?>")
_TIME_TAG = re.compile(rf"<time({_GIVEN})\s{{0,99}}>")
_ATTRIBUTE = re.compile(r'([^\s=>"]+)="([^"]*)"')
_ROOT_LANGUAGE = re.compile(r'<html\b[^<>]*?\s(?:xml:)?lang="([^"]*)"')
_DATE = re.compile(r"\s*(\d{4}-[01]\d-[0-3]\d)(?:[T ]([0-2]\d:[0-5]\d(?::[0-6]\d)?)[\d.]*\s*(Z|[+-]\d\d:?\d\d)?)?")
_JSON_DATE = re.compile(r'"datePublished"\s*:\s*"([^"\\]{8,40})"')
_LANGUAGE = re.compile(r"\s*([A-Za-z]{2,3})(?:[-_][A-Za-z0-9]{2,8})*\s*$")
_DATE_NAMES = (
    "article:published_time",
    "datepublished",
    "dc.date.issued",
    "dc.date",
    "date",
    "pubdate",
    "publish-date",
)
_TITLE_NAMES = ("og:title", "twitter:title", "dc.title")
_LANGUAGE_NAMES = ("content-language", "og:locale", "dc.language")
_MAX_CHARS = 1000


@dataclass(frozen=True)
class Metadata:
    """What a page says of itself; None where it says nothing that can be read.

    Attributes:
        title: `<title>`, else the title for social networks.
        published: ISO 8601 date of publication, with the time if it is given.
        canonical_url: address that the page calls its own.
        lang_hint: language in two or three letters, lower case.
    """

    title: str | None = None
    published: str | None = None
    canonical_url: str | None = None
    lang_hint: str | None = None


def page_metadata(title: str | None, written: str) -> Metadata:
    """Read the metadata of a page.

    Args:
        title: its `<title>`.
        written: the page as its parser wrote it out: attributes in double quotes, so that patterns find them. (Walking
            the nodes of the parser's tree from Python took 5 ms a page, this takes .3.)
    """
    head = written[: written.find("</head>") + 1 or _HEAD_CHARS]
    names, canonical = _head_values(head)
    title = _cleaned(title) or next((t for t in map(_cleaned, map(names.get, _TITLE_NAMES)) if t), None)
    dates = [*map(names.get, _DATE_NAMES[:2]), _match(_JSON_DATE, written), *map(names.get, _DATE_NAMES[2:])]
    published = next((date for date in map(_iso_date, dates) if date), None) or _time_element(written)
    languages = [_match(_ROOT_LANGUAGE, written[:_ROOT_CHARS]), *map(names.get, _LANGUAGE_NAMES)]
    lang_hint = next((lang for lang in map(_language, languages) if lang), None)
    return Metadata(title, published, _address(canonical) or _address(names.get("og:url")), lang_hint)


def _head_values(head: str) -> tuple[dict[str, str], str | None]:
    """Return the values of `<meta>` by name in lower case (the first of a name wins), and the canonical address."""
    values: dict[str, str] = {}
    canonical = None
    for tag, attributes in _HEAD_TAG.findall(head):
        given = dict(reversed(_ATTRIBUTE.findall(attributes)))
        if tag == "link":
            if canonical is None and "canonical" in given.get("rel", "").lower().split():
                canonical = html.unescape(given.get("href", ""))
            continue
        name = next((given[kind] for kind in ("property", "name", "http-equiv", "itemprop") if given.get(kind)), None)
        if name and given.get("content"):
            values.setdefault(name.strip().lower(), html.unescape(given["content"]))
    return values, canonical


def _time_element(written: str) -> str | None:
    """Return the first date of a `<time>` that is marked as the date of publication."""
    for attributes in _TIME_TAG.findall(written):
        given = dict(reversed(_ATTRIBUTE.findall(attributes)))
        named = given.get("itemprop") == "datePublished" or "pubdate" in given
        if named or {"entry-date", "published"} & set(given.get("class", "").split()):
            date = _iso_date(given.get("datetime"))
            if date:
                return date
    return None


def _cleaned(text: str | None) -> str | None:
    return " ".join(text.split())[:_MAX_CHARS] or None if text else None


def _address(url: str | None) -> str | None:
    url = url.strip() if url else ""
    return url if url.lower().startswith(("http://", "https://")) and len(url) <= _MAX_CHARS else None


def _match(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return found[1] if found else None


def _iso_date(text: str | None) -> str | None:
    found = _DATE.match(text) if text else None
    if found is None:
        return None
    date, time, zone = found.groups()
    return date if time is None else f"{date}T{time}{zone or ''}"


def _language(text: str | None) -> str | None:
    found = _LANGUAGE.match(text) if text else None
    return found[1].lower() if found else None
