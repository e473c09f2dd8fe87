"""Token shards: uncompressed Arrow IPC streams with the side files that Hugging Face `datasets` reads.

`datasets.load_from_disk("tokens/kept/<source>")` maps them without a copy; so does `pyarrow`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import pyarrow as pa

from pipelines.contracts import storage
from pipelines.contracts.manifest import OutputFile, output_file

ROWS_PER_BATCH = 1024


def shard_path(verdict: str, source: str, split: str, index: int, count: int) -> str:
    """Return the path of a shard, relative to the workspace.

    >>> shard_path("kept", "wiki", "train", 0, 2)
    'tokens/kept/wiki/train/train-00000-of-00002.arrow'
    """
    return f"tokens/{verdict}/{source}/{split}/{split}-{index:05d}-of-{count:05d}.arrow"


def write_shard(workspace: str, path: str, rows: pa.Table, order: pa.Array, schema: pa.Schema) -> OutputFile:
    """Write a shard; batches have a fixed number of rows, so the same rows give the same bytes.

    Args:
        workspace: root of the workspace.
        path: file, relative to it.
        rows: [rows] of the tokens table, in any order.
        order: [rows] in which to write them; only one batch is copied at a time.
        schema: schema of the table.
    """
    with (
        storage.atomic_write(storage.join(workspace, path)) as file,
        pa.ipc.new_stream(file, schema.remove_metadata()) as writer,
    ):
        for start in range(0, len(order), ROWS_PER_BATCH):
            for batch in rows.take(order.slice(start, ROWS_PER_BATCH)).combine_chunks().to_batches():
                writer.write_batch(batch)
    return output_file(workspace, path, rows.num_rows)


def read_shard(workspace: str, path: str) -> pa.Table:
    """Read a shard; a local one is memory-mapped, so no token is copied."""
    full = storage.join(workspace, path)
    if storage.is_local(full):
        return pa.ipc.open_stream(pa.memory_map(full.removeprefix("file://"))).read_all()
    with storage.open_read(full) as file:
        return pa.ipc.open_stream(file).read_all()


def write_sidecars(workspace: str, shards: Iterable[OutputFile], fingerprint: str) -> None:
    """Write `state.json`, `dataset_info.json` and `dataset_dict.json` beside the shards."""
    folders: dict[str, list[OutputFile]] = {}
    for shard in sorted(shards, key=lambda output: output.path):
        folders.setdefault(shard.path.rpartition("/")[0], []).append(shard)
    splits: dict[str, list[str]] = {}
    for folder, files in folders.items():
        parent, _, split = folder.rpartition("/")
        splits.setdefault(parent, []).append(split)
        schema = read_shard(workspace, files[0].path).schema
        _write_json(workspace, f"{folder}/dataset_info.json", _dataset_info(schema, split, files))
        _write_json(workspace, f"{folder}/state.json", _state(files, split, fingerprint))
    for parent, names in splits.items():
        _write_json(workspace, f"{parent}/dataset_dict.json", {"splits": sorted(names)})


def _write_json(workspace: str, path: str, body: dict) -> None:
    storage.write_bytes(storage.join(workspace, path), json.dumps(body, indent=1, sort_keys=True).encode())


def _dataset_info(schema: pa.Schema, split: str, files: list[OutputFile]) -> dict:
    rows, size = sum(f.rows for f in files), sum(f.bytes for f in files)
    return {
        "features": {column.name: _feature(column.type) for column in schema},
        "splits": {split: {"name": split, "num_bytes": size, "num_examples": rows}},
        "dataset_size": size,
    }


def _feature(type_: pa.DataType) -> dict:
    if pa.types.is_list(type_):
        return {"_type": "List", "feature": _feature(type_.value_type)}
    return {"_type": "Value", "dtype": str(type_)}


def _state(files: list[OutputFile], split: str, fingerprint: str) -> dict:
    return {
        "_data_files": [{"filename": f.path.rpartition("/")[2]} for f in files],
        "_fingerprint": fingerprint,
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": split,
    }
