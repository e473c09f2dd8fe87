"""Which addresses are keys; keys of earlier builds count only where a new document has them, too."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipelines.contracts import ids
from pipelines.contracts.dedup import Dedup
from pipelines.contracts.recipe import Recipe, Source
from pipelines.stages.earlier import FIRST_PART
from pipelines.stages.match import keys_with_new, url_hashes
from pipelines.stages.payloads import KEY_ENTRY, node_of


@given(st.lists(st.tuples(st.integers(0, 6), st.sampled_from([0, 1, FIRST_PART, FIRST_PART + 1]), st.integers(0, 3))))
def test_keys_that_a_new_document_has_stay(given_entries: list[tuple[int, int, int]]) -> None:
    entries = np.array([(key, node_of(part, np.array(row))) for key, part, row in given_entries], KEY_ENTRY)
    new = {key for key, part, _ in given_entries if part < FIRST_PART}
    expected = [entry for entry, (key, _, _) in zip(entries.tolist(), given_entries, strict=True) if key in new]
    assert keys_with_new(entries).tolist() == expected


def source(name: str, url: str | None) -> Source:
    return Source(name=name, path=("x",), format="text", defaults={"url": url})


def test_an_address_counts_if_it_is_that_of_one_document() -> None:
    rows = [
        ("web", "http://www.a.example/page/", "1", "https://a.example/page"),
        ("web", "https://a.example/p?b=1&a=2", None, "https://a.example/p?a=2&b=1"),
        ("web", "https://a.example/mail/<email>", "1", None),
        ("web", "", "1", None),
        ("web", None, "1", None),
        ("item", "https://b.example/item/7", "7", "https://b.example/item/7"),
        ("item", "https://b.example/item/", None, None),
        ("item", "https://b.example/item/", "", None),
        ("dump", "https://c.example/dump", "1", None),
    ]
    sources = (
        source("web", None),
        source("item", "https://b.example/item/{id}"),
        source("dump", "https://c.example/dump"),
    )
    names = ("source", "url", "native_id")
    columns = [pa.array(column, pa.string()) for column in list(zip(*rows, strict=True))[:3]]
    documents = pa.table(dict(zip(names, columns, strict=True)))
    hashes, has_own = url_hashes(documents, Recipe(name="t", sources=sources))
    expected = [normal and int(ids.content_hash(normal), 16) for *_, normal in rows]
    assert has_own.tolist() == [value is not None for value in expected]
    assert [upper << 64 | lower for upper, lower in hashes.tolist()] == [value or 0 for value in expected]
    found = ids.hash_column(hashes, has_own).to_pylist()
    assert [value and int.from_bytes(value, "big") for value in found] == expected
    assert not url_hashes(documents, Recipe(name="t", sources=sources, dedup=Dedup(url=False)))[1].any()
