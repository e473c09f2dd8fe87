"""Shards that are missing, cut short, changed or of another tokenizer are refused by name."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from analysis.shards import check_corpus, check_tokens, open_shard
from analysis.slices import Slice, partition
from pipelines.beam.curate import CurateOptions, run_curate
from pipelines.contracts import manifest
from pipelines.contracts.errors import InputError
from tests.data.awkward import make_corpus, write_recipe


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    make_corpus(folder, documents=120)
    run_curate(CurateOptions(str(write_recipe(folder)), str(folder / "ws"), workers=1))
    return folder / "ws"


@pytest.fixture
def workspace(curated: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(curated, tmp_path / "ws"))


def first_shard(workspace: Path) -> Path:
    return workspace / manifest.read_stage(str(workspace), "tokenize").outputs[0].path


def test_what_is_as_it_was_written_passes(workspace: Path) -> None:
    assert check_corpus(str(workspace)) == partition(str(workspace), (Slice("all", "true"),)).corpus


def test_a_missing_shard_is_named_before_anything_is_read(workspace: Path) -> None:
    shard = first_shard(workspace)
    shard.unlink()
    for check in (lambda: check_corpus(str(workspace)), lambda: partition(str(workspace), (Slice("all", "true"),))):
        with pytest.raises(InputError, match=rf"{shard.name}: missing shard: got no file"):
            check()
    with pytest.raises(InputError, match="missing shard"):
        open_shard(str(workspace), str(shard.relative_to(workspace)))


def test_a_truncated_shard_is_refused_even_where_arrow_reads_on(workspace: Path) -> None:
    shard = first_shard(workspace)
    body = shard.read_bytes()
    shard.write_bytes(body[:-8])  # without its end mark, an Arrow stream still reads as if it were whole
    for check in (lambda: check_corpus(str(workspace)), lambda: partition(str(workspace), (Slice("all", "true"),))):
        with pytest.raises(
            InputError, match=rf"truncated or changed shard: got {len(body) - 8} bytes; expected {len(body)}"
        ):
            check()
    shard.write_bytes(body[: len(body) // 2])
    with pytest.raises(InputError, match="damaged shard"):
        open_shard(str(workspace), str(shard.relative_to(workspace)))


def test_a_changed_token_is_refused(workspace: Path) -> None:
    shard = first_shard(workspace)
    body = bytearray(shard.read_bytes())
    body[len(body) // 2] ^= 1
    shard.write_bytes(body)
    with pytest.raises(InputError, match=rf"{shard.name}: changed shard: got hash"):
        check_corpus(str(workspace))


def test_another_tokenizer_is_refused(workspace: Path) -> None:
    path = workspace / "tokenizer/tokenizer.json"
    path.write_text(path.read_text() + " ")
    with pytest.raises(InputError, match="not the tokenizer of this workspace"):
        check_corpus(str(workspace))


def tokens(ids: list[int], n_bytes: int, kind: pa.DataType) -> pa.Table:
    return pa.table({"input_ids": pa.array([ids], pa.list_(kind)), "n_bytes": pa.array([n_bytes], pa.int64())})


@pytest.mark.parametrize(
    ("shard", "vocabulary", "expected"),
    [
        (
            tokens([1, 2], 2, pa.uint16()),
            70_000,
            "vocabulary larger than the type of the ids: got 70000 tokens in uint16",
        ),
        (tokens([1, 300], 2, pa.uint16()), 256, r"tokens of another tokenizer: got ids 1 to 300; expected 0 to 255"),
        (tokens([1] * 50, 400, pa.uint16()), 256, "spells 50 bytes; expected the 400 bytes"),
    ],
)
def test_tokens_that_cannot_be_are_refused(shard: pa.Table, vocabulary: int, expected: str) -> None:
    with pytest.raises(InputError, match=f"x.arrow: .*{expected}"):
        check_tokens("x.arrow", shard, np.ones(vocabulary, np.int64))


def test_tokens_that_spell_their_text_pass() -> None:
    check_tokens("x.arrow", tokens([1] * 50, 50, pa.uint16()), np.ones(256, np.int64))
