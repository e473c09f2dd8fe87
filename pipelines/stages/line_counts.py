"""line_counts: in how many texts every line (or paragraph) occurs, and who keeps it; no task without `lines` in the recipe.

Like C4, one document keeps a line that many share; unlike C4's, which looks at lines only, the unit, its least
length and the number of documents from which on it goes are the recipe's (Raffel et al. 2019, arXiv:1910.10683).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from pipelines.contracts import tables
from pipelines.contracts.ids import partition_of
from pipelines.contracts.manifest import TaskManifest
from pipelines.contracts.recipe import Recipe
from pipelines.contracts.schemas import field, table
from pipelines.contracts.tasks import Context, Lineage, Payload, Plan, Progress, ShuffleStage, Task, part_file, part_key
from pipelines.ops.lines import ENTRY, distinct_entries, find_repeated, units_of
from pipelines.stages import ingest, match
from pipelines.stages.payloads import node_of, split_records

REPEATED = table(
    "line_counts",
    "Units that documents lose because many share them, before they are brought home to their parts.",
    [
        field("node", pa.uint64(), "part << 32 | row of a document that loses the unit"),
        field("key", pa.uint64(), "64-bit hash of the normalised unit"),
        field("documents", pa.int32(), "distinct texts that hold it", "documents"),
        field("keeper", pa.uint64(), "part << 32 | row of the document that keeps it"),
    ],
)


def literals(recipe: Recipe) -> object:
    """Return the section `lines`."""
    return recipe.lines and [recipe.lines.model_dump(mode="json"), recipe.dedup.partition_mb]


def is_idle(recipe: Recipe) -> bool:
    """Say whether the recipe has no section `lines`."""
    return recipe.lines is None


def plan_map(context: Context, plan: Plan, lineage: Lineage) -> list[Task]:
    """Make one map task per part of a source that counts."""
    lines, mark = context.recipe.lines, lineage.of("line_counts")
    count = match.partitions(context.recipe, plan)
    return [
        Task("line_counts", part.key, mark, {"part": part.number, "partitions": count})
        for part in plan.parts
        if lines is not None and lines.concerns(part.source)
    ]


def plan_reduce(context: Context, plan: Plan, lineage: Lineage) -> list[Task]:
    """Make one reduce task per partition of the keys."""
    mark = lineage.of("line_counts")
    count = match.partitions(context.recipe, plan)
    return [Task("line_counts", part_key(p), mark, {"partition": p}) for p in range(count)]


def run_map(context: Context, task: Task, progress: Progress) -> Iterator[tuple[int, bytes]]:
    """Emit the distinct units of the documents of one part."""
    for batch in tables.read_batches(
        context.workspace, ingest.documents_file(context.recipe, task.payload["part"]), ["row", "text", "content_hash"]
    ):
        yield from emit_units(context.recipe, task.payload["part"], batch, task.payload["partitions"])
        progress.beat(batch.num_rows, batch["text"].nbytes)


def emit_units(recipe: Recipe, part: int, batch: pa.Table, partitions: int) -> Iterator[tuple[int, bytes]]:
    """Pack the distinct units of some documents per partition of their keys."""
    assert recipe.lines is not None
    nodes = node_of(part, batch["row"].to_numpy())
    entries = distinct_entries(units_of(batch["text"].combine_chunks(), recipe.lines), batch["content_hash"], nodes)
    yield from split_records(partition_of(entries["key"], partitions), entries)


def run_reduce(context: Context, task: Task, payloads: Iterable[Payload], progress: Progress) -> TaskManifest:
    """Find what is repeated in one partition."""
    assert context.recipe.lines is not None
    entries = np.frombuffer(b"".join(payloads), ENTRY)
    found = find_repeated(entries, context.recipe.lines)
    rows = pa.table([pa.array(column) for column in found], schema=REPEATED)
    path = part_file("line_counts", task.payload["partition"])
    output = tables.write_table(context.workspace, path, rows, REPEATED)
    progress.beat(0, entries.nbytes)
    counts = {"entries": len(entries), "repeated": rows.num_rows, "repeated_units": len(np.unique(found.key))}
    return TaskManifest("line_counts", task.key, task.fingerprint, (output,), counts)


STAGE = ShuffleStage(
    name="line_counts",
    version=1,
    upstream=("ingest",),
    scope="whole",
    literals=literals,
    plan_map=plan_map,
    plan_reduce=plan_reduce,
    map=run_map,
    reduce=run_reduce,
    idle=is_idle,
)
