"""What the kernel takes for plain is what the regular expression takes for plain, and it hashes the same."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.contracts import ids
from pipelines.kernels.arrow_strings import string_buffers
from pipelines.kernels.plain_addresses import hash_plain_addresses
from pipelines.kernels.xxh3 import LONGEST, SHORTEST
from pipelines.ops.normal_urls import _PLAIN, normalise_url


def hashes_of(urls: list[str], wanted: np.ndarray | None = None) -> list[str | None]:
    buffers = string_buffers(pa.array(urls, pa.string()))
    hashes, hashed = np.zeros((len(urls), 2), np.uint64), np.zeros(len(urls), bool)
    every = np.ones(len(urls), bool) if wanted is None else wanted
    hash_plain_addresses(buffers.data, buffers.offsets, every, hashes, hashed)
    pairs = zip(hashes.tolist(), hashed.tolist(), strict=True)
    return [f"{upper << 64 | lower:032x}" if done else None for (upper, lower), done in pairs]


def expected(url: str) -> str | None:
    normal = normalise_url(url)
    fits = SHORTEST <= len(normal.encode()) <= LONGEST
    return ids.content_hash(normal) if fits and _PLAIN.fullmatch(url) else None


PIECES = st.sampled_from(
    ["www.", "a", "b0", "-", "A", ".", "..", "/", "//", "~", "_", "?", "#", "%", "é", ":", "page-of-some-length"]
)
URLS = st.tuples(
    st.sampled_from(["http://", "https://", "https:/", "httpss://", "HTTP://", "http://www.", "https://www.", ""]),
    st.lists(PIECES, max_size=12).map("".join),
).map("".join)


@settings(deadline=None, max_examples=600)
@given(st.lists(URLS | st.text(max_size=30), max_size=6))
@example(["https://www.a.b/", "https://www.org/index", "https://www.www.a.org/", "http://www.a-b.c/d//", "http://w"])
@example(["https://a.example/" + "x" * 100, "https://a.example/" + "x" * 120, "https://a.example/./b-and-more"])
def test_plain_addresses_and_no_others(urls: list[str]) -> None:
    assert hashes_of(urls) == [expected(url) for url in urls]


def test_others_are_left_alone() -> None:
    urls = ["https://a.example/one", "https://a.example/two"]
    assert hashes_of(urls, np.array([False, True])) == [None, expected(urls[1])]


def test_addresses_of_real_pages() -> None:
    """Links of the documentation of Python packages that are installed here."""
    found: set[str] = set()
    for path in sorted(Path(np.__file__).parents[1].glob("*.dist-info/METADATA"))[:120]:
        found.update(re.findall(r"https?://[^\s<>\"')\]]+", path.read_text(errors="replace")))
    urls = sorted(found)
    assert len(urls) > 500
    hashes = hashes_of(urls)
    assert hashes == [expected(url) for url in urls]
    assert sum(value is not None for value in hashes) > len(urls) / 2
