"""Keep what a study found: one JSON per study, with machine, versions, commit, settings and the time it took."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from analysis.training.probe import machine
from benchmarks.science.contract import Results
from pipelines.contracts import storage

FOLDER = Path(__file__).with_name("results")
MEASURED = ("analysis", "pipelines", "benchmarks/science/*.py")
PACKAGES = ("torch", "numpy", "scipy", "pyarrow", "duckdb")


def record(name: str, settings: Any, results: Results, spent: dict[str, float]) -> dict[str, Any]:
    """Return what is kept of a study.

    Args:
        name: study.
        settings: its frozen dataclass.
        results: what it found.
        spent: `cpu_s` and `wall_s` of all calls that it took.
    """
    return {
        "study": name,
        "machine": machine("cpu"),
        "cores": os.cpu_count(),
        "versions": {package: version(package) for package in PACKAGES},
        "commit": commit(),
        "settings": plain(asdict(settings)),
        **{unit: round(seconds, 1) for unit, seconds in spent.items()},
        "results": results,
    }


def plain(value: Any) -> Any:
    """Return a value as it comes back from JSON: tuples are lists."""
    return json.loads(json.dumps(value))


def commit() -> str:
    """Name the commit of this checkout; a `+` says that code which is measured differs from it."""
    head, changed = (
        subprocess.run(["git", *command], capture_output=True, text=True, check=False).stdout.strip()
        for command in (("rev-parse", "--short", "HEAD"), ("status", "--porcelain", "--", *MEASURED))
    )
    return f"{head or 'unknown'}{'+' if changed else ''}"


def write(path: Path, kept: dict[str, Any]) -> None:
    """Write a record atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    storage.write_bytes(str(path), (json.dumps(kept, indent=1, ensure_ascii=False) + "\n").encode())


def read(path: Path) -> dict[str, Any]:
    """Read a record."""
    return json.loads(path.read_text("utf-8"))


def kept_records() -> dict[str, dict[str, Any]]:
    """Return the records in the repository, by study."""
    return {path.stem: read(path) for path in sorted(FOLDER.glob("*.json"))}


@contextmanager
def timed(folder: Path) -> Iterator[dict[str, float]]:
    """Add up what a study takes over all of its calls: yields `cpu_s` (children that ended, too) and `wall_s`.

    Args:
        folder: the study's own; `spent.json` lies there.
    """
    path = folder / "spent.json"
    spent = read(path) if path.exists() else {"cpu_s": 0.0, "wall_s": 0.0}
    start = (sum(os.times()[:4]), time.monotonic())
    try:
        yield spent
    finally:
        spent["cpu_s"] += sum(os.times()[:4]) - start[0]
        spent["wall_s"] += time.monotonic() - start[1]
        write(path, spent)
