"""tokenize: every document, kept or rejected, into Arrow shards, globally shuffled by its id.

A shard is a range of the doc_id hash within (kept or rejected, source, split). The map encodes, the reduce
sorts by doc_id and writes one shard. Special tokens are never parsed from text; one end-of-text token ends
every document.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import DTypeLike

from pipelines.contracts import ids, manifest, schemas, storage, tables
from pipelines.contracts.manifest import TaskManifest
from pipelines.contracts.recipe import Recipe
from pipelines.contracts.shards import shard_path, write_shard
from pipelines.contracts.tasks import Context, Lineage, Payload, Plan, Progress, ShuffleStage, Task, part_file, part_key
from pipelines.ops.tokenize_text import Encoder, cached_encoder
from pipelines.ops.tombstones import REASON
from pipelines.stages.payloads import split_by_partition, unpack
from pipelines.stages.tokenizer import TOKENIZER_FILE, end_of_text_id, vocab_size


@dataclass(frozen=True)
class ShardGroup:
    """The shards of one (verdict, source, split): `count` shards, numbered from `first` over the corpus."""

    verdict: str
    source: str
    split: str
    first: int
    count: int


def shard_groups(counts: dict[str, int], target_bytes: float) -> list[ShardGroup]:
    """Plan the shards from the counts of `decide`; sizes are approximate, numbers exact.

    Args:
        counts: counts of the stage `decide`.
        target_bytes: text bytes per shard.
    """
    groups: list[ShardGroup] = []
    first = 0
    for name in sorted(counts):
        if name.startswith("shard/") and name.endswith("/documents"):
            _, verdict, source, split, _ = name.split("/")
            size = counts[f"shard/{verdict}/{source}/{split}/text_bytes"]
            count = max(1, math.ceil(size / target_bytes))
            groups.append(ShardGroup(verdict, source, split, first, count))
            first += count
    return groups


def planned_groups(context: Context) -> list[ShardGroup]:
    """Return the shards of the corpus, from what `decide` has counted."""
    counts = manifest.read_stage(context.workspace, "decide").counts
    return shard_groups(counts, context.recipe.shards.target_mb * 1e6)


def plan_map(context: Context, plan: Plan, lineage: Lineage) -> list[Task]:
    """Make one map task per part."""
    groups = [asdict(group) for group in planned_groups(context)]
    mark = lineage.of("tokenize")
    return [Task("tokenize", part.key, mark, {"part": part.number, "groups": groups}) for part in plan.parts]


def plan_reduce(context: Context, plan: Plan, lineage: Lineage) -> list[Task]:
    """Make one reduce task per shard."""
    mark = lineage.of("tokenize")
    tasks = []
    for group in planned_groups(context):
        for index in range(group.count):
            number = group.first + index
            payload = {"partition": number, "group": asdict(group), "index": index}
            tasks.append(Task("tokenize", part_key(number), mark, payload))
    return tasks


def read_tokenizer(workspace: str) -> str:
    """Read the workspace's `tokenizer.json`."""
    return storage.read_bytes(storage.join(workspace, TOKENIZER_FILE)).decode()


def run_map(context: Context, task: Task, progress: Progress) -> Iterator[tuple[int, bytes]]:
    """Encode the documents of one part and send them to their shards."""
    part, workspace = task.payload["part"], context.workspace
    tokenizer_json = read_tokenizer(workspace)
    end = end_of_text_id(tokenizer_json, context.recipe.tokenizer.end_of_text)
    schema = schemas.tokens(vocab_size(tokenizer_json))
    decisions = tables.read_table(workspace, part_file("decisions", part), ["kept", "split", "first_reason"])
    signals = tables.read_table(workspace, part_file("signals", part), ["lang"])
    groups = {(g["verdict"], g["source"], g["split"]): g for g in task.payload["groups"]}
    row = 0
    columns = ["doc_id", "part", "row", "source", "text", "text_bytes"]
    for batch in tables.read_batches(workspace, part_file("documents", part), columns):
        here = slice(row, row + batch.num_rows)
        row += batch.num_rows
        present = is_present(decisions[here])
        batch, lang = batch.filter(present), signals["lang"][here].filter(present)
        encoded = encode_documents(batch, lang, cached_encoder(tokenizer_json), end, schema)
        shards = assign_shards(batch, decisions[here].filter(present), groups)
        yield from split_by_partition(encoded, shards)
        progress.beat(batch.num_rows, batch["text"].nbytes)


def is_present(decisions: pa.Table) -> pa.ChunkedArray:
    """Say which documents are in a shard: all but those that were removed on request."""
    return pc.fill_null(pc.not_equal(decisions["first_reason"], REASON), True)


