"""decide: bring verdicts home to the parts, apply the rules, record every reason and the split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contracts import manifest, schemas, tables
from pipelines.contracts.manifest import TaskManifest
from pipelines.contracts.schemas import field, table
from pipelines.contracts.tasks import Context, Lineage, Payload, Plan, Progress, ShuffleStage, Task, part_file
from pipelines.ops.rules import evaluate_rules, recipe_rules
from pipelines.ops.splits import is_heldout
from pipelines.ops.tombstones import REASON, is_removed
from pipelines.stages import contamination, resolve
from pipelines.stages.earlier import earlier_tasks
from pipelines.stages.payloads import split_by_partition, unpack

DUPLICATE_REASONS = {"url": "url_duplicate", "exact": "exact_duplicate", "near": "near_duplicate"}
EARLIER_MEMBERS = table(
    "earlier_members",
    "Documents of earlier builds that share a key with one of this build, by part of the earlier build.",
    [
        field("row", pa.int32(), "row in its part, in the earlier build"),
        field("component_id", pa.string(), "least content_hash of the linked documents"),
    ],
)
_DOCUMENT_COLUMNS = ["doc_id", "part", "row", "source", "content_hash", "text_bytes", "edits"]


def plan_map(context: Context, plan: Plan, lineage: Lineage) -> list[Task]:
    """Make one map task per file of verdicts."""
    outputs = manifest.read_stage(context.workspace, "resolve").outputs
    mark = lineage.of("decide")
    return [Task("decide", f"{i:05d}", mark, {"path": output.path}) for i, output in enumerate(outputs)]


def plan_reduce(context: Context, plan: Plan, lineage: Lineage) -> list[Task]:
    """Make one reduce task per part, of this build and of every earlier one that it is linked to."""
    shares = resolve.heldout_shares(context)
    mark = lineage.of("decide")
    own = [Task("decide", part.key, mark, {"partition": part.number, "shares": shares}) for part in plan.parts]
    return [*own, *earlier_members(context, lineage)]


def earlier_members(context: Context, lineage: Lineage) -> list[Task]:
    """Make one reduce task per part of an earlier build that has members of components."""
    found = {output.path for output in manifest.read_stage(context.workspace, "components").outputs}
    tasks = earlier_tasks("decide", lineage.of("decide"), context.recipe, {})
    parts = [(task, task.payload["node_part"]) for task in tasks]
    return [
        replace(task, payload={**task.payload, "partition": part})
        for task, part in parts
        if part_file("components", part) in found
    ]


def run_map(context: Context, task: Task, progress: Progress) -> Iterator[tuple[int, bytes]]:
    """Send verdicts to their parts."""
    verdicts = tables.read_table(context.workspace, task.payload["path"]).combine_chunks()
    progress.beat(verdicts.num_rows, 0)
    for batch in verdicts.to_batches():
        yield from split_by_partition(batch, batch.column("part").to_numpy())


def run_reduce(context: Context, task: Task, payloads: Iterable[Payload], progress: Progress) -> TaskManifest:
    """Write the decisions and duplicates of one part."""
    part, workspace = task.payload["partition"], context.workspace
    if "earlier" in task.payload:
        return _note_earlier(context, task, payloads)
    documents = tables.read_table(workspace, part_file("documents", part), _DOCUMENT_COLUMNS)
    signals = tables.read_table(workspace, part_file("signals", part))
    verdicts = unpack(payloads, resolve.VERDICTS)
    verdicts = verdicts.take(pc.sort_indices(verdicts, sort_keys=[("row", "ascending")])).combine_chunks()
    dirty = contamination.is_contaminated(workspace, context.recipe, part, documents.num_rows)
    decisions = decide_documents(documents, signals, verdicts, context, task.payload["shares"], dirty)
    duplicates = verdicts.select(schemas.DUPLICATES.names).cast(schemas.DUPLICATES)
    outputs = (
        tables.write_table(workspace, part_file("decisions", part), decisions, schemas.DECISIONS),
        tables.write_table(workspace, part_file("duplicates", part), duplicates, schemas.DUPLICATES),
    )
    progress.beat(documents.num_rows, 0)
    return TaskManifest("decide", task.key, task.fingerprint, outputs, count_decisions(documents, decisions))


def _note_earlier(context: Context, task: Task, payloads: Iterable[Payload]) -> TaskManifest:
    """Write which documents of a part of an earlier build are linked to this one, for `verify`."""
    members = unpack(payloads, resolve.VERDICTS).select(EARLIER_MEMBERS.names).cast(EARLIER_MEMBERS)
    members = members.take(pc.sort_indices(members, sort_keys=[("row", "ascending")])).combine_chunks()
    path = part_file("earlier_members", task.payload["partition"])
    output = tables.write_table(context.workspace, path, members, EARLIER_MEMBERS)
    return TaskManifest("decide", task.key, task.fingerprint, (output,), {"earlier_members": members.num_rows})


def decide_documents(
    documents: pa.Table,
    signals: pa.Table,
    verdicts: pa.Table,
    context: Context,
    shares: dict[str, float],
    contaminated: np.ndarray,
) -> pa.Table:
    """Decide on every document of a part.

    Reasons come in the order: rules of the recipe, contaminated, duplicate by address, by text, nearly by text. A
    removed document is dropped for that alone: nothing else is known of it any more.

    Args:
        documents: [rows] without texts.
        signals: [rows].
        verdicts: [members] of this part, sorted by row.
        context: for rules and split.
        shares: held-out share per source.
        contaminated: bool [rows].

    Returns:
        [rows] table of `decisions`.
    """
    rules = recipe_rules(context.recipe)
    names = [*rules, contamination.REASON, *DUPLICATE_REASONS.values()]
    failed = np.zeros((documents.num_rows, len(names)), dtype=bool)
    failed[:, : len(rules)] = evaluate_rules(signals, documents["source"], rules)
    failed[:, len(rules)] = contaminated
    member_rows = verdicts["row"].to_numpy()
    kinds = verdicts["kind"].to_pylist()
    for offset, kind in enumerate(DUPLICATE_REASONS):
        failed[member_rows, len(rules) + 1 + offset] = [k == kind for k in kinds]
    failing = [[names[j] for j in np.flatnonzero(row)] for row in failed]
    for row in np.flatnonzero(is_removed(documents["edits"])):
        failing[row] = [REASON]
    split, split_key = _splits(documents, verdicts, context, shares)
    columns = [
        *(documents[name] for name in ("doc_id", "part", "row")),
        pa.array([not reasons for reasons in failing], pa.bool_()),
        pa.array([reasons[0] if reasons else None for reasons in failing], pa.string()),
        pa.array(failing, pa.list_(pa.string())),
        pa.array(split, pa.string()),
        pa.array(split_key, pa.string()),
    ]
    return pa.table(columns, schema=schemas.DECISIONS)


def _splits(
    documents: pa.Table, verdicts: pa.Table, context: Context, shares: dict[str, float]
) -> tuple[list[str], list[str]]:
    """Return split and split key of every document; members of a component follow their component."""
    keys = documents["content_hash"].to_pylist()
    sources = documents["source"].to_pylist()
    heldout = [is_heldout(key, shares[source], context.recipe.split) for key, source in zip(keys, sources, strict=True)]
    for row, component, drawn in zip(
        verdicts["row"].to_pylist(), verdicts["component_id"].to_pylist(), verdicts["heldout"].to_pylist(), strict=True
    ):
        keys[row], heldout[row] = component, drawn
    return ["heldout" if drawn else "train" for drawn in heldout], keys


def count_decisions(documents: pa.Table, decisions: pa.Table) -> dict[str, int]:
    """Count documents and text bytes by verdict, first reason, source and split."""
    counts: dict[str, int] = {"documents": documents.num_rows}
    rows = zip(
        documents["source"].to_pylist(),
        documents["text_bytes"].to_pylist(),
        decisions["kept"].to_pylist(),
        decisions["first_reason"].to_pylist(),
        decisions["split"].to_pylist(),
        strict=True,
    )
    for source, size, kept, reason, split in rows:
        verdict = "kept" if kept else "rejected"
        names = [verdict, f"source/{source}/{reason or 'kept'}"]
        if reason != REASON:  # of a removed document there is nothing to tokenize
            names.append(f"shard/{verdict}/{source}/{split}")
        if reason:
            names.append(f"dropped/{reason}")
        for name in names:
            counts[f"{name}/documents"] = counts.get(f"{name}/documents", 0) + 1
            counts[f"{name}/text_bytes"] = counts.get(f"{name}/text_bytes", 0) + size
    return counts


STAGE = ShuffleStage(
    name="decide",
    version=3,
    upstream=("measure", "contamination", "resolve"),
    scope="whole",
    literals=resolve.literals,
    plan_map=plan_map,
    plan_reduce=plan_reduce,
    map=run_map,
    reduce=run_reduce,
)
