"""Every reader tiles the bytes of every file, sound or damaged."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.readers import READERS
from pipelines.readers.compression import Fault, read_blocks
from pipelines.readers.records import RAW_BYTES, BadRecord, ReadOptions
from pipelines.readers.transcode import to_utf8
from tests.data.awkward import SOURCES, make_awkward_corpus, make_corpus


def _check(path: Path, kind: str, limit: int = 64_000_000) -> None:
    options = ReadOptions(max_record_bytes=limit)
    opened = READERS[kind].open(str(path), options)
    position = 0
    for item in READERS[kind].read(opened, options):
        assert item.offset == position
        position += item.length
        assert not isinstance(item, BadRecord) or len(item.raw) <= RAW_BYTES
    blocks = list(to_utf8(read_blocks(str(path))) if kind != "warc" else read_blocks(str(path)))
    assert position == sum(block.length if isinstance(block, Fault) else len(block) for block in blocks)
    assert opened.bytes_read == position
    assert opened.finished()


@pytest.mark.parametrize("limit", [300, 20_000, 64_000_000])
def test_awkward_files(tmp_path: Path, limit: int) -> None:
    make_awkward_corpus(tmp_path)
    files = [(path, name) for name in SOURCES for path in sorted((tmp_path / name).iterdir())]
    assert len(files) > 15
    for path, name in files:
        _check(path, SOURCES[name]["format"], limit)


@functools.cache
def _sound_files(folder: Path) -> list[tuple[Path, str, bytes]]:
    make_corpus(folder, documents=60, seed=1)
    return [
        (path, source["format"], path.read_bytes())
        for name, source in SOURCES.items()
        for path in sorted((folder / name).iterdir())[:3]
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sound")


_EDIT = st.tuples(st.floats(0, 0.999), st.sampled_from(["flip", "delete", "insert"]), st.integers(1, 40))


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 1000), st.lists(_EDIT, max_size=4), st.floats(0, 1), st.sampled_from([200, 64_000_000]))
def test_damaged_files(folder: Path, choice: int, edits: list[tuple[float, str, int]], keep: float, limit: int) -> None:
    files = _sound_files(folder)
    path, kind, sound = files[choice % len(files)]
    data = bytearray(sound)
    for where, what, size in edits:
        at = int(where * len(data))
        if what == "flip":
            data[at : at + 1] = bytes([data[at] ^ size]) if data else b""
        else:
            data[at : at + (size if what == "delete" else 0)] = b"" if what == "delete" else bytes(range(size))
    damaged = folder / f"damaged-{path.name}"
    damaged.write_bytes(bytes(data[: int(len(data) * max(keep, 0.05))]))
    _check(damaged, kind, limit)
