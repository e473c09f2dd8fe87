"""resolve: inside every component, who stays and who repeats whom.

The map sends, for each member of a component, its order key, whether the other rules would keep it, its
signature and its exact shingle hashes. The reduce walks each component in a total order that no position
and no worker enters: (survivor policy, content hash, doc_id), among the eligible documents only, so that
no cluster loses all its members because its leader failed a rule. Kept documents of earlier builds come before
all of them, and are never removed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contracts import ids, manifest, tables
from pipelines.contracts.dedup import Near
from pipelines.contracts.manifest import TaskManifest
from pipelines.contracts.recipe import Recipe
from pipelines.contracts.schemas import field, table
from pipelines.contracts.tasks import Context, Lineage, Payload, Plan, Progress, ShuffleStage, Task, part_file, part_key
from pipelines.kernels.minhash import shingle_hashes
from pipelines.ops.duplicates import KINDS, describe_components, find_duplicates, may_be_near
from pipelines.ops.rules import evaluate_rules, recipe_rules, rule_signals
from pipelines.ops.splits import heldout_fractions
from pipelines.ops.survivors import instants, rehydration_weights, survivor_ranks
from pipelines.ops.tombstones import is_removed
from pipelines.stages import contamination, match
from pipelines.stages.earlier import earlier_labels, earlier_tasks, recipe_of
from pipelines.stages.lines import documents_stage
from pipelines.stages.measure import minhash_params
from pipelines.stages.members import MemberStore, member_schema
from pipelines.stages.payloads import node_partition, sorted_by_partition, split_by_partition

Column = pa.Array | pa.ChunkedArray
VERDICTS = table(
    "resolve",
    "What resolve found for every member of a component, before it is brought home to its part.",
    [
        field("part", pa.int32(), "number of the part"),
        field("row", pa.int32(), "row in the part"),
        field("component_id", pa.string(), "least content_hash of the component"),
        field("component_size", pa.int32(), "members", "documents"),
        field("kind", pa.string(), "url, exact or near if it was removed for that", nullable=True),
        field("leader", pa.string(), "doc_id of the kept document that it repeats", nullable=True),
        field("leader_build", pa.string(), "earlier build in which the leader lies", nullable=True),
        field("similarity", pa.float64(), "exact Jaccard similarity with the leader", nullable=True),
        field(
            "cluster_size",
            pa.int32(),
            "documents that it stands for, itself included; 0 if it does not stay",
            "documents",
        ),
        field(
            "rehydration_weight", pa.int32(), "how often to repeat it, by cluster_size; 0 if it does not stay", "times"
        ),
        field("heldout", pa.bool_(), "split of the whole component"),
    ],
)


def literals(recipe: Recipe) -> object:
    """Return the literals that the verdicts depend on."""
    rules = {name: rule.model_dump(mode="json") for name, rule in recipe_rules(recipe).items()}
    dedup = recipe.dedup.model_dump(mode="json", exclude={"max_edges", "against"})
    split = recipe.split.model_dump(mode="json")
    if recipe.dedup.against:
        dedup["against"] = earlier_labels(recipe)
    return [dedup, rules, split, contamination.verdict_literals(recipe)]


def plan_map(context: Context, plan: Plan, lineage: Lineage) -> list[Task]:
    """Make one map task per part that has members, of this build and of every earlier one."""
    members = {output.path for output in manifest.read_stage(context.workspace, "components").outputs}
    payload = {"partitions": match.partitions(context.recipe, plan), "shares": heldout_shares(context)}
    mark = lineage.of("resolve")
    builds = len(context.recipe.dedup.against)
    tasks = [
        Task("resolve", part.key, mark, {"part": part.number, "node_part": part.number, "build": builds, **payload})
        for part in plan.parts
    ]
    tasks += earlier_tasks("resolve", mark, context.recipe, payload)
    return [task for task in tasks if part_file("components", task.payload["node_part"]) in members]


def heldout_shares(context: Context) -> dict[str, float]:
    """Return which share of the documents of every source is held out."""
    counts = manifest.read_stage(context.workspace, documents_stage(context.recipe)).counts
    sizes = {source.name: counts.get(f"source/{source.name}/text_bytes", 0) for source in context.recipe.sources}
    return heldout_fractions(sizes, context.recipe.split)


def plan_reduce(context: Context, plan: Plan, lineage: Lineage) -> list[Task]:
    """Make one reduce task per partition of the components."""
    count = match.partitions(context.recipe, plan)
    mark, labels = lineage.of("resolve"), earlier_labels(context.recipe)
    return [Task("resolve", part_key(p), mark, {"partition": p, "labels": labels}) for p in range(count)]


def run_map(context: Context, task: Task, progress: Progress) -> Iterator[tuple[int, bytes]]:
    """Send the members of one part to the partitions of their components (only the texts are streamed)."""
    part, workspace = task.payload["part"], task.payload.get("earlier", context.workspace)
    members = tables.read_table(context.workspace, part_file("components", task.payload["node_part"]))
    wanted, labels = members["row"].to_numpy(), members["component"].to_numpy()
    earlier, recipe = "earlier" in task.payload, context.recipe
    sketches = tables.read_table(workspace, part_file("signatures", part), match.SKETCH_COLUMNS)
    table, columns = ("decisions", ["split"]) if earlier else ("signals", _signal_columns(recipe))
    judged = tables.read_table(workspace, part_file(table, part), columns)
    dirty = np.zeros(len(wanted), bool) if earlier else contamination.is_contaminated(workspace, recipe, part, wanted)
    for documents in tables.read_batches(workspace, part_file("documents", part), _DOCUMENT_COLUMNS, _BATCH_BYTES):
        first = documents["row"][0].as_py()
        low, high = np.searchsorted(wanted, [first, first + documents.num_rows])
        if low == high:
            continue
        homes = node_partition(labels[low:high], task.payload["partitions"])
        order, homes = sorted_by_partition(homes)
        here = low + order
        at, rows = pa.array(wanted[here]), wanted[here].astype(np.int64) - first
        chosen = documents.drop_columns(["text"]).take(pa.array(rows))
        if earlier:
            own = _of_earlier(recipe, task, chosen, judged["split"].take(at))
        else:
            own = _of_this_build(recipe, task, chosen, judged.take(at), dirty[here])
        batch = _batch(recipe, task, chosen, sketches.take(at), labels[here], own, Texts(documents["text"], rows))
        yield from split_by_partition(batch, homes)
        progress.beat(len(rows), int(pc.sum(chosen["text_bytes"]).as_py()))


_BATCH_BYTES = 16 << 20  # of documents that are read and sent together: every batch costs the reduce, too
_DOCUMENT_COLUMNS = [
    "row",
    "doc_id",
    "native_id",
    "source",
    "url",
    "date",
    "text",
    "text_bytes",
    "content_hash",
    "edits",
]


def _signal_columns(recipe: Recipe) -> list[str]:
    """Return the signals that decide who is eligible and who is best."""
    quality = [recipe.dedup.quality.signal] if recipe.dedup.quality else []
    return list(dict.fromkeys([*rule_signals(recipe_rules(recipe)), *quality]))


class Texts(NamedTuple):
    """Some rows of a column of texts, which are not copied out of it.

    Attributes:
        column: texts.
        rows: int64 [rows].
    """

    column: pa.ChunkedArray
    rows: np.ndarray


def _of_this_build(
    recipe: Recipe, task: Task, documents: pa.Table, signals: pa.Table, contaminated: np.ndarray
) -> dict[str, Column]:
    """Say of some members whether the other rules would keep them, and how good they are."""
    failed = evaluate_rules(signals, documents["source"], recipe_rules(recipe)).any(axis=1) | contaminated
    failed |= is_removed(documents["edits"])
    shares, instant = task.payload["shares"], instants(documents["date"])
    return {
        "earlier_split": pa.nulls(len(failed), pa.string()),
        "url_hash": ids.hash_column(*match.url_hashes(documents, recipe)),
        "instant": pa.array(instant),
        "eligible": pa.array(~failed),
        "rank": pa.array(survivor_ranks(documents, signals, instant, recipe.dedup)),
        "share": pa.array([shares[source] for source in documents["source"].to_pylist()], pa.float64()),
    }


def _of_earlier(recipe: Recipe, task: Task, documents: pa.Table, split: pa.ChunkedArray) -> dict[str, Column]:
    """Say the same of some kept documents of an earlier build; no rule or policy is asked about them."""
    count = documents.num_rows
    theirs = recipe_of(task.payload["earlier"]).model_copy(update={"dedup": recipe.dedup})
    return {
        "earlier_split": split,
        "url_hash": ids.hash_column(*match.url_hashes(documents, theirs)),
        "instant": pa.array(instants(documents["date"])),
        "eligible": pa.array(np.ones(count, bool)),
        "rank": pa.array(np.zeros(count, np.int64)),
        "share": pa.array(np.zeros(count)),
    }


def _batch(
    recipe: Recipe,
    task: Task,
    documents: pa.Table,
    sketches: pa.Table,
    labels: np.ndarray,
    own: dict[str, Column],
    texts: Texts,
) -> pa.RecordBatch:
    """Lay out members: place, identity and sketches are the same for those of this build and of earlier ones."""
    columns = own | {
        "component": pa.array(labels),
        "build": pa.array(np.full(len(labels), task.payload["build"], np.int32)),
        "part": pa.array(np.full(len(labels), task.payload["node_part"], np.int32)),
        **{name: documents[name] for name in ("row", "doc_id", "content_hash")},
        **{name: sketches[name] for name in match.SKETCH_COLUMNS},
    }
    compared = may_be_near(columns["eligible"].to_numpy(zero_copy_only=False), columns["n_words"].to_numpy(), recipe)
    near = recipe.dedup.near or Near()
    columns["shingles"] = _shingles(texts, compared, near)
    schema = member_schema(near.num_perm)
    return pa.table([columns[name] for name in schema.names], schema=schema).combine_chunks().to_batches()[0]


def _shingles(texts: Texts, compared: np.ndarray, near: Near) -> pa.LargeListArray:
    """Hash the shingles of the texts that will be compared; the others have none."""
    hashes, ends = shingle_hashes(texts.column, minhash_params(near), texts.rows[compared])
    offsets = np.zeros(len(compared) + 1, np.int64)
    offsets[1:][compared] = np.diff(ends)
    return pa.LargeListArray.from_arrays(pa.array(np.cumsum(offsets)), pa.array(hashes))


def run_reduce(context: Context, task: Task, payloads: Iterable[Payload], progress: Progress) -> TaskManifest:
    """Resolve every component of one partition."""
    dedup = context.recipe.dedup
    num_perm = (dedup.near or Near()).num_perm
    with MemberStore(payloads, num_perm, dedup.partition_mb * 1_000_000) as members:
        verdicts = resolve_members(members, context.recipe, task.payload["labels"])
        progress.beat(members.light.num_rows, int(members.sizes.sum()))
        spilled = int(members.spilled)
    output = tables.write_table(context.workspace, part_file("resolve", task.payload["partition"]), verdicts, VERDICTS)
    kinds = Counter(kind for kind in verdicts["kind"].to_pylist() if kind)
    counts = {"documents": verdicts.num_rows, "spilled_partitions": spilled}
    counts |= {f"removed/{kind}": count for kind, count in sorted(kinds.items())}
    return TaskManifest("resolve", task.key, task.fingerprint, (output,), counts)


def resolve_members(members: MemberStore, recipe: Recipe, labels: Sequence[str] = ()) -> pa.Table:
    """Decide, component by component, who is removed as a duplicate of whom.

    Args:
        members: of one partition.
        recipe: thresholds and policies.
        labels: names of the earlier builds.

    Returns:
        [rows] table of VERDICTS.
    """
    light = members.light
    found = find_duplicates(light, members.load, members.sizes, recipe)
    shared = describe_components(light, recipe)
    stays = found.kind < 0
    by_address = found.kind == KINDS.index("url")
    columns = [
        light["part"],
        light["row"],
        shared.id,
        pa.array(shared.size),
        pa.DictionaryArray.from_arrays(pa.array(found.kind, mask=stays), pa.array(KINDS)).cast(pa.string()),
        light["doc_id"].combine_chunks().take(pa.array(found.leader, mask=stays)),
        pa.array([*labels, None], pa.string()).take(pa.array(light["build"].to_numpy()[found.leader])),
        pa.array(found.similarity, mask=stays | by_address),
        pa.array(found.cluster_size.astype(np.int32)),
        pa.array(rehydration_weights(found.cluster_size, recipe.dedup.rehydration)),
        pa.array(shared.heldout),
    ]
    return pa.table(columns, schema=VERDICTS)


STAGE = ShuffleStage(
    name="resolve",
    version=3,
    upstream=("components", "contamination"),
    scope="whole",
    literals=literals,
    plan_map=plan_map,
    plan_reduce=plan_reduce,
    map=run_map,
    reduce=run_reduce,
)
