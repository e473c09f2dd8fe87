"""Token shards: the same documents give the same bytes, however they arrived; the side files say what is there."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.contracts import schemas, shards
from pipelines.contracts.shards import read_shard, shard_path, write_shard, write_sidecars

SCHEMA = schemas.tokens(4096)


def documents(count: int) -> pa.Table:
    rng = np.random.default_rng(0)
    ids = [rng.integers(0, 4096, rng.integers(1, 40)).tolist() for _ in range(count)]
    columns = [
        [f"{rng.integers(0, 2**63):032x}" for _ in range(count)], range(count), range(count),
        [("en", "zh", "und")[i % 3] for i in range(count)], range(count), ids,
    ]  # fmt: skip
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(1, 69), max_size=5), batch=st.sampled_from([7, 1024]))
def test_bytes_depend_on_the_documents_only(
    tmp_path_factory: pytest.TempPathFactory, seed: int, cuts: list[int], batch: int
) -> None:
    folder = str(tmp_path_factory.mktemp("shards"))
    table = documents(70)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "ROWS_PER_BATCH", batch)
        expected = write_shard(folder, "a.arrow", table, pc.sort_indices(table["doc_id"]), SCHEMA)
        shuffled = table.take(pa.array(np.random.default_rng(seed).permutation(70)))
        bounds = sorted({0, 70, *cuts})
        pieces = [shuffled.slice(a, b - a) for a, b in itertools.pairwise(bounds)]
        arrived = pa.concat_tables(pieces).combine_chunks()
        found = write_shard(folder, "b.arrow", arrived, pc.sort_indices(arrived["doc_id"]), SCHEMA)
    assert found.hash == expected.hash
    assert read_shard(folder, "b.arrow").to_pylist() == table.sort_by("doc_id").to_pylist()


def test_side_files_name_shards_rows_and_types(tmp_path: Path) -> None:
    table = documents(10)
    order = pc.sort_indices(table["doc_id"])
    outputs = [
        write_shard(str(tmp_path), shard_path("kept", "web", "train", i, 2), table, order, SCHEMA) for i in range(2)
    ]
    write_sidecars(str(tmp_path), outputs[::-1], "f" * 16)
    folder = tmp_path / "tokens/kept/web"
    state = json.loads((folder / "train/state.json").read_text())
    assert [file["filename"] for file in state["_data_files"]] == [
        "train-00000-of-00002.arrow",
        "train-00001-of-00002.arrow",
    ]
    info = json.loads((folder / "train/dataset_info.json").read_text())
    assert info["splits"]["train"]["num_examples"] == 20
    assert info["features"]["input_ids"] == {"_type": "List", "feature": {"_type": "Value", "dtype": "uint16"}}
    assert json.loads((folder / "dataset_dict.json").read_text()) == {"splits": ["train"]}
