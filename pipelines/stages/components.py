"""components: documents that are linked by edges, with the least of them as the label; output by part.

Up to `dedup.max_edges` edges, one map task finds all components in memory. Above, the stage is planned again
and again: a round of large-star or small-star over all partitions, until a large-star round finds nothing
but stars (pipelines/ops/stars.py); which round is next is read from the manifests. The same labels come out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from pipelines.contracts import manifest, tables
from pipelines.contracts.manifest import TaskManifest
from pipelines.contracts.recipe import Recipe
from pipelines.contracts.schemas import field, table
from pipelines.contracts.tasks import Context, Lineage, Payload, Plan, Progress, ShuffleStage, Task, part_file, part_key
from pipelines.ops.stars import label_components, large_star, small_star
from pipelines.stages import match
from pipelines.stages.earlier import earlier_builds
from pipelines.stages.payloads import join_keys, node_partition, part_and_row, split_entries

COMPONENTS = table(
    "components",
    "Documents of components of two or more.",
    [
        field("row", pa.int32(), "row of the document in its part"),
        field("component", pa.uint64(), "part << 32 | row of the least document of the component"),
    ],
)
_FINISHED = -1


def next_round(context: Context, plan: Plan, lineage: Lineage) -> int:
    """Return the number of the round that is next; even ones are large-star; -1 if labels can go home to their parts."""
    if manifest.read_stage(context.workspace, "match").counts["edges"] <= context.recipe.dedup.max_edges:
        return _FINISHED
    mark = lineage.of("components")
    done = {k: t for k, t in manifest.read_tasks(context.workspace, "components").items() if t.fingerprint == mark}
    if all(part_key(number) in done for number in _parts(context, plan)):
        return _FINISHED
    partitions = match.partitions(context.recipe, plan)
    rounds = [task.counts["round"] for task in done.values() if "round" in task.counts]
    last = max((number for number in rounds if rounds.count(number) == partitions), default=-1)
    moved = sum(task.counts["moved"] for task in done.values() if task.counts.get("round") == last)
    return _FINISHED if last >= 0 and last % 2 == 0 and moved == 0 else last + 1


def _parts(context: Context, plan: Plan) -> list[int]:
    """Return the numbers of all parts that have nodes: those of this build and of the earlier ones."""
    earlier = [build.first_part + part for build in earlier_builds(context.recipe) for part in build.parts]
    return [*(part.number for part in plan.parts), *earlier]


def _edge_files(context: Context, plan: Plan, number: int) -> list[str]:
    """Return the files of edges that a round reads (or, once the rounds are over, that hold the stars)."""
    if number == 0:
        return [output.path for output in manifest.read_stage(context.workspace, "match").outputs]
    return [_round_file(number - 1, p) for p in range(match.partitions(context.recipe, plan))]


def _round_file(number: int, partition: int) -> str:
    """Return the file of a round; the round after the next one writes over it."""
    return part_file(f"components/rounds-{number % 2}", partition)


def plan_map(context: Context, plan: Plan, lineage: Lineage) -> list[Task]:
    """Make one task over all edges, or one per file of edges."""
    mark, number = lineage.of("components"), next_round(context, plan, lineage)
    partitions = match.partitions(context.recipe, plan)
    if number == _FINISHED:
        last = _last_round(context, mark)
        if last is None:
            payload = {"paths": _edge_files(context, plan, 0), "round": _FINISHED}
            return [Task("components", "all", mark, payload)]
        paths = _edge_files(context, plan, last + 1)
    else:
        paths = _edge_files(context, plan, number)
    payload = {"round": number, "partitions": partitions, "stars": True}
    return [Task("components", part_key(i), mark, {"paths": [path], **payload}) for i, path in enumerate(paths)]


def _last_round(context: Context, mark: str) -> int | None:
    tasks = manifest.read_tasks(context.workspace, "components").values()
    return max((t.counts["round"] for t in tasks if "round" in t.counts and t.fingerprint == mark), default=None)


def plan_reduce(context: Context, plan: Plan, lineage: Lineage) -> list[Task]:
    """Make one task per part, or one per partition of the round that is next."""
    mark, number = lineage.of("components"), next_round(context, plan, lineage)
    if number == _FINISHED:
        parts = _parts(context, plan)
        return [Task("components", part_key(p), mark, {"partition": p, "round": _FINISHED}) for p in parts]
    partitions = range(match.partitions(context.recipe, plan))
    return [
        Task("components", f"round-{number:03d}-{p:05d}", mark, {"partition": p, "round": number}) for p in partitions
    ]


def run_map(context: Context, task: Task, progress: Progress) -> Iterator[tuple[int, bytes]]:
    """Send edges to the partitions of their ends, or labels to the parts of their documents."""
    paths, number = task.payload["paths"], task.payload["round"]
    joined = pa.concat_tables([tables.read_table(context.workspace, path) for path in paths])
    less, greater = joined["least"].to_numpy(), joined["other"].to_numpy()
    progress.beat(0, joined.nbytes)
    if number == _FINISHED:
        if "stars" in task.payload:
            nodes, labels = np.concatenate([greater, less]), np.concatenate([less, less])
        else:
            nodes, labels = label_components(less, greater)
        yield from split_entries(part_and_row(nodes)[0], nodes, labels)
        return
    both = number % 2 == 0
    nodes = np.concatenate([greater, less]) if both else greater
    others = np.concatenate([less, greater]) if both else less
    yield from split_entries(node_partition(nodes, task.payload["partitions"]), nodes, others)


def run_reduce(context: Context, task: Task, payloads: Iterable[Payload], progress: Progress) -> TaskManifest:
    """Do one round for one partition of the nodes, or write the labels of one part."""
    entries = join_keys(payloads)
    progress.beat(0, entries.nbytes)
    number = task.payload["round"]
    if number == _FINISHED:
        return _write_labels(context, task, entries)
    moved = 0
    if number % 2 == 0:
        greater, less, moved = large_star(entries["key"], entries["node"])
    else:
        greater, less = small_star(entries["key"], entries["node"])
    edges = pa.table([pa.array(less), pa.array(greater)], schema=match.EDGES)
    output = tables.write_table(context.workspace, _round_file(number, task.payload["partition"]), edges, match.EDGES)
    counts = {"round": number, "moved": moved, "edges": len(less)}
    return TaskManifest("components", task.key, task.fingerprint, (output,), counts)


def _write_labels(context: Context, task: Task, entries: np.ndarray) -> TaskManifest:
    entries = entries[np.append(True, entries[1:] != entries[:-1])[: len(entries)]]  # sorted by who joined them
    counts = {"documents": len(entries), "components": int((entries["key"] == entries["node"]).sum())}
    outputs = ()
    if len(entries):
        rows = part_and_row(entries["key"])[1]
        members = pa.table([pa.array(rows), pa.array(entries["node"])], schema=COMPONENTS)
        path = part_file("components", task.payload["partition"])
        outputs = (tables.write_table(context.workspace, path, members, COMPONENTS),)
    return TaskManifest("components", task.key, task.fingerprint, outputs, counts)


def _literals(recipe: Recipe) -> object:
    return None  # max_edges is a limit, not an identity: it changes no output


STAGE = ShuffleStage(
    name="components",
    version=2,
    upstream=("match",),
    scope="whole",
    literals=_literals,
    plan_map=plan_map,
    plan_reduce=plan_reduce,
    map=run_map,
    reduce=run_reduce,
)
