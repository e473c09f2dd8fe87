"""What a page says of itself, read from what the parser writes out."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from resiliparse.parse.html import HTMLTree

from pipelines.ops.pages.metadata import Metadata, page_metadata


def metadata(html: str) -> Metadata:
    tree = HTMLTree.parse(html)
    return page_metadata(tree.title, str(tree))


def test_everything() -> None:
    page = """<!doctype html><html lang="de-AT"><head><meta charset=utf-8><title> Ein
        Titel </title><link rel="alternate" href="https://a.example/en">
        <LINK href='https://a.example/x?a=1&amp;b=2' REL="shortlink canonical">
        <meta content="2024-05-06T07:08:09+02:00" property="article:published_time"></head><body><p>Text"""
    assert metadata(page) == Metadata("Ein Titel", "2024-05-06T07:08:09+02:00", "https://a.example/x?a=1&b=2", "de")


@pytest.mark.parametrize("page", ["", "<p>text", "<title></title><html lang=''><time>2024-01-01</time>"])
def test_nothing(page: str) -> None:
    assert metadata(page) == Metadata()


@pytest.mark.parametrize(
    ("head", "title"),
    [
        ('<meta property="og:title" content="Shown &amp; shared"><title> </title>', "Shown & shared"),
        ('<meta name="twitter:title" content="Second"><meta property="og:title" content="First">', "First"),
        ('<title>Own</title><meta property="og:title" content="Shown">', "Own"),
        (f"<title>{'x' * 2000}</title>", "x" * 1000),
    ],
)
def test_titles(head: str, title: str) -> None:
    assert metadata(f"<head>{head}</head>").title == title


@pytest.mark.parametrize(
    ("markup", "published"),
    [
        ('<meta itemprop="datePublished" content="2024-05-06">', "2024-05-06"),
        ('<meta name="DC.date.issued" content="2024-05-06 07:08">', "2024-05-06T07:08"),
        ('<meta name="date" content="6 May 2024">', None),
        ('<meta name="date" content="2024-05-06T07:08:09.123Z">', "2024-05-06T07:08:09Z"),
        ('<script type="application/ld+json">{"datePublished" : "2023-01-02T03:04Z"}</script>', "2023-01-02T03:04Z"),
        ('<body><time datetime="2022-02-03">now</time>', None),
        ('<body><time class="entry-date" datetime="2022-02-03">now</time>', "2022-02-03"),
        ('<body><time pubdate datetime="2022-02-03">now</time>', "2022-02-03"),
        ('<body><time datetime="2022-02-03" itemprop="datePublished">now</time>', "2022-02-03"),
        ('<meta name="date" content="2020-01-01"><script>{"datePublished":"2021-01-01"}</script>', "2021-01-01"),
    ],
)
def test_dates(markup: str, published: str | None) -> None:
    assert metadata(markup).published == published


@pytest.mark.parametrize(
    ("markup", "url"),
    [
        ('<link rel="canonical" href="/relative">', None),
        ('<link rel="canonical" href="javascript:alert(1)">', None),
        ('<link rel="canonical" href="https://a.example/1"><link rel="canonical" href="https://a.example/2">',
         "https://a.example/1"),
        ('<meta property="og:url" content="http://b.example/">', "http://b.example/"),
        (f'<link rel="canonical" href="https://a.example/{"x" * 2000}">', None),
    ],
)  # fmt: skip
def test_canonical_addresses(markup: str, url: str | None) -> None:
    assert metadata(markup).canonical_url == url


@pytest.mark.parametrize(
    ("markup", "lang"),
    [
        ('<html xml:lang="fr">', "fr"),
        ('<html lang="zh-Hant-TW">', "zh"),
        ('<html lang="English">', None),
        ('<meta http-equiv="Content-Language" content="PT-br">', "pt"),
        ('<meta property="og:locale" content="es_ES">', "es"),
    ],
)
def test_language_hints(markup: str, lang: str | None) -> None:
    assert metadata(markup).lang_hint == lang


@given(st.text(alphabet="<>=\"/ \n\tmetalinktimehc-'", max_size=300))
def test_any_head(head: str) -> None:
    found = metadata(f"<head><meta {head}</head>")
    assert found.published is None or re.match(r"\d{4}-\d\d-\d\d", found.published)


@pytest.mark.parametrize(
    "head",
    [
        '<meta name="x" ' + 'a="b" ' * 50_000,
        "<meta " + "a " * 100_000,
        "<meta " + 'a="' * 100_000,
        "<time " * 50_000,
        "<time " + 'a="b" ' * 100_000 + "<",
        '"datePublished"' * 30_000,
        "<html " + "x lang " * 50_000,
    ],
)
def test_hostile_heads_take_linear_time(head: str) -> None:
    start = time.perf_counter()
    page_metadata(None, head)
    page_metadata(None, head + "</head>")
    assert time.perf_counter() - start < 2
