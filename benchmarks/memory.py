"""Peak memory of `curate` with two workers, for one and four times a corpus: `python -m benchmarks.memory`.

The four-fold corpus holds four versions of every document, words rotated, so that copies are no duplicates.
Memory is the proportional set size (PSS) of the whole process tree, so shared pages count once.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import orjson
import psutil

from benchmarks.chain import keep_section, machine
from benchmarks.corpus import demo_documents, library_documents
from pipelines.stages import STAGES

_INTERVAL_S = 0.2


def rotated(text: str, version: int) -> str:
    """Return a version of a text that shares few word 5-grams with the others."""
    if version == 0:
        return text
    words = text.split(" ")
    step = version + 1
    return " ".join(word for start in range(step) for word in words[start::step])


def write_corpus(folder: Path, texts: list[str], versions: int) -> float:
    """Write JSON lines; returns megabytes of text."""
    size = 0
    folder.mkdir(parents=True)
    for version in range(versions):
        with (folder / f"docs-{version}.jsonl").open("wb") as file:
            for number, text in enumerate(texts):
                body = rotated(text, version)
                size += len(body.encode())
                file.write(orjson.dumps({"id": f"{version}-{number}", "text": body}) + b"\n")
    return size / 1e6


class Watch(threading.Thread):
    """Sample the memory of a process tree, per stage as its lines come in."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        super().__init__(daemon=True)
        self.peak_mb: dict[str, float] = {}
        self.stage = "start"
        self._process = psutil.Process(process.pid)

    def run(self) -> None:
        """Sample until the process ends."""
        while self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE:
            total = 0
            for member in [self._process, *self._process.children(recursive=True)]:
                try:
                    total += member.memory_full_info().pss
                except psutil.NoSuchProcess:  # it ended between listing and reading
                    continue
            self.peak_mb[self.stage] = max(self.peak_mb.get(self.stage, 0.0), total / 1e6)
            time.sleep(_INTERVAL_S)


def measure(recipe: Path, out: Path) -> dict[str, float]:
    """Run `curate` with two workers; returns the peak PSS in MB per stage."""
    command = [sys.executable, "beam_runner.py", "curate", str(recipe), "--out", str(out), "--workers", "2"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    watch = Watch(process)
    watch.stage = "ingest"
    watch.start()
    order = list(STAGES)
    assert process.stderr is not None
    for line in process.stderr:
        name = line.split(" ", 1)[0]
        if name in order and " s  " in line:  # the line that ends a stage
            watch.stage = order[min(order.index(name) + 1, len(order) - 1)]
    process.wait()
    watch.join()
    return watch.peak_mb


def main() -> None:
    """Run both sizes, print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workspace", type=Path, default=Path("build/demo"))
    parser.add_argument("--docs", type=int, default=30_000)
    options = parser.parse_args()
    has_demo = (options.workspace / "documents").is_dir()
    texts = list(demo_documents(options.workspace) if has_demo else library_documents())[: options.docs]
    results: list[tuple[int, float, dict[str, float]]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for versions in (1, 4):
            folder = Path(scratch) / f"x{versions}"
            megabytes = write_corpus(folder, texts, versions)
            recipe = folder / "recipe.yaml"
            recipe.write_text(
                "name: memory\npart_mb: 16\nsources: [{name: docs, path: 'docs-*.jsonl', format: jsonl}]\n"
            )
            results.append((versions, megabytes, measure(recipe, folder / "ws")))
    lines = [f"Peak PSS of the process tree, 2 workers; {machine()}", ""]
    lines += ["| stage | " + " | ".join(f"{v}x: {mb:.0f} MB of text" for v, mb, _ in results) + " |", "|---|---|---|"]
    for stage in results[0][2]:
        lines.append(f"| {stage} | " + " | ".join(f"{peaks.get(stage, 0):.0f} MB" for _, _, peaks in results) + " |")
    keep_section("memory", lines)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
