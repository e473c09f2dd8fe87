"""reshard: bring token shards up to date after a few decisions changed, rewriting only those that must change.

Documents that are in no shard yet, or in another than their decision says, are encoded anew from their text; all
others keep their tokens. The bytes are those of a whole run of `tokenize`. Doing it twice changes nothing, so an
interrupted run is simply repeated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa

from pipelines.contracts import manifest, schemas, storage, tables
from pipelines.contracts.manifest import TaskManifest
from pipelines.contracts.shards import read_shard
from pipelines.contracts.tasks import Context, Lineage, Plan, Task, part_file
from pipelines.ops.tokenize_text import cached_encoder
from pipelines.stages import tokenize
from pipelines.stages.tokenizer import end_of_text_id, vocab_size

_STAGE = "tokenize"
_ABSENT = -1


def reshard(context: Context, plan: Plan, lineage: Lineage) -> list[str]:
    """Rewrite the shards that are not what decisions and texts say.

    Returns:
        Paths of the shards that were rewritten or deleted.
    """
    workspace = context.workspace
    planned = {tokenize.task_path(task): task for task in tokenize.plan_reduce(context, plan, lineage)}
    numbers = {path: task.payload["partition"] for path, task in planned.items()}
    done = {task.outputs[0].path: task for task in manifest.read_tasks(workspace, _STAGE).values()}
    wanted = {part.number: wanted_shards(context, part.number) for part in plan.parts}
    placed = {part: np.zeros(len(shards), bool) for part, shards in wanted.items()}
    present = {path for path in {*done, *planned} if storage.exists(storage.join(workspace, path))}
    stale = {path for path in planned if path not in done or path not in present}
    for path in sorted(present):
        right = rows_in_place(read_shard(workspace, path), numbers.get(path, _ABSENT - 1), wanted, placed)
        if not right.all() or path not in planned:
            stale.add(path)
    incoming = _encode_missing(context, wanted, placed)
    paths = {number: path for path, number in numbers.items()}
    stale |= {paths[number] for number in incoming}
    manifest.forget(workspace, _STAGE, [done[path].key for path in stale if path in done])
    made: dict[str, TaskManifest] = {}
    for path in sorted(stale & planned.keys()):
        pieces = incoming.get(numbers[path], [])
        if path in present:
            shard = read_shard(workspace, path)
            pieces = [shard.filter(pa.array(rows_in_place(shard, numbers[path], wanted, placed))), *pieces]
        rows = pa.concat_tables([piece.replace_schema_metadata(None) for piece in pieces]).combine_chunks()
        made[path] = tokenize.write_rows(context, planned[path], rows)
    _remove_vanished(workspace, stale - planned.keys(), planned)
    for path, task in planned.items():
        own = made.get(path) or replace(done[path], key=task.key, fingerprint=task.fingerprint)
        manifest.commit(workspace, own)
    return sorted(stale)


def wanted_shards(context: Context, part: int) -> np.ndarray:
    """Return the number of the shard of every document of a part; -1 for those that are in none; int64 [rows]."""
    groups = {(g.verdict, g.source, g.split): asdict(g) for g in tokenize.planned_groups(context)}
    documents = tables.read_table(context.workspace, part_file("documents", part), ["doc_id", "source"])
    decisions = tables.read_table(context.workspace, part_file("decisions", part), ["kept", "split", "first_reason"])
    present = tokenize.is_present(decisions)
    shards = np.full(documents.num_rows, _ABSENT, np.int64)
    shards[present.to_numpy()] = tokenize.assign_shards(documents.filter(present), decisions.filter(present), groups)
    return shards


def rows_in_place(
    shard: pa.Table, number: int, wanted: dict[int, np.ndarray], placed: dict[int, np.ndarray]
) -> np.ndarray:
    """Say which rows of a shard belong there, and note them in `placed`.

    Args:
        shard: [rows] of the tokens table.
        number: number of the shard.
        wanted: part -> int64 [rows of the part], the shard of every document.
        placed: part -> bool [rows of the part], set for documents that are where they belong.

    Returns:
        bool [rows].
    """
    parts, rows = shard["part"].to_numpy(), shard["row"].to_numpy()
    right = np.zeros(len(parts), bool)
    for part in np.unique(parts).tolist():
        here = np.flatnonzero(parts == part)
        fits = wanted[part][rows[here]] == number
        right[here] = fits
        placed[part][rows[here[fits]]] = True
    return right


def _encode_missing(
    context: Context, wanted: dict[int, np.ndarray], placed: dict[int, np.ndarray]
) -> dict[int, list[pa.Table]]:
    """Encode the documents that no shard holds where it should, by shard."""
    found: dict[int, list[pa.Table]] = {}
    for part, shards in wanted.items():
        missing = np.flatnonzero((shards != _ABSENT) & ~placed[part])
        if not len(missing):
            continue
        for encoded in _encode(context, part, missing):
            numbers = shards[encoded["row"].to_numpy()]
            for number in np.unique(numbers).tolist():
                found.setdefault(number, []).append(encoded.filter(pa.array(numbers == number)))
    return found


def _encode(context: Context, part: int, rows: np.ndarray) -> Iterator[pa.Table]:
    tokenizer_json = tokenize.read_tokenizer(context.workspace)
    end = end_of_text_id(tokenizer_json, context.recipe.tokenizer.end_of_text)
    schema = schemas.tokens(vocab_size(tokenizer_json))
    signals = tables.read_table(context.workspace, part_file("signals", part), ["lang"])
    columns = ["doc_id", "part", "row", "source", "text", "text_bytes"]
    for batch in tables.read_batches(context.workspace, part_file("documents", part), columns):
        first = batch["row"][0].as_py()
        low, high = np.searchsorted(rows, [first, first + batch.num_rows])
        if low < high:
            chosen, lang = batch.take(pa.array(rows[low:high] - first)), signals["lang"].take(pa.array(rows[low:high]))
            encoder = cached_encoder(tokenizer_json)
            yield pa.Table.from_batches([tokenize.encode_documents(chosen, lang, encoder, end, schema)])


def _remove_vanished(workspace: str, gone: set[str], planned: dict[str, Task]) -> None:
    """Delete shards that no longer exist, and folders in which none is left."""
    folders = {path.rpartition("/")[0] for path in planned}
    for path in sorted(gone):
        folder = path.rpartition("/")[0]
        storage.remove_tree(storage.join(workspace, path if folder in folders else folder))
