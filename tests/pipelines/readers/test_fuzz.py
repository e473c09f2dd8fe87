"""Any bytes at all: no reader raises, and every byte is accounted for."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.readers.http import HttpError, parse_headers, parse_response
from tests.data.columnar_mutations import Case
from tests.data.formats import http_response
from tests.pipelines.readers.malformed import faults_of

_MARKS = {
    "warc": [
        b"WARC/1.0\r\n", b"\r\n", b"\r\n\r\n", b"Content-Length: 5\r\n", b"Content-Length: 99999999\r\n", b"WARC-Type: response\r\n",
        b"Content-Type: application/http\r\n", b"HTTP/1.1 200 OK\r\n", b"Transfer-Encoding: chunked\r\n", b"5\r\nabcde\r\n", b"0\r\n\r\n",
        b"Content-Encoding: gzip\r\n", b"\x1f\x8b\x08", b"filedesc://", b"<html>",
    ],
    "mediawiki": [
        b"<mediawiki>", b"<page>", b"</page>", b"<title>a</title>", b"<ns>0</ns>", b"<revision>", b"</revision>", b"<text>", b"</text>",
        b"&lt;", b"&#0;", b"&x;", b"<!DOCTYPE a>", b"<![CDATA[", b"]]>", b"<redirect/>", b"<?xml version='1.0' encoding='utf-16'?>",
    ],
    "jsonl": [b'{"text": "', b'"}', b"\n", b"{", b"}", b"[", b"]", b"\\u0000", b"\\ud800", b"1e999", b'{"text": "a"}\n', b'"url": ', b"null"],
    "csv": [b"id,text,url\n", b'"', b'""', b",", b"\n", b"\r\n", b"\r", b"a", b'1,"x",u\n', b"\0"],
    "lines": [b"\n", b"\r\n", b"abc", b"\xc2\x85", b" "],
    "text": [b"abc\n", b"\xff\xfe", b"\xfe\xff", b"a\0", b"\0a"],
    "parquet": [b"PAR1", b"\x15\x00\x15", b"\x00\x00\x00\x10"],
    "arrow": [b"ARROW1\0\0", b"\xff\xff\xff\xff", b"\x10\0\0\0", b"\0\0\0\0", b"ARROW1"],
}  # fmt: skip
_COMPRESSED = {
    "": [],
    ".gz": [b"\x1f\x8b\x08\0\0\0\0\0\0\xff", b"\x1f\x8b\x08\x1f", b"\x03\0" + bytes(8), b"\0"],
    ".zst": [b"\x28\xb5\x2f\xfd\x00\x58", b"\x50\x2a\x4d\x18\x05\0\0\0abcde", b"\x02\0\x10a", b"\x01\0\0"],
    ".bz2": [b"BZh91AY&SY", b"BZh9\x17rE8P\x90\0\0\0\0"],
    ".xz": [b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46", b"\0\0\0\0"],
}


def _bytes(marks: list[bytes]) -> st.SearchStrategy[bytes]:
    part = st.one_of(st.sampled_from(marks), st.binary(max_size=12)) if marks else st.binary(max_size=40)
    repeated = st.tuples(part, st.integers(1, 60)).map(lambda pair: pair[0] * pair[1])
    return st.lists(st.one_of(part, part, repeated), max_size=14).map(b"".join)


@pytest.mark.parametrize("kind", _MARKS)
def test_any_bytes_are_accounted_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"

    @settings(max_examples=150, deadline=None)
    @given(_bytes(_MARKS[kind]))
    def check(data: bytes) -> None:
        path.write_bytes(data)
        _, wrong = faults_of(Case(kind, "", "fuzz", data, 0, ()), path)
        assert wrong == []

    check()


@pytest.mark.parametrize("suffix", [suffix for suffix in _COMPRESSED if suffix])
def test_any_compressed_bytes_are_accounted_for(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"

    @settings(max_examples=150, deadline=None)
    @given(_bytes(_COMPRESSED[suffix]), st.sampled_from(["warc", "jsonl", "text"]))
    def check(data: bytes, kind: str) -> None:
        data = _COMPRESSED[suffix][0] + data
        path.write_bytes(data)
        _, wrong = faults_of(Case(kind, suffix, "fuzz", data, 0, ()), path)
        assert wrong == []

    check()


@settings(max_examples=300, deadline=None)
@given(
    _bytes(_MARKS["warc"]),
    st.sampled_from(["gzip", "deflate", "br", "zstd", "gzip, br", "x", ",,", "identity"]),
    st.booleans(),
)
def test_any_response_gives_a_body_or_a_cause(body: bytes, encoding: str, chunked: bool) -> None:
    headers = f"Content-Encoding: {encoding}\r\n" + ("Transfer-Encoding: chunked\r\n" if chunked else "")
    for block in (http_response(body, headers=headers), body):
        try:
            found, cause = parse_response(block, 1000).body, "got expected"
        except HttpError as error:
            found, cause = b"", str(error)
        assert len(found) <= 1000
        assert "got" in cause
        assert "expected" in cause
    parse_headers(body)
