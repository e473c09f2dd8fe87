"""Which documents a request names, which others are copies of them, and what was removed before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contracts import ids, storage, tables
from pipelines.contracts.errors import InputError, message
from pipelines.contracts.tasks import Context, Plan, part_file
from pipelines.ops.tombstones import Removal, is_removed
from pipelines.stages.index import partition_count

_COLUMNS = ["doc_id", "native_id", "url", "source", "path", "offset", "part", "row", "content_hash", "text_bytes"]
_INDEX_KIND = {"url": "url", "id": "doc_id", "native_id": "native_id"}


@dataclass(frozen=True)
class Selector:
    """One URL or id that a request names; `any` (from a list) may be either.

    Attributes:
        kind: which of them.
        value: as it is written in the workspace.
    """

    kind: Literal["url", "id", "native_id", "any"]
    value: str


def read_selectors(path: str) -> list[Selector]:
    """Read a list: one URL or id per line; empty lines and lines that begin with # are skipped.

    Raises:
        InputError: if there is no such file.
    """
    if not storage.exists(path):
        raise InputError(message(path, "no such file", "nothing", "a list of URLs or ids, one per line"))
    lines = (line.strip() for line in storage.read_bytes(path).decode().splitlines())
    return [Selector("any", line) for line in lines if line and not line.startswith("#")]


def find_selected(context: Context, plan: Plan, selectors: Sequence[Selector]) -> tuple[list[Removal], list[Selector]]:
    """Find the documents that selectors name, through the index.

    Returns:
        (first columns of their removals, selectors that name none); what is removed already is in neither.
    """
    wanted = {ids.key64(selector.value): selector for selector in selectors}
    partitions = ids.partition_of(np.array(list(wanted), np.uint64), partition_count(context.recipe, plan))
    places: dict[int, list[tuple[int, Selector]]] = {}
    for partition in np.unique(partitions).tolist():
        entries = tables.read_table(context.workspace, part_file("index", partition))
        keys = pa.array([k for k, p in zip(wanted, partitions, strict=True) if p == partition], pa.uint64())
        for entry in entries.filter(pc.is_in(entries["key"], keys)).to_pylist():
            selector = wanted[entry["key"]]
            if selector.kind == "any" or _INDEX_KIND[selector.kind] == entry["kind"]:
                places.setdefault(entry["part"], []).append((entry["row"], selector))
    found: dict[str, Removal] = {}
    named: set[Selector] = set()
    for part, rows in sorted(places.items()):
        for (_, selector), document in zip(rows, _documents(context, part, [row for row, _ in rows]), strict=True):
            kind = _kind_of(document, selector)
            if kind is not None:
                named.add(selector)
                if not document["removed"]:
                    found.setdefault(document["doc_id"], _removal(document, kind, selector.value))
    return list(found.values()), [selector for selector in selectors if selector not in named]


def _kind_of(document: dict[str, Any], selector: Selector) -> str | None:
    """Return as what a selector names a document; None if its hash does, but not its value."""
    kinds = _INDEX_KIND if selector.kind == "any" else {selector.kind: _INDEX_KIND[selector.kind]}
    return next((kind for kind, column in kinds.items() if document[column] == selector.value), None)


def _documents(context: Context, part: int, rows: Iterable[int]) -> list[dict[str, Any]]:
    """Read some documents of a part, without text, and whether they are kept, or removed already."""
    documents = tables.read_table(context.workspace, part_file("documents", part), [*_COLUMNS, "edits"])
    kept = tables.read_table(context.workspace, part_file("decisions", part), ["kept"])["kept"].combine_chunks()
    removed = pa.array(is_removed(documents["edits"]))
    documents = documents.select(_COLUMNS).append_column("kept", kept).append_column("removed", removed)
    return documents.take(pa.array(list(rows), pa.int64())).to_pylist()


def _removal(document: dict[str, Any], selector: str, value: str) -> Removal:
    names = ("doc_id", "source", "path", "offset", "part", "row", "content_hash", "text_bytes", "kept")
    return {name: document[name] for name in names} | {
        "selector": selector,
        "selector_hash": ids.content_hash(value),
    }


def add_copies(context: Context, plan: Plan, found: list[Removal]) -> list[Removal]:
    """Find the other documents that repeat some, from their hashes and the table of duplicates.

    Exact copies have the same text; near copies are linked to one of the documents as leader and removed duplicate.

    Returns:
        First columns of their removals, with selector `exact copy` or `near copy`.
    """
    doc_ids = {removal["doc_id"] for removal in found}
    hashes = {removal["content_hash"] for removal in found}
    leaders = _leaders_of(context, found)
    copies: list[Removal] = []
    for part in plan.parts:
        documents = tables.read_table(
            context.workspace, part_file("documents", part.number), ["doc_id", "content_hash"]
        )
        duplicates = tables.read_table(context.workspace, part_file("duplicates", part.number), ["row", "leader"])
        led = duplicates.filter(pc.is_in(duplicates["leader"], pa.array(sorted(doc_ids), pa.string())))["row"]
        exact = pc.is_in(documents["content_hash"], pa.array(sorted(hashes), pa.string())).to_numpy()
        near = pc.is_in(documents["doc_id"], pa.array(sorted(leaders), pa.string())).to_numpy()
        near[led.to_numpy()] = True
        rows = np.flatnonzero(exact | near)
        for document in _documents(context, part.number, rows.tolist()) if len(rows) else []:
            if document["doc_id"] not in doc_ids and not document["removed"]:
                kind = "exact copy" if document["content_hash"] in hashes else "near copy"
                copies.append(_removal(document, kind, document["doc_id"]))
    return copies


def _leaders_of(context: Context, found: list[Removal]) -> set[str]:
    """Return the documents that some documents repeat."""
    rows: dict[int, list[int]] = {}
    for removal in found:
        rows.setdefault(removal["part"], []).append(removal["row"])
    leaders: set[str] = set()
    for part, chosen in rows.items():
        duplicates = tables.read_table(context.workspace, part_file("duplicates", part), ["row", "leader"])
        mine = duplicates.filter(pc.is_in(duplicates["row"], pa.array(chosen, pa.int32())))
        leaders |= set(mine["leader"].drop_null().to_pylist())
    return leaders
