"""Shards: about the target size, a global shuffle by hash, one end after every document."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipelines.contracts import ids
from pipelines.stages.tokenize import append_end, assign_shards, shard_groups

SOURCES = {"web": 30_000, "books": 700}


def corpus() -> tuple[pa.Table, pa.Table, dict[str, int]]:
    """Return documents, decisions and the counts of `decide`."""
    names = [source for source, count in SOURCES.items() for _ in range(count)]
    doc_ids = [ids.document_id(source, "file", index) for index, source in enumerate(names)]
    sizes = np.random.default_rng(0).integers(200, 3000, len(names))
    kept = [index % 4 != 0 for index in range(len(names))]
    split = ["heldout" if index % 50 == 0 else "train" for index in range(len(names))]
    counts: dict[str, int] = {}
    for source, keep, part, size in zip(names, kept, split, sizes.tolist(), strict=True):
        for what, value in (("documents", 1), ("text_bytes", size)):
            key = f"shard/{'kept' if keep else 'rejected'}/{source}/{part}/{what}"
            counts[key] = counts.get(key, 0) + value
    batch = pa.table({"doc_id": doc_ids, "source": names, "text_bytes": sizes})
    return batch, pa.table({"kept": kept, "split": split}), counts


def test_shards_are_of_about_the_target_size_and_in_a_global_shuffle() -> None:
    batch, decisions, counts = corpus()
    target = 2e6
    groups = shard_groups(counts, target)
    assert [group.first for group in groups] == [0, *np.cumsum([group.count for group in groups])[:-1].tolist()]
    by_key = {(g.verdict, g.source, g.split): {"first": g.first, "count": g.count} for g in groups}
    shards = assign_shards(batch, decisions, by_key)
    sizes = np.bincount(shards, batch["text_bytes"].to_numpy(), sum(group.count for group in groups))
    for group in groups:
        here = sizes[group.first : group.first + group.count]
        whole = counts[f"shard/{group.verdict}/{group.source}/{group.split}/text_bytes"]
        assert here.sum() == whole
        assert group.count == max(1, -(-whole // int(target)))
        assert np.abs(here / (whole / group.count) - 1).max() < 0.15
    train = np.flatnonzero(shards < 10**9)
    order = sorted(train.tolist(), key=lambda row: (shards[row], batch["doc_id"][row].as_py()))
    for group in groups:
        rows = [row for row in order if group.first <= shards[row] < group.first + group.count]
        names = [batch["doc_id"][row].as_py() for row in rows]
        assert names == sorted(names)  # so the shards of a group, one after another, are one sorted list of hashes
        if len(rows) > 5000:
            assert (
                abs(np.corrcoef(rows, np.arange(len(rows)))[0, 1]) < 0.05
            )  # and say nothing of the order of the input
    other = assign_shards(batch[100:200], decisions[100:200], by_key)
    assert other.tolist() == shards[100:200].tolist()


@given(st.lists(st.lists(st.integers(1, 60_000), max_size=6), max_size=8))
def test_every_document_is_whole_and_ends_once(rows: list[list[int]]) -> None:
    offsets = np.cumsum([0, *map(len, rows)])
    out, bounds = append_end(np.array(list(itertools.chain(*rows)), np.uint16), offsets, 0, np.uint16)
    assert [out[a:b].tolist() for a, b in itertools.pairwise(bounds)] == [[*row, 0] for row in rows]
