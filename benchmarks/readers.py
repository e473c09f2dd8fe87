"""Speed of every reader against a usual way to read the same file: `python -m benchmarks.readers`.

Every file holds the same documents of the demo corpora (WARC: its pages; MediaWiki: the dump of the demo); both
sides read all of it in turn (A B A B), in one process and thread, down to the content of every record. MB are
decompressed bytes of the file. The last table is wikitext to text, on the articles of the dump.
"""

from __future__ import annotations

import argparse
import bz2
import csv
import gzip
import io
import json
import lzma
import re
import statistics
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path

import mwparserfromhell
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from fastwarc.warc import ArchiveIterator, WarcRecordType

from benchmarks.chain import keep_section, machine
from benchmarks.corpus import sample
from pipelines.contracts.recipe import Limits, Source
from pipelines.contracts.recipe_sources import Units
from pipelines.ops.wikitext import plain_text
from pipelines.readers import READERS
from pipelines.readers.records import Record, read_options

Peer = tuple[str, Callable[[Path], int]]
MARKUP = re.compile(
    r"\{\{|\}\}|\[\[|\]\]|''|\{\||\|\}|</?[a-z]+[ >/]|&[a-z]+;|^(?:\|-|=+.*=+$|\s*[|!]|(?:Category|File|Image):)",
    re.MULTILINE,
)
"""What would be left of wikitext in a text: templates, links, emphasis, tables, tags, entities, headings."""
_OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def open_raw(path: Path) -> io.BufferedIOBase:
    """Open a file and undo its compression with the usual library."""
    if path.suffix == ".zst":
        return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(path.open("rb"), read_across_frames=True))
    return _OPENERS.get(path.suffix, open)(path, "rb")


def ours(path: Path, source: Source) -> tuple[int, int]:
    """Read a file with our reader.

    Returns:
        (bytes of the file, records).
    """
    options = read_options(source, Limits(), 0, None)
    reader = READERS[source.format]
    opened = reader.open(str(path), options)
    records = sum(1 for item in reader.read(opened, options) if isinstance(item, Record) and item.content)
    return opened.bytes_read, records


def _jsonl(path: Path) -> int:
    with open_raw(path) as file:
        return sum(1 for line in file if json.loads(line)["text"].encode())


def _lines(path: Path) -> int:
    with open_raw(path) as file:
        return sum(1 for line in file if line.strip())


def _csv(path: Path) -> int:
    csv.field_size_limit(1 << 26)
    with io.TextIOWrapper(open_raw(path), "utf-8", newline="") as file:
        return sum(1 for row in csv.DictReader(file) if row["text"].encode())


def _parquet(path: Path) -> int:
    return sum(1 for row in pq.read_table(path).to_pylist() if row["text"].encode())


def _arrow(path: Path) -> int:
    return sum(1 for row in pa.ipc.open_file(path).read_all().to_pylist() if row["text"].encode())


def _fastwarc(path: Path) -> int:
    records = ArchiveIterator(path.open("rb"), record_types=WarcRecordType.response)
    return sum(1 for record in records if record.reader.read())


def _iterparse(path: Path) -> int:
    pages = 0
    with open_raw(path) as file:
        for _, element in ElementTree.iterparse(file):
            if element.tag.endswith("}page"):
                text = element.find(".//{*}text")
                redirect = element.find("{*}redirect")
                pages += redirect is None and element.findtext("{*}ns") == "0" and bool((text.text or "").encode())
                element.clear()
    return pages


def _compressed(data: bytes, suffix: str) -> bytes:
    if suffix == ".zst":
        return zstandard.ZstdCompressor(level=3).compress(data)
    return {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}[suffix](data)


def files_of_texts(folder: Path, texts: list[str]) -> Iterator[tuple[Path, Source, Peer]]:
    """Write the documents in every format of fields and lines; yields (path, source, peer)."""
    rows = [{"id": str(i), "text": text} for i, text in enumerate(texts)]
    lines = b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
    for suffix in ("", ".gz", ".zst", ".bz2", ".xz"):
        path = folder / f"docs.jsonl{suffix}"
        path.write_bytes(_compressed(lines, suffix))
        yield path, Source(name="x", path="x", format="jsonl"), ("json.loads per line", _jsonl)
    table = pa.Table.from_pylist(rows)
    path = folder / "docs.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["id", "text"])
        writer.writeheader()
        writer.writerows(rows)
    yield path, Source(name="x", path="x", format="csv"), ("csv.DictReader", _csv)
    pq.write_table(table, folder / "docs.parquet", row_group_size=1000)
    yield folder / "docs.parquet", Source(name="x", path="x", format="parquet"), ("pyarrow, to_pylist", _parquet)
    with pa.ipc.new_file(folder / "docs.arrow", table.schema) as file:
        file.write_table(table, max_chunksize=1000)
    yield folder / "docs.arrow", Source(name="x", path="x", format="arrow"), ("pyarrow, to_pylist", _arrow)
    (folder / "docs.txt").write_bytes("\n".join(texts).encode())
    yield folder / "docs.txt", Source(name="x", path="x", format="text", text=Units(unit="line")), ("lines", _lines)


