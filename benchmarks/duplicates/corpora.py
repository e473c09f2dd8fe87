"""Natural near-duplicates: what lies on any machine, and the Debian installation guide for two architectures.

Licences and package descriptions repeat each other in all degrees, and the tables of the codecs of Python's
standard library are variations of one file. The guide (GPL-2, fetched by apt-get, never committed) has the same
page for two architectures in 14 languages. `python -m benchmarks.duplicates.corpora` fetches it into the cache.
"""

from __future__ import annotations

import gzip
import re
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import orjson

from pipelines.kernels.compile import user_cache_dir
from recipes.demo.archives import read_members
from recipes.demo.downloads import Package, SourceUnavailable, fetch
from recipes.demo.warc_writer import Page, write_warc

ARCHITECTURES = ("amd64", "arm64")
_GUIDES = tuple(Package("apt-get", f"installation-guide-{name}") for name in ARCHITECTURES)
_LEGAL = re.compile(r"(?i)(licen[cs]e|copying|notice|metadata)")
MAX_CHARS = 40_000


def package_cache() -> Path:
    """Return the folder that fetched packages are kept in, outside of the tree."""
    return (user_cache_dir() or Path(tempfile.gettempdir()) / "mixtrace") / "packages"


def fetched_guides() -> tuple[Path, ...] | None:
    """Return the guide's packages if they are in the cache."""
    found = [sorted((package_cache() / each.client).glob(each.pattern())) for each in _GUIDES]
    return tuple(paths[-1] for paths in found) if all(found) else None


def legal_texts() -> Iterator[tuple[str, str]]:
    """Yield licences and descriptions of installed packages, of Debian (where it is one) and of Python."""
    debian = sorted(Path("/usr/share/doc").glob("*/copyright"))
    python = sorted(Path(sysconfig.get_paths()["purelib"]).glob("*.dist-info/**/*"))
    chosen = [*debian, *(path for path in python if path.is_file() and _LEGAL.match(path.name))]
    for path in chosen:
        text = path.read_text("utf-8", "replace")
        if 0 < len(text) <= MAX_CHARS:
            yield f"file://{path}", text


def codec_tables() -> Iterator[tuple[str, str]]:
    """Yield the sources of the codecs of the standard library."""
    for path in sorted(Path(sysconfig.get_paths()["stdlib"], "encodings").glob("*.py")):
        text = path.read_text("utf-8", "replace")
        if len(text) <= MAX_CHARS:
            yield f"file://{path}", text


def write_guide(packages: Iterable[Path], folder: Path, languages: tuple[str, ...]) -> list[Path]:
    """Write one WARC per architecture with the pages of some languages."""
    inside = re.compile(rf"/installation-guide-[^/]+/((?:{'|'.join(languages)})/.*\.html)$")
    written = []
    for name, package in zip(ARCHITECTURES, packages, strict=True):
        members = read_members(package, lambda member: bool(inside.search(member)))
        pages = [(found[1], body) for member, body in members.items() if (found := inside.search(member))]
        path = folder / f"guide-{name}.warc.gz"
        write_warc(path, [Page(f"https://guide.example/{name}/{page}", body) for page, body in pages])
        written.append(path)
    return written


def write_documents(path: Path, documents: Iterable[tuple[str, str]]) -> int:
    """Write (url, text) as gzipped JSON lines; returns how many."""
    lines = [orjson.dumps({"id": url, "url": url, "text": text}) + b"\n" for url, text in documents]
    path.write_bytes(gzip.compress(b"".join(lines), 1, mtime=0))
    return len(lines)


def main() -> int:
    """Fetch the guide's packages; exit status 1 if they cannot be had."""
    try:
        for package in _GUIDES:
            print(fetch(package, package_cache()))
    except SourceUnavailable as error:
        print(f"installation guide: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
