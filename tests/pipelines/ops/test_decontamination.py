"""Decontamination: planted leaks are found at the recall that the docs state; against a brute force of sets."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.contracts.recipe import Overlap
from pipelines.ops.decontamination import (
    contaminated_rows,
    contamination_of,
    count_hits,
    find_item_hits,
    index_items,
    search_index,
    sum_counts,
)
from pipelines.ops.eval_items import EvalItem
from tests.data.leaks import LEAKS, TEMPLATE, Planted, make_documents, make_items

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "decontamination.md"
BOTH = (8, 13)


def contaminate(items: list[EvalItem], texts: list[str], lengths: tuple[int, ...], max_documents: int) -> pa.Table:
    table, ngrams = index_items(items, lengths)
    hits = find_item_hits(0, pa.array(texts, pa.large_string()), search_index(ngrams, lengths))
    return contamination_of(0, hits, count_hits(hits), table, ngrams, max_documents)


def grams(text: str, n: int) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


def brute_force(items: list[EvalItem], texts: list[str], lengths: tuple[int, ...], limit: int) -> dict[tuple, tuple]:
    found = {}
    for n in lengths:
        of_item = [grams(item.text, n) for item in items]
        every = set().union(*of_item)
        count = Counter(gram for text in texts for gram in grams(text, n) & every)
        rare = {gram for gram in every if count[gram] <= limit}
        for row, text in enumerate(texts):
            for number, wanted in enumerate(of_item):
                hits = grams(text, n) & wanted & rare
                if hits:
                    found[row, items[number].item_id, n] = (len(hits), len(wanted), len(hits) / len(wanted))
    return found


TEXT = st.lists(st.sampled_from(["a", "B", "c,", "d\n"]), max_size=14).map(" ".join)


@settings(deadline=None)  # the first call compiles
@given(st.lists(TEXT, min_size=1, max_size=4), st.lists(TEXT, min_size=1, max_size=6), st.integers(1, 4))
def test_overlaps_equal_a_brute_force_of_sets(items: list[str], texts: list[str], limit: int) -> None:
    made = [EvalItem("t", str(i), text) for i, text in enumerate(items)]
    rows = contaminate(made, texts, (2, 3), limit).to_pylist()
    ours = {(r["row"], r["item_id"], r["n"]): (r["hits"], r["item_ngrams"], r["overlap"]) for r in rows}
    assert ours == brute_force(made, texts, (2, 3), limit)


def test_a_hit_names_task_item_overlap_and_offset() -> None:
    item = EvalItem("quiz", "q7", "one two three four five six seven eight nine ten")
    text = "Ünrelated words first. ONE two, three four five six seven eight! And nine."
    [row] = contaminate([item], ["nothing", text], BOTH, 10).to_pylist()
    assert (row["row"], row["task"], row["item_id"], row["n"], row["hits"], row["item_ngrams"]) == (
        1,
        "quiz",
        "q7",
        8,
        1,
        3,
    )
    assert row["overlap"] == pytest.approx(1 / 3)
    assert text.encode()[row["offset"] :].startswith(b"ONE two")


@pytest.fixture(scope="module")
def planted() -> tuple[list[EvalItem], list[Planted]]:
    items = make_items(300, seed=1)
    return items, make_documents(items, boilerplate=100, clean=900, seed=2)


def rates(planted: tuple[list[EvalItem], list[Planted]], limit: int) -> dict[tuple[int, float], dict[str, float]]:
    """Return the share of documents of each kind that are contaminated, per n and least overlap."""
    items, documents = planted
    table = contaminate(items, [document.text for document in documents], BOTH, limit)
    total = Counter(document.leak for document in documents)
    found = {}
    for n in BOTH:
        for least in (0.05, 0.1, 0.2, 0.5, 0.8):
            rows = contaminated_rows(table, (Overlap(ngram=n, min_overlap=least),))
            hit = Counter(documents[row].leak for row in rows)
            found[n, least] = {leak: hit[leak] / total[leak] for leak in (*LEAKS, "boilerplate", "clean")}
    return found


def test_the_page_states_the_measured_recall_and_false_alarms(planted: tuple[list[EvalItem], list[Planted]]) -> None:
    rows = []
    for limit in (10, 1_000_000):
        for (n, least), share in rates(planted, limit).items():
            cells = (limit, n, least, *(f"{share[leak]:.3f}" for leak in (*LEAKS, "boilerplate", "clean")))
            rows.append("| " + " | ".join(map(str, cells)) + " |")
    stated = [line for line in PAGE.read_text("utf-8").splitlines() if re.match(r"\| \d", line)]
    assert stated == rows, "put these rows into docs/reference/decontamination.md:\n" + "\n".join(rows)


def test_whole_leaks_are_always_found_and_boilerplate_never(planted: tuple[list[EvalItem], list[Planted]]) -> None:
    share = rates(planted, 10)
    for n in BOTH:
        assert share[n, 0.1]["verbatim"] == share[n, 0.1]["reformatted"] == share[n, 0.1]["four fifths"] == 1
        assert share[n, 0.1]["boilerplate"] == share[n, 0.1]["clean"] == 0
    for n in BOTH:
        least = [share[n, x]["one word in five replaced"] for x in (0.05, 0.1, 0.2, 0.5, 0.8)]
        assert all(a >= b for a, b in pairwise(least))


def test_boilerplate_would_be_found_without_the_limit(planted: tuple[list[EvalItem], list[Planted]]) -> None:
    assert rates(planted, 1_000_000)[8, 0.1]["boilerplate"] == 1
    assert TEMPLATE in planted[0][0].text


def test_counts_can_be_summed_in_any_order_and_in_steps() -> None:
    rng = np.random.default_rng(4)
    hits = [pa.table({"key": pa.array(rng.integers(0, 9, 20).astype(np.uint64))}) for _ in range(6)]
    parts = [count_hits(table) for table in hits]
    whole = sum_counts(parts)
    assert whole.equals(sum_counts(reversed(parts)))
    assert whole.equals(sum_counts([sum_counts(parts[:2]), sum_counts(parts[2:])]))
    assert sum(whole["documents"].to_pylist()) == 120
    assert sum_counts([]).num_rows == 0


def test_nothing_to_find() -> None:
    table = contaminate([EvalItem("t", "0", "too short")], ["too short", ""], BOTH, 10)
    assert table.num_rows == 0
    assert contaminated_rows(table, (Overlap(ngram=8, min_overlap=0.1),)).tolist() == []


def test_scripts_without_spaces_are_compared_by_letters() -> None:
    item = EvalItem("zh", "0", "今天天气很好我们一起去公园散步吧")
    [row, *_] = contaminate([item], ["他说:「今天天气很好,我们一起去公园散步吧。」"], (8,), 10).to_pylist()
    assert row["overlap"] == 1
    assert json.dumps(row["offset"]) == str(len("他说:「".encode()))
