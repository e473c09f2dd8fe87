"""explain: the life of one document, found through the index without scanning the corpus."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.beam.driver import load_workspace
from pipelines.contracts import ids, manifest, tables
from pipelines.contracts.errors import InputError, message
from pipelines.contracts.shards import read_shard, shard_path
from pipelines.contracts.tasks import Context, Plan, part_file
from pipelines.ops.rules import evaluate_rules, recipe_rules
from pipelines.ops.tombstones import REASON, read_removals
from pipelines.stages import tokenize
from pipelines.stages.earlier import earlier_builds
from pipelines.stages.index import partition_count

_EXCERPT_CHARS = 240


def run_explain(workspace: str, document: str, *, as_json: bool = False) -> None:
    """Print the life of every document with this id, native id or URL.

    Raises:
        InputError: if there is none.
    """
    context, plan = load_workspace(workspace)
    lives = [document_life(context, part, row) for part, row in find_document(context, plan, document)]
    if not lives:
        expected = "a doc_id (32 hex digits), a native id or a URL of this workspace"
        raise InputError(message(workspace, "no such document", document, expected))
    if as_json:
        print(json.dumps(lives, indent=1, ensure_ascii=False))
        return
    for life in lives:
        print(format_life(life))


def find_document(context: Context, plan: Plan, document: str) -> list[tuple[int, int]]:
    """Look a document up in its partition of the index.

    Returns:
        [(part, row)], sorted; native ids may repeat.
    """
    key = ids.key64(document)
    partition = int(ids.partition_of(np.array([key], np.uint64), partition_count(context.recipe, plan))[0])
    entries = tables.read_table(context.workspace, part_file("index", partition))
    found = entries.filter(pc.equal(entries["key"], pa.scalar(key, pa.uint64())))
    return sorted(set(zip(found["part"].to_pylist(), found["row"].to_pylist(), strict=True)))


def _row(context: Context, table: str, part: int, row: int) -> pa.Table:
    """Read one row of a part's table; reads only the row group that holds it."""
    start = 0
    for batch in tables.read_batches(context.workspace, part_file(table, part)):
        if row < start + batch.num_rows:
            return batch[row - start : row - start + 1]
        start += batch.num_rows
    raise InputError(message(part_file(table, part), "no such row", row, f"a row below {start}"))


def document_life(context: Context, part: int, row: int) -> dict[str, Any]:
    """Collect everything that is known about one document.

    Returns:
        record, signals, duplicate, rules (value, bounds, verdict), decision and shard.
    """
    document = _row(context, "documents", part, row)
    signals = _row(context, "signals", part, row)
    decision = _row(context, "decisions", part, row).to_pylist()[0]
    record = document.drop_columns(["text"]).to_pylist()[0]
    text = document["text"][0].as_py()
    record["text_excerpt"] = text[:_EXCERPT_CHARS] + ("…" if len(text) > _EXCERPT_CHARS else "")
    return {
        "record": record,
        "signals": {k: v for k, v in signals.to_pylist()[0].items() if k not in ("part", "row")},
        "removal": next((r for r in read_removals(context.workspace) if r["doc_id"] == record["doc_id"]), None),
        "removed_lines": _removed_lines(context, part, row),
        "duplicate": _duplicate(context, part, row),
        "contamination": _contamination(context, part, row),
        "rules": _rules(context, signals, document["source"]),
        "decision": {key: decision[key] for key in ("kept", "first_reason", "failed_rules", "split", "split_key")},
        "tokens": _shard_row(context, record["doc_id"], record["source"], decision),
    }


def _duplicate(context: Context, part: int, row: int) -> dict[str, Any] | None:
    duplicates = tables.read_table(context.workspace, part_file("duplicates", part))
    found = duplicates.filter(pc.equal(duplicates["row"], row)).to_pylist()
    if not found:
        return None
    own = {k: v for k, v in found[0].items() if k not in ("part", "row")}
    if own["leader_build"] is not None:
        places = {build.label: build.workspace for build in earlier_builds(context.recipe)}
        own["leader_workspace"] = places.get(own["leader_build"])
    return own


