"""WARC records, with FastWARC and warcio as oracles."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import pytest
import zstandard
from fastwarc.warc import ArchiveIterator
from warcio.archiveiterator import ArchiveIterator as WarcioIterator

from pipelines.readers import warc
from pipelines.readers.compression import Fault
from pipelines.readers.http import HttpError, parse_response
from pipelines.readers.records import BadRecord, Item, NonDocument, ReadOptions, Record
from pipelines.readers.stream import ByteReader, open_stream
from tests.data.awkward import make_corpus
from tests.data.formats import compress, html_page, http_response, page_record, warc_record

HTTP = "application/http; msgtype=response"
PAGES = [page_record(f"https://a.example/{n}", f"Page {n}", f"Text of page {n}.") for n in range(4)]


def _read(data: bytes, limit: int = 1_000_000) -> list[Item]:
    items = list(warc.read(ByteReader(iter([data])), ReadOptions(max_record_bytes=limit)))
    assert [item.offset for item in items] == [sum(i.length for i in items[:n]) for n in range(len(items))]
    assert sum(item.length for item in items) == len(data)
    return items


def _documents(items: list[Item]) -> list[Record]:
    return [item for item in items if isinstance(item, Record)]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("warc")
    make_corpus(folder, documents=240, seed=5)
    return folder / "web"


@pytest.mark.parametrize("name", ["pages-0.warc.gz", "pages-1.warc.zst", "pages-2.warc"])
def test_same_records_as_fastwarc_and_warcio(corpus: Path, name: str) -> None:
    ours = _documents(list(warc.read(open_stream(str(corpus / name)), ReadOptions())))
    data = (corpus / name).read_bytes()
    if name.endswith(".zst"):
        data = zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()
    fast = [
        (r.record_id, r.headers["WARC-Target-URI"], r.headers["WARC-Date"], r.reader.read(), r.http_charset)
        for r in ArchiveIterator(io.BytesIO(data), parse_http=True)
        if r.headers["WARC-Type"] == "response"
    ]
    slow = [
        (r.rec_headers.get_header("WARC-Record-ID"), r.content_stream().read())
        for r in WarcioIterator(io.BytesIO(data))
        if r.rec_type == "response"
    ]
    assert len(ours) > 10
    assert [(r.native_id, r.url, r.date, r.content, r.charset) for r in ours] == fast
    assert [(r.native_id, r.content) for r in ours] == slow


def test_kinds() -> None:
    records = {
        "warcinfo": warc_record("warcinfo", "", b"x: y\r\n", "application/warc-fields"),
        "request": warc_record("request", "u", b"GET /\r\n\r\n", "application/http"),
        "metadata": warc_record("metadata", "u", b"", "text/plain"),
        "revisit": warc_record("revisit", "u", b"", HTTP),
        "other": warc_record("something", "u", b"", HTTP),
        "response:status": warc_record("response", "u", http_response(b"<html>", status=301), HTTP),
        "response:image": warc_record("response", "u", http_response(b"x", "image/png"), HTTP),
        "response:unknown": warc_record("response", "u", http_response(b"\0\1", ""), HTTP),
        "response:not_http": warc_record("response", "dns:u", b"x", "text/dns"),
        "resource:video": warc_record("resource", "u", b"x", "video/mp4"),
        "blank": b"\r\n",
    }
    for kind, data in records.items():
        (item,) = _read(data)
        assert isinstance(item, NonDocument), kind
        assert item.kind == kind


def test_texts_of_responses_resources_and_conversions() -> None:
    blocks = [
        warc_record("response", "u", http_response(b"<p>x", "Text/HTML"), HTTP),
        warc_record("response", "<u>", http_response(b"x", "text/plain;charset=GBK"), HTTP),
        warc_record("response", "u", http_response(b" <!doctype HTML>x", "application/octet-stream"), HTTP),
        warc_record("resource", "u", b"<p>x", "application/xhtml+xml"),
        warc_record("conversion", "u", b"x", "text/plain"),
    ]
    records = _documents(_read(b"".join(blocks)))
    assert [record.kind for record in records] == ["html", "text", "html", "html", "text"]
    assert [record.url for record in records] == ["u"] * 5
    assert [record.charset for record in records] == [None, "GBK", None, None, None]


@pytest.mark.parametrize("length", [3, 10_000, 5_000_000])
def test_a_wrong_length_costs_one_record(length: int) -> None:
    wrong = warc_record("response", "w", http_response(b"<html>wrong"), HTTP, length=length)
    items = _read(PAGES[0] + wrong + PAGES[1])
    assert [type(item) for item in items] == [Record, BadRecord, Record]
    assert items[1].length == len(wrong)
    assert items[1].error in ("wrong_length", "truncated")


@pytest.mark.parametrize(
    "bad", [b"garbage\r\n", b"WARC/1.0\r\nContent-Length: x\r\n\r\nabc\r\n", b"WARC/1.0\r\nno end\r\n"]
)
def test_reading_goes_on_after_garbage(bad: bytes) -> None:
    items = _read(PAGES[0] + bad + PAGES[1])
    assert [type(item) for item in items] == [Record, BadRecord, Record]
    assert items[1].length == len(bad)


def test_a_cut_file_loses_its_last_record_only() -> None:
    for cut in (5, 60, 300, len(PAGES[1]) - 5):
        items = _read(PAGES[0] + PAGES[1][:cut])
        assert [type(item) for item in items] == [Record, BadRecord]
        assert items[1].error in ("truncated", "not_a_record")
    assert len(_documents(_read(PAGES[0] + PAGES[1][:-4]))) == 2  # only the line ends after the block are missing


def test_a_broken_member_costs_one_record(tmp_path: Path) -> None:
    members = [bytearray(compress(page, ".gz")) for page in PAGES]
    members[1][40] ^= 0xFF
    path = tmp_path / "a.warc.gz"
    path.write_bytes(b"".join(bytes(member) for member in members))
    stream = open_stream(str(path))
    items = list(warc.read(stream, ReadOptions()))
    assert [type(item) for item in items] == [Record, BadRecord, Record, Record]
    assert items[1].error == "damaged_compression"
    assert sum(item.length for item in items) == stream.position


def test_a_fault_between_records_is_a_record_of_its_own() -> None:
    items = list(warc.read(ByteReader(iter([PAGES[0], Fault("e", "m", 7), PAGES[1]])), ReadOptions()))
    assert [(type(item), item.length) for item in items] == [
        (Record, len(PAGES[0])),
        (BadRecord, 7),
        (Record, len(PAGES[1])),
    ]


def test_a_large_response_without_a_status_line_is_a_bad_record() -> None:
    items = _read(warc_record("response", "u", b"HTXP" + b"x" * 200_000, HTTP) + PAGES[0], limit=100_000)
    assert [type(item) for item in items] == [BadRecord, Record]
    assert items[0].error == "not_http"


def test_large_records() -> None:
    page = warc_record("response", "u", http_response(b"<html>" + b"x" * 200_000), HTTP)
    video = warc_record("response", "u", http_response(b"x" * 200_000, "video/mp4"), HTTP)
    items = _read(PAGES[0] + page + video + PAGES[1], limit=100_000)
    assert [type(item) for item in items] == [Record, BadRecord, NonDocument, Record]
    assert (items[1].error, items[1].length, items[2].kind) == ("too_large", len(page), "response:video")


BODY = html_page("T", "some text " * 50).encode()


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ("Content-Encoding: gzip\r\n", compress(BODY, ".gz")),
        ("Content-Encoding: deflate\r\n", zlib.compress(BODY)),
        ("Content-Encoding: deflate\r\n", zlib.compress(BODY)[2:-4]),
        ("Content-Encoding: zstd\r\n", compress(BODY, ".zst")),
        ("Content-Encoding: identity\r\n", BODY),
        (
            "Transfer-Encoding: chunked\r\n",
            b"5;x=y\r\n" + BODY[:5] + b"\r\n%X\r\n" % (len(BODY) - 5) + BODY[5:] + b"\r\n0\r\n\r\n",
        ),
        (
            "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
            BODY,
        ),  # the crawler had decoded it already
        ("Content-Encoding: br\r\n", BODY),
    ],
)
def test_encodings_are_undone(headers: str, body: bytes) -> None:
    assert parse_response(http_response(body, headers=headers), 10_000).body == BODY


@pytest.mark.parametrize(
    ("block", "error"),
    [
        (b"no http", "not_http"),
        (b"HTTP/1.1 200 OK\r\nA: b", "truncated_http"),
        (http_response(b"\x0b\x02", headers="Content-Encoding: br\r\n"), "content_encoding"),
        (
            http_response(compress(BODY, ".gz")[:-20], headers="Content-Encoding: gzip\r\n"),
            "content_encoding",
        ),
        (http_response(compress(bytes(50_000), ".gz"), headers="Content-Encoding: gzip\r\n"), "too_large"),
        (http_response(compress(bytes(50_000), ".zst"), headers="Content-Encoding: zstd\r\n"), "too_large"),
        (http_response(b"ff\r\nshort", headers="Transfer-Encoding: chunked\r\n"), "bad_chunks"),
    ],
)
def test_broken_responses(block: bytes, error: str) -> None:
    with pytest.raises(HttpError) as caught:
        parse_response(block, 10_000)
    assert caught.value.error == error
    (item,) = _read(warc_record("response", "u", block, HTTP), limit=10_000)
    assert isinstance(item, BadRecord)
    assert item.error == error


@pytest.mark.parametrize("keep", [10, 11, 40, 77, 150])
def test_a_header_that_is_cut_short_costs_its_own_record(keep: int) -> None:
    items = _read(warc_record("warcinfo", "u", b"x" * 300, "application/warc-fields")[:keep] + PAGES[0])
    assert [type(item) for item in items] == [BadRecord, Record]
    assert (items[0].length, items[1].offset) == (keep, keep)
