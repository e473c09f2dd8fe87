"""resolve: inside every component, who stays and who repeats whom.

The map sends, for each member of a component, its order key, whether the other rules would keep it, its
signature and its exact shingle hashes. The reduce walks each component in a total order that no position
and no worker enters: (survivor policy, content hash, doc_id), among the eligible documents only, so that
no cluster loses all its members because its leader failed a rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contracts import ids, manifest, tables
from pipelines.contracts.manifest import TaskManifest
from pipelines.contracts.recipe import Near, Recipe
from pipelines.contracts.schemas import field, table
from pipelines.contracts.tasks import Context, Lineage, Plan, Progress, ShuffleStage, Task, part_file, part_key
from pipelines.kernels.leader_scan import leader_scan
from pipelines.kernels.lsh import band_keys
from pipelines.kernels.minhash import shingle_hashes
from pipelines.ops.rules import evaluate_rules, recipe_rules
from pipelines.ops.splits import heldout_fractions, is_heldout
from pipelines.stages import contamination, match
from pipelines.stages.lines import documents_stage
from pipelines.stages.measure import minhash_params
from pipelines.stages.payloads import split_by_partition, unpack

VERDICTS = table(
    "resolve",
    "What resolve found for every member of a component, before it is brought home to its part.",
    [
        field("part", pa.int32(), "number of the part"),
        field("row", pa.int32(), "row in the part"),
        field("component_id", pa.string(), "least content_hash of the component"),
        field("component_size", pa.int32(), "members", "documents"),
        field("kind", pa.string(), "exact or near if it was removed for that", nullable=True),
        field("leader", pa.string(), "doc_id of the kept document that it repeats", nullable=True),
        field("similarity", pa.float64(), "exact Jaccard similarity with the leader", nullable=True),
        field("heldout", pa.bool_(), "split of the whole component"),
    ],
)


def _member_schema(num_perm: int) -> pa.Schema:
    return pa.schema(
        [
            ("component", pa.uint64()),
            ("part", pa.int32()),
            ("row", pa.int32()),
            ("doc_id", pa.string()),
            ("content_hash", pa.string()),
            ("eligible", pa.bool_()),
            ("rank", pa.int64()),  # survivor policy: less is better
            ("share", pa.float64()),  # held-out share of its source
            ("n_words", pa.int32()),
            ("signature", pa.list_(pa.uint32(), num_perm)),
            ("shingles", pa.large_list(pa.uint64())),
        ]
    )


def literals(recipe: Recipe) -> object:
    """Return the literals that the verdicts depend on."""
    rules = {name: rule.model_dump(mode="json") for name, rule in recipe_rules(recipe).items()}
    dedup, split = recipe.dedup.model_dump(mode="json", exclude={"max_edges"}), recipe.split.model_dump(mode="json")
    return [dedup, rules, split, contamination.verdict_literals(recipe)]


def plan_map(context: Context, plan: Plan, lineage: Lineage) -> list[Task]:
    """Make one map task per part that has members."""
    members = {output.path for output in manifest.read_stage(context.workspace, "components").outputs}
    ingested = manifest.read_stage(context.workspace, documents_stage(context.recipe)).counts
    payload = {
        "partitions": match.partitions(context.recipe, plan),
        "shares": heldout_fractions(_source_bytes(ingested, context.recipe), context.recipe.split),
    }
    mark = lineage.of("resolve")
    return [
        Task("resolve", part.key, mark, {"part": part.number, **payload})
        for part in plan.parts
        if part_file("components", part.number) in members
    ]


def _source_bytes(counts: dict[str, int], recipe: Recipe) -> dict[str, int]:
    return {source.name: counts.get(f"source/{source.name}/text_bytes", 0) for source in recipe.sources}


def plan_reduce(context: Context, plan: Plan, lineage: Lineage) -> list[Task]:
    """Make one reduce task per partition of the components."""
    count = match.partitions(context.recipe, plan)
    return [Task("resolve", part_key(p), lineage.of("resolve"), {"partition": p}) for p in range(count)]


def run_map(context: Context, task: Task, progress: Progress) -> Iterator[tuple[int, bytes]]:
    """Send the members of one part to the partitions of their components (only the texts are streamed)."""
    part, workspace = task.payload["part"], context.workspace
    members = tables.read_table(workspace, part_file("components", part))
    wanted, labels = members["row"].to_numpy(), members["component"].to_numpy()
    at = pa.array(wanted)
    signals = tables.read_table(workspace, part_file("signals", part)).take(at)
    sketches = tables.read_table(workspace, part_file("signatures", part)).take(at)
    dirty = contamination.is_contaminated(workspace, context.recipe, part, wanted)
    for documents in tables.read_batches(workspace, part_file("documents", part), _DOCUMENT_COLUMNS):
        first = documents["row"][0].as_py()
        low, high = np.searchsorted(wanted, [first, first + documents.num_rows])
        if low == high:
            continue
        chosen = documents.take(pa.array(wanted[low:high] - first))
        here = slice(low, high)
        batch = _members(context.recipe, task, chosen, signals[here], sketches[here], labels[here], dirty[here])
        yield from split_by_partition(batch, component_partition(labels[here], task.payload["partitions"]))
        progress.beat(int(high - low), chosen["text"].nbytes)


_DOCUMENT_COLUMNS = ["row", "doc_id", "content_hash", "source", "text", "text_bytes"]


def component_partition(labels: np.ndarray, partitions: int) -> np.ndarray:
    """Assign components to partitions; labels are positions, so they are spread first (Fibonacci hashing)."""
    return ids.partition_of(labels * np.uint64(0x9E3779B97F4A7C15), partitions)


def _members(
    recipe: Recipe,
    task: Task,
    documents: pa.Table,
    signals: pa.Table,
    sketches: pa.Table,
    labels: np.ndarray,
    contaminated: np.ndarray,
) -> pa.RecordBatch:
    """Collect what the reduce needs to know about some members of components."""
    near = recipe.dedup.near or Near()
    failed = evaluate_rules(signals, documents["source"], recipe_rules(recipe)).any(axis=1) | contaminated
    text_bytes = documents["text_bytes"].to_numpy()
    rank = -text_bytes if recipe.dedup.survivor == "longest" else np.zeros_like(text_bytes)
    hashes, offsets = shingle_hashes(documents["text"].combine_chunks(), minhash_params(near))
    shares = task.payload["shares"]
    columns = [
        pa.array(labels),
        signals["part"],
        documents["row"],
        documents["doc_id"],
        documents["content_hash"],
        pa.array(~failed),
        pa.array(rank),
        pa.array([shares[source] for source in documents["source"].to_pylist()], pa.float64()),
        sketches["n_words"],
        sketches["signature"],
        pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(hashes)),
    ]
    rows = pa.table(columns, schema=_member_schema(near.num_perm)).combine_chunks()
    return rows.to_batches()[0]


def run_reduce(context: Context, task: Task, payloads: Iterable[bytes], progress: Progress) -> TaskManifest:
    """Resolve every component of one partition."""
    recipe = context.recipe
    near = recipe.dedup.near or Near()
    members = unpack(payloads, _member_schema(near.num_perm))
    order = [("component", "ascending"), ("rank", "ascending"), ("content_hash", "ascending"), ("doc_id", "ascending")]
    members = members.take(pc.sort_indices(members, sort_keys=order)).combine_chunks()
    verdicts = resolve_members(members, recipe)
    output = tables.write_table(context.workspace, part_file("resolve", task.payload["partition"]), verdicts, VERDICTS)
    progress.beat(members.num_rows, members.nbytes)
    kinds = pc.value_counts(verdicts["kind"].drop_null()).to_pylist()
    counts = {"documents": members.num_rows, **{f"removed/{k['values']}": k["counts"] for k in kinds}}
    return TaskManifest("resolve", task.key, task.fingerprint, (output,), counts)


def resolve_members(members: pa.Table, recipe: Recipe) -> pa.Table:
    """Decide, component by component, who is removed as a duplicate of whom.

    Args:
        members: [rows] sorted by component and then best first.
        recipe: thresholds.

    Returns:
        [rows] table of VERDICTS.
    """
    leader, similarity = _scan(members, recipe)
    own = np.arange(members.num_rows)
    removed = leader != own
    hashes = members["content_hash"].to_pylist()
    doc_ids = members["doc_id"].to_pylist()
    kind = [_kind(hashes, i, int(leader[i])) if removed[i] else None for i in own]
    component, size, heldout = _component_columns(members, recipe)
    columns = [
        members["part"],
        members["row"],
        pa.array(component, pa.string()),
        pa.array(size, pa.int32()),
        pa.array(kind, pa.string()),
        pa.array([doc_ids[leader[i]] if removed[i] else None for i in own], pa.string()),
        pa.array([float(similarity[i]) if removed[i] else None for i in own], pa.float64()),
        pa.array(heldout, pa.bool_()),
    ]
    return pa.table(columns, schema=VERDICTS)


def _kind(hashes: list[str], row: int, leader: int) -> str:
    return "exact" if hashes[row] == hashes[leader] else "near"


def _scan(members: pa.Table, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """Run the exact phase, then the leader scan on one representative per text; both among eligible rows.

    Returns:
        (leader int64 [rows], similarity float64 [rows]); a row that stays is its own leader.
    """
    leader = np.arange(members.num_rows)
    similarity = np.ones(members.num_rows)
    eligible = np.flatnonzero(members["eligible"].to_numpy())
    representative = _first_of_each_text(members, eligible) if recipe.dedup.exact else leader
    scanned = eligible[representative[eligible] == eligible]
    near = recipe.dedup.near
    if near is not None:
        long_enough = members["n_words"].to_numpy()[scanned] >= near.ngram
        scanned = scanned[long_enough]
        found, value = _near_scan(members, scanned, near)
        leader[scanned], similarity[scanned] = scanned[found], value
    copies = eligible[representative[eligible] != eligible]
    leader[copies] = leader[representative[copies]]
    similarity[copies] = similarity[representative[copies]]
    return leader, similarity


def _first_of_each_text(members: pa.Table, eligible: np.ndarray) -> np.ndarray:
    """Return, per row, the best eligible row with the same text (itself if it is not eligible)."""
    first: dict[tuple[int, str], int] = {}
    keys = list(zip(members["component"].to_pylist(), members["content_hash"].to_pylist(), strict=True))
    best = np.arange(members.num_rows)
    for row in eligible.tolist():
        best[row] = first.setdefault(keys[row], row)
    return best


def _near_scan(members: pa.Table, rows: np.ndarray, near: Near) -> tuple[np.ndarray, np.ndarray]:
    chosen = members.select(["signature", "shingles"]).take(pa.array(rows)).combine_chunks()
    signature = chosen["signature"].combine_chunks().flatten().to_numpy().reshape(-1, near.num_perm)
    shingles = chosen["shingles"].combine_chunks()
    if isinstance(shingles, pa.ChunkedArray):
        shingles = pa.concat_arrays(shingles.chunks)
    offsets = shingles.offsets.to_numpy() - shingles.offsets[0].as_py() if len(rows) else np.zeros(1, np.int64)
    keys = band_keys(signature, near.bands, near.rows)
    return leader_scan(keys, signature, shingles.flatten().to_numpy(), offsets, near.threshold)


def _component_columns(members: pa.Table, recipe: Recipe) -> tuple[list[str], list[int], list[bool]]:
    """Return component id, size and split of every row (the same for all rows of a component)."""
    labels = members["component"].to_numpy()
    hashes = members["content_hash"].to_pylist()
    shares = members["share"].to_numpy()
    starts = np.flatnonzero(np.r_[True, labels[1:] != labels[:-1]]) if len(labels) else np.zeros(0, np.int64)
    ends = np.append(starts[1:], len(labels)) if len(labels) else starts
    component: list[str] = []
    size: list[int] = []
    heldout: list[bool] = []
    for start, end in zip(starts, ends, strict=True):
        count = int(end - start)
        name = min(hashes[start:end])
        small = count <= recipe.split.max_component
        drawn = small and is_heldout(name, float(shares[start:end].min()), recipe.split)
        component += [name] * count
        size += [count] * count
        heldout += [drawn] * count
    return component, size, heldout


STAGE = ShuffleStage(
    name="resolve",
    version=1,
    upstream=("components", "contamination"),
    scope="whole",
    literals=literals,
    plan_map=plan_map,
    plan_reduce=plan_reduce,
    map=run_map,
    reduce=run_reduce,
)
