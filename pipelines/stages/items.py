"""items: evaluation items -> their n-grams, in one task; no task if the recipe names no items."""

from __future__ import annotations

from pipelines.contracts import schemas, storage, tables
from pipelines.contracts.errors import ConfigError, message
from pipelines.contracts.manifest import TaskManifest
from pipelines.contracts.recipe import Recipe
from pipelines.contracts.tasks import Context, Lineage, MapStage, Plan, Progress, Task
from pipelines.ops.decontamination import index_items
from pipelines.ops.eval_items import read_items

ITEMS_FILE = "items/items.parquet"
NGRAMS_FILE = "items/ngrams.parquet"


def literals(recipe: Recipe) -> object:
    """Return what the n-grams depend on: names, fields and lengths, and the bytes of the files wherever they lie."""
    items = [
        {**entry.model_dump(mode="json"), "path": [storage.file_hash(p) for g in entry.path for p in storage.glob(g)]}
        for entry in recipe.decontaminate.items
    ]
    return [items, recipe.decontaminate.lengths] if items else None


def is_idle(recipe: Recipe) -> bool:
    """Say whether the stages of items have no task at all, because the recipe names no items."""
    return not recipe.decontaminate.items


def plan_tasks(context: Context, plan: Plan, lineage: Lineage) -> list[Task]:
    """Make the one task."""
    return [Task("items", "all", lineage.of("items"))] if context.recipe.decontaminate.items else []


def run(context: Context, task: Task, progress: Progress) -> TaskManifest:
    """Index all items.

    Raises:
        ConfigError: if no item has as many words as the shortest n-gram.
    """
    recipe = context.recipe.decontaminate
    items = [item for entry in recipe.items for item in read_items(entry)]
    table, ngrams = index_items(items, recipe.lengths)
    long_enough = sum(words >= recipe.lengths[0] for words in table["words"].to_pylist())
    if not long_enough:
        expected = f"items of at least {recipe.lengths[0]} words"
        raise ConfigError(message("decontaminate.items", "nothing to look for", f"{len(items)} items", expected))
    outputs = (
        tables.write_table(context.workspace, ITEMS_FILE, table, schemas.ITEMS),
        tables.write_table(context.workspace, NGRAMS_FILE, ngrams, schemas.ITEM_NGRAMS),
    )
    counts = {"items": len(items), "items_too_short": len(items) - long_enough, "ngrams": ngrams.num_rows}
    return TaskManifest("items", task.key, task.fingerprint, outputs, counts)


STAGE = MapStage(
    name="items",
    version=1,
    upstream=(),
    scope="whole",
    literals=literals,
    plan=plan_tasks,
    run=run,
    idle=is_idle,
)
