"""Normal forms of addresses: the stated rules, hostile addresses, and what must hold for any string."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.contracts import ids
from pipelines.ops import normal_urls
from pipelines.ops.normal_urls import hash_addresses, normalise_url

SAME = [
    ("https://example.org/a", "http://example.org/a", "HTTPS://EXAMPLE.org/a", " https://example.org/a\n"),
    (
        "https://example.org",
        "https://example.org/",
        "https://www.example.org//",
        "https://example.org.",
        "http://example.org?",
    ),
    ("https://example.org/a", "https://example.org:443/a", "http://example.org:80/a", "https://example.org:/a"),
    (
        "https://example.org/a",
        "https://user:secret@example.org/a",
        "https://example.org/a#part",
        "https://example.org/a/",
    ),
    ("https://example.org/~a", "https://example.org/%7Ea", "https://example.org/%7ea"),
    ("https://example.org/%C3%BC", "https://example.org/ü", "https://example.org/%c3%bc"),
    ("https://xn--mller-kva.de/a", "https://müller.de/a", "https://MÜLLER.de/a"),
    (
        "https://example.org/a/c",
        "https://example.org/a/b/../c",
        "https://example.org/./a/%2e/c",
        "https://example.org/../a/c",
    ),
    ("https://example.org/?a=1&b=2", "https://example.org/?b=2&a=1", "https://example.org/?&b=2&&a=1&"),
    ("https://example.org/p?id=7", "https://example.org/p?utm_source=x&id=7&UTM_Medium=y&gclid=1&fbclid=2&msclkid=3"),
    ("https://example.org/p", "https://example.org/p;jsessionid=A1.B2", "https://example.org/p?PHPSESSID=5"),
    ("https://a.example/x", "https://www.www.a.example/x"),
    ("https://example.org/a b", "https://example.org/a%20b"),
    ("https://example.org/100%", "https://example.org/100%25"),
    ("https://example.org/a/b", "https://example.org\\a\\b"),
]
DIFFERENT = [
    ("https://example.org/a", "https://example.org/A"),
    ("https://example.org/a?x=1&x=2", "https://example.org/a?x=2&x=1"),
    ("https://example.org/a?x", "https://example.org/a?x="),
    ("https://example.org/a%2Fb", "https://example.org/a/b"),
    ("https://example.org/a%26b", "https://example.org/a&b"),
    ("https://example.org:8080/", "https://example.org/"),
    ("https://example.org/#!/one", "https://example.org/#!/two"),
    ("https://www.org/", "https://org/"),
    ("https://www2.example.org/", "https://example.org/"),
    ("https://a.example.org/", "https://example.org/"),
    ("ftp://example.org/a", "https://example.org/a"),
    ("Page-1", "page-1"),
]


@pytest.mark.parametrize("spellings", SAME)
def test_spellings_of_one_address(spellings: tuple[str, ...]) -> None:
    assert len({normalise_url(url) for url in spellings}) == 1


@pytest.mark.parametrize("pair", DIFFERENT)
def test_other_addresses_stay_apart(pair: tuple[str, str]) -> None:
    assert normalise_url(pair[0]) != normalise_url(pair[1])


@pytest.mark.parametrize(
    "url",
    [
        "https://",
        "http://?",
        "https:///a",
        "https://[::1]:443/a",
        "https://[::1",
        "https://" + "a" * 300 + ".example/" + "b" * 100_000,
        "https://example.org/" + "../" * 50_000 + "a",
        "https://example.org/" + "%" * 50_000,
        "https://example.org/?" + "&".join(f"p{i}=1" for i in range(20_000)),
        "https://ex\0ample.org/\0",
        "https://\u2028.example/",
        "https://xn--\u00fc.example/%zz%ff%",
        "https://user@evil.example@example.org:80:80/",
        "https://example.org/a?b?c#d#e",
        "javascript:alert(1)",
        "",
    ],
)
def test_hostile_addresses_have_a_normal_form(url: str) -> None:
    normal = normalise_url(url)
    assert normalise_url(normal) == normal


PIECES = st.sampled_from(
    ["http://", "https://", "www.", "a", "B", ".", "..", "/", "//", "?", "&", "=", "#", "!", "%", "%7e", "%2F", "%2e", "é", "@", ":", "80", ":443", ";", "utm_x", "\\", " ", "["]
)  # fmt: skip


@settings(deadline=None, max_examples=400)
@given(
    st.one_of(st.lists(PIECES, max_size=14).map("".join), st.text()), st.sampled_from(["", "https://a.b/", "http://"])
)
@example("..", "http://")
@example("www.www.a", "http://")
def test_normal_forms_stay_as_they_are(url: str, prefix: str) -> None:
    normal = normalise_url(prefix + url)
    assert normalise_url(normal) == normal


@settings(deadline=None)
@given(
    st.sampled_from(["example.org/", "www.a.b/", "www.www.a.b", "www.a", "www.a.", ""]),
    st.lists(PIECES, max_size=8).map("".join),
)
def test_the_short_cut_changes_nothing(host: str, rest: str) -> None:
    url = "https://" + host + rest
    short = normalise_url(url)
    plain, normal_urls._PLAIN = normal_urls._PLAIN, normal_urls.re.compile(r"(?!)")
    try:
        assert normalise_url(url) == short
    finally:
        normal_urls._PLAIN = plain


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.none() | st.lists(PIECES, max_size=14).map("".join) | st.text(), max_size=6), st.integers(0, 2))
def test_hashes_of_addresses_are_those_of_their_normal_forms(urls: list[str | None], skipped: int) -> None:
    column = pa.chunked_array([pa.array(urls, pa.string()), pa.array(["http://a.b/c"], pa.string())])[skipped:]
    wanted = np.array([url is not None and len(url) % 3 > 0 for url in column.to_pylist()], bool)
    expected = [
        int(ids.content_hash(normalise_url(url)), 16) if hashed else 0
        for url, hashed in zip(column.to_pylist(), wanted, strict=True)
    ]
    assert [high << 64 | low for high, low in hash_addresses(column, wanted).tolist()] == expected
