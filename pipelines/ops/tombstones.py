"""Documents that were removed on request: what stays of them, and which records must not become documents again.

A tombstone keeps its row, so that positions agree and accounts add up: doc_id, place, sizes and content_hash. Text,
addresses, ids of the source, dates and titles go. It is marked in `edits`, not by position, so that it stays what it
is wherever the row moves.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contracts import storage, tables
from pipelines.contracts.errors import InputError, message

REMOVALS_FILE = "removals/removals.parquet"
PENDING_FILE = "removals/pending.json"
Removal = dict[str, Any]
"""A row of the table `removals`, or the first columns of one."""
REASON = "removed"
"""First and only reason of the decision on a removed document; also its edit."""
_FORGOTTEN = ("native_id", "url", "date", "title", "published", "canonical_url", "lang_hint")


@dataclass(frozen=True)
class Tombstones:
    """Which records are removed.

    Attributes:
        doc_ids: ids of removed documents.
        contents: (source, path, content_hash) of removed documents: a repaired file may move a record, and so its id.
    """

    doc_ids: frozenset[str] = frozenset()
    contents: frozenset[tuple[str, str, str]] = frozenset()

    def covers(self, doc_id: str, source: str, path: str, content_hash: str) -> bool:
        """Say whether a document is removed."""
        return doc_id in self.doc_ids or (source, path, content_hash) in self.contents


def load_tombstones(workspace: str) -> Tombstones:
    """Read what was removed from a workspace."""
    if not storage.exists(storage.join(workspace, REMOVALS_FILE)):
        return Tombstones()
    columns = ["doc_id", "source", "path", "content_hash"]
    rows = tables.read_table(workspace, REMOVALS_FILE, columns).to_pylist()
    contents = frozenset((row["source"], row["path"], row["content_hash"]) for row in rows)
    return Tombstones(frozenset(row["doc_id"] for row in rows), contents)


def is_removed(edits: pa.ChunkedArray) -> np.ndarray:
    """Say which documents are tombstones.

    Args:
        edits: [rows] column `edits` of `documents`.

    Returns:
        bool [rows].
    """
    removed = np.zeros(len(edits), bool)
    column = edits.combine_chunks()
    if len(column):
        marked = pc.equal(pc.struct_field(pc.list_flatten(column), "rule"), REASON)
        removed[pc.list_parent_indices(column).filter(marked).to_numpy()] = True
    return removed


def tombstone_row(row: dict[str, object]) -> dict[str, object]:
    """Return what stays of a row of `documents`."""
    return {**row, **dict.fromkeys(_FORGOTTEN), "text": "", "edits": [{"rule": REASON, "count": 1}]}


def blank_rows(documents: pa.Table, doc_ids: Collection[str]) -> pa.Table:
    """Return documents with some of them as tombstones.

    Args:
        documents: [rows] table of `documents` (or `ingested`).
        doc_ids: those to blank; others are not looked at.
    """
    chosen = np.flatnonzero(pc.is_in(documents["doc_id"], pa.array(sorted(doc_ids), pa.string())).to_numpy())
    if not len(chosen):
        return documents
    pieces, done = [], 0
    for at in chosen.tolist():
        row = tombstone_row(documents.slice(at, 1).to_pylist()[0])
        pieces += [documents.slice(done, at - done), pa.Table.from_pylist([row], documents.schema)]
        done = at + 1
    return pa.concat_tables([*pieces, documents.slice(done)])


def is_pending(workspace: str) -> bool:
    """Say whether a removal was interrupted."""
    return storage.exists(storage.join(workspace, PENDING_FILE))


def refuse_pending(workspace: str) -> None:
    """Refuse a workspace in which a removal was interrupted.

    Raises:
        InputError: if that is so.
    """
    if is_pending(workspace):
        hint = f"Run `mixtrace remove {workspace}`, which completes it."
        raise InputError(message(workspace, "a removal was interrupted", PENDING_FILE, "a finished one", hint))


def read_removals(workspace: str) -> list[Removal]:
    """Return what was removed so far."""
    if not storage.exists(storage.join(workspace, REMOVALS_FILE)):
        return []
    return tables.read_table(workspace, REMOVALS_FILE).to_pylist()


def removed_nodes(workspace: str) -> frozenset[int]:
    """Return where removed documents lay, as part << 32 | row."""
    return frozenset(removal["part"] << 32 | removal["row"] for removal in read_removals(workspace))
