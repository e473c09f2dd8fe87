"""components: documents that are linked by edges, in one task (scipy); output by part."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from pipelines.contracts import manifest, tables
from pipelines.contracts.errors import ResourceError, message
from pipelines.contracts.manifest import TaskManifest
from pipelines.contracts.recipe import Recipe
from pipelines.contracts.schemas import field, table
from pipelines.contracts.tasks import Context, Lineage, MapStage, Plan, Progress, Task, part_file
from pipelines.stages.payloads import part_and_row

COMPONENTS = table(
    "components",
    "Documents of components of two or more.",
    [
        field("row", pa.int32(), "row of the document in its part"),
        field("component", pa.uint64(), "part << 32 | row of the least document of the component"),
    ],
)


def label_components(least: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find connected components.

    Args:
        least: [edges] uint64 nodes.
        other: [edges] uint64 nodes.

    Returns:
        (nodes, labels): [nodes] sorted uint64 nodes, and the least node of the component of each.
    """
    nodes, index = np.unique(np.concatenate([least, other]), return_inverse=True)
    if len(nodes) == 0:
        return nodes, nodes
    count = len(least)
    graph = coo_matrix((np.ones(count, np.int8), (index[:count], index[count:])), shape=(len(nodes), len(nodes)))
    _, component = connected_components(graph, directed=False)
    first = np.full(component.max() + 1, len(nodes), np.int64)
    np.minimum.at(first, component, np.arange(len(nodes)))
    return nodes, nodes[first[component]]


def run(context: Context, task: Task, progress: Progress) -> TaskManifest:
    """Label all components of the corpus.

    Raises:
        ResourceError: above `dedup.max_edges`.
    """
    matched = manifest.read_stage(context.workspace, "match")
    edges = matched.counts["edges"]
    if edges > context.recipe.dedup.max_edges:
        raise ResourceError(
            message(
                "components",
                "too many edges for one task",
                edges,
                f"at most dedup.max_edges = {context.recipe.dedup.max_edges}",
                "200 M edges need about 9 GB; raise the limit on a machine with more memory.",
            )
        )
    read = [tables.read_table(context.workspace, output.path) for output in matched.outputs]
    joined = pa.concat_tables(read)
    nodes, labels = label_components(joined["least"].to_numpy(), joined["other"].to_numpy())
    parts, rows = part_and_row(nodes)
    outputs = []
    for part in np.unique(parts):
        mine = parts == part
        members = pa.table([pa.array(rows[mine]), pa.array(labels[mine])], schema=COMPONENTS)
        outputs.append(tables.write_table(context.workspace, part_file("components", int(part)), members, COMPONENTS))
        progress.beat(members.num_rows, 0)
    counts = {"documents": len(nodes), "components": len(np.unique(labels)), "edges": edges}
    return TaskManifest("components", task.key, task.fingerprint, tuple(outputs), counts)


def _literals(recipe: Recipe) -> object:
    return None  # max_edges is a limit, not an identity: it changes no output


def plan_tasks(context: Context, plan: Plan, lineage: Lineage) -> list[Task]:
    """Make the one task."""
    return [Task("components", "all", lineage.of("components"))]


STAGE = MapStage(
    name="components",
    version=1,
    upstream=("match",),
    scope="whole",
    literals=_literals,
    plan=plan_tasks,
    run=run,
)
