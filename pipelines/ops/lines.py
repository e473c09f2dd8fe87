"""Lines (or paragraphs) that many documents share: who keeps them, and texts without them.

How common a unit is, is counted in distinct texts, and the least content hash keeps it. So neither the order of the
documents nor their number of exact copies matters, and exact copies stay exact copies.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contracts import ids
from pipelines.contracts.recipe import Lines
from pipelines.kernels.line_keys import LineUnits, line_units
from pipelines.ops.clean import clean

EDIT = "repeated_units"
"""Name of the edit in `documents.edits`; its count is the units that went."""

ENTRY = np.dtype([("key", "<u8"), ("text", "<u8"), ("node", "<u8")])
"""One distinct unit of one document: its key, the upper half of the document's content_hash, and where it lies."""


class Repeated(NamedTuple):
    """Units that go, one row per unit and document that loses it; sorted by (key, text, node).

    Attributes:
        node: uint64 `[rows]`, part << 32 | row of the document that loses the unit.
        key: uint64 `[rows]`, key of the unit.
        documents: int32 `[rows]`, distinct texts that hold it.
        keeper: uint64 `[rows]`, node of the least document that keeps it.
    """

    node: np.ndarray
    key: np.ndarray
    documents: np.ndarray
    keeper: np.ndarray


def units_of(text: pa.Array | pa.ChunkedArray, lines: Lines) -> LineUnits:
    """Cut texts into the units that the recipe names."""
    return line_units(text, lines.unit, lines.normalise, lines.min_chars)


def distinct_entries(units: LineUnits, content_hash: pa.ChunkedArray, nodes: np.ndarray) -> np.ndarray:
    """Return one entry per distinct unit of every document.

    Args:
        units: units of some documents.
        content_hash: [rows] hashes of their texts.
        nodes: uint64 [rows], where they lie.

    Returns:
        ENTRY [entries].
    """
    order = np.lexsort((units.key, units.row))
    row, key = units.row[order], units.key[order]
    first = np.ones(len(row), bool)
    first[1:] = (row[1:] != row[:-1]) | (key[1:] != key[:-1])
    row, key = row[first], key[first]
    entries = np.empty(len(row), ENTRY)
    entries["key"], entries["text"], entries["node"] = key, ids.hex_to_u64(content_hash.to_pylist())[row], nodes[row]
    return entries


def find_repeated(entries: np.ndarray, lines: Lines) -> Repeated:
    """Find the units that go, and who keeps them.

    Args:
        entries: ENTRY [entries], all those of some keys, in any order.
        lines: the recipe's section.
    """
    entries = entries[np.lexsort((entries["node"], entries["text"], entries["key"]))]
    key, text = entries["key"], entries["text"]
    new_key = np.ones(len(key), bool)
    new_key[1:] = key[1:] != key[:-1]
    new_text = new_key.copy()
    new_text[1:] |= text[1:] != text[:-1]
    starts = np.flatnonzero(new_key)
    group = np.cumsum(new_key) - 1
    documents = np.add.reduceat(new_text.astype(np.int32), starts) if len(starts) else np.empty(0, np.int32)
    common = documents[group] >= lines.min_documents
    goes = common & (text != text[starts][group]) if lines.keep == "one" else common
    return Repeated(entries["node"][goes], key[goes], documents[group][goes], entries["node"][starts][group][goes])


def match_units(units: LineUnits, rows: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Look every unit up in a list of (row, key).

    Args:
        units: units of some documents.
        rows: int64 [listed], documents.
        keys: uint64 [listed], keys; every (row, key) at most once.

    Returns:
        int64 [units]: position in the list, or -1.
    """
    if len(rows) == 0:
        return np.full(len(units.row), -1, np.int64)
    known = np.unique(keys)
    listed = rows * len(known) + np.searchsorted(known, keys)
    order = np.argsort(listed)
    at = np.minimum(np.searchsorted(known, units.key), len(known) - 1)
    asked = units.row * len(known) + at
    found = order[np.minimum(np.searchsorted(listed, asked, sorter=order), len(order) - 1)]
    return np.where((known[at] == units.key) & (listed[found] == asked), found, -1)


def cut_texts(text: pa.Array, row: np.ndarray, start: np.ndarray, end: np.ndarray) -> pa.Array:
    """Cut spans, each with its line end, out of texts, and clean what is left (blank lines that now meet, or are outer).

    Args:
        text: [rows] large strings without nulls.
        row: int64 [spans], ascending.
        start: int64 [spans], first byte, ascending within a row.
        end: int64 [spans], one past the last byte.
    """
    changed, firsts = np.unique(row, return_index=True)
    bounds = np.append(firsts, len(row))
    texts = []
    for index, at in enumerate(changed.tolist()):
        data = text[at].as_py().encode()
        pieces, done = [], 0
        for span in range(bounds[index], bounds[index + 1]):
            pieces.append(data[done : start[span]])
            done = int(end[span]) + 1
        rest = b"".join([*pieces, data[done:]])
        if done > len(data):  # the last line went, so the line end before it goes
            rest = rest.removesuffix(b"\n")
        texts.append(clean(rest.decode())[0])
    mask = np.zeros(len(text), bool)
    mask[changed] = True
    return pc.replace_with_mask(text, pa.array(mask), pa.array(texts, text.type))


def without_units(documents: pa.Table, row: np.ndarray, start: np.ndarray, end: np.ndarray) -> pa.Table:
    """Return documents without some spans of their texts; length, hash and edits follow.

    Args:
        documents: [rows] table of `documents`.
        row: as in `cut_texts`.
        start: as in `cut_texts`.
        end: as in `cut_texts`.
    """
    text = cut_texts(documents["text"].combine_chunks(), row, start, end)
    changed, counts = np.unique(row, return_counts=True)
    sizes = documents["text_bytes"].to_pylist()
    hashes = documents["content_hash"].to_pylist()
    edits = documents["edits"].to_pylist()
    for at, count in zip(changed.tolist(), counts.tolist(), strict=True):
        data = text[at].as_py().encode()
        sizes[at], hashes[at] = len(data), ids.content_hash(data)
        edits[at] = sorted([*edits[at], {"rule": EDIT, "count": count}], key=lambda edit: edit["rule"])
    new = {"text": text, "text_bytes": sizes, "content_hash": hashes, "edits": edits}
    for name, values in new.items():
        column = documents.schema.get_field_index(name)
        kind = documents.schema.field(column)
        documents = documents.set_column(column, kind, values if name == "text" else pa.array(values, kind.type))
    return documents
