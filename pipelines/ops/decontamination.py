"""Which documents hold which evaluation items, by shared word n-grams.

An item is indexed by its distinct n-grams. Those that more than a limit of the corpus' documents hold are
boilerplate ("which of the following ...") and are ignored; the overlap stays a share of all of the item's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from pipelines.contracts import schemas
from pipelines.contracts.recipe import Overlap
from pipelines.kernels.ngrams import NgramIndex, count_words, find_ngrams, make_index, ngram_keys
from pipelines.ops.eval_items import EvalItem


def index_items(items: Sequence[EvalItem], lengths: tuple[int, ...]) -> tuple[pa.Table, pa.Table]:
    """Hash the n-grams of items.

    Args:
        items: the items.
        lengths: n-gram lengths, ascending. An item of fewer words than the least has no n-gram.

    Returns:
        Tables of ITEMS and ITEM_NGRAMS.
    """
    text = pa.array([item.text for item in items], pa.large_string())
    words = count_words(text)
    keys, owners, sizes = [], [], []
    for n in lengths:
        found, counts = ngram_keys(text, n)
        keys.append(found)
        owners.append(np.repeat(np.arange(len(items), dtype=np.int32), counts))
        sizes.append(np.full(len(found), n, np.int32))
    key, owner, size = (np.concatenate(columns) for columns in (keys, owners, sizes))
    order = np.lexsort((owner, key))
    key, owner, size = key[order], owner[order], size[order]
    first = _starts(key, owner)
    names = [
        pa.array([item.task for item in items], pa.string()),
        pa.array([item.item_id for item in items], pa.string()),
    ]
    numbers = pa.array(np.arange(len(items), dtype=np.int32))
    return (
        pa.table([numbers, *names, pa.array(words)], schema=schemas.ITEMS),
        pa.table([pa.array(key[first]), pa.array(owner[first]), pa.array(size[first])], schema=schemas.ITEM_NGRAMS),
    )


def _starts(*columns: np.ndarray) -> np.ndarray:
    """Say where sorted columns have another value than in the row before; bool [rows]."""
    differs = np.ones(len(columns[0]), bool)
    if len(differs):
        differs[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return differs


def search_index(item_ngrams: pa.Table, lengths: tuple[int, ...]) -> NgramIndex:
    """Make the index that documents are searched with."""
    return make_index(item_ngrams["key"].to_numpy(), lengths, nested=True)


def find_item_hits(first_row: int, text: pa.Array, index: NgramIndex) -> pa.Table:
    """Find the n-grams of items in documents, each once per document, at its first occurrence.

    Args:
        first_row: row of the first document in its part.
        text: [rows] texts.
        index: from `search_index`.

    Returns:
        Table of ITEM_HITS, sorted by row and key.
    """
    hits = find_ngrams(text, index)
    order = np.lexsort((hits.start, hits.key, hits.row))
    row, key, start = hits.row[order], hits.key[order], hits.start[order]
    first = _starts(row, key)
    rows = pa.array((first_row + row[first]).astype(np.int32))
    return pa.table([rows, pa.array(index.keys[key[first]]), pa.array(start[first])], schema=schemas.ITEM_HITS)


def sum_counts(tables: Iterable[pa.Table]) -> pa.Table:
    """Sum counts per key; the result does not depend on the order of the tables, and sums of sums are the same.

    Args:
        tables: tables of ITEM_COUNTS.

    Returns:
        Table of ITEM_COUNTS, sorted by key.
    """
    keys, documents = np.zeros(0, np.uint64), np.zeros(0, np.int64)
    for table in tables:
        both = np.concatenate([keys, table["key"].to_numpy()])
        added = np.concatenate([documents, table["documents"].to_numpy()])
        keys, at = np.unique(both, return_inverse=True)
        documents = np.zeros(len(keys), np.int64)
        np.add.at(documents, at, added)
    return pa.table([pa.array(keys), pa.array(documents)], schema=schemas.ITEM_COUNTS)


def count_hits(hits: pa.Table) -> pa.Table:
    """Count the documents of one part that hold each n-gram; a table of ITEM_COUNTS."""
    keys, documents = np.unique(hits["key"].to_numpy(), return_counts=True)
    return pa.table([pa.array(keys), pa.array(documents.astype(np.int64))], schema=schemas.ITEM_COUNTS)


def contamination_of(
    part: int, hits: pa.Table, counts: pa.Table, items: pa.Table, item_ngrams: pa.Table, max_documents: int
) -> pa.Table:
    """Say how much of which items the documents of a part hold.

    Args:
        part: number of the part.
        hits: ITEM_HITS of the part.
        counts: ITEM_COUNTS of the corpus.
        items: ITEMS.
        item_ngrams: ITEM_NGRAMS.
        max_documents: n-grams in more documents are ignored.

    Returns:
        Table of CONTAMINATION, sorted by row, item and n.
    """
    common = counts["key"].to_numpy()[counts["documents"].to_numpy() > max_documents]
    hit_key = hits["key"].to_numpy()
    counted = ~np.isin(hit_key, common)
    hit_key, hit_row, hit_offset = hit_key[counted], hits["row"].to_numpy()[counted], hits["offset"].to_numpy()[counted]
    key, item, n = (item_ngrams[name].to_numpy() for name in ("key", "item", "n"))
    low, high = np.searchsorted(key, hit_key, "left"), np.searchsorted(key, hit_key, "right")
    repeats = high - low
    pair = np.repeat(np.arange(len(hit_key)), repeats)
    at = np.repeat(low - np.r_[0, np.cumsum(repeats)[:-1]], repeats) + np.arange(len(pair)) if len(pair) else pair
    group = np.rec.fromarrays([hit_row[pair], item[at], n[at]], names="row,item,n")
    groups, inverse, found = np.unique(group, return_inverse=True, return_counts=True)
    offset = np.full(len(groups), np.iinfo(np.int64).max)
    np.minimum.at(offset, inverse, hit_offset[pair])
    total = _totals(item, n, groups)
    named = items.take(pa.array(groups["item"]))
    columns = [
        pa.array(np.full(len(groups), part, np.int32)),
        pa.array(groups["row"].astype(np.int32)),
        *(named["task"], named["item_id"]),
        pa.array(groups["n"].astype(np.int32)),
        *(pa.array(found.astype(np.int32)), pa.array(total.astype(np.int32))),
        pa.array(found / np.maximum(total, 1)),
        pa.array(offset),
    ]
    return pa.table(columns, schema=schemas.CONTAMINATION)


def _totals(item: np.ndarray, n: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return how many distinct n-grams the item of every group has."""
    pairs, totals = np.unique(item.astype(np.int64) << 8 | n, return_counts=True)
    return totals[np.searchsorted(pairs, groups["item"].astype(np.int64) << 8 | groups["n"])]


def contaminated_rows(contamination: pa.Table, overlaps: tuple[Overlap, ...]) -> np.ndarray:
    """Return the rows of the contaminated documents of a part, int32, sorted and unique.

    Args:
        contamination: CONTAMINATION of the part.
        overlaps: the least overlap per n.
    """
    n, overlap = contamination["n"].to_numpy(), contamination["overlap"].to_numpy()
    reached = np.zeros(len(n), bool)
    for wanted in overlaps:
        reached |= (n == wanted.ngram) & (overlap >= wanted.min_overlap)
    return np.unique(contamination["row"].to_numpy()[reached])
