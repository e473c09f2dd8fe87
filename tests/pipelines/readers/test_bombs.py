"""Decompression bombs of a gigabyte and more: read to the end in bounded memory, refused with the limit named."""

from __future__ import annotations

import bz2
import json
import lzma
import subprocess
import sys
import zlib
from pathlib import Path

import brotli
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.readers import READERS
from pipelines.readers.compression import Fault, Inflation, read_blocks
from pipelines.readers.records import BadRecord, ReadOptions, Record
from tests.data.formats import compress, http_response, json_line, warc_record

ROOT = Path(__file__).parents[3]
GIB = 1 << 30
READ = """
import json, sys
from pipelines.readers import READERS
from pipelines.readers.compression import Inflation
from pipelines.readers.records import BadRecord, ReadOptions
from tests.pipelines.readers.malformed import peak_mib

kind, path, factor = sys.argv[1:]
options, before = ReadOptions(inflation=Inflation(float(factor))), peak_mib()
opened = READERS[kind].open(path, options)
bad = [item for item in READERS[kind].read(opened, options) if isinstance(item, BadRecord)]
print(json.dumps([opened.bytes_read, [[item.error, item.message] for item in bad], peak_mib() - before]))
"""


def _read(kind: str, path: Path, factor: float = 200.0) -> tuple[int, list[list[str]], float]:
    """Read a file in a process of its own; bytes read, (error, message) of the bad records, growth of memory in MiB."""
    command = [sys.executable, "-W", "error", "-c", READ, kind, str(path), str(factor)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return tuple(json.loads(done.stdout))


def _bomb(suffix: str) -> bytes:
    """Make 1 GiB of zeros of kilobytes: parts of a stream that can be repeated as they are."""
    if suffix == ".zst":  # one frame of run-length blocks of 128 KiB
        block = ((1 << 17) << 3 | 1 << 1).to_bytes(3, "little") + b"\0"
        last = ((1 << 17) << 3 | 1 << 1 | 1).to_bytes(3, "little") + b"\0"
        return b"\x28\xb5\x2f\xfd\x00\x58" + block * (GIB // (1 << 17) - 1) + last
    if suffix == ".gz":  # one member of flushed blocks
        coder = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        part = coder.compress(bytes(8 << 20)) + coder.flush(zlib.Z_FULL_FLUSH)
        return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + part * (GIB // (8 << 20)) + b"\x03\0" + bytes(4) + bytes(4)
    if suffix == ".bz2":
        return bz2.compress(bytes(32 << 20)) * (GIB // (32 << 20))
    return lzma.compress(bytes(32 << 20), preset=0) * (GIB // (32 << 20))


@pytest.mark.parametrize("suffix", [".gz", ".zst", ".bz2", ".xz"])
def test_a_gigabyte_of_kilobytes_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(compress(json_line("before"), suffix) + _bomb(suffix) + compress(json_line("after"), suffix))
    count, bad, grown_mib = _read("jsonl", path)
    assert path.stat().st_size < 2e6
    assert count < 3 * 64e6 + 200 * path.stat().st_size
    assert [error for error, _ in bad] == ["inflation"] or suffix in (".bz2", ".xz")
    assert bad[0][0] == "inflation"
    assert "expected at most 200 bytes per byte (limits.max_inflation) and 64000000 more" in bad[0][1]
    assert grown_mib < 200
    items = READERS["jsonl"].read(READERS["jsonl"].open(str(path), ReadOptions()), ReadOptions())
    assert [item.content for item in items if isinstance(item, Record)] == [b"before", b"after"]


@pytest.mark.parametrize(
    ("kind", "suffix"), [("jsonl", ".zst"), ("text", ".gz"), ("warc", ".gz"), ("mediawiki", ".zst")]
)
def test_without_that_limit_memory_is_bounded_all_the_same(tmp_path: Path, kind: str, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(_bomb(suffix))
    count, bad, grown_mib = _read(kind, path, 1e9)
    assert count >= GIB - (8 << 20)  # the checksum of the gzip bomb is wrong, which costs what came last
    assert len(bad) <= 2
    assert grown_mib < 200


def test_a_bomb_may_be_refused_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "a.zst"
    path.write_bytes(_bomb(".zst") * 20)
    blocks = list(read_blocks(str(path), inflation=Inflation(10.0, 1_000_000)))
    assert sum(isinstance(block, Fault) and block.error == "inflation" for block in blocks) == 20
    given = sum(len(block) for block in blocks if isinstance(block, bytes))
    assert given <= 1_000_000 + 10 * path.stat().st_size


@pytest.mark.parametrize(
    ("name", "dictionary"), [("a.parquet", False), ("a.parquet", True), ("a.arrow", True), ("a.arrows", False)]
)
def test_pages_and_buffers_are_refused_before_they_are_inflated(tmp_path: Path, name: str, dictionary: bool) -> None:
    text = pa.array(["x" * (80 << 20)])
    path, table = tmp_path / name, pa.table({"text": text.dictionary_encode() if dictionary else text})
    if name == "a.parquet":
        pq.write_table(table, path, compression="zstd", use_dictionary=dictionary, store_schema=False)
    else:
        new = pa.ipc.new_file if name == "a.arrow" else pa.ipc.new_stream
        with new(str(path), table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(table)
    _, bad, grown_mib = _read("parquet" if name == "a.parquet" else "arrow", path)
    assert [error for error, _ in bad] == ["unreadable_rows"]
    assert "limits.max_inflation" in bad[0][1]
    assert grown_mib < 60


def test_rows_that_share_a_large_text_are_decoded_a_few_at_a_time(tmp_path: Path) -> None:
    text = pa.array(["x" * 10_000_000]).dictionary_encode()
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 300, pa.int32()), text.dictionary)
    path = tmp_path / "a.parquet"
    pq.write_table(
        pa.table({"text": text}), path, compression="zstd", store_schema=False, dictionary_pagesize_limit=1 << 27
    )
    count, bad, grown_mib = _read("parquet", path)
    assert (count, bad) == (300 * 10_000_000, [])
    assert grown_mib < 350  # decoded at once, all rows would take 3 GB


def test_bodies_of_responses_have_a_limit_of_their_own(tmp_path: Path) -> None:
    page = b"<html>" + b"<p>x" * 10_000_000
    bodies = {
        "gzip": compress(page, ".gz"),
        "br": brotli.compress(page, quality=1),
        "zstd": compress(page, ".zst"),
        "deflate": zlib.compress(page),
        "gzip, gzip": compress(compress(page, ".gz"), ".gz"),
        "identity": page,
    }
    blocks = [http_response(body, headers=f"Content-Encoding: {encoding}\r\n") for encoding, body in bodies.items()]
    path = tmp_path / "a.warc"
    path.write_bytes(b"".join(warc_record("response", "https://x.example/", b, "application/http") for b in blocks))
    _, bad, grown_mib = _read("warc", path)
    assert [error for error, _ in bad] == ["too_large"] * len(bodies)
    assert all("expected at most 16000000 (limits.max_page_mb = 16)" in text for _, text in bad)
    assert grown_mib < 200


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("jsonl", b'{"text": "x", "a": [' + b"[]," * 20_000_000 + b"0]}\n"),
        ("mediawiki", b"<page>" + b"<a/>" * 15_000_000 + b"</page>\n"),
    ],
)
def test_values_without_number_are_refused(tmp_path: Path, kind: str, data: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)
    _, bad, grown_mib = _read(kind, path)
    assert [error for error, _ in bad] == ["too_many_values"]
    assert grown_mib < 250


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("csv", b"id,text\n" + b'a","\n' * 200_000),  # every line opens a quote that no other closes
        (
            "warc",
            b"".join(b"WARC/1.0\r\nContent-Length: %d\r\n\r\nx\r\n\r\n" % (60_000_000 - n) for n in range(40_000)),
        ),
        (
            "warc",
            warc_record("response", "u", http_response(b"x", f"a; charset{' ' * 60_000}"), "application/http") * 50,
        ),
        ("mediawiki", b"<page><revision><text>#x" + b" " * 3_000_000 + b"</text></revision></page>"),
        ("jsonl", b"\xff\xfe" + b"\x00\xd8a\x00" * 100_000),  # UTF-16 with a half character in every second place
    ],
    ids=["quotes", "lengths", "charset", "redirect", "half characters"],
)
def test_nothing_takes_time_that_grows_with_the_square(tmp_path: Path, kind: str, data: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)
    opened = READERS[kind].open(str(path), ReadOptions())
    items = list(READERS[kind].read(opened, ReadOptions()))
    assert opened.finished()
    assert sum(item.length for item in items) == opened.bytes_read
    assert b"charset" in data or kind == "mediawiki" or any(isinstance(item, BadRecord) for item in items)
