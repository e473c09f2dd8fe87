"""item_hits: documents -> the n-grams of evaluation items that they hold, part by part."""

from __future__ import annotations

import functools

from pipelines.contracts import schemas, tables
from pipelines.contracts.manifest import TaskManifest
from pipelines.contracts.recipe import Recipe
from pipelines.contracts.tasks import Context, Lineage, MapStage, Plan, Progress, Task, part_file, part_tasks
from pipelines.kernels.ngrams import NgramIndex
from pipelines.ops.decontamination import find_item_hits, search_index
from pipelines.stages.items import NGRAMS_FILE, is_idle


@functools.lru_cache(maxsize=1)
def _index(workspace: str, fingerprint: str, lengths: tuple[int, ...]) -> NgramIndex:
    """Load the index once per worker process; the fingerprint tells the index of another run from this one."""
    return search_index(tables.read_table(workspace, NGRAMS_FILE), lengths)


def run(context: Context, task: Task, progress: Progress) -> TaskManifest:
    """Search the documents of one part."""
    part = task.payload["part"]
    index = _index(context.workspace, task.payload["items"], context.recipe.decontaminate.lengths)
    row = 0
    with tables.TableWriter(context.workspace, part_file("item_hits", part), schemas.ITEM_HITS) as writer:
        for batch in tables.read_batches(context.workspace, part_file("documents", part), ["text"]):
            text = batch["text"].combine_chunks()
            writer.write(find_item_hits(row, text, index))
            row += len(text)
            progress.beat(len(text), text.nbytes)
    assert writer.output is not None
    return TaskManifest("item_hits", task.key, task.fingerprint, (writer.output,), {"hits": writer.rows})


def plan_tasks(context: Context, plan: Plan, lineage: Lineage) -> list[Task]:
    """Make one task per part; none if the recipe names no items."""
    if not context.recipe.decontaminate.items:
        return []
    mark = lineage.of("items")
    made = part_tasks("item_hits")(context, plan, lineage)
    return [Task(t.stage, t.key, t.fingerprint, {**t.payload, "items": mark}) for t in made]


def _literals(recipe: Recipe) -> object:
    return None  # all of them are those of the items, which lie upstream


STAGE = MapStage(
    name="item_hits",
    version=1,
    upstream=("lines", "items"),
    scope="part",
    literals=_literals,
    plan=plan_tasks,
    run=run,
    idle=is_idle,
)
