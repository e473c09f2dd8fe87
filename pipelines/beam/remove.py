"""The command `remove`: take documents out of a finished workspace, whatever files hold them.

The request is written first (`removals/pending.json`), then the tombstones, then the files; whoever opens the workspace
in between is told to complete it. What is frozen is only positions and hashes: links between documents, the counts
of lines, and the tokenizer. Everything else that the documents touch is made again, and verified.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.beam.curate import CurateOptions, choose_engine, make_executor, stop_on_signals
from pipelines.beam.display import Display
from pipelines.beam.driver import Executor, first_unfinished, load_workspace, run_stage, software_versions
from pipelines.contracts import manifest, schemas, storage, tables
from pipelines.contracts.errors import ConfigError, InputError, message
from pipelines.contracts.manifest import OutputFile, TaskManifest
from pipelines.contracts.tasks import Context, Lineage, Plan, part_file, part_key
from pipelines.ops.tombstones import PENDING_FILE, REMOVALS_FILE, Removal, blank_rows, is_pending, read_removals
from pipelines.removal import Selector, add_copies, find_selected
from pipelines.reshard import reshard
from pipelines.stages import STAGES
from pipelines.stages.ingest import documents_file

_FROZEN = ("ingest", "line_counts", "lines", "match", "components", "tokenizer")
_MANIFEST = "remove"
_COPIES = {"none": (), "exact": ("exact",), "near": ("exact", "near")}


@dataclass(frozen=True)
class RemoveOptions:
    """What the command line said.

    Attributes:
        curate: workspace (`out`), workers, engine and flags, as of `curate`; `dry_run`.
        selectors: what to remove.
        reason: why.
        requested_by: who asked for it.
        copies: none, exact or near: which duplicates of the documents go, too.
    """

    curate: CurateOptions
    selectors: tuple[Selector, ...]
    reason: str = ""
    requested_by: str | None = None
    copies: str = "none"


def run_remove(options: RemoveOptions) -> None:
    """Remove documents; first complete a removal that was interrupted.

    Raises:
        ConfigError, InputError: before any work: no reason, nothing found, an unfinished workspace.
        StageError, ResourceError, VerifyError: on the way; the same command without selectors completes it.
    """
    context, plan = load_workspace(options.curate.out or "")
    if is_pending(context.workspace):
        print("completing a removal that was interrupted")
        _carry_out(options, context, plan)
        if not options.selectors:
            return
    if not options.selectors:
        raise ConfigError(message("remove", "nothing to remove", "no selector", "--url, --id, --native-id or --file"))
    if options.copies not in _COPIES:
        raise ConfigError(message("--copies", "unknown", options.copies, ", ".join(_COPIES)))
    if not options.reason:
        raise ConfigError(message("remove", "no reason", "nothing", "--reason, which the audit keeps"))
    _check_finished(context, plan)
    found = _select(options, context, plan)
    if found and not options.curate.dry_run:
        before = {output.path: output.hash for name in STAGES for output in _outputs(context.workspace, name)}
        body = {"removals": found, "before": before}
        storage.write_bytes(storage.join(context.workspace, PENDING_FILE), json.dumps(body).encode())
        _carry_out(options, context, plan)


def _outputs(workspace: str, stage: str) -> list[OutputFile]:
    return [output for task in manifest.read_tasks(workspace, stage).values() for output in task.outputs]


def _check_finished(context: Context, plan: Plan) -> None:
    """Check that the workspace is finished.

    Raises:
        InputError: naming the stage that is not.
    """
    name = first_unfinished(context, plan, STAGES)
    if name:
        where, hint = f"{context.workspace}: stage {name}", "Run `mixtrace curate` first."
        raise InputError(message(where, "not finished", "missing tasks", "a finished workspace", hint))


def _select(options: RemoveOptions, context: Context, plan: Plan) -> list[Removal]:
    """Find what is to be removed, and print it.

    Raises:
        InputError: if nothing of it is in the workspace.
    """
    found, unknown = find_selected(context, plan, options.selectors)
    named = len(found)
    with_copies = add_copies(context, plan, found)
    copies = {kind: [r for r in with_copies if r["selector"] == f"{kind} copy"] for kind in ("exact", "near")}
    chosen = _COPIES[options.copies]
    found = [*found, *(removal for kind in chosen for removal in copies[kind])]
    for selector in unknown:
        print(f"  not in this workspace: {selector.kind} {selector.value}")
    if not found:
        expected = f"one of {len(options.selectors)} URLs or ids"
        raise InputError(message(context.workspace, "nothing to remove", "no such document", expected))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    extra = {"reason": options.reason, "requested_by": options.requested_by, "removed_at": now, "files": []}
    parts = {removal["part"] for removal in found}
    kept, size = sum(removal["kept"] for removal in found), sum(removal["text_bytes"] for removal in found)
    print(f"{len(found)} documents to remove ({kept} of them kept, {size:,} bytes of text) in {len(parts)} parts")
    for kind, others in copies.items():
        fate = "go, too" if kind in chosen else "stay (--copies)"
        print(f"  {len(others)} {kind} copies of the {named} that were named {fate}")
    return [removal | extra for removal in found]


def _carry_out(options: RemoveOptions, context: Context, plan: Plan) -> None:
    """Do what `pending.json` says; every step may be repeated."""
    workspace = context.workspace
    pending = json.loads(storage.read_bytes(storage.join(workspace, PENDING_FILE)))
    removals = _merged(workspace, pending["removals"])
    _write_removals(workspace, removals)
    parts = sorted({removal["part"] for removal in pending["removals"]})
    doc_ids = {removal["doc_id"] for removal in pending["removals"]}
    display = Display()
    executor = make_executor(options.curate, choose_engine(options.curate), display)
    stop_on_signals()
    try:
        for part in parts:
            _blank_part(context, part, doc_ids)
        _run_again(context, plan, [part_key(part) for part in parts], executor, display)
    finally:
        display.close()
        executor.close()
    deleted = _delete_reports(workspace)
    after = {output.path: output.hash for name in STAGES for output in _outputs(workspace, name)}
    before = pending["before"]
    files = sorted({p for p in {*before, *after} if before.get(p) != after.get(p)} | set(deleted))
    done = [r | {"files": files} if r["doc_id"] in doc_ids else r for r in removals]
    _write_removals(workspace, done)
    storage.remove_tree(storage.join(workspace, PENDING_FILE))
    print(f"removed {len(doc_ids)} documents; {len(files)} files rewritten or deleted; see {REMOVALS_FILE}")


def _merged(workspace: str, new: list[Removal]) -> list[Removal]:
    """Return all removals, old and new, each document once."""
    by_id = {removal["doc_id"]: removal for removal in [*new, *read_removals(workspace)]}
    return [by_id[doc_id] for doc_id in sorted(by_id)]


def _write_removals(workspace: str, removals: list[Removal]) -> None:
    """Write the audit; its manifest makes it a file of the workspace."""
    table = pa.Table.from_pylist(removals, schemas.REMOVALS)
    output = tables.write_table(workspace, REMOVALS_FILE, table, schemas.REMOVALS)
    manifest.commit(workspace, TaskManifest(_MANIFEST, "all", "", (output,), {"documents": table.num_rows}))
    manifest.merge(workspace, _MANIFEST, ["all"], software_versions())


def _blank_part(context: Context, part: int, doc_ids: Iterable[str]) -> None:
    """Rewrite the documents of a part with tombstones; what was counted of them stays counted."""
    workspace, recipe = context.workspace, context.recipe
    tables_of = {"ingest": [documents_file(recipe, part)]}
    if recipe.lines is not None:
        tables_of["lines"] = [part_file("documents", part), part_file("removed_lines", part)]
    blanked = sorted(doc_ids)
    for stage, paths in tables_of.items():
        rewritten = {path: _rewrite(workspace, path, blanked) for path in paths}
        task = manifest.read_tasks(workspace, stage)[part_key(part)]
        outputs = tuple(rewritten.get(output.path, output) for output in task.outputs)
        manifest.commit(workspace, replace(task, outputs=outputs))
        manifest.merge(workspace, stage, manifest.read_tasks(workspace, stage), software_versions())


def _rewrite(workspace: str, path: str, doc_ids: list[str]) -> OutputFile:
    """Write one file of a part anew: documents as tombstones, or without the lines that were cut out of them."""
    part = int(path.rpartition("-")[2].split(".")[0])
    if path.startswith("removed_lines/"):
        gone = [r["row"] for r in read_removals(workspace) if r["part"] == part and r["doc_id"] in set(doc_ids)]
        rows = tables.read_table(workspace, path)
        rest = rows.filter(pc.invert(pc.is_in(rows["row"], pa.array(gone, pa.int32()))))
        return tables.write_table(workspace, path, rest, schemas.REMOVED_LINES)
    with tables.TableWriter(workspace, path, schemas.DOCUMENTS) as writer:
        for batch in tables.read_batches(workspace, path):
            writer.write(blank_rows(batch, doc_ids).cast(schemas.DOCUMENTS))
    assert writer.output is not None
    return writer.output


def _run_again(context: Context, plan: Plan, keys: list[str], executor: Executor, display: Display) -> None:
    """Make again what is not frozen: of stages by part the touched parts, of shards those that change."""
    lineage = Lineage(STAGES.values(), context.recipe, plan)
    for name, stage in reversed(STAGES.items()):
        if name not in (*_FROZEN, "tokenize"):
            manifest.forget(context.workspace, name, keys if stage.scope == "part" else None)
    for name, stage in STAGES.items():
        if name == "tokenize":
            rewritten = reshard(context, plan, lineage)
            print(f"{len(rewritten)} shards rewritten or deleted")
        if name not in _FROZEN:
            run_stage(context, plan, lineage, stage, executor, display)


def _delete_reports(workspace: str) -> list[str]:
    """Delete snapshots and reports, which hold texts and are made again from the workspace."""
    folder = storage.join(workspace, "reports")
    names = [path.rpartition("/")[2] for path in storage.list_files(folder)]
    for name in names:
        storage.remove_tree(storage.join(folder, name))
    if names:
        print("deleted reports/, which held texts: run `mixtrace report build` again")
    return [f"reports/{name}" for name in names]
