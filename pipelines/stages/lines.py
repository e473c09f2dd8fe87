"""lines: what is repeated comes home to its part and is cut out; no task without `lines` in the recipe.

With this stage, `ingest` writes its documents to `ingested/`, and those of the table `documents` are these without the
repeated lines: everything downstream reads the text that is measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contracts import manifest, schemas, tables
from pipelines.contracts.manifest import TaskManifest
from pipelines.contracts.recipe import Lines, Recipe
from pipelines.contracts.tasks import Context, Lineage, Payload, Plan, Progress, ShuffleStage, Task, part_file
from pipelines.ops.lines import match_units, units_of, without_units
from pipelines.stages import ingest, line_counts
from pipelines.stages.line_counts import REPEATED
from pipelines.stages.payloads import part_and_row, split_by_partition, unpack


def documents_stage(recipe: Recipe) -> str:
    """Return the stage that writes the table `documents`; both count `text_bytes` per source."""
    return "ingest" if recipe.lines is None else "lines"


def plan_map(context: Context, plan: Plan, lineage: Lineage) -> list[Task]:
    """Make one map task per file of `line_counts`."""
    outputs = manifest.read_stage(context.workspace, "line_counts").outputs
    mark = lineage.of("lines")
    return [Task("lines", f"{i:05d}", mark, {"path": output.path}) for i, output in enumerate(outputs)]


def plan_reduce(context: Context, plan: Plan, lineage: Lineage) -> list[Task]:
    """Make one reduce task per part."""
    mark = lineage.of("lines")
    return [Task("lines", part.key, mark, {"partition": part.number, "source": part.source}) for part in plan.parts]


def run_map(context: Context, task: Task, progress: Progress) -> Iterator[tuple[int, bytes]]:
    """Send what is repeated to its parts."""
    repeated = tables.read_table(context.workspace, task.payload["path"]).combine_chunks()
    progress.beat(repeated.num_rows, 0)
    for batch in repeated.to_batches():
        yield from split_by_partition(batch, part_and_row(batch.column("node").to_numpy())[0])


def run_reduce(context: Context, task: Task, payloads: Iterable[Payload], progress: Progress) -> TaskManifest:
    """Cut the repeated units out of the documents of one part."""
    part, workspace, lines = task.payload["partition"], context.workspace, context.recipe.lines
    assert lines is not None
    repeated = unpack(payloads, REPEATED)
    repeated = repeated.take(pc.sort_indices(repeated, sort_keys=[("node", "ascending"), ("key", "ascending")]))
    before = after = changed = 0
    with (
        tables.TableWriter(workspace, part_file("documents", part), schemas.DOCUMENTS) as documents,
        tables.TableWriter(workspace, part_file("removed_lines", part), schemas.REMOVED_LINES) as removed,
    ):
        for batch in tables.read_batches(workspace, ingest.documents_file(context.recipe, part)):
            gone = find_removed(part, batch, repeated, lines)
            removed.write(gone)
            row = gone["row"].to_numpy() - batch["row"][0].as_py()
            rest = without_units(batch, row, gone["start"].to_numpy(), gone["end"].to_numpy())
            documents.write(rest)
            before, after = (n + pc.sum(t["text_bytes"]).as_py() for n, t in ((before, batch), (after, rest)))
            changed += len(np.unique(row))
            progress.beat(batch.num_rows, batch["text"].nbytes)
    source = task.payload["source"]
    counts = {"documents": documents.rows, "changed": changed, "removed": removed.rows}
    counts |= {"text_bytes": after, "removed_bytes": before - after}
    counts |= {f"source/{source}/{name}": count for name, count in counts.items()}
    outputs = tuple(writer.output for writer in (documents, removed) if writer.output is not None)
    return TaskManifest("lines", task.key, task.fingerprint, outputs, counts)


def find_removed(part: int, documents: pa.Table, repeated: pa.Table, lines: Lines) -> pa.Table:
    """Find where the repeated units lie in the texts of some documents.

    Args:
        part: number of the part.
        documents: [rows] consecutive documents of the part, before anything is cut.
        repeated: [listed] table of REPEATED of the part, sorted by node and key.
        lines: the recipe's section.

    Returns:
        Table of REMOVED_LINES, in the order of rows and of the texts.
    """
    first = documents["row"][0].as_py()
    rows = part_and_row(repeated["node"].to_numpy())[1]
    low, high = np.searchsorted(rows, [first, first + documents.num_rows])
    here = repeated[int(low) : int(high)]
    units = units_of(documents["text"].combine_chunks(), lines)
    found = match_units(units, rows[low:high].astype(np.int64) - first, here["key"].to_numpy())
    goes = np.flatnonzero(found >= 0)
    chosen = here.take(pa.array(found[goes]))
    keeper_part, keeper_row = part_and_row(chosen["keeper"].to_numpy())
    kept = np.full(len(goes), lines.keep == "one")
    columns = [
        pa.array(np.full(len(goes), part, np.int32)),
        pa.array((units.row[goes] + first).astype(np.int32)),
        pa.array(units.start[goes]),
        pa.array(units.end[goes]),
        chosen["key"],
        chosen["documents"],
        *(pa.array(column, mask=~kept) for column in (keeper_part, keeper_row)),
    ]
    return pa.table(columns, schema=schemas.REMOVED_LINES)


def _literals(recipe: Recipe) -> object:
    return None  # all of them are those of line_counts, which lie upstream


STAGE = ShuffleStage(
    name="lines",
    version=1,
    upstream=("line_counts", "ingest"),
    scope="whole",
    literals=_literals,
    plan_map=plan_map,
    plan_reduce=plan_reduce,
    map=run_map,
    reduce=run_reduce,
    idle=line_counts.is_idle,
)
