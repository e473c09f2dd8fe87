"""The WARC writer of the demo corpora, read back with fastwarc and warcio."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from pathlib import Path

import pytest
from fastwarc.warc import ArchiveIterator as FastIterator
from fastwarc.warc import WarcRecordType
from warcio.archiveiterator import ArchiveIterator as WarcioIterator

from recipes.demo.warc_writer import REQUEST_EVERY_PAGES, Page, write_warc

PAGES = [Page(f"https://site.example/a/{n}.html", f"<p>page {n} 第\r\n\r\n{n * 'x '}</p>".encode()) for n in range(120)]


def test_warc_reads_back_equal_with_fastwarc_and_warcio(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    counts = write_warc(path, PAGES)
    with path.open("rb") as stream:
        fast = {
            record.headers["WARC-Target-URI"]: record.reader.read()
            for record in FastIterator(stream, record_types=WarcRecordType.response)
        }
    with path.open("rb") as stream:
        kinds: list[str] = []
        slow: dict[str, bytes] = {}
        ids: set[str] = set()
        for record in WarcioIterator(stream, check_digests="raise"):
            kinds.append(record.rec_type)
            ids.add(record.rec_headers["WARC-Record-ID"])
            if record.rec_type == "response":
                assert record.http_headers["Content-Type"] == "text/html"
                slow[record.rec_headers["WARC-Target-URI"]] = record.content_stream().read()
    expected = {page.uri: page.body for page in PAGES}
    assert fast == slow == expected
    extras = -(-len(PAGES) // REQUEST_EVERY_PAGES)
    assert [kinds.count(kind) for kind in ("warcinfo", "request", "metadata")] == [1, extras, extras]
    assert kinds[0] == "warcinfo"
    assert (counts.responses, counts.others) == (len(PAGES), 1 + 2 * extras)
    assert len(ids) == len(kinds)
    assert counts.bytes == path.stat().st_size


def test_warc_has_one_gzip_member_per_record_and_true_digests(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    counts = write_warc(path, PAGES[:3])
    data = path.read_bytes()
    starts = [match.start() for match in re.finditer(rb"\x1f\x8b\x08\x00\x00\x00\x00\x00", data)]
    members = [gzip.decompress(data[a:b]) for a, b in zip(starts, [*starts[1:], len(data)], strict=True)]
    assert len(members) == counts.responses + counts.others
    for member in members:
        header, _, rest = member.partition(b"\r\n\r\n")
        block = rest.removesuffix(b"\r\n\r\n")
        digest = base64.b32encode(hashlib.sha1(block).digest())
        assert b"WARC-Block-Digest: sha1:" + digest in header
        assert f"Content-Length: {len(block)}".encode() in header


def test_warc_bytes_do_not_depend_on_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.warc.gz"
    write_warc(path, PAGES)
    before = path.read_bytes()
    monkeypatch.setattr("time.time", lambda: 4e9)
    write_warc(path, PAGES)
    assert path.read_bytes() == before
