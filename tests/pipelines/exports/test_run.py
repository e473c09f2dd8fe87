"""Exports hold exactly the shards' documents, resume, and say what is wrong; each is read by a reader of its own."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.contracts import manifest, storage
from pipelines.contracts.errors import InputError, ResourceError, StageError
from pipelines.contracts.shards import read_shard
from pipelines.exports import flat, megatron
from pipelines.exports.files import Selection
from pipelines.exports.run import FORMATS, ExportOptions, run_export

ALL = Selection(())


def shard_rows(workspace: str, prefix: str) -> list[dict]:
    """Return the documents of all shards below tokens/prefix, in their order."""
    paths = sorted(Path(workspace, "tokens", prefix).rglob("*.arrow"))
    return [row for path in paths for row in read_shard(workspace, str(path.relative_to(workspace))).to_pylist()]


def exported_names(out: str) -> list[str]:
    """Return every file of an export without its suffixes."""
    paths = [output.path for output in manifest.read_stage(out, "export").outputs]
    return sorted({path.split(".")[0] for path in paths})


def read_megatron(prefix: str) -> list[np.ndarray]:
    """Read a Megatron-LM indexed dataset by its published layout."""
    index = Path(f"{prefix}.idx").read_bytes()
    assert index[:9] == b"MMIDIDX\x00\x00"
    version, code, sequences, bounds = struct.unpack_from("<QBQQ", index, 9)
    assert version == 1
    dtype = np.dtype({4: "<i4", 8: "<u2"}[code])
    at = 9 + struct.calcsize("<QBQQ")
    lengths = np.frombuffer(index, "<i4", sequences, at)
    pointers = np.frombuffer(index, "<i8", sequences, at + 4 * sequences)
    documents = np.frombuffer(index, "<i8", bounds, at + 12 * sequences)
    assert len(index) == at + 12 * sequences + 8 * bounds
    assert documents.tolist() == list(range(sequences + 1))
    data = np.memmap(f"{prefix}.bin", np.uint8, "r")
    assert lengths.sum() * dtype.itemsize == len(data)
    return [data[p : p + n * dtype.itemsize].view(dtype) for p, n in zip(pointers, lengths, strict=True)]


def read_flat(prefix: str, suffix: str, raw_type: str) -> list[np.ndarray]:
    offsets = np.load(f"{prefix}.offsets.npy", mmap_mode="r")
    ids = np.load(f"{prefix}.npy", mmap_mode="r") if suffix == "npy" else np.memmap(f"{prefix}.bin", raw_type, "r")
    assert offsets.dtype == np.int64
    assert ids.dtype == raw_type
    assert offsets[0] == 0
    assert offsets[-1] == len(ids)
    return [ids[a:b] for a, b in itertools.pairwise(offsets)]


def read_export(format_: str, prefix: str, raw_type: str) -> list[np.ndarray]:
    if format_ == "megatron":
        return read_megatron(prefix)
    if format_ == "hf":
        return [np.array(ids) for ids in pq.read_table(f"{prefix}.parquet")["input_ids"].to_pylist()]
    return read_flat(prefix, format_, raw_type)


@pytest.mark.parametrize("vocabulary", [4096, 1 << 17])
@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("max_file_gb", [16.0, 1e-9])
def test_every_format_holds_the_documents_of_the_shards(
    make_workspace: Callable[..., str], format_: str, vocabulary: int, max_file_gb: float
) -> None:
    workspace = make_workspace(vocabulary)
    out = run_export(ExportOptions(workspace, format_, None, ALL, max_file_gb))
    names = exported_names(out)
    web = [name for name in names if name.startswith("kept/web/train")]
    assert len(web) == (2 if format_ == "hf" or max_file_gb < 1 else 1)
    assert len(names) == len(web) + 3
    for group in ("kept/web/train", "kept/web/heldout", "kept/books/train", "rejected/web/train"):
        expected = shard_rows(workspace, group)
        prefixes = [f"{out}/{name}" for name in names if name.startswith(group)]
        found = [
            ids for prefix in prefixes for ids in read_export(format_, prefix, "u2" if vocabulary == 4096 else "u4")
        ]
        assert [ids.tolist() for ids in found] == [row["input_ids"] for row in expected]
        assert all(ids[-1] == 0 for ids in found)
        kind = "parquet" if format_ == "hf" else "documents.parquet"
        documents = [row for prefix in prefixes for row in pq.read_table(f"{prefix}.{kind}").to_pylist()]
        back = ("doc_id", "part", "row", "lang", "n_bytes")
        assert [[row[name] for name in back] for row in documents] == [[row[name] for name in back] for row in expected]
        if format_ != "hf":
            assert [row["n_tokens"] for row in documents] == list(map(len, found))
            for prefix in prefixes:
                rows = pq.read_table(f"{prefix}.documents.parquet")
                assert rows["start"].to_pylist() == np.cumsum([0, *rows["n_tokens"].to_pylist()])[:-1].tolist()
    assert Path(out, "tokenizer.json").read_bytes() == Path(workspace, "tokenizer/tokenizer.json").read_bytes()


def test_indexes_are_written_in_chunks(monkeypatch: pytest.MonkeyPatch, make_workspace: Callable[..., str]) -> None:
    monkeypatch.setattr(megatron, "_CHUNK", 7)
    monkeypatch.setattr(flat, "_CHUNK", 7)
    workspace = make_workspace()
    expected = [row["input_ids"] for row in shard_rows(workspace, "kept/web/train")]
    for format_ in ("megatron", "npy"):
        out = run_export(ExportOptions(workspace, format_))
        found = read_export(format_, f"{out}/kept/web/train-00000-of-00001", "u2")
        assert [ids.tolist() for ids in found] == expected


def stamps(out: str) -> dict[str, tuple[int, bytes]]:
    files = [path for path in Path(out, "kept").rglob("*") if path.is_file()]
    return {path.relative_to(out).as_posix(): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_a_killed_export_resumes_and_a_finished_one_does_nothing(
    make_workspace: Callable[..., str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    workspace = make_workspace()
    real = FORMATS["megatron"]
    done = []

    def killed(*arguments: object) -> list:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(real(*arguments))
        return done[-1]

    monkeypatch.setitem(FORMATS, "megatron", killed)
    with pytest.raises(KeyboardInterrupt):
        run_export(ExportOptions(workspace, "megatron"))
    monkeypatch.undo()
    out = run_export(ExportOptions(workspace, "megatron"))
    first = stamps(out)
    assert len(first) == 9
    assert run_export(ExportOptions(workspace, "megatron")) == out
    assert stamps(out) == first
    assert "done already (3 tasks)" in capsys.readouterr().err
    Path(out, "kept/web/train-00000-of-00001.bin").unlink()
    run_export(ExportOptions(workspace, "megatron"))
    again = stamps(out)
    assert {name: data for name, (_, data) in again.items()} == {name: data for name, (_, data) in first.items()}
    assert {name for name in first if again[name][0] != first[name][0]} == {
        f"kept/web/train-00000-of-00001.{suffix}" for suffix in ("bin", "idx", "documents.parquet")
    }


def test_files_that_no_longer_belong_are_removed(make_workspace: Callable[..., str]) -> None:
    workspace = make_workspace()
    out = run_export(ExportOptions(workspace, "npy", None, Selection(), 1e-9))
    assert Path(out, "kept/web/train-00001-of-00002.npy").exists()
    run_export(ExportOptions(workspace, "npy", None, Selection(sources=("web",))))
    assert exported_names(out) == ["kept/web/heldout-00000-of-00001", "kept/web/train-00000-of-00001"]
    assert sorted(path.name for path in Path(out, "kept").rglob("*.npy")) == [
        "heldout-00000-of-00001.npy",
        "heldout-00000-of-00001.offsets.npy",
        "train-00000-of-00001.npy",
        "train-00000-of-00001.offsets.npy",
    ]


def test_what_is_wrong_is_said(make_workspace: Callable[..., str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a workspace"):
        run_export(ExportOptions(str(tmp_path), "npy"))
    workspace = make_workspace()
    with pytest.raises(InputError, match=r"no such source: got bok; expected a source\. Did you mean 'books'"):
        run_export(ExportOptions(workspace, "npy", None, Selection(sources=("bok",))))
    with pytest.raises(InputError, match="nothing is selected"):
        run_export(ExportOptions(workspace, "npy", None, Selection(sources=("books",), splits=("heldout",))))
    shard = Path(workspace, "tokens/kept/books/train/train-00000-of-00001.arrow")
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-8])
    with pytest.raises(
        StageError, match=r"train-00000-of-00001.arrow: shard is not as its manifest says.*mixtrace verify"
    ):
        run_export(ExportOptions(workspace, "npy"))
    shard.write_bytes(bytes(len(whole)))
    with pytest.raises(StageError, match="damaged shard"):
        run_export(ExportOptions(workspace, "npy"))
    shard.unlink()
    with pytest.raises(StageError, match="got None"):
        run_export(ExportOptions(workspace, "npy"))


def test_manifest_and_shard_must_agree(make_workspace: Callable[..., str]) -> None:
    workspace = make_workspace()
    tasks = manifest.read_tasks(workspace, "tokenize")
    wrong = {**tasks["00000"].counts, "tokens": tasks["00000"].counts["tokens"] + 1}
    manifest.commit(workspace, manifest.TaskManifest("tokenize", "00000", "f", tasks["00000"].outputs, wrong))
    with pytest.raises(StageError, match="shards and manifest disagree"):
        run_export(ExportOptions(workspace, "raw"))
    assert not list(Path(workspace, "exports/raw/kept/web").glob("train*"))
    body = Path(workspace, "tokenizer/tokenizer.json")
    body.write_text(body.read_text().replace('"id": 0', '"id": 1'))
    with pytest.raises(StageError, match="a document without its end"):
        run_export(ExportOptions(workspace, "npy"))


def test_a_full_disk_leaves_nothing_half_written(
    make_workspace: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = make_workspace()

    def full(batch: pa.RecordBatch, *_: object) -> pa.RecordBatch:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipelines.exports.files.document_rows", full)
    with pytest.raises(ResourceError, match="no space left"):
        run_export(ExportOptions(workspace, "npy"))
    assert not [path for path in Path(workspace, "exports").rglob("*") if path.is_file()]


def test_exports_go_to_an_object_store(make_workspace: Callable[..., str]) -> None:
    workspace = make_workspace()
    out = run_export(ExportOptions(workspace, "megatron", "memory://bucket/export"))
    local = run_export(ExportOptions(workspace, "megatron"))
    for output in manifest.read_stage(out, "export").outputs:
        assert storage.read_bytes(storage.join(out, output.path)) == Path(local, output.path).read_bytes()


def test_hf_loads_with_its_own_library(
    make_workspace: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    workspace = make_workspace(1 << 17)
    out = run_export(ExportOptions(workspace, "hf", None, ALL))
    cache = str(tmp_path / "cache")
    assert sorted(datasets.get_dataset_config_names(out)) == ["books", "rejected-web", "web"]
    loaded = datasets.load_dataset(out, "web", cache_dir=cache)
    for split in ("train", "heldout"):
        expected = shard_rows(workspace, f"kept/web/{split}")
        assert loaded[split].to_list() == expected
    streamed = datasets.load_dataset(out, "rejected-web", split="train", streaming=True)
    assert list(streamed) == shard_rows(workspace, "rejected/web/train")
