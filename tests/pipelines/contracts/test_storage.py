"""Files: whole or absent, with clear errors."""

from __future__ import annotations

import errno
from pathlib import Path

import fsspec
import pytest

from pipelines.contracts import storage
from pipelines.contracts.errors import ResourceError


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = str(tmp_path / "deep" / "file")
    storage.write_bytes(path, b"old")

    def fail() -> None:
        with storage.atomic_write(path) as file:
            file.write(b"new")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        fail()
    assert storage.read_bytes(path) == b"old"
    assert len(storage.list_files(str(tmp_path / "deep"))) == 1


def test_a_full_disk_is_named_and_nothing_half_written_stays(tmp_path: Path) -> None:
    def fail() -> None:
        with storage.atomic_write(str(tmp_path / "file")) as file:
            file.write(b"x")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ResourceError, match="no space left"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_really_full_device_is_named() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    with pytest.raises(OSError) as caught, open("/dev/full", "wb", buffering=0) as file:  # noqa: PT011
        file.write(b"x")
    assert caught.value.errno == errno.ENOSPC


def test_object_stores_take_the_same_calls() -> None:
    base = "memory://bucket/prefix"
    storage.write_bytes(storage.join(base, "b.json"), b"2")
    storage.write_bytes(storage.join(base, "a.json"), b"1")
    assert storage.list_files(base, ".json") == [
        f"memory://{p}" for p in ("/bucket/prefix/a.json", "/bucket/prefix/b.json")
    ]
    assert storage.exists(storage.join(base, "a.json"))
    assert storage.size_bytes(storage.join(base, "a.json")) == 1
    assert storage.file_hash(storage.join(base, "a.json")) == storage.file_hash(storage.join(base, "a.json"))
    storage.remove_tree(base)
    assert not storage.exists(base)
    fsspec.filesystem("memory").store.clear()


def test_globs_are_ordered_by_bytes_not_by_locale(tmp_path: Path) -> None:
    for name in ("b", "a", "Z", "ä"):
        (tmp_path / name).write_bytes(b"")
    assert [Path(p).name for p in storage.glob(str(tmp_path / "*"))] == ["Z", "a", "b", "ä"]


def test_temporary_files_of_killed_processes_are_swept(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / ".tmp-data.123").write_bytes(b"half")
    (tmp_path / "x" / "data").write_bytes(b"whole")
    storage.remove_temporaries(str(tmp_path))
    assert [p.name for p in (tmp_path / "x").iterdir()] == ["data"]


def test_relative_paths_resolve_against_a_folder_or_a_bucket() -> None:
    assert storage.resolve("/a/b", "../c/*.gz") == "/a/c/*.gz"
    assert storage.resolve("/a/b", "/c") == "/c"
    assert storage.resolve("/a/b", "s3://x/y") == "s3://x/y"
    assert storage.resolve("gs://b/recipes", "data/*.gz") == "gs://b/recipes/data/*.gz"
