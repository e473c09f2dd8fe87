"""Texts that only Python can lower-case are found wherever the letter stands, and the others are not touched."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.arrow_strings import string_buffers
from pipelines.kernels.context_letters import exactly_lowerable


def lowered(texts: list[str], rows: list[int]) -> list[str]:
    column = pa.array(texts, pa.large_string())
    buffers = exactly_lowerable(column, string_buffers(column), np.array(rows, np.int64))
    bounds = zip(buffers.offsets[:-1], buffers.offsets[1:], strict=True)
    return [buffers.data[start:end].tobytes().decode() for start, end in bounds]


@pytest.mark.parametrize("letter", ["İ", "Σ"])
def test_a_letter_at_any_place(letter: str) -> None:
    for before in range(70):
        text = "A" * before + letter + "B" * (70 - before)
        assert lowered([text, "CÄ"], [0, 1]) == [text.lower(), "CÄ"]


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.text(st.sampled_from("Aä\u0131İΣσŰ\u03a4中 "), max_size=40), min_size=1, max_size=5), st.data())
def test_only_the_rows_that_are_asked_for(texts: list[str], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, len(texts) - 1), unique=True))
    expected = [t.lower() if row in rows and ("İ" in t or "Σ" in t) else t for row, t in enumerate(texts)]
    assert lowered(texts, rows) == expected
