"""The whole chain against datatrove, paired in one run: `make bench`.

Both sides read the same JSONL file and do the same steps: language, Gopher and FineWeb statistics, MinHash
with duplicates, BPE, shards; one thread each, in turn (A B A B). The peer gets an environment of its own in
the user's cache. The product's whole `curate` is measured by `benchmarks.product`, so that nobody is misled by
kernels alone.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from benchmarks.corpus import sample, tokenizer_json, write_jsonl
from pipelines.kernels.compile import user_cache_dir
from pipelines.kernels.language_model import default_model_path

PEER = (
    "datatrove==0.10.1",
    "fasteners",
    "spacy>=3.8,<3.9",
    "nltk",
    "fasttext-numpy2-wheel==0.9.2",
    "tokenizers",
    "orjson",
    "xxhash<3.6",
    "regex",
)
RESULTS = Path("docs/reference/performance.md")


def peer_python() -> Path:
    """Make the peer's environment if it is not there; returns its interpreter."""
    folder = (user_cache_dir() or Path(tempfile.gettempdir())) / "peers" / "datatrove"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        print(f"setting up {PEER[0]} in {folder} ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PEER], check=True)
        (folder / "ready").touch()
    return python


def run_json(command: list[str]) -> dict[str, float]:
    """Run a command and read the JSON of its last line."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(done.stdout.strip().splitlines()[-1])


def table(title: str, rows: list[dict[str, float]], megabytes: float, documents: int) -> list[str]:
    """Lay out the median CPU seconds of every step."""
    lines = [f"| {title} | CPU s | us per document | MB/s |", "|---|---|---|---|"]
    for step in rows[0]:
        seconds = statistics.median(row[step] for row in rows)
        lines.append(
            f"| {step} | {seconds:.3f} | {1e6 * seconds / documents:,.0f} | {megabytes / max(seconds, 1e-9):,.2f} |"
        )
    total = statistics.median(sum(row.values()) for row in rows)
    return [*lines, f"| **all** | {total:.3f} | {1e6 * total / documents:,.0f} | {megabytes / total:,.2f} |", ""]


def main() -> None:
    """Run the benchmark, print and keep its tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--docs", type=int, default=8000)
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--workspace", type=Path, default=Path("build/demo"))
    options = parser.parse_args()
    python = peer_python()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        origin, texts = sample(options.docs, options.workspace)
        write_jsonl(folder / "docs.jsonl", texts)
        (folder / "tokenizer.json").write_text(tokenizer_json(texts[:5000]), "utf-8")
        ours, theirs = [], []
        for _ in range(options.pairs):
            ours.append(
                run_json(
                    [
                        sys.executable,
                        "-m",
                        "benchmarks.ours_chain",
                        f"{folder}/docs.jsonl",
                        f"{folder}/tokenizer.json",
                        f"{folder}/t.arrow",
                    ]
                )
            )
            theirs.append(
                run_json(
                    [
                        str(python),
                        "benchmarks/peer_datatrove.py",
                        scratch,
                        "docs.jsonl",
                        f"{folder}/tokenizer.json",
                        str(default_model_path()),
                        f"{scratch}/peer",
                    ]
                )
            )
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    ratios = [sum(b.values()) / sum(a.values()) for a, b in zip(ours, theirs, strict=True)]
    speed = megabytes / statistics.median(sum(row.values()) for row in ours)
    lines = [
        f"{len(texts):,} documents, {megabytes:.1f} MB, from the {origin}; {options.pairs} pairs; {machine()}",
        "",
        *table("mixtrace kernels, one process", ours, megabytes, len(texts)),
        *table("datatrove 0.10.1 blocks, one process", theirs, megabytes, len(texts)),
        f"whole chain: {statistics.median(ratios):.1f} x datatrove, {speed:.1f} MB/s/core",
    ]
    keep_section("chain", lines)
    print("\n".join(lines))


def machine() -> str:
    """Name the machine and the versions."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("numba", "numpy", "pyarrow"))
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}, commit {commit or 'unknown'}"


def keep_section(name: str, lines: list[str], page: Path = RESULTS) -> None:
    """Put results between the markers of their section of a results page."""
    start, end = f"<!-- {name}: start -->", f"<!-- {name}: end -->"
    text = page.read_text("utf-8") if page.exists() else "# Performance\n"
    if start not in text:
        text += f"\n## {name.capitalize()}\n\n`python -m benchmarks.{name}`\n\n{start}\n{end}\n"
    head, _, rest = text.partition(start)
    _, _, tail = rest.partition(end)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(head + "\n".join([start, *lines, end]) + tail, "utf-8")


if __name__ == "__main__":
    main()