def _removed_lines(context: Context, part: int, row: int) -> list[dict[str, Any]]:
    """Return the repeated lines that were cut out of a document: text, how many texts hold it, and who keeps it."""
    if context.recipe.lines is None:
        return []
    removed = tables.read_table(context.workspace, part_file("removed_lines", part))
    gone = removed.filter(pc.equal(removed["row"], row)).to_pylist()
    text = _row(context, "ingested", part, row)["text"][0].as_py().encode() if gone else b""
    found = []
    for line in gone:
        kept = line["keeper_part"] is not None
        keeper = (
            _row(context, "ingested", line["keeper_part"], line["keeper_row"])["doc_id"][0].as_py() if kept else None
        )
        shown = text[line["start"] : line["end"]].decode()[:_EXCERPT_CHARS]
        found.append({"text": shown, "documents": line["documents"], "kept_by": keeper})
    return found


def _contamination(context: Context, part: int, row: int) -> list[dict[str, Any]]:
    if not context.recipe.decontaminate.items:
        return []
    found = tables.read_table(context.workspace, part_file("contamination", part))
    hits = found.filter(pc.equal(found["row"], row)).to_pylist()
    return [{k: v for k, v in hit.items() if k not in ("part", "row")} for hit in hits]


def _rules(context: Context, signals: pa.Table, source: pa.ChunkedArray) -> list[dict[str, Any]]:
    rules = recipe_rules(context.recipe)
    failed = evaluate_rules(signals, source, rules)[0]
    values = signals.to_pylist()[0]
    return [
        {
            "rule": name,
            "signal": rule.signal,
            "value": values[rule.signal],
            "bounds": rule.model_dump(exclude_none=True, exclude={"signal"}, exclude_defaults=True),
            "passes": not bad,
        }
        for (name, rule), bad in zip(rules.items(), failed.tolist(), strict=True)
    ]


def _shard_row(context: Context, doc_id: str, source: str, decision: dict[str, Any]) -> dict[str, Any] | None:
    """Find the row of the document in its shard: shards are ranges of doc_id, and sorted by it."""
    if decision["first_reason"] == REASON:
        return None
    verdict = "kept" if decision["kept"] else "rejected"
    if not manifest.read_tasks(context.workspace, "tokenize"):
        return None
    for group in tokenize.planned_groups(context):
        if (group.verdict, group.source, group.split) == (verdict, source, decision["split"]):
            index = int(doc_id[:8], 16) * group.count >> 32
            path = shard_path(verdict, source, group.split, index, group.count)
            shard = read_shard(context.workspace, path)
            row = pc.index(shard["doc_id"], doc_id).as_py()
            return {"shard": path, "row": row, "tokens": len(shard["input_ids"][row])}
    return None


def format_life(life: dict[str, Any]) -> str:
    """Lay out one life for a terminal."""
    lines = []
    for title in ("record", "removal", "decision", "duplicate", "tokens"):
        if title == "removal" and life[title] is None:
            continue
        lines.append(title)
        body = life[title] or {"": "none"}
        lines += [f"  {key:<16} {_shown(value)}" for key, value in body.items() if value not in (None, [])]
    for line in life["removed_lines"]:
        lines.append("removed line")
        lines += [f"  {key:<16} {_shown(value)}" for key, value in line.items() if value is not None]
    for hit in life["contamination"]:
        lines.append("contamination")
        lines += [f"  {key:<16} {_shown(value)}" for key, value in hit.items()]
    lines.append("rules")
    for rule in life["rules"]:
        bounds = ", ".join(f"{key} {_shown(value)}" for key, value in rule["bounds"].items())
        mark = "ok  " if rule["passes"] else "FAIL"
        lines.append(f"  {mark} {rule['rule']:<28} {rule['signal']} = {_shown(rule['value'])}  ({bounds})")
    lines.append("signals")
    lines += [f"  {key:<34} {_shown(value)}" for key, value in life["signals"].items()]
    return "\n".join(lines)


def _shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
