"""The product's whole job: speed per core, two workers, four times the corpus, memory, start: `python -m benchmarks.product`.

`curate` with everything on: cleaning, masks of personal data, Gopher, FineWeb and C4 rules, evaluation items,
duplicates, tokens, Parquet, verification. The four-fold corpus holds four versions of every document, words rotated,
so that copies are no duplicates. Memory is the proportional set size (PSS) of the whole process tree, in runs of their
own: reading it takes a share of a processor, and stops the process that is looked at.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import orjson
import psutil

from benchmarks.chain import keep_section, machine
from benchmarks.corpus import sample, tokenizer_json
from pipelines.stages import STAGES

_INTERVAL_S = 0.2
_ITEMS = 2000
_RECIPE = """
name: product
sources: [{name: docs, path: 'docs-*.jsonl', format: jsonl}]
profiles: [{name: gopher@datatrove}, {name: fineweb@datatrove}, {name: c4@datatrove}]
pii: {kinds: [secret, email, iban, card, ipv6, ipv4, phone]}
decontaminate: {items: [{task: made, path: items.jsonl, id: null}]}
tokenizer: {path: tokenizer.json}
"""


@dataclass(frozen=True)
class Run:
    """What one run of `curate` cost.

    Attributes:
        wall_s: seconds on the clock.
        cpu_s: processor seconds of the process tree.
    """

    wall_s: float
    cpu_s: float


def rotated(text: str, version: int) -> str:
    """Return a version of a text that shares few word 5-grams with the others."""
    if version == 0:
        return text
    words = text.split(" ")
    step = version + 1
    return " ".join(word for start in range(step) for word in words[start::step])


def write_corpus(folder: Path, texts: list[str], versions: int, tokenizer: str) -> float:
    """Write JSON lines, evaluation items, tokenizer and recipe; returns megabytes of text."""
    size = 0
    folder.mkdir(parents=True)
    for version in range(versions):
        with (folder / f"docs-{version}.jsonl").open("wb") as file:
            for number, text in enumerate(texts):
                body = rotated(text, version)
                size += len(body.encode())
                file.write(orjson.dumps({"id": f"{version}-{number}", "text": body}) + b"\n")
    items = (" ".join(text.split()[:60]) for text in texts[:: max(1, len(texts) // _ITEMS)])
    (folder / "items.jsonl").write_bytes(b"".join(orjson.dumps({"text": item}) + b"\n" for item in items))
    (folder / "tokenizer.json").write_text(tokenizer, "utf-8")
    (folder / "recipe.yaml").write_text(_RECIPE)
    return size / 1e6


class Watch(threading.Thread):
    """Sample the memory of a process tree, per stage as its lines come in."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        super().__init__(daemon=True)
        self.peak_mb: dict[str, float] = {}
        self.stage = next(iter(STAGES))
        self._process = psutil.Process(process.pid)

    def run(self) -> None:
        """Sample until the process ends."""
        while self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE:
            total = 0
            for member in [self._process, *self._process.children(recursive=True)]:
                try:
                    total += member.memory_full_info().pss
                except (psutil.NoSuchProcess, psutil.ZombieProcess):  # it ended between listing and reading
                    continue
            self.peak_mb[self.stage] = max(self.peak_mb.get(self.stage, 0.0), total / 1e6)
            time.sleep(_INTERVAL_S)


