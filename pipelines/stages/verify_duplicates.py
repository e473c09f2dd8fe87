"""What verify recomputes about duplicates, from the texts: leaders, similarities, and what was kept.

All members of a component meet in one partition, so that every removed document finds its leader there and
all kept ones can be compared with each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contracts import ids, tables
from pipelines.contracts.dedup import Near
from pipelines.contracts.errors import VerifyError, message
from pipelines.contracts.recipe import Recipe
from pipelines.contracts.tasks import Context, part_file
from pipelines.kernels.leader_scan import leader_scan
from pipelines.kernels.lsh import band_keys
from pipelines.kernels.minhash import minhash_signatures, shingle_hashes
from pipelines.ops.survivors import instants
from pipelines.stages import match
from pipelines.stages.earlier import recipe_of
from pipelines.stages.measure import minhash_params
from pipelines.stages.payloads import split_by_partition

DOCUMENT_COLUMNS = [*match.KEY_COLUMNS, "date"]


def claim_schema(num_perm: int) -> pa.Schema:
    """Return the schema of what is claimed about a member of a component."""
    return pa.schema(
        [
            ("component", pa.string()),
            ("earlier", pa.bool_()),  # kept in an earlier build, whose name is part of the ids
            ("doc_id", pa.string()),
            ("leader", pa.string()),  # null if it was not removed
            ("kind", pa.string()),
            ("kept", pa.bool_()),
            ("similarity", pa.float64()),
            ("content_hash", pa.string()),
            ("url_hash", ids.HASH),
            ("instant", pa.int64()),
            ("n_words", pa.int32()),
            ("signature", pa.list_(pa.uint32(), num_perm)),
            ("shingles", pa.large_list(pa.uint64())),
        ]
    )


def duplicate_claims(
    recipe: Recipe, batch: pa.Table, decisions: pa.Table, duplicates: pa.Table, first_partition: int, partitions: int
) -> Iterator[tuple[int, bytes]]:
    """Send every member of a component among some documents to the partition of its component.

    Args:
        recipe: how documents are compared.
        batch: [rows] documents with their texts.
        decisions: [rows] of the same documents.
        duplicates: [members] of the whole part.
        first_partition: number of the first partition of components.
        partitions: how many there are.
    """
    first = batch["row"][0].as_py()
    rows = duplicates["row"].to_numpy()
    low, high = np.searchsorted(rows, [first, first + batch.num_rows])
    if low == high:
        return
    at = pa.array(rows[low:high] - first)
    members, stated = batch.take(at), duplicates[int(low) : int(high)]
    near = recipe.dedup.near or Near()
    text = members["text"].combine_chunks()
    sketch, shingles = minhash_signatures(text, minhash_params(near)), shingle_hashes(text, minhash_params(near))
    columns = [
        stated["component_id"].combine_chunks(),
        pa.array(np.zeros(members.num_rows, bool)),
        members["doc_id"].combine_chunks(),
        _full_id(stated["leader_build"], stated["leader"]),
        stated["kind"].combine_chunks(),
        decisions["kept"].take(at).combine_chunks(),
        stated["similarity"].combine_chunks(),
        members["content_hash"].combine_chunks(),
        ids.hash_column(*match.url_hashes(members, recipe)),
        pa.array(instants(members["date"])),
        pa.array(sketch.n_words),
        pa.FixedSizeListArray.from_arrays(pa.array(sketch.signatures.reshape(-1)), near.num_perm),
        pa.LargeListArray.from_arrays(pa.array(shingles.offsets), pa.array(shingles.hashes)),
    ]
    claims = pa.record_batch(columns, schema=claim_schema(near.num_perm))
    home = ids.partition_of(ids.hex_to_u64(stated["component_id"].to_pylist()), partitions)
    yield from split_by_partition(claims, first_partition + home)


def _full_id(build: pa.ChunkedArray, doc_id: pa.ChunkedArray) -> pa.Array:
    """Return ids that are unique over builds: those of earlier ones begin with the name of the build."""
    pairs = zip(build.to_pylist(), doc_id.to_pylist(), strict=True)
    return pa.array([f"{name}/{own}" if name else own for name, own in pairs], pa.string())


def earlier_claims(
    context: Context, payload: dict[str, Any], first_partition: int, partitions: int
) -> Iterator[tuple[int, bytes]]:
    """Send the documents of a part of an earlier build that are linked to this one to the partitions of their components.

    Args:
        context: this build.
        payload: `earlier`, `part`, `node_part` and `label`, as `earlier_tasks` makes them.
        first_partition: number of the first partition of components.
        partitions: how many there are.
    """
    workspace, part = payload["earlier"], payload["part"]
    recipe, near = context.recipe, context.recipe.dedup.near or Near()
    theirs = recipe_of(workspace).model_copy(update={"dedup": recipe.dedup})
    linked = tables.read_table(context.workspace, part_file("earlier_members", payload["node_part"]))
    rows = linked["row"].to_numpy()
    kept = tables.read_table(workspace, part_file("decisions", part), ["kept"])["kept"]
    for batch in tables.read_batches(workspace, part_file("documents", part), [*DOCUMENT_COLUMNS, "doc_id", "text"]):
        first = batch["row"][0].as_py()
        low, high = np.searchsorted(rows, [first, first + batch.num_rows])
        if low == high:
            continue
        members, count = batch.take(pa.array(rows[low:high] - first)), int(high - low)
        text = members["text"].combine_chunks()
        sketch, shingles = minhash_signatures(text, minhash_params(near)), shingle_hashes(text, minhash_params(near))
        component = linked["component_id"][int(low) : int(high)].combine_chunks()
        columns = [
            component,
            pa.array(np.ones(count, bool)),
            _full_id(pa.chunked_array([pa.array([payload["label"]] * count)]), members["doc_id"]),
            *(pa.nulls(count, pa.string()) for _ in range(2)),
            kept.take(pa.array(rows[low:high])).combine_chunks(),
            pa.nulls(count, pa.float64()),
            members["content_hash"].combine_chunks(),
            ids.hash_column(*match.url_hashes(members, theirs)),
            pa.array(instants(members["date"])),
            pa.array(sketch.n_words),
            pa.FixedSizeListArray.from_arrays(pa.array(sketch.signatures.reshape(-1)), near.num_perm),
            pa.LargeListArray.from_arrays(pa.array(shingles.offsets), pa.array(shingles.hashes)),
        ]
        claims = pa.record_batch(columns, schema=claim_schema(near.num_perm))
        home = ids.partition_of(ids.hex_to_u64(component.to_pylist()), partitions)
        yield from split_by_partition(claims, first_partition + home)


def check_duplicates(claims: pa.Table, recipe: Recipe) -> int:
    """Check the guarantees about the components of one partition.

    Args:
        claims: [rows] of `claim_schema`, whole components.
        recipe: how documents are compared.

    Returns:
        How many removed documents were checked.

    Raises:
        VerifyError: naming the document that contradicts a guarantee.
    """
    claims = claims.combine_chunks()
    checked = check_leaders(claims, recipe.dedup.near or Near())
    check_addresses(claims)
    if recipe.dedup.near is not None:
        check_kept(claims, recipe.dedup.near)
    return checked


def check_leaders(claims: pa.Table, near: Near) -> int:
    """Check that every removed document has a kept leader that has its text, or resembles it as is stated.

    Raises:
        VerifyError: naming both documents.
    """
    rows = {doc_id: row for row, doc_id in enumerate(claims["doc_id"].to_pylist())}
    shingles, checked = claims["shingles"], 0
    kept, hashes = claims["kept"].to_pylist(), claims["content_hash"].to_pylist()
    columns = (claims[name].to_pylist() for name in ("leader", "doc_id", "kind", "similarity"))
    for row, (leader, doc_id, kind, similarity) in enumerate(zip(*columns, strict=True)):
        if kind is None:
            continue
        at = rows.get(leader)
        if at is None or not kept[at]:
            raise VerifyError(message(f"document {doc_id}", "its leader is not kept", leader, "a kept document"))
        checked += 1
        if kind == "url":
            continue
        same_text = hashes[row] == hashes[at]
        exact = 1.0 if same_text else _jaccard(shingles[row].values.to_numpy(), shingles[at].values.to_numpy())
        if exact != similarity or exact < near.threshold or same_text != (kind == "exact"):
            where, what = f"document {doc_id}", f"{kind} similarity with its leader {leader}"
            raise VerifyError(message(where, what, exact, f"{similarity} >= {near.threshold}"))
    return checked


def _jaccard(a: np.ndarray, b: np.ndarray) -> float:
    common = len(np.intersect1d(a, b, assume_unique=True))
    return common / (len(a) + len(b) - common)


def check_addresses(claims: pa.Table) -> None:
    """Check that every older version of an address has a newer one whose leader it shares, and that one stays at most.

    Raises:
        VerifyError: naming the document.
    """
    newest: dict[str, tuple[int, str]] = {}
    columns = ("url_hash", "doc_id", "leader", "kind", "kept", "instant")
    order = pc.sort_indices(claims, sort_keys=[("earlier", "descending")])  # these win, and may be several
    claims = claims.take(order)
    moment = pc.if_else(claims["earlier"], pa.scalar(2**63 - 1), claims["instant"])
    claims = claims.set_column(claims.schema.get_field_index("instant"), "instant", moment)
    of_earlier = int(pc.sum(claims["earlier"]).as_py() or 0)
    rows = list(zip(*(claims[name].to_pylist() for name in columns), strict=True))
    for row, (url_hash, doc_id, leader, kind, kept, instant) in enumerate(rows):
        if url_hash is not None and kind != "url" and (kept or kind is not None):
            if url_hash in newest and row < of_earlier:
                continue
            if url_hash in newest:
                raise VerifyError(message(f"document {doc_id}", "two versions of its address", "both", "the newest"))
            newest[url_hash] = instant, leader or doc_id
    for url_hash, doc_id, leader, kind, _, instant in rows:
        if kind == "url" and not (
            url_hash in newest and newest[url_hash][0] >= instant and newest[url_hash][1] == leader
        ):
            found = newest.get(url_hash)
            raise VerifyError(message(f"document {doc_id}", "no newer version of its address", found, str(leader)))


def check_kept(claims: pa.Table, near: Near) -> None:
    """Check that no two kept documents are candidates at or above the threshold.

    Raises:
        VerifyError: naming both documents.
    """
    long_enough = pc.greater_equal(claims["n_words"], near.ngram)
    kept = claims.filter(pc.and_(claims["kept"], long_enough))
    kept = kept.take(pc.sort_indices(kept, sort_keys=[("earlier", "descending")])).combine_chunks()
    if not kept.num_rows:
        return
    signatures = kept["signature"].chunk(0).flatten().to_numpy().reshape(-1, near.num_perm)
    shingles = kept["shingles"].chunk(0)
    offsets = shingles.offsets.to_numpy()
    keys = band_keys(signatures, near.bands, near.rows)
    of_earlier = int(pc.sum(kept["earlier"]).as_py())
    given = (signatures, shingles.flatten().to_numpy(), offsets - offsets[0], near.threshold)
    leader, similarity = leader_scan(keys, *given)
    if of_earlier:  # two earlier documents may be alike, if their builds did not know each other
        leader, similarity = leader_scan(keys, *given, n_leaders=of_earlier)
        check_kept(claims.filter(pc.invert(claims["earlier"])), near)
    alone = (leader == np.arange(len(leader))) | (leader < 0)
    for row in np.flatnonzero(~alone)[:1]:
        where, other = kept["doc_id"][int(row)].as_py(), kept["doc_id"][int(leader[row])].as_py()
        found, limit = f"{other} at {similarity[row]}", f"less than {near.threshold}"
        raise VerifyError(message(f"document {where}", "it and another kept document are alike", found, limit))
