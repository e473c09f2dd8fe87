"""A workspace with shards but without a corpus: what an export reads, written by the code that writes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipelines.contracts import manifest, schemas
from pipelines.contracts.manifest import TaskManifest
from pipelines.contracts.recipe import Recipe
from pipelines.contracts.shards import shard_path, write_shard
from pipelines.contracts.tasks import part_key
from tests.pipelines.contracts.test_shards import documents

SHARDS = {
    ("kept", "web", "train"): [300, 0, 1500],
    ("kept", "web", "heldout"): [7],
    ("kept", "books", "train"): [20],
    ("rejected", "web", "train"): [5],
}


def tokens_table(count: int, seed: int, schema: pa.Schema) -> pa.Table:
    """Make documents that end with token 0, with ids as large as the schema allows."""
    table = documents(max(count, 1)).slice(0, count)
    rng = np.random.default_rng(seed)
    top = 1 << (17 if schema.field("input_ids").type.value_type == pa.uint32() else 12)
    ids = [[*rng.integers(1, top, len(row) - 1).tolist(), 0] for row in table["input_ids"].to_pylist()]
    names = [f"{seed:04x}{index:028x}" for index in range(count)]
    columns = {**{name: table[name] for name in table.column_names}, "doc_id": pa.array(names, pa.string())}
    columns["input_ids"] = pa.array(ids, schema.field("input_ids").type)
    return pa.table(columns, schema=schema)


def write_workspace(folder: Path, vocabulary: int = 4096) -> str:
    """Write a workspace of SHARDS."""
    workspace = str(folder)
    schema = schemas.tokens(vocabulary)
    number = 0
    for (verdict, source, split), sizes in SHARDS.items():
        for index, size in enumerate(sizes):
            table = tokens_table(size, number, schema)
            path = shard_path(verdict, source, split, index, len(sizes))
            output = write_shard(workspace, path, table, pa.array(range(size), pa.int64()), schema)
            counts = {"documents": size, "tokens": sum(map(len, table["input_ids"].to_pylist()))}
            manifest.commit(workspace, TaskManifest("tokenize", part_key(number), "f", (output,), counts))
            number += 1
    recipe = Recipe.model_validate(
        {
            "name": "made",
            "sources": [{"name": name, "path": f"{name}/*", "format": "text"} for name in ("web", "books")],
        }
    )
    (folder / "recipe.json").write_text(recipe.model_dump_json())
    for name, body in {
        "plan/plan.json": {"parts": [], "files": []},
        "tokenizer/tokenizer.json": {
            "added_tokens": [{"id": 0, "content": "<|endoftext|>"}],
            "model": {"vocab": {"last": vocabulary - 1}},
        },
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(body))
    return workspace


@pytest.fixture
def make_workspace(tmp_path: Path) -> Callable[..., str]:
    """Return a function that writes a workspace for a size of vocabulary."""
    return lambda vocabulary=4096: write_workspace(tmp_path / "workspace", vocabulary)
