"""URL lists: what is listed, what is not, and which entry decides."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.contracts.errors import ConfigError
from pipelines.ops.list_files import list_mark, read_list
from pipelines.ops.urls import classify_url, count_url_words, load_url_words, parse_entries, split_url

BLOCK = parse_entries(
    ["Bad.example", "*.ads.example", "0.0.0.0 sink.example", "https://mixed.example/gone/", "bücher.example"]
)
ALLOW = parse_entries(["good.bad.example", "ads.example/terms"])


@pytest.mark.parametrize(("url", "expected"), [
    ("http://bad.example/", "domain"),
    ("https://www.BAD.example:443/a?b#c", "domain"),
    ("bad.example", "domain"),
    ("http://user@bad.example./", "domain"),
    ("http://notbad.example/", "no"),
    ("http://example/bad.example", "no"),
    ("http://bad.example.org/", "no"),
    ("http://x.ads.example/1", "domain"),
    ("http://sink.example", "domain"),
    ("https://mixed.example/gone", "url"),
    ("http://mixed.example/gone/#top", "url"),
    ("http://mixed.example/gone/further", "no"),
    ("http://mixed.example/", "no"),
    ("http://xn--bcher-kva.example/", "domain"),
    ("http://good.bad.example/x", "allowed"),
    ("http://ads.example/terms", "allowed"),
    ("http://bad.example:8080/", "no"),
    ("", "no"),
    (None, "no"),
])  # fmt: skip
def test_which_urls_are_listed(url: str | None, expected: str) -> None:
    assert classify_url(url, BLOCK, ALLOW) == expected


def test_of_equal_entries_the_allow_list_decides() -> None:
    entries = parse_entries(["a.example"])
    assert classify_url("http://a.example/", entries, entries) == "allowed"


def test_spellings_of_one_address_are_equal() -> None:
    assert split_url("HTTP://Example.ORG:80/?") == split_url("example.org./?#x") == ("example.org", "/?")
    assert split_url("http://example.org?q=1/") == ("example.org", "?q=1")


def test_words_in_urls_are_whole_words(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("Casino  # a comment\n\n# nothing\npoker\n", "utf-8")
    words = load_url_words((str(path),))
    assert count_url_words("https://x.example/CASINO-night/poker_casino?p=pokerface", words) == 3
    assert count_url_words(None, words) == 0


def test_list_files_are_read_once_checked_and_marked_by_their_bytes(tmp_path: Path) -> None:
    path, same, empty = (tmp_path / name for name in ("a.txt", "b.txt", "c.txt"))
    path.write_bytes("\ufeffone\r\n two # 2\n".encode())
    same.write_bytes(path.read_bytes())
    empty.write_text("# nothing\n", "utf-8")
    assert read_list(str(path)) == ("one", "two")
    assert list_mark(str(path)) == list_mark(str(same)) != list_mark(str(empty))
    assert list_mark(str(tmp_path / "d.txt")) == "absent"
    for bad, match in ((empty, "never match"), (tmp_path / "d.txt", "no such file")):
        with pytest.raises(ConfigError, match=match):
            read_list(str(bad))
    empty.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_list(str(empty))
