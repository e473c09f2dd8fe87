"""Decompression, faults and the byte window."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.contracts.errors import StageError
from pipelines.readers.compression import Fault, read_blocks
from pipelines.readers.stream import ByteReader, open_stream
from tests.data.formats import compress
from tests.data.sentences import Writer

SUFFIXES = (".gz", ".zst", ".bz2", ".xz")
MEMBERS = [Writer(seed).document("en", 40).encode() for seed in range(3)]


def _read(path: Path) -> tuple[bytes, list[Fault]]:
    items = list(read_blocks(str(path)))
    return b"".join(i for i in items if isinstance(i, bytes)), [i for i in items if isinstance(i, Fault)]


@pytest.mark.parametrize("suffix", ["", *SUFFIXES])
def test_members_are_read_one_after_the_other(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"".join(compress(member, suffix) for member in MEMBERS))
    assert _read(path) == (b"".join(MEMBERS), [])


def test_zstd_skippable_frames_and_gzip_padding_are_no_faults(tmp_path: Path) -> None:
    skippable = b"\x50\x2a\x4d\x18\x05\0\0\0abcde"
    (tmp_path / "a.zst").write_bytes(skippable + compress(MEMBERS[0], ".zst") + skippable)
    (tmp_path / "a.gz").write_bytes(compress(MEMBERS[0], ".gz") + bytes(1000))
    assert _read(tmp_path / "a.zst") == (MEMBERS[0], [])
    assert _read(tmp_path / "a.gz") == (MEMBERS[0], [])


@pytest.mark.parametrize("suffix", ["", *SUFFIXES])
def test_an_empty_file_has_no_bytes_and_no_fault(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a{suffix}").write_bytes(b"")
    assert _read(tmp_path / f"a{suffix}") == (b"", [])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_truncated_stream_gives_what_came_before(tmp_path: Path, suffix: str) -> None:
    last = compress(MEMBERS[2], suffix)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(compress(MEMBERS[0], suffix) + compress(MEMBERS[1], suffix) + last[: len(last) - 5])
    data, faults = _read(path)
    assert data.startswith(MEMBERS[0] + MEMBERS[1])
    assert (MEMBERS[0] + MEMBERS[1] + MEMBERS[2]).startswith(data)
    assert [(fault.error, fault.length) for fault in faults] == [("truncated_compression", 0)]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_damaged_member_costs_itself_only(tmp_path: Path, suffix: str) -> None:
    middle = bytearray(compress(MEMBERS[1], suffix))
    middle[0] ^= 0xFF
    path = tmp_path / f"a{suffix}"
    path.write_bytes(compress(MEMBERS[0], suffix) + bytes(middle) + compress(MEMBERS[2], suffix))
    data, faults = _read(path)
    assert data == MEMBERS[0] + MEMBERS[2]
    assert [(fault.error, fault.length) for fault in faults] == [("damaged_compression", len(middle))]


def test_a_checksum_that_does_not_fit_is_a_fault(tmp_path: Path) -> None:
    member = bytearray(compress(MEMBERS[0], ".gz"))
    member[-6] ^= 1
    (tmp_path / "a.gz").write_bytes(bytes(member) + compress(MEMBERS[1], ".gz"))
    data, faults = _read(tmp_path / "a.gz")
    assert data.endswith(MEMBERS[1])
    assert [fault.error for fault in faults] == ["damaged_compression"]
    assert "checksum" in faults[0].message


@pytest.mark.parametrize(
    ("name", "data"),
    [("a.gz", b"plain text"), ("a.txt", compress(b"x", ".gz")), ("a.zst", compress(b"x", ".bz2"))],
)
def test_name_and_magic_number_must_agree(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    text, faults = _read(tmp_path / name)
    assert text == b""
    assert [(fault.error, fault.length) for fault in faults] == [("compression_mismatch", len(data))]


def test_compressed_files_cannot_be_cut(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(compress(b"x", ".gz"))
    with pytest.raises(StageError, match="compressed files cannot be cut"):
        list(read_blocks(str(tmp_path / "a.gz"), 5))


@pytest.mark.parametrize("suffix", [".gz", ".zst", ".bz2", ".xz"])
def test_a_bomb_is_read_in_bounded_memory(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(compress(bytes(60_000_000), suffix))
    blocks = [len(block) for block in read_blocks(str(path))]
    assert sum(blocks) == 60_000_000
    if suffix == ".gz":
        assert max(blocks) <= 8 << 20
    assert max(blocks) <= 60_000_000


def _blocks(data: bytes, size: int) -> list[bytes | Fault]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@given(
    st.binary(max_size=60).map(lambda b: bytes(c % 4 for c in b)),
    st.integers(1, 9),
    st.integers(0, 30),
    st.integers(0, 2),
)
def test_until_equals_split(data: bytes, size: int, limit: int, give_back: int) -> None:
    mark = b"\1\2"
    reader = ByteReader(iter(_blocks(data, size)))
    position = 0
    while not reader.at_end():
        before = position
        taken = reader.until(mark, limit, give_back)
        hit = data.find(mark, position)
        end = len(data) if hit < 0 else hit + len(mark) - give_back
        assert (taken.length, taken.found) == (end - position, hit >= 0)
        assert data[position:end].startswith(taken.content)
        assert taken.content == data[position:end] or not taken.whole
        assert not taken.whole or taken.content == data[position:end]
        position = end
        assert reader.position == position
        if position == before:  # everything was given back
            reader.skip(1)
            position += 1
    assert position == len(data)


def test_long_runs_are_passed_over_without_being_held() -> None:
    reader = ByteReader(iter([b"x" * 1_000_000] * 50 + [b"\nrest"]))
    taken = reader.until(b"\n", 2_000_000)
    assert (taken.length, taken.whole, taken.found, len(taken.content)) == (50_000_001, False, True, 1 << 16)
    assert len(reader._buffer) < 2_100_000
    assert reader.rest(10).content == b"rest"


def test_faults_in_a_row_are_one() -> None:
    fault = Fault("e", "m", 10)
    reader = ByteReader(iter([b"ab", fault, fault, b"cd", fault]))
    assert reader.rest(9).content == b"ab"
    assert reader.next_segment() == Fault("e", "m", 20)
    assert (reader.position, reader.rest(9).content) == (22, b"cd")
    assert reader.next_segment() == fault
    assert reader.next_segment() is None
    assert (reader.position, reader.at_end()) == (34, True)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(SUFFIXES),
    st.lists(st.tuples(st.floats(0, 0.999), st.integers(1, 255)), max_size=4),
    st.floats(0.2, 1),
)
def test_no_damage_raises_and_every_byte_counts(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, flips: list[tuple[float, int]], keep: float
) -> None:
    data = bytearray(b"".join(compress(member, suffix) for member in MEMBERS))
    for where, value in flips:
        data[int(where * len(data))] ^= value
    path = tmp_path_factory.mktemp("damage") / f"a{suffix}"
    path.write_bytes(bytes(data[: int(keep * len(data))]))
    text, faults = _read(path)
    stream = open_stream(str(path))
    while True:
        stream.rest(100)
        if stream.next_segment() is None:
            break
    assert stream.position == len(text) + sum(fault.length for fault in faults)
