"""contamination: which documents hold how much of which evaluation item, part by part."""

from __future__ import annotations

import numpy as np

from pipelines.contracts import schemas, tables
from pipelines.contracts.manifest import TaskManifest
from pipelines.contracts.recipe import Recipe
from pipelines.contracts.tasks import Context, Lineage, MapStage, Plan, Progress, Task, part_file
from pipelines.ops.decontamination import contaminated_rows, contamination_of
from pipelines.stages.item_counts import COUNTS_FILE
from pipelines.stages.items import ITEMS_FILE, NGRAMS_FILE, is_idle

REASON = "contaminated"


def run(context: Context, task: Task, progress: Progress) -> TaskManifest:
    """Compare the documents of one part with the items."""
    part, workspace = task.payload["part"], context.workspace
    found = contamination_of(
        part,
        tables.read_table(workspace, part_file("item_hits", part)),
        *(tables.read_table(workspace, path) for path in (COUNTS_FILE, ITEMS_FILE, NGRAMS_FILE)),
        context.recipe.decontaminate.max_documents,
    )
    output = tables.write_table(workspace, part_file("contamination", part), found, schemas.CONTAMINATION)
    progress.beat(found.num_rows, 0)
    return TaskManifest("contamination", task.key, task.fingerprint, (output,), {"overlaps": found.num_rows})


def is_contaminated(workspace: str, recipe: Recipe, part: int, rows: int | np.ndarray) -> np.ndarray:
    """Say which documents of a part are contaminated.

    Args:
        workspace: the workspace.
        recipe: its recipe.
        part: number of the part.
        rows: rows of the part, or how many it has.

    Returns:
        bool [rows].
    """
    wanted = np.arange(rows) if isinstance(rows, int) else rows
    if not recipe.decontaminate.items:
        return np.zeros(len(wanted), bool)
    table = tables.read_table(workspace, part_file("contamination", part), ["row", "n", "overlap"])
    return np.isin(wanted, contaminated_rows(table, recipe.decontaminate.overlaps))


def verdict_literals(recipe: Recipe) -> object:
    """Return what decides on contamination once the overlaps are known."""
    if not recipe.decontaminate.items:
        return None
    return sorted([overlap.ngram, overlap.min_overlap] for overlap in recipe.decontaminate.overlaps)


def plan_tasks(context: Context, plan: Plan, lineage: Lineage) -> list[Task]:
    """Make one task per part; none if the recipe names no items."""
    if not context.recipe.decontaminate.items:
        return []
    mark = lineage.of("contamination")
    return [Task("contamination", part.key, mark, {"part": part.number}) for part in plan.parts]


def _literals(recipe: Recipe) -> object:
    return recipe.decontaminate.max_documents if recipe.decontaminate.items else None


STAGE = MapStage(
    name="contamination",
    version=1,
    upstream=("item_counts",),
    scope="whole",
    literals=_literals,
    plan=plan_tasks,
    run=run,
    idle=is_idle,
)
