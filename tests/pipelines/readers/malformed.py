"""Read malformed files and check what every reader promises: `python -m tests.pipelines.readers.malformed`.

Prints a table of formats × compressions in Markdown (`docs/reference/bad-input.md`), or JSON with `--json`.
Everything runs in one process, whose peak memory is one of the results.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pipelines.contracts.recipe_sources import Units
from pipelines.readers import READERS
from pipelines.readers.compression import Fault, Inflation, read_blocks
from pipelines.readers.records import RAW_BYTES, BadRecord, Item, ReadOptions, Record
from pipelines.readers.transcode import to_utf8
from tests.data.columnar_mutations import COLUMNAR, FREE_BYTES, MAX_PAGE_BYTES, MAX_RECORD_BYTES, Case
from tests.data.mutations import FORMATS, SUFFIXES, make_cases

_FORMAT = {"lines": "text", "arrow-stream": "arrow"}
_SECONDS = 5.0  # for one file


@dataclass
class Row:
    """One line of the table.

    Attributes:
        kind: format.
        suffix: compression.
        tried: files read.
        sound: records in their sound originals.
        owed: records that the damage did not touch.
        saved: records that were read.
        dead_letters: bad records.
        crashes: files whose read raised, did not end in time or broke an account.
        slowest_s: seconds of the slowest file.
        peak_mib: the most memory that the process took for one file on top of what it had before.
    """

    kind: str
    suffix: str
    tried: int = 0
    sound: int = 0
    owed: int = 0
    saved: int = 0
    dead_letters: int = 0
    crashes: int = 0
    slowest_s: float = 0.0
    peak_mib: float = 0.0


def options_of(kind: str) -> ReadOptions:
    """Return how the files of a format are read."""
    return ReadOptions(
        max_record_bytes=MAX_RECORD_BYTES,
        max_page_bytes=MAX_PAGE_BYTES,
        inflation=Inflation(100.0, FREE_BYTES),
        text=Units(unit="line" if kind == "lines" else "file"),
    )


def faults_of(case: Case, path: Path) -> tuple[list[Item], list[str]]:
    """Read a file; its items, and what is wrong with them (nothing, if the reader keeps its promises).

    Promises: items tile the file (columnar: offsets are unique), their bytes are the bytes that could be read,
    every bad record names what was found and what was expected, every record that was not touched is there.
    """
    options, kind = options_of(case.kind), _FORMAT.get(case.kind, case.kind)
    opened = READERS[kind].open(str(path), options)
    items = list(READERS[kind].read(opened, options))
    wrong: list[str] = []
    if not opened.finished():
        wrong.append("not finished")
    total = sum(item.length for item in items)
    if opened.bytes_read != total:
        wrong.append(f"bytes: read {opened.bytes_read}, accounted for {total}")
    if kind in ("parquet", "arrow"):
        if len({item.offset for item in items}) < len(items):
            wrong.append("offsets are not unique")
    else:
        wrong += list(_tiling(kind, items, path, options))
    for item in items:
        if isinstance(item, BadRecord) and not (
            item.error and "got" in item.message and "expected" in item.message and len(item.raw) <= RAW_BYTES
        ):
            wrong.append(f"a bad record without a cause: {item.message}")
    missing = Counter(case.survivors) - Counter(item.content for item in items if isinstance(item, Record))
    if missing:
        wrong.append(f"{missing.total()} of {len(case.survivors)} untouched records are missing")
    return items, wrong


def _tiling(kind: str, items: list[Item], path: Path, options: ReadOptions) -> Iterator[str]:
    place = 0
    for item in items:
        if item.offset != place:
            yield f"gap: item at {item.offset}, expected at {place}"
            return
        place += item.length
    blocks = read_blocks(str(path), inflation=options.inflation)
    blocks = blocks if kind == "warc" else to_utf8(blocks)
    size = sum(block.length if isinstance(block, Fault) else len(block) for block in blocks)
    if size != place:
        yield f"file of {size} bytes, items of {place}"


def peak_mib() -> float:
    """Return the peak memory of this process in MiB (`getrusage` would give that of the parent if it was higher)."""
    status = Path("/proc/self/status").read_text("ascii", "replace")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def run(count: int, seed: int, folder: Path) -> tuple[list[Row], list[str]]:
    """Read `count` malformed files of every format and compression; the table, and all broken promises."""
    rows, wrong = [], []
    for kind in FORMATS:
        for suffix in ("",) if kind in COLUMNAR else SUFFIXES:
            row = Row(kind, suffix)
            for number, case in enumerate(make_cases(kind, suffix, count, seed)):
                name = f"{kind}{suffix} {number} ({case.mutation})"
                wrong += [f"{name}: {what}" for what in _read_one(case, folder / f"case{suffix}", row)]
            rows.append(row)
    return rows, wrong


def _read_one(case: Case, path: Path, row: Row) -> list[str]:
    path.write_bytes(case.data)
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # the peak starts again; what made the file does not count
    start, before = time.perf_counter(), peak_mib()
    try:
        items, wrong = faults_of(case, path)
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        items, wrong = [], [f"raised {type(error).__name__}: {error}"]
    seconds = time.perf_counter() - start
    if seconds > _SECONDS:
        wrong.append(f"took {seconds:.1f} s")
    row.tried += 1
    row.sound += case.sound
    row.owed += len(case.survivors)
    row.saved += sum(isinstance(item, Record) for item in items)
    row.dead_letters += sum(isinstance(item, BadRecord) for item in items)
    row.crashes += bool(wrong)
    row.peak_mib = round(max(row.peak_mib, peak_mib() - before), 1)
    row.slowest_s = round(max(row.slowest_s, seconds), 3)
    return wrong


def markdown(rows: list[Row]) -> str:
    """Write the table."""
    lines = [
        "| format | compression | tried | records in the originals | untouched by the damage | read | dead letters"
        " | crashes | slowest file (s) | peak memory (MiB) |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        figures = list(asdict(row).values())[2:]
        lines.append("| " + " | ".join([row.kind, row.suffix.lstrip(".") or "–", *map(str, figures)]) + " |")
    sums = [
        sum(getattr(row, name) for row in rows)
        for name in ("tried", "sound", "owed", "saved", "dead_letters", "crashes")
    ]
    tops = [max(row.slowest_s for row in rows), max(row.peak_mib for row in rows)]
    lines.append("| **all** | | " + " | ".join(f"**{figure}**" for figure in [*sums, *tops]) + " |")
    return "\n".join(lines)


def main() -> int:
    """Run and print; the exit code is 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=60, help="files per format and compression")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows, wrong = run(arguments.count, arguments.seed, Path(folder))
    print(json.dumps([asdict(row) for row in rows]) if arguments.json else markdown(rows))
    print("\n".join(wrong), file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