def encode_documents(
    batch: pa.Table, lang: pa.ChunkedArray, encoder: Encoder, end: int, schema: pa.Schema
) -> pa.RecordBatch:
    """Encode texts, one end-of-text token after each.

    Args:
        batch: [rows] with doc_id, part, row, text, text_bytes.
        lang: [rows] languages.
        encoder: tokenizer.
        end: id of the end-of-text token.
        schema: schema of the tokens table.
    """
    token_ids, offsets = encoder.encode(batch["text"].combine_chunks())
    item = schema.field("input_ids").type.value_type
    with_end, new_offsets = append_end(token_ids, offsets, end, np.dtype(str(item)))
    lists = pa.ListArray.from_arrays(
        pa.array(new_offsets.astype(np.int32)), pa.array(with_end), type=schema.field("input_ids").type
    )
    fixed = [batch[name].combine_chunks() for name in ("doc_id", "part", "row")]
    return pa.record_batch([*fixed, lang.combine_chunks(), batch["text_bytes"].combine_chunks(), lists], schema=schema)


def append_end(token_ids: np.ndarray, offsets: np.ndarray, end: int, dtype: DTypeLike) -> tuple[np.ndarray, np.ndarray]:
    """Put the end-of-text token after every document.

    >>> append_end(np.array([5, 6, 7]), np.array([0, 2, 3]), 0, np.uint16)
    (array([5, 6, 0, 7, 0], dtype=uint16), array([0, 3, 5]))
    """
    rows = len(offsets) - 1
    new_offsets = offsets + np.arange(rows + 1)
    out = np.empty(len(token_ids) + rows, dtype)
    is_end = np.zeros(len(out), bool)
    is_end[new_offsets[1:] - 1] = True
    out[is_end] = end
    out[~is_end] = token_ids
    return out, new_offsets


def assign_shards(batch: pa.Table, decisions: pa.Table, groups: dict[tuple[str, str, str], dict]) -> np.ndarray:
    """Return the shard number of every document: its group's range of the upper 64 bits of its id."""
    high = ids.hex_to_u64(batch["doc_id"].to_pylist())
    first = np.empty(len(high), np.int64)
    count = np.empty(len(high), np.uint64)
    keys = zip(decisions["kept"].to_pylist(), batch["source"].to_pylist(), decisions["split"].to_pylist(), strict=True)
    for row, (kept, source, split) in enumerate(keys):
        group = groups["kept" if kept else "rejected", source, split]
        first[row], count[row] = group["first"], group["count"]
    return first + ((high >> np.uint64(32)) * count >> np.uint64(32)).astype(np.int64)


def run_reduce(context: Context, task: Task, payloads: Iterable[Payload], progress: Progress) -> TaskManifest:
    """Sort the documents of one shard by id and write it."""
    schema = schemas.tokens(vocab_size(read_tokenizer(context.workspace)))
    manifest_of_shard = write_rows(context, task, unpack(payloads, schema).combine_chunks())  # one copy
    progress.beat(manifest_of_shard.counts["documents"], manifest_of_shard.outputs[0].bytes)
    return manifest_of_shard


def task_path(task: Task) -> str:
    """Return the path of the shard that a task writes."""
    group = ShardGroup(**task.payload["group"])
    return shard_path(group.verdict, group.source, group.split, task.payload["index"], group.count)


def write_rows(context: Context, task: Task, rows: pa.Table) -> TaskManifest:
    """Write the rows of one shard, whatever their order."""
    schema = schemas.tokens(vocab_size(read_tokenizer(context.workspace)))
    order = pc.sort_indices(rows["doc_id"])
    group = ShardGroup(**task.payload["group"])
    output = write_shard(context.workspace, task_path(task), rows, order, schema)
    tokens = int(pc.sum(pc.list_value_length(rows["input_ids"])).as_py() or 0)
    name = f"{group.verdict}/{group.source}/{group.split}"
    counts = {
        "documents": rows.num_rows,
        "tokens": tokens,
        f"{name}/documents": rows.num_rows,
        f"{name}/tokens": tokens,
    }
    return TaskManifest("tokenize", task.key, task.fingerprint, (output,), counts)


def _literals(recipe: Recipe) -> object:
    return [recipe.shards.target_mb, recipe.tokenizer.end_of_text]


STAGE = ShuffleStage(
    name="tokenize",
    version=2,
    upstream=("decide", "tokenizer"),
    scope="whole",
    literals=_literals,
    plan_map=plan_map,
    plan_reduce=plan_reduce,
    map=run_map,
    reduce=run_reduce,
)
