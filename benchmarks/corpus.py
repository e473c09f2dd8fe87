"""Documents for benchmarks: a deterministic sample of the demo corpora, or the standard library without them."""

from __future__ import annotations

import gzip
import json
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

import orjson

from pipelines.contracts.ids import fraction

MIN_CHARS, MAX_CHARS = 500, 5500


def demo_documents(workspace: Path) -> Iterator[str]:
    """Yield the curated documents of a demo workspace (all sources, kept or not)."""
    import pyarrow.parquet as pq

    for path in sorted((workspace / "documents").glob("part-*.parquet")):
        yield from pq.read_table(path, columns=["text"])["text"].to_pylist()


def library_documents() -> Iterator[str]:
    """Yield pieces of the Python standard library."""
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).rglob("*.py")):
        text = path.read_text("utf-8", "replace")
        yield from (text[start : start + 2200] for start in range(0, len(text), 2200))


def pieces(texts: Iterable[str]) -> Iterator[str]:
    """Yield texts of 500 to 5,500 characters; longer ones are cut at line ends, shorter ones left out."""
    for text in texts:
        rest = text
        while len(rest) > MAX_CHARS:
            cut = rest.rfind("\n", MIN_CHARS, 3300)
            cut = cut if cut > 0 else 2200
            yield rest[:cut]
            rest = rest[cut:]
        if len(rest) >= MIN_CHARS:
            yield rest


def sample(documents: int, workspace: Path) -> tuple[str, list[str]]:
    """Draw documents of 500 to 5,500 characters by hash, pieces of long ones among them.

    Returns:
        (where they come from, [documents] texts).
    """
    has_demo = (workspace / "documents").is_dir()
    texts = demo_documents(workspace) if has_demo else library_documents()
    drawn = sorted(set(pieces(texts)), key=lambda text: fraction(text, "benchmark"))
    return ("demo corpora" if has_demo else "standard library"), drawn[:documents]


def write_jsonl(path: Path, texts: list[str]) -> None:
    """Write texts as JSON lines, plain and gzipped side by side."""
    lines = b"".join(orjson.dumps({"id": str(i), "text": text}) + b"\n" for i, text in enumerate(texts))
    path.write_bytes(lines)
    with gzip.GzipFile(f"{path}.gz", "wb", mtime=0) as file:
        file.write(lines)


def tokenizer_json(texts: list[str], vocab_size: int = 32_000) -> str:
    """Train the byte-level BPE that both sides use."""
    from pipelines.contracts.recipe import Tokenizer
    from pipelines.ops.train_tokenizer import train_tokenizer

    text = train_tokenizer(iter([texts]), Tokenizer(vocab_size=vocab_size))
    return json.dumps(json.loads(text))
