"""item_counts: in how many documents every n-gram of the evaluation items occurs, in one task.

Memory is bounded by the n-grams of the items: 16 bytes each, whatever the size of the corpus.
"""

from __future__ import annotations

from pipelines.contracts import schemas, tables
from pipelines.contracts.manifest import TaskManifest
from pipelines.contracts.recipe import Recipe
from pipelines.contracts.tasks import Context, Lineage, MapStage, Plan, Progress, Task, part_file
from pipelines.ops.decontamination import count_hits, sum_counts
from pipelines.stages.items import is_idle

COUNTS_FILE = "item_counts/counts.parquet"


def run(context: Context, task: Task, progress: Progress) -> TaskManifest:
    """Sum over all parts."""
    read = (
        count_hits(tables.read_table(context.workspace, part_file("item_hits", part), ["key"]))
        for part in task.payload["parts"]
    )
    counts = sum_counts(read)
    output = tables.write_table(context.workspace, COUNTS_FILE, counts, schemas.ITEM_COUNTS)
    return TaskManifest("item_counts", task.key, task.fingerprint, (output,), {"ngrams": counts.num_rows})


def plan_tasks(context: Context, plan: Plan, lineage: Lineage) -> list[Task]:
    """Make the one task; none if the recipe names no items."""
    if not context.recipe.decontaminate.items:
        return []
    return [Task("item_counts", "all", lineage.of("item_counts"), {"parts": [part.number for part in plan.parts]})]


def _literals(recipe: Recipe) -> object:
    return None


STAGE = MapStage(
    name="item_counts",
    version=1,
    upstream=("item_hits",),
    scope="whole",
    literals=_literals,
    plan=plan_tasks,
    run=run,
    idle=is_idle,
)