def start(folder: Path, workers: int) -> subprocess.Popen[str]:
    """Start `curate` from nothing."""
    out = folder / "workspace"
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "beam_runner.py", "curate", str(folder / "recipe.yaml"), "--out", str(out)]
    return subprocess.Popen(
        [*command, "--workers", str(workers)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def curate(folder: Path, workers: int) -> Run:
    """Run `curate`, undisturbed.

    Raises:
        SystemExit: if it fails.
    """
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    process = start(folder, workers)
    _, said = process.communicate()
    if process.returncode:
        raise SystemExit(f"curate failed:\n{said}")
    wall, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Run(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def peak_mb(folder: Path, workers: int) -> dict[str, float]:
    """Run `curate` and watch its memory; returns the peak of every stage.

    Raises:
        SystemExit: if it fails.
    """
    process = start(folder, workers)
    watch = Watch(process)
    watch.start()
    assert process.stderr is not None
    order, said = list(STAGES), []
    for line in process.stderr:
        said.append(line)
        name = line.split(" ", 1)[0]
        if name in order and " s  " in line:  # the line that ends a stage
            watch.stage = order[min(order.index(name) + 1, len(order) - 1)]
    if process.wait():
        raise SystemExit(f"curate failed:\n{''.join(said)}")
    watch.join()
    return watch.peak_mb


def worker_ready_s() -> float:
    """Measure how long a worker takes from its start until it has done a task of `measure`'s kernels."""
    code = (
        "import pyarrow as pa, pipelines.beam.transforms\n"
        "from pipelines.kernels.language import LanguageIdentifier\n"
        "from pipelines.kernels.minhash import minhash_signatures\n"
        "from pipelines.ops.signals import quality_signals\n"
        "text = pa.array(['Hello world, this is a test.'], pa.large_string())\n"
        "LanguageIdentifier.load().predict(text), quality_signals(text), minhash_signatures(text)\n"
    )
    times = []
    for _ in range(3):  # the first may compile
        start = time.monotonic()
        subprocess.run([sys.executable, "-c", code], check=True)
        times.append(time.monotonic() - start)
    return min(times)


def main() -> None:
    """Run all sizes, print and keep the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workspace", type=Path, default=Path("build/demo"))
    parser.add_argument("--docs", type=int, default=20_000)
    options = parser.parse_args()
    origin, texts = sample(options.docs, options.workspace)
    tokenizer = tokenizer_json(texts[:5000])
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_corpus(folder / "small", texts[:100], 1, tokenizer)
        size = write_corpus(folder / "x1", texts, 1, tokenizer)
        size_4 = write_corpus(folder / "x4", texts, 4, tokenizer)
        curate(folder / "small", 1)  # compiles what is not compiled yet
        small = curate(folder / "small", 2)
        one, two = curate(folder / "x1", 1), curate(folder / "x1", 2)
        four_alone, four = curate(folder / "x4", 1), curate(folder / "x4", 2)
        peak_1x, peak_4x = peak_mb(folder / "x1", 2), peak_mb(folder / "x4", 2)
    marginal = (size_4 - size) / (four.cpu_s - two.cpu_s)
    lines = [
        f"{len(texts):,} documents, {size:.1f} MB, from the {origin}; {os.cpu_count()} cores; {machine()}",
        "",
        "| corpus | workers | wall s | CPU s | MB/s/core |",
        "|---|--:|--:|--:|--:|",
        *(
            f"| {name} | {workers} | {run.wall_s:.1f} | {run.cpu_s:.1f} | {mb / run.cpu_s:.2f} |"
            for name, workers, mb, run in (
                ("100 documents", 2, 0.3, small),
                (f"1x: {size:.0f} MB", 1, size, one),
                (f"1x: {size:.0f} MB", 2, size, two),
                (f"4x: {size_4:.0f} MB", 1, size_4, four_alone),
                (f"4x: {size_4:.0f} MB", 2, size_4, four),
            )
        ),
        "",
        f"- Every further MB, from 1x to 4x: {marginal:.2f} MB/s/core.",
        f"- On 4x the corpus 2 workers are {four_alone.wall_s / four.wall_s:.2f} x as fast as 1, start-up included; on what "
        f"comes after 1x, {(four_alone.wall_s - one.wall_s) / (four.wall_s - two.wall_s):.2f} x.",
        f"- With 1 worker, 4x the corpus takes {four_alone.wall_s / one.wall_s:.2f} x the time; with 2, {four.wall_s / two.wall_s:.2f} x.",
        f"- A worker is ready after {worker_ready_s():.1f} s.",
        "",
        "Peak PSS of the process tree, 2 workers:",
        "",
        "| stage | 1x | 4x |",
        "|---|--:|--:|",
        *(f"| {stage} | {peak:.0f} MB | {peak_4x.get(stage, 0):.0f} MB |" for stage, peak in peak_1x.items()),
    ]
    keep_section("product", lines)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