def files_of_corpora(folder: Path, corpora: Path) -> Iterator[tuple[Path, Source, Peer]]:
    """Yield the WARC files and the dumps of the demo corpora, as they are and without compression."""
    warc = max((corpora / "web").glob("*.warc.gz"), key=lambda path: path.stat().st_size)
    plain = folder / "pages.warc"
    plain.write_bytes(gzip.decompress(warc.read_bytes()))
    for path in (warc, plain):
        yield path, Source(name="x", path="x", format="warc"), ("FastWARC", _fastwarc)
    dump = max((corpora / "wiki").glob("en*.xml.bz2"), key=lambda path: path.stat().st_size)
    plain = folder / "dump.xml"
    plain.write_bytes(bz2.decompress(dump.read_bytes()))
    for path in (dump, plain):
        yield path, Source(name="x", path="x", format="mediawiki"), ("ElementTree.iterparse", _iterparse)


def cpu_s(work: Callable[[], object]) -> float:
    """Measure the CPU seconds of a call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def measure(path: Path, source: Source, peer: Peer, pairs: int) -> str:
    """Read one file with both; returns the row of the table."""
    size, records = ours(path, source)
    of_peer = peer[1](path)
    if source.format != "text" and records != of_peer:
        raise SystemExit(f"{path}: got {records} records; the peer read {of_peer}")
    times = [(cpu_s(lambda: ours(path, source)), cpu_s(lambda: peer[1](path))) for _ in range(pairs)]
    seconds = statistics.median(a for a, _ in times)
    ratio = statistics.median(b / a for a, b in times)
    name = f"{source.format}, lines" if source.format == "text" else source.format
    form = path.suffix if path.suffix in (".gz", ".zst", ".bz2", ".xz") else "–"
    return (
        f"| {name} | {form} | {records:,} | {size / 1e6:.1f} | {size / 1e6 / seconds:,.0f} | {peer[0]} | {ratio:.2f} |"
    )


def wikitext_rows(dump: Path, pairs: int) -> list[str]:
    """Extract the articles of a dump with ours and with mwparserfromhell."""
    source = Source(name="x", path="x", format="mediawiki")
    options = read_options(source, Limits(), 0, None)
    reader = READERS["mediawiki"]
    items = reader.read(reader.open(str(dump), options), options)
    articles = [item.content.decode() for item in items if isinstance(item, Record)]
    megabytes = sum(len(article.encode()) for article in articles) / 1e6
    times = [
        (
            cpu_s(lambda: [plain_text(article) for article in articles]),
            cpu_s(lambda: [mwparserfromhell.parse(article).strip_code() for article in articles]),
        )
        for _ in range(pairs)
    ]
    rows = [
        "| wikitext to text | articles | MB | ms per article | MB/s | articles with markup left |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    left = [
        sum(1 for article in articles if MARKUP.search(plain_text(article))),
        sum(1 for article in articles if MARKUP.search(mwparserfromhell.parse(article).strip_code())),
    ]
    for place, name in enumerate(("mixtrace", "mwparserfromhell, strip_code")):
        seconds = statistics.median(pair[place] for pair in times)
        per_article = 1e3 * seconds / len(articles)
        speed = f"{per_article:.2f} | {megabytes / seconds:.2f}"
        rows.append(f"| {name} | {len(articles)} | {megabytes:.1f} | {speed} | {left[place]} |")
    return rows


def main() -> None:
    """Run the benchmark, print and keep its tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--docs", type=int, default=5000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--workspace", type=Path, default=Path("build/demo"))
    parser.add_argument("--corpora", type=Path, default=Path("build/demo-corpora"))
    options = parser.parse_args()
    origin, texts = sample(options.docs, options.workspace)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        files = [*files_of_texts(folder, texts), *files_of_corpora(folder, options.corpora)]
        rows = [measure(path, source, peer, options.pairs) for path, source, peer in files]
        wikitext = wikitext_rows(folder / "dump.xml", options.pairs)
    lines = [
        f"{len(texts):,} documents from the {origin}, its WARC files and its dump; {options.pairs} pairs; {machine()}",
        "",
        "| format | compression | records | MB | MB/s | peer | times as fast as the peer |",
        "|---|---|--:|--:|--:|---|--:|",
        *rows,
        "",
        *wikitext,
    ]
    keep_section("readers", lines)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
