"""match: documents that share a key (a MinHash band, the content hash, the address or a group key) become edges.

Every document emits (key, part, row); every key's documents are linked to the least of them, a star,
so a key with n documents costs n - 1 edges and never n squared.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contracts import ids, tables
from pipelines.contracts.manifest import TaskManifest
from pipelines.contracts.recipe import Recipe
from pipelines.contracts.recipe_sources import Source
from pipelines.contracts.schemas import field, table
from pipelines.contracts.tasks import Context, Lineage, Payload, Plan, Progress, ShuffleStage, Task, part_file, part_key
from pipelines.kernels.lsh import band_keys, star_edges
from pipelines.ops.normal_urls import hash_addresses
from pipelines.stages.earlier import FIRST_PART, earlier_labels, earlier_tasks, recipe_of
from pipelines.stages.payloads import join_entries, node_of, split_keys

EDGES = table(
    "match",
    "Links between documents that share a key: candidates, not verdicts.",
    [
        field("least", pa.uint64(), "part << 32 | row of the least document of the key"),
        field("other", pa.uint64(), "part << 32 | row of another document of the key"),
    ],
)
_SHUFFLED_PER_RAW_BYTE = 0.5  # upper estimate of exchange bytes per raw byte; only sizes the partitions


def partitions(recipe: Recipe, plan: Plan) -> int:
    """Return the number of partitions: from the plan, never from the number of workers."""
    return max(4, math.ceil(plan.raw_bytes * _SHUFFLED_PER_RAW_BYTE / (recipe.dedup.partition_mb * 1e6)))


def literals(recipe: Recipe) -> object:
    """Return the literals that candidates depend on."""
    near = recipe.dedup.near
    groups = {source.name: source.group for source in recipe.sources if source.group}
    urls = recipe.dedup.url and sorted(source.name for source in recipe.sources if _names_documents(source))
    earlier = [earlier_labels(recipe)] if recipe.dedup.against else []
    return [*earlier, recipe.dedup.exact, urls, near and [near.bands, near.rows], groups, recipe.dedup.partition_mb]


def plan_map(context: Context, plan: Plan, lineage: Lineage) -> list[Task]:
    """Make one map task per part, of this build and of every earlier one."""
    count = partitions(context.recipe, plan)
    mark = lineage.of("match")
    own = [Task("match", part.key, mark, {"part": part.number, "partitions": count}) for part in plan.parts]
    return [*own, *earlier_tasks("match", mark, context.recipe, {"partitions": count})]


def plan_reduce(context: Context, plan: Plan, lineage: Lineage) -> list[Task]:
    """Make one reduce task per partition of the keys."""
    count = partitions(context.recipe, plan)
    return [Task("match", part_key(p), lineage.of("match"), {"partition": p}) for p in range(count)]


def group_keys(documents: pa.Table, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """Hash the group key of every document that has one.

    Args:
        documents: [rows] with source, path, url.
        recipe: its sources name the regular expressions.

    Returns:
        (keys uint64, rows int64) of the documents with a group key.
    """
    patterns = {s.name: re.compile(s.group) for s in recipe.sources if s.group}
    if not patterns:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    keys: list[int] = []
    rows: list[int] = []
    columns = (documents[name].to_pylist() for name in ("source", "path", "url"))
    for row, (source, path, url) in enumerate(zip(*columns, strict=True)):
        pattern = patterns.get(source)
        found = pattern.search(url or path) if pattern else None
        if found and found.group(1) is not None:
            keys.append(ids.key64(f"group\0{source}\0{found.group(1)}"))
            rows.append(row)
    return np.array(keys, np.uint64), np.array(rows, np.int64)


KEY_COLUMNS = ["row", "native_id", "source", "path", "url", "content_hash"]
SKETCH_COLUMNS = ["n_words", "signature"]


def _names_documents(source: Source) -> bool:
    """Say whether the addresses of a source are those of its documents, and not one for many of them."""
    return source.defaults.url is None or "{id}" in source.defaults.url


def url_hashes(documents: pa.Table, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """Hash the normal form of the address of every document that has its own.

    Args:
        documents: [rows] with source, url and native_id.
        recipe: its sources say where addresses come from, and whether they count at all.

    Returns:
        (hashes uint64 [rows, 2], has_own bool [rows]). A document has none without an address, where a default address
        has no id, or where a part of it was masked (two different ones may look alike then).
    """
    if not recipe.dedup.url:
        return np.zeros((documents.num_rows, 2), np.uint64), np.zeros(documents.num_rows, bool)
    plain = [s.name for s in recipe.sources if s.defaults.url is None]
    with_id = [s.name for s in recipe.sources if s.defaults.url is not None and _names_documents(s)]
    source, url = documents["source"], documents["url"]
    has_own = _is_in(source, plain) | (_is_in(source, with_id) & _is_filled(documents["native_id"]))
    has_own &= _is_filled(url) & ~np.asarray(pc.fill_null(pc.match_substring(url, "<"), True))
    return hash_addresses(url, has_own), has_own


def _is_in(column: pa.ChunkedArray, values: list[str]) -> np.ndarray:
    return np.asarray(pc.is_in(column, value_set=pa.array(values, pa.string())))


def _is_filled(column: pa.ChunkedArray) -> np.ndarray:
    """Say which strings are neither null nor empty."""
    return np.asarray(pc.fill_null(pc.greater(pc.binary_length(column), 0), False))


def document_keys(documents: pa.Table, signatures: pa.Table, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """Compute all keys of some documents.

    Args:
        documents: [rows] with KEY_COLUMNS.
        signatures: [rows] table of signatures.
        recipe: what counts as a link.

    Returns:
        (keys uint64 [entries], rows int64 [entries]).
    """
    keys, rows = [], []
    all_rows = np.arange(documents.num_rows)
    if recipe.dedup.exact:
        keys.append(ids.hex_to_u64(documents["content_hash"]))
        rows.append(all_rows)
    near = recipe.dedup.near
    if near is not None and documents.num_rows:
        sketch = signatures["signature"].combine_chunks().flatten().to_numpy().reshape(-1, near.num_perm)
        long_enough = signatures["n_words"].to_numpy() >= near.ngram
        bands = band_keys(sketch[long_enough], near.bands, near.rows)
        keys.append(bands.reshape(-1))
        rows.append(np.repeat(all_rows[long_enough], near.bands))
    hashes, has_own = url_hashes(documents, recipe)
    for found_keys, found_rows in [(hashes[has_own, 0], all_rows[has_own]), group_keys(documents, recipe)]:
        keys.append(found_keys)
        rows.append(found_rows)
    return np.concatenate(keys), np.concatenate(rows)


def run_map(context: Context, task: Task, progress: Progress) -> Iterator[tuple[int, bytes]]:
    """Emit the keys of one part."""
    part = task.payload["part"]
    if "earlier" in task.payload:
        yield from _earlier_keys(context, task, progress)
        return
    documents = tables.read_table(context.workspace, part_file("documents", part), KEY_COLUMNS)
    signatures = tables.read_table(context.workspace, part_file("signatures", part), SKETCH_COLUMNS)
    keys, rows = document_keys(documents, signatures, context.recipe)
    progress.beat(documents.num_rows, 0)
    yield from split_keys(keys, node_of(part, rows), task.payload["partitions"])


def _earlier_keys(context: Context, task: Task, progress: Progress) -> Iterator[tuple[int, bytes]]:
    """Emit the keys of the kept documents of one part of an earlier build, as its own recipe names them."""
    workspace, part = task.payload["earlier"], task.payload["part"]
    recipe = recipe_of(workspace).model_copy(update={"dedup": context.recipe.dedup})
    kept = tables.read_table(workspace, part_file("decisions", part), ["kept"])["kept"]
    documents = tables.read_table(workspace, part_file("documents", part), KEY_COLUMNS).filter(kept)
    signatures = tables.read_table(workspace, part_file("signatures", part), SKETCH_COLUMNS).filter(kept)
    keys, rows = document_keys(documents, signatures, recipe)
    progress.beat(documents.num_rows, 0)
    nodes = node_of(task.payload["node_part"], documents["row"].to_numpy()[rows])
    yield from split_keys(keys, nodes, task.payload["partitions"])


def keys_with_new(entries: np.ndarray) -> np.ndarray:
    """Drop the keys that only documents of earlier builds have.

    Args:
        entries: KEY_ENTRY [entries], in any order.

    Returns:
        KEY_ENTRY [at most as many], in the same order.
    """
    is_new = entries["node"] < np.uint64(FIRST_PART << 32)
    return entries if is_new.all() else entries[np.isin(entries["key"], entries["key"][is_new])]


def run_reduce(context: Context, task: Task, payloads: Iterable[Payload], progress: Progress) -> TaskManifest:
    """Link the documents of every key of one partition; earlier builds are not linked among themselves."""
    entries = keys_with_new(join_entries(payloads))
    least, other = star_edges(entries["key"], entries["node"])
    edges = pa.table([pa.array(least), pa.array(other)], schema=EDGES)
    output = tables.write_table(context.workspace, part_file("match", task.payload["partition"]), edges, EDGES)
    progress.beat(0, entries.nbytes)
    return TaskManifest("match", task.key, task.fingerprint, (output,), {"entries": len(entries), "edges": len(least)})


STAGE = ShuffleStage(
    name="match",
    version=2,
    upstream=("lines", "measure"),
    scope="whole",
    literals=literals,
    plan_map=plan_map,
    plan_reduce=plan_reduce,
    map=run_map,
    reduce=run_reduce,
)
