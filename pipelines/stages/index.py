"""index: where a document lies, by the hash of its id, native id or URL; `explain` reads one partition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contracts import ids, schemas, tables
from pipelines.contracts.manifest import TaskManifest
from pipelines.contracts.recipe import Recipe
from pipelines.contracts.tasks import Context, Lineage, Payload, Plan, Progress, ShuffleStage, Task, part_file, part_key
from pipelines.stages import match
from pipelines.stages.payloads import split_by_partition, unpack

KINDS = ("doc_id", "native_id", "url")


def partition_count(recipe: Recipe, plan: Plan) -> int:
    """Return the number of partitions of the index."""
    return match.partitions(recipe, plan)


def plan_map(context: Context, plan: Plan, lineage: Lineage) -> list[Task]:
    """Make one map task per part."""
    count, mark = partition_count(context.recipe, plan), lineage.of("index")
    return [Task("index", part.key, mark, {"part": part.number, "partitions": count}) for part in plan.parts]


def plan_reduce(context: Context, plan: Plan, lineage: Lineage) -> list[Task]:
    """Make one reduce task per partition of the keys."""
    count, mark = partition_count(context.recipe, plan), lineage.of("index")
    return [Task("index", part_key(p), mark, {"partition": p}) for p in range(count)]


def run_map(context: Context, task: Task, progress: Progress) -> Iterator[tuple[int, bytes]]:
    """Emit the keys of one part."""
    part = task.payload["part"]
    documents = tables.read_table(context.workspace, part_file("documents", part), ["part", "row", *KINDS])
    for kind in KINDS:
        named = documents.filter(pc.is_valid(documents[kind]))
        keys = np.array([ids.key64(value) for value in named[kind].to_pylist()], np.uint64)
        names = pa.array([kind] * len(keys), pa.string())
        columns = [pa.array(keys), names, named["part"].combine_chunks(), named["row"].combine_chunks()]
        batch = pa.record_batch(columns, schema=schemas.INDEX)
        yield from split_by_partition(batch, ids.partition_of(keys, task.payload["partitions"]))
    progress.beat(documents.num_rows, 0)


def run_reduce(context: Context, task: Task, payloads: Iterable[Payload], progress: Progress) -> TaskManifest:
    """Write one partition of the index, sorted by key."""
    rows = unpack(payloads, schemas.INDEX)
    order = [(name, "ascending") for name in ("key", "kind", "part", "row")]
    rows = rows.take(pc.sort_indices(rows, sort_keys=order))
    path = part_file("index", task.payload["partition"])
    output = tables.write_table(context.workspace, path, rows, schemas.INDEX)
    progress.beat(rows.num_rows, 0)
    return TaskManifest("index", task.key, task.fingerprint, (output,), {"entries": rows.num_rows})


def _literals(recipe: Recipe) -> object:
    return recipe.dedup.partition_mb


STAGE = ShuffleStage(
    name="index",
    version=1,
    upstream=("lines",),
    scope="whole",
    literals=_literals,
    plan_map=plan_map,
    plan_reduce=plan_reduce,
    map=run_map,
    reduce=run_reduce,
)
