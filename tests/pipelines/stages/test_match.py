"""Keys of earlier builds count only where a new document has them, too."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipelines.stages.earlier import FIRST_PART
from pipelines.stages.match import keys_with_new
from pipelines.stages.payloads import KEY_ENTRY, node_of


@given(st.lists(st.tuples(st.integers(0, 6), st.sampled_from([0, 1, FIRST_PART, FIRST_PART + 1]), st.integers(0, 3))))
def test_keys_that_a_new_document_has_stay(given_entries: list[tuple[int, int, int]]) -> None:
    entries = np.array([(key, node_of(part, np.array(row))) for key, part, row in given_entries], KEY_ENTRY)
    new = {key for key, part, _ in given_entries if part < FIRST_PART}
    expected = [entry for entry, (key, _, _) in zip(entries.tolist(), given_entries, strict=True) if key in new]
    assert keys_with_new(entries).tolist() == expected
