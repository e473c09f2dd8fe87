"""card: the side files that make `tokens/` a Hugging Face data set, and a card that says what it is."""

from __future__ import annotations

import pyarrow as pa

from pipelines.contracts import manifest, storage, tables
from pipelines.contracts.manifest import TaskManifest
from pipelines.contracts.recipe import Recipe
from pipelines.contracts.shards import write_sidecars
from pipelines.contracts.tasks import Context, Lineage, MapStage, Plan, Progress, Task
from pipelines.ops.train_tokenizer import fertility_lines
from pipelines.stages.tokenizer import FERTILITY_FILE


def card_text(recipe: Recipe, counts: dict[str, int], corpus_id: str, fertility: pa.Table) -> str:
    """Write the data set card (Markdown with the Hugging Face front matter).

    Args:
        recipe: recipe of the corpus.
        counts: counts of the stage `tokenize`.
        corpus_id: hash of the inputs.
        fertility: the table `fertility` of the tokenizer.
    """
    lines = ["---", f"pretty_name: {recipe.name}", "configs:"]
    sources = sorted(recipe.sources, key=lambda source: source.name)
    for source in sources:
        lines += [f"- config_name: {source.name}", "  data_files:"]
        for split in ("train", "heldout"):
            if counts.get(f"kept/{source.name}/{split}/documents"):
                lines += [f"  - split: {split}", f"    path: kept/{source.name}/{split}/*.arrow"]
    lines += [
        "---",
        "",
        f"# {recipe.name}",
        "",
        f"Corpus `{corpus_id}`, recipe `{recipe.recipe_id}`, made by mixtrace.",
        "",
    ]
    lines += ["| source | license | kept documents | kept tokens | rejected documents |", "|---|---|---|---|---|"]
    for source in sources:
        kept, tokens, rejected = (
            sum(counts.get(f"{verdict}/{source.name}/{split}/{what}", 0) for split in ("train", "heldout"))
            for verdict, what in (("kept", "documents"), ("kept", "tokens"), ("rejected", "documents"))
        )
        lines.append(f"| {source.name} | {source.license} | {kept} | {tokens} | {rejected} |")
    lines += ["", "Tokens per language, measured on kept documents drawn by hash:", "", *fertility_lines(fertility)]
    return "\n".join([*lines, ""])


def run(context: Context, task: Task, progress: Progress) -> TaskManifest:
    """Write side files and card."""
    tokenized = manifest.read_stage(context.workspace, "tokenize")
    write_sidecars(context.workspace, tokenized.outputs, task.fingerprint)
    fertility = tables.read_table(context.workspace, FERTILITY_FILE)
    text = card_text(context.recipe, tokenized.counts, task.payload["corpus_id"], fertility)
    storage.write_bytes(storage.join(context.workspace, "tokens/README.md"), text.encode())
    output = manifest.output_file(context.workspace, "tokens/README.md", len(context.recipe.sources))
    return TaskManifest("card", task.key, task.fingerprint, (output,), {"sources": len(context.recipe.sources)})


def plan_tasks(context: Context, plan: Plan, lineage: Lineage) -> list[Task]:
    """Make the one task."""
    return [Task("card", "all", lineage.of("card"), {"corpus_id": plan.corpus_id})]


def _literals(recipe: Recipe) -> object:
    return [recipe.name, sorted([source.name, source.license] for source in recipe.sources)]


STAGE = MapStage(
    name="card",
    version=2,
    upstream=("tokenize",),
    scope="whole",
    literals=_literals,
    plan=plan_tasks,
    run=run,
)
