"""Repeated lines: who keeps them and what is left, against a plain walk over all texts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.contracts import ids
from pipelines.contracts.recipe import Lines
from pipelines.kernels.line_keys import LineUnits
from pipelines.ops.clean import clean
from pipelines.ops.lines import cut_texts, distinct_entries, find_repeated, match_units, units_of

LINE = st.sampled_from(["alpha beta", "gamma delta", "Alpha, beta.", "epsilon 1", "epsilon 2", "x", "", " "])
TEXT = st.lists(LINE, min_size=1, max_size=7).map(lambda lines: clean("\n".join(lines))[0])


def plain(texts: list[str], min_documents: int, keep: str, min_chars: int) -> list[str]:
    """Cut repeated lines by the definition (normalise: words)."""

    def form(line: str) -> str:
        words = "".join(c.lower() if c.isalnum() else " " for c in line).split()
        return " ".join(words) if sum(map(len, words)) >= min_chars else ""

    holders: dict[str, set[str]] = {}
    for text in texts:
        for line in text.split("\n"):
            if form(line):
                holders.setdefault(form(line), set()).add(ids.content_hash(text))
    result = []
    for text in texts:
        lines = text.split("\n")
        goes = [
            bool(form(line))
            and len(holders[form(line)]) >= min_documents
            and (keep == "none" or min(holders[form(line)]) != ids.content_hash(text))
            for line in lines
        ]
        rest = [line for line, gone in zip(lines, goes, strict=True) if not gone]
        result.append(clean("\n".join(rest))[0] if any(goes) else text)
    return result


def by_kernel(texts: list[str], lines: Lines, order: np.ndarray) -> list[str]:
    text = pa.array(texts, pa.large_string())
    hashes = pa.chunked_array([pa.array([ids.content_hash(t) for t in texts])])
    units = units_of(text, lines)
    entries = distinct_entries(units, hashes, np.arange(len(texts), dtype=np.uint64))
    repeated = find_repeated(entries[order[order < len(entries)]], lines)
    found = match_units(units, repeated.node.astype(np.int64), repeated.key)
    goes = found >= 0
    return cut_texts(text, units.row[goes], units.start[goes], units.end[goes]).to_pylist()


@settings(deadline=None, max_examples=80)  # the first call compiles
@given(
    st.lists(TEXT, min_size=1, max_size=8),
    st.integers(2, 4),
    st.sampled_from(["one", "none"]),
    st.integers(1, 9),
    st.randoms(use_true_random=False),
)
def test_texts_equal_those_of_a_plain_walk(texts, min_documents, keep, min_chars, random) -> None:
    lines = Lines(min_documents=min_documents, keep=keep, min_chars=min_chars)
    order = list(range(60))
    random.shuffle(order)
    assert by_kernel(texts, lines, np.array(order)) == plain(texts, min_documents, keep, min_chars)


def test_exact_copies_count_once_and_stay_exact_copies() -> None:
    lines = Lines(min_documents=2, min_chars=3)
    shared = "a line that is shared"
    same = [f"{shared}\nmine"] * 3
    assert by_kernel(same, lines, np.arange(60)) == same
    cut = by_kernel([*same, f"{shared}\nyours"], lines, np.arange(60))
    assert cut[0] == cut[1] == cut[2]
    assert [shared in text for text in cut].count(True) in (1, 3)


def test_the_keeper_keeps_every_occurrence() -> None:
    texts = ["again and again\nagain and again", "again and again\nother"]
    cut = by_kernel(texts, Lines(min_documents=2, min_chars=3), np.arange(60))
    keeper = min((0, 1), key=lambda i: ids.content_hash(texts[i]))
    assert cut[keeper] == texts[keeper]
    assert "again" not in cut[1 - keeper]


def test_blank_lines_that_meet_are_cleaned() -> None:
    text = pa.array(["one\n\n\nrepeated\n\n\ntwo", "repeated\n\nthree"], pa.large_string())
    row, start = np.array([0, 1]), np.array([6, 0])
    cut = cut_texts(text, row, start, start + 8)
    assert cut.to_pylist() == ["one\n\n\ntwo", "three"]


def test_a_list_without_rows_matches_nothing() -> None:
    units = LineUnits(np.array([0]), np.array([0]), np.array([1]), np.array([7], np.uint64))
    assert match_units(units, np.empty(0, np.int64), np.empty(0, np.uint64)).tolist() == [-1]
