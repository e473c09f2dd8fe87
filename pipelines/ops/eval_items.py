"""Evaluation items from files: JSONL (plain or gzip) and Parquet."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from pipelines.contracts import storage
from pipelines.contracts.errors import ConfigError, message
from pipelines.contracts.recipe import EvalItems


class EvalItem(NamedTuple):
    """One item.

    Attributes:
        task: evaluation task.
        item_id: id in its task.
        text: everything of it that must not be in the corpus.
    """

    task: str
    item_id: str
    text: str


def item_files(items: EvalItems) -> list[str]:
    """List the files of a task.

    Raises:
        ConfigError: if a pattern matches no file.
    """
    found: list[str] = []
    for pattern in items.path:
        paths = storage.glob(pattern)
        if not paths:
            raise ConfigError(
                message(f"decontaminate.items {items.task!r}", "no such file", pattern, "JSONL or Parquet")
            )
        found += [path for path in paths if path not in found]
    return found


def read_items(items: EvalItems) -> list[EvalItem]:
    """Read the items of a task; rows with the same id become one item, distinct texts joined.

    Raises:
        ConfigError: for a file or row that does not hold what the recipe says.
    """
    texts: dict[str, dict[str, None]] = {}
    for path in item_files(items):
        for number, row in enumerate(_rows(path)):
            where = f"{path}: row {number}"
            item_id = str(len(texts)) if items.id is None else str(_value(row, items.id, where))
            of_item = texts.setdefault(item_id, {})
            for name in items.text:
                for text in _texts(_value(row, name, where), f"{where}: {name}"):
                    of_item[text] = None
    return [EvalItem(items.task, item_id, "\n".join(found)) for item_id, found in texts.items()]


def _rows(path: str) -> Iterator[dict[str, Any]]:
    data = storage.read_bytes(path)
    if path.endswith(".parquet"):
        yield from pq.read_table(io.BytesIO(data)).to_pylist()
        return
    if path.endswith(".gz"):
        data = gzip.decompress(data)
    for number, line in enumerate(data.split(b"\n")):
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as error:
                raise ConfigError(
                    message(f"{path}: line {number + 1}", "not JSON", error, "one object per line")
                ) from error


def _value(row: Any, name: str, where: str) -> Any:
    value = row
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            raise ConfigError(message(where, "no such field", name, "the fields that decontaminate.items names"))
        value = value[part]
    return value


def _texts(value: Any, where: str) -> list[str]:
    """Return the texts of a value; lists are taken apart, numbers are no texts."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner, where)]
    if isinstance(value, dict):
        return [text for key in sorted(value) for text in _texts(value[key], where)]
    if value is None or isinstance(value, bool | int | float):
        return []
    raise ConfigError(message(where, "not a text", type(value).__name__, "a text, or a list of texts"))
