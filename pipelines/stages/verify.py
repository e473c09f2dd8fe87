"""verify: recompute what the outputs claim, from the outputs themselves.

Per part: records and bytes are all accounted for, texts hash to their content_hash, decisions cover every
document. With `lines`: what was cut, and who keeps it. Per shard: token ids decode to exactly the cleaned text
of exactly the right documents. Per component: what verify_duplicates.py lists. Per stage: every file still has
the hash that its manifest states.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contracts import ids, manifest, storage, tables
from pipelines.contracts.dedup import Near
from pipelines.contracts.errors import VerifyError, message
from pipelines.contracts.manifest import TaskManifest
from pipelines.contracts.recipe import Recipe
from pipelines.contracts.shards import read_shard, shard_path
from pipelines.contracts.tasks import Context, Lineage, Payload, Plan, Progress, ShuffleStage, Task, part_file, part_key
from pipelines.ops.tokenize_text import load_decoder
from pipelines.ops.tombstones import REASON, is_removed, removed_nodes
from pipelines.stages import decide, lines, match, tokenize, verify_duplicates, verify_lines
from pipelines.stages.payloads import split_by_partition, split_records, unpack
from pipelines.stages.tokenizer import end_of_text_id

_TOKEN_CLAIM = pa.schema([("doc_id", pa.string()), ("content_hash", pa.string()), ("n_bytes", pa.int64())])


def plan_map(context: Context, plan: Plan, lineage: Lineage) -> list[Task]:
    """Make one map task per part, of this build and of every earlier one that it is linked to."""
    mark, layout = lineage.of("verify"), _layout(context, plan)
    tasks = [*tokenize.plan_map(context, plan, lineage), *decide.earlier_members(context, lineage)]
    return [Task("verify", task.key, mark, {**task.payload, **layout}) for task in tasks]


def _layout(context: Context, plan: Plan) -> dict[str, int]:
    """Return where the partitions of shards end, and how many of leaders and then of lines follow."""
    shards = sum(group.count for group in tokenize.planned_groups(context))
    count = match.partitions(context.recipe, plan)
    return {"shards": shards, "leaders": count, "lines": 0 if lines.STAGE.idle(context.recipe) else count}


def plan_reduce(context: Context, plan: Plan, lineage: Lineage) -> list[Task]:
    """Make one reduce task per shard, per partition of leaders, per partition of lines and per stage."""
    mark, layout = lineage.of("verify"), _layout(context, plan)
    shards = [{"kind": "shard", **task.payload} for task in tokenize.plan_reduce(context, plan, lineage)]
    leaders = [{"kind": "leaders"} for _ in range(layout["leaders"])]
    units = [{"kind": "lines"} for _ in range(layout["lines"])]
    names = [name for name in lineage.working() if name != "verify"]
    removed = ["remove"] if manifest.read_tasks(context.workspace, "remove") else []
    files = [{"kind": "files", "stage": name} for name in (*names, *removed)]
    payloads = [*shards, *leaders, *units, *files]
    return [Task("verify", part_key(i), mark, {**payload, "partition": i}) for i, payload in enumerate(payloads)]


def run_map(context: Context, task: Task, progress: Progress) -> Iterator[tuple[int, bytes]]:
    """Check the accounts of one part and send its claims to the shards and leaders that must meet them."""
    part, workspace = task.payload["part"], context.workspace
    if "earlier" in task.payload:
        layout = task.payload["shards"], task.payload["leaders"]
        yield from verify_duplicates.earlier_claims(context, task.payload, *layout)
        return
    decisions = tables.read_table(workspace, part_file("decisions", part))
    duplicates = tables.read_table(workspace, part_file("duplicates", part))
    groups = {(g["verdict"], g["source"], g["split"]): g for g in task.payload["groups"]}
    documents, raw_bytes, text_bytes = 0, 0, 0
    columns = list({"doc_id", "part", "text", "text_bytes", "raw_bytes", "edits", *verify_duplicates.DOCUMENT_COLUMNS})
    for batch in tables.read_batches(workspace, part_file("documents", part), columns):
        here = decisions[documents : documents + batch.num_rows]
        check_documents(part, batch, here)
        present = tokenize.is_present(here)
        claims = batch.filter(present).select(["doc_id", "content_hash", "text_bytes"]).combine_chunks()
        claim_batch = pa.record_batch([column.combine_chunks() for column in claims.columns], schema=_TOKEN_CLAIM)
        shards = tokenize.assign_shards(batch.filter(present), here.filter(present), groups)
        yield from split_by_partition(claim_batch, shards)
        layout = task.payload["shards"], task.payload["leaders"]
        yield from verify_duplicates.duplicate_claims(context.recipe, batch, here, duplicates, *layout)
        documents += batch.num_rows
        raw_bytes += pc.sum(batch["raw_bytes"]).as_py()
        text_bytes += pc.sum(batch["text_bytes"]).as_py()
        progress.beat(batch.num_rows, batch["text"].nbytes)
    check_accounts(context, part, documents, raw_bytes, text_bytes)
    if task.payload["lines"]:
        yield from _unit_claims(context, part, task.payload)


def _unit_claims(context: Context, part: int, layout: dict[str, int]) -> Iterator[tuple[int, bytes]]:
    """Check what was cut out of the texts of a part, and send its units to the partitions of their keys."""
    for claims in verify_lines.check_part(context.workspace, context.recipe, part):
        home = ids.partition_of(claims["key"], layout["lines"])
        yield from split_records(layout["shards"] + layout["leaders"] + home, claims)


def check_documents(part: int, batch: pa.Table, decisions: pa.Table) -> None:
    """Check that texts and decisions belong to the documents.

    Raises:
        VerifyError: naming the document.
    """
    rows = zip(*(batch[name].to_pylist() for name in ("doc_id", "text", "text_bytes", "content_hash")), strict=True)
    decided = zip(
        decisions["doc_id"].to_pylist(),
        decisions["kept"].to_pylist(),
        decisions["failed_rules"].to_pylist(),
        is_removed(batch["edits"]).tolist(),
        strict=True,
    )
    for (doc_id, text, size, stated), (decided_id, kept, failed, removed) in zip(rows, decided, strict=True):
        where = f"part {part}, document {doc_id}"
        data = text.encode()
        if removed:
            if data or failed != [REASON]:
                got = (len(data), failed)
                raise VerifyError(message(where, "was removed, but is there", got, f"no text, dropped as {REASON}"))
        elif ids.content_hash(data) != stated or len(data) != size:
            raise VerifyError(message(where, "text does not match its hash", ids.content_hash(data), stated))
        if decided_id != doc_id or kept == bool(failed):
            raise VerifyError(
                message(where, "decision does not match", (decided_id, kept, failed), "kept, or dropped with a reason")
            )


def check_accounts(context: Context, part: int, documents: int, raw_bytes: int, text_bytes: int) -> None:
    """Check that every record and byte of a part is a document, a non-document or a dead letter.

    Raises:
        VerifyError: naming the sums that differ.
    """
    workspace, key = context.workspace, part_key(part)
    ingested = manifest.read_tasks(workspace, "ingest")[key].counts
    decided = manifest.read_tasks(workspace, "decide")[key].counts
    dead = tables.read_table(workspace, part_file("dead_letters", part), ["length"])
    cut = manifest.read_tasks(workspace, "lines")[key].counts["removed_bytes"] if context.recipe.lines else 0
    dead_bytes = pc.sum(dead["length"]).as_py() or 0
    others = sum(count for name, count in ingested.items() if name.startswith("nondocuments/"))
    dropped = sum(
        count for name, count in decided.items() if name.startswith("dropped/") and name.endswith("/documents")
    )
    dropped_bytes = sum(
        count for name, count in decided.items() if name.startswith("dropped/") and name.endswith("/text_bytes")
    )
    accounts = {
        "records = documents + non-documents + dead letters": (ingested["records"], documents + others + dead.num_rows),
        "raw bytes = documents + non-documents + dead letters": (
            ingested["raw_bytes"],
            raw_bytes + ingested["nondocument_bytes"] + dead_bytes,
        ),
        "documents = kept + dropped": (documents, decided.get("kept/documents", 0) + dropped),
        "text bytes read = documents + repeated lines": (ingested["text_bytes"], text_bytes + cut),
        "text bytes = kept + dropped": (text_bytes, decided.get("kept/text_bytes", 0) + dropped_bytes),
    }
    for name, (left, right) in accounts.items():
        if left != right:
            raise VerifyError(message(f"part {part}", f"accounts differ ({name})", left, str(right)))


def run_reduce(context: Context, task: Task, payloads: Iterable[Payload], progress: Progress) -> TaskManifest:
    """Check one shard, the leaders of one partition, or the files of one stage."""
    kind = task.payload["kind"]
    if kind == "shard":
        checked = check_shard(context, task, unpack(payloads, _TOKEN_CLAIM))
    elif kind == "leaders":
        schema = verify_duplicates.claim_schema((context.recipe.dedup.near or Near()).num_perm)
        checked = verify_duplicates.check_duplicates(unpack(payloads, schema), context.recipe)
    elif kind == "lines":
        assert context.recipe.lines is not None
        checked = verify_lines.check_units(payloads, context.recipe.lines, removed_nodes(context.workspace))
    else:
        checked = check_files(context.workspace, task.payload["stage"])
    progress.beat(checked, 0)
    return TaskManifest("verify", task.key, task.fingerprint, (), {f"checked/{kind}": checked})


def check_shard(context: Context, task: Task, claims: pa.Table) -> int:
    """Check that a shard holds exactly the claimed documents and decodes to exactly their texts.

    Raises:
        VerifyError: naming shard and document.
    """
    group = tokenize.ShardGroup(**task.payload["group"])
    path = shard_path(group.verdict, group.source, group.split, task.payload["index"], group.count)
    shard = read_shard(context.workspace, path)
    claims = claims.take(pc.sort_indices(claims, sort_keys=[("doc_id", "ascending")]))
    if shard["doc_id"].to_pylist() != claims["doc_id"].to_pylist():
        raise VerifyError(
            message(path, "wrong documents", shard.num_rows, f"{claims.num_rows} documents with the right ids")
        )
    tokenizer_json = tokenize.read_tokenizer(context.workspace)
    end = end_of_text_id(tokenizer_json, context.recipe.tokenizer.end_of_text)
    decode = load_decoder(tokenizer_json)
    stated = claims["content_hash"].to_pylist()
    row = 0
    for batch in shard.to_batches():
        for text in decode(*without_end(batch.column("input_ids"), end, path, row)):
            found = ids.content_hash(text)
            if found != stated[row]:
                where = f"{path}, row {row}"
                raise VerifyError(message(where, "tokens do not decode to the text", found, stated[row]))
            row += 1
    return shard.num_rows


def without_end(column: pa.ListArray, end: int, path: str, first_row: int) -> tuple[np.ndarray, np.ndarray]:
    """Take the end-of-text token off every document.

    Args:
        column: [rows] token ids.
        end: the end-of-text token.
        path: shard, for the message.
        first_row: row of the shard that comes first, for the message.

    Returns:
        Token ids [total], offsets int64 [rows + 1].

    Raises:
        VerifyError: naming the row that does not end with it.
    """
    offsets = column.offsets.to_numpy().astype(np.int64)
    values = column.values.to_numpy()[offsets[0] : offsets[-1]]
    offsets -= offsets[0]
    last = offsets[1:] - 1
    ends = (np.diff(offsets) > 0) & (np.take(values, last, mode="clip") == end if len(values) else False)
    if not ends.all():
        row = int(np.argmin(ends))
        found = values[offsets[row] : offsets[row + 1]][-1:].tolist()
        raise VerifyError(message(f"{path}, row {first_row + row}", "no end-of-text token", found, str(end)))
    return np.delete(values, last), offsets - np.arange(len(offsets))


def check_files(workspace: str, stage: str) -> int:
    """Check that every file of a stage is there with the stated size and hash.

    Raises:
        VerifyError: naming the file.
    """
    outputs = manifest.read_stage(workspace, stage).outputs
    for output in outputs:
        full = storage.join(workspace, output.path)
        if not storage.exists(full):
            raise VerifyError(message(output.path, "file is gone", "nothing", f"{output.bytes} bytes"))
        found = storage.file_hash(full)
        if found != output.hash:
            raise VerifyError(
                message(output.path, "file has changed", found, output.hash, "Delete its manifest to make it again.")
            )
    return len(outputs)


def _literals(recipe: Recipe) -> object:
    return None


STAGE = ShuffleStage(
    name="verify",
    version=2,
    upstream=("index", "card"),
    scope="whole",
    literals=_literals,
    plan_map=plan_map,
    plan_reduce=plan_reduce,
    map=run_map,
    reduce=run_reduce,
)
