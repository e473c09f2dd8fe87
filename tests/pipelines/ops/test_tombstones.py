"""Tombstones: what is blanked, and that they are found in slices and chunks."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipelines.contracts import ids, schemas
from pipelines.ops.tombstones import Tombstones, blank_rows, is_removed


def documents(count: int) -> pa.Table:
    rows = [
        {
            "doc_id": ids.document_id("s", "p", i), "native_id": f"n{i}", "part": 0, "row": i, "source": "s", "path": "p",
            "offset": i, "url": f"u{i}", "date": "2024", "title": f"t{i}", "published": "2023", "canonical_url": f"c{i}",
            "lang_hint": "en", "text": f"text {i}", "raw_bytes": 50, "text_bytes": 6, "content_hash": ids.content_hash(f"text {i}"),
            "edits": [{"rule": "nfc", "count": 1}] * (i % 3),
        }
        for i in range(count)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schemas.DOCUMENTS)


def test_identity_place_and_sizes_stay_and_the_rest_goes() -> None:
    given = documents(5)
    chosen = [given["doc_id"][1].as_py(), given["doc_id"][4].as_py()]
    blanked = blank_rows(given, chosen)
    assert blanked.schema.equals(given.schema)
    assert [blanked.slice(i, 1).equals(given.slice(i, 1)) for i in range(5)] == [True, False, True, True, False]
    row = blanked.to_pylist()[4]
    assert {name: value for name, value in row.items() if value} == {
        **{name: given[name][4].as_py() for name in ("doc_id", "row", "source", "path", "offset", "raw_bytes")},
        **{name: given[name][4].as_py() for name in ("text_bytes", "content_hash")},
        "edits": [{"rule": "removed", "count": 1}],
    }
    assert blank_rows(given, []).equals(given)


@pytest.mark.parametrize("start", range(5))
def test_they_are_found_in_slices_and_chunks(start: int) -> None:
    given = documents(6)
    blanked = blank_rows(given, [given["doc_id"][3].as_py()])
    assert is_removed(blanked["edits"].slice(start)).tolist() == [i == 3 for i in range(start, 6)]
    sliced = pa.chunked_array([blanked["edits"].combine_chunks().slice(start)])
    assert is_removed(sliced).tolist() == [i == 3 for i in range(start, 6)]
    assert is_removed(documents(0)["edits"]).tolist() == []


def test_a_record_that_moved_in_its_file_is_still_covered() -> None:
    stones = Tombstones(frozenset({"d"}), frozenset({("s", "p", "h")}))
    assert stones.covers("d", "x", "y", "z")
    assert stones.covers("moved", "s", "p", "h")
    assert not stones.covers("moved", "s", "other", "h")
