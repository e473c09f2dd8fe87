"""measure: documents -> language, quality signals and MinHash signatures, part by part."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipelines.contracts import schemas, tables
from pipelines.contracts.dedup import Near
from pipelines.contracts.manifest import TaskManifest
from pipelines.contracts.recipe import Recipe
from pipelines.contracts.tasks import Context, MapStage, Progress, Task, part_file, part_tasks
from pipelines.kernels.minhash import MinHashParams, minhash_signatures
from pipelines.ops.language import identify
from pipelines.ops.list_files import list_mark
from pipelines.ops.quality_models import model_marks
from pipelines.ops.rules import signal_groups
from pipelines.ops.signals import SignalInput, measure_groups


def minhash_params(near: Near) -> MinHashParams:
    """Return the MinHash parameters of a recipe."""
    return MinHashParams(num_perm=near.num_perm, ngram=near.ngram, seed=near.seed, unit=near.unit)


def _literals(recipe: Recipe) -> object:
    near = recipe.dedup.near
    groups = signal_groups(recipe)
    language = recipe.language.model_dump(mode="json")
    if recipe.language.model is not None:
        language["model"] = list_mark(recipe.language.model)
    own: list[object] = [None if near is None else [near.num_perm, near.ngram, near.seed, near.unit], groups, language]
    if "lists" in groups:
        own.append(recipe.lists.moved(list_mark).model_dump(mode="json"))
    if marks := model_marks(recipe):
        own.append(marks)
    return own


def measure_signals(part: int, first_row: int, text: pa.Array, recipe: Recipe, url: pa.Array | None = None) -> pa.Table:
    """Measure language and every other group of signals that the recipe needs.

    Args:
        part: number of the part.
        first_row: row of the first document.
        text: [rows] texts.
        recipe: the recipe.
        url: [rows] addresses, if they are known.

    Returns:
        [rows] table of `signals`.
    """
    found = identify(text, recipe.language)
    given = SignalInput(text, found.lang, found.score, recipe, url, found.label)
    groups = signal_groups(recipe)
    columns = [*_positions(part, first_row, len(text)), *measure_groups(given, groups)]
    return pa.table(columns, schema=schemas.signals(groups))


def _positions(part: int, first_row: int, rows: int) -> list[pa.Array]:
    return [
        pa.array(np.full(rows, part, np.int32)),
        pa.array(np.arange(first_row, first_row + rows, dtype=np.int32)),
    ]


def measure_signatures(part: int, first_row: int, text: pa.Array, near: Near) -> pa.Table:
    """Compute MinHash signatures; the table of `signatures`."""
    sketch = minhash_signatures(text, minhash_params(near))
    values = pa.FixedSizeListArray.from_arrays(pa.array(sketch.signatures.reshape(-1)), near.num_perm)
    columns = [*_positions(part, first_row, len(text)), pa.array(sketch.n_words), pa.array(sketch.n_shingles), values]
    return pa.table(columns, schema=schemas.signatures(near.num_perm))


def run(context: Context, task: Task, progress: Progress) -> TaskManifest:
    """Measure one part."""
    part = task.payload["part"]
    near = context.recipe.dedup.near or Near()
    row = 0
    with (
        tables.TableWriter(
            context.workspace, part_file("signals", part), schemas.signals(signal_groups(context.recipe))
        ) as signals,
        tables.TableWriter(
            context.workspace, part_file("signatures", part), schemas.signatures(near.num_perm)
        ) as sketches,
    ):
        for batch in tables.read_batches(context.workspace, part_file("documents", part), ["text", "url"]):
            text = batch["text"].combine_chunks()
            signals.write(measure_signals(part, row, text, context.recipe, batch["url"].combine_chunks()))
            sketches.write(measure_signatures(part, row, text, near))
            row += len(text)
            progress.beat(len(text), text.nbytes)
    outputs = tuple(o for o in (signals.output, sketches.output) if o is not None)
    return TaskManifest("measure", task.key, task.fingerprint, outputs, {"documents": row})


STAGE = MapStage(
    name="measure",
    version=5,
    upstream=("lines",),
    scope="part",
    literals=_literals,
    plan=part_tasks("measure"),
    run=run,
)
