"""A million documents: CPU seconds and peak memory of match, components and resolve, beyond signatures.

    python -m benchmarks.duplicates.scale --documents 1000000

The texts are made up (words of 6 letters, 310 on average, 2.2 KB); their signatures are the kernel's. The tables
that the stages read are written part by part, and then the stages run as the driver runs them, in this process.
Of the documents 20 % are near-copies of others (1 % of the words replaced), 2 % copies, and 1 % share an address;
some originals have one copy, a few have hundreds.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from benchmarks.chain import keep_section, machine
from benchmarks.duplicates.workspace import StageCost, measure_stages
from pipelines.contracts import ids, manifest, schemas, tables
from pipelines.contracts.dedup import Near
from pipelines.contracts.manifest import TaskManifest
from pipelines.contracts.recipe import Recipe
from pipelines.contracts.recipe_sources import Source
from pipelines.contracts.tasks import Context, Part, Piece, Plan, part_file
from pipelines.stages.measure import measure_signals, measure_signatures

STAGES: Final = ("match", "components", "resolve")
_NEAR, _EXACT, _ADDRESS = 0.20, 0.02, 0.01
_REPLACED = 0.01
_WORD_BYTES = 7
_VOCABULARY = 1 << 16
_BATCH = 2048
_LIMIT_CPU_S, _LIMIT_MB = 15.0, 2000.0  # issue 6, for a million


def mix(values: np.ndarray) -> np.ndarray:
    """Mix the bits of uint64 values (the finaliser of splitmix64; Steele, Lea, Flood 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


class Corpus:
    """Made-up documents, any of them in any order.

    Attributes:
        origin: int64 [documents], the document that each one is a copy of; itself for most.
        edited: bool [documents], whether words of the copy were replaced.
        address: int64 [documents], the number in its address.
    """

    def __init__(self, documents: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        own = np.arange(documents)
        draw = rng.random(documents)
        copies = draw < _NEAR + _EXACT
        originals = own[~copies]
        chosen = originals[(len(originals) * rng.random(documents) ** 3).astype(np.int64)]
        self.origin = np.where(copies, chosen, own)
        self.edited = draw < _NEAR
        shares = rng.random(documents) < _ADDRESS
        self.address = np.where(shares, rng.integers(0, documents, documents), own)
        letters = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz", np.uint8)
        self._vocabulary = np.full((_VOCABULARY, _WORD_BYTES), ord(" "), np.uint8)
        self._vocabulary[:, :-1] = letters[rng.integers(0, 26, (_VOCABULARY, _WORD_BYTES - 1))]
        self._n_words = np.minimum(40 + rng.exponential(270, documents), 5000).astype(np.int64)

    def texts(self, rows: np.ndarray) -> pa.LargeStringArray:
        """Return the texts of some documents."""
        origin = self.origin[rows]
        count = self._n_words[origin]
        starts = np.concatenate([[0], np.cumsum(count)])
        place = (np.arange(starts[-1]) - np.repeat(starts[:-1], count)).astype(np.uint64)
        words = mix((np.repeat(origin, count).astype(np.uint64) << np.uint64(20)) + place)
        edits = mix((np.repeat(rows, count).astype(np.uint64) << np.uint64(20)) + place + np.uint64(1 << 60))
        replaced = np.repeat(self.edited[rows], count) & (edits % np.uint64(10_000) < np.uint64(10_000 * _REPLACED))
        words = np.where(replaced, edits >> np.uint64(32), words) % np.uint64(_VOCABULARY)
        data = pa.py_buffer(self._vocabulary[words].reshape(-1))
        return pa.LargeStringArray.from_buffers(len(rows), pa.py_buffer(starts * _WORD_BYTES), data)


def documents_table(corpus: Corpus, part: int, first: int, rows: np.ndarray) -> pa.Table:
    """Return the table `documents` of consecutive documents of a part, of which `first` is row 0."""
    text = corpus.texts(rows)
    size = np.diff(np.frombuffer(text.buffers()[1], np.int64))
    numbers = rows.tolist()
    n = len(numbers)
    columns = {
        "doc_id": [ids.content_hash(f"document {number}") for number in numbers],
        "native_id": [str(number) for number in numbers],
        "part": np.full(n, part, np.int32),
        "row": (rows - first).astype(np.int32),
        "source": ["made"] * n,
        "path": [f"{part:05d}.jsonl"] * n,
        "offset": (rows - first) * 3000,
        "url": [f"https://site{a % 5000}.example/page/{a}" for a in corpus.address[rows].tolist()],
        "date": [f"2024-{1 + number % 12:02d}-{1 + number % 28:02d}T00:00:00Z" for number in numbers],
        "text": text,
        "raw_bytes": size,
        "text_bytes": size,
        "content_hash": [ids.content_hash(value) for value in text.to_pylist()],
        "edits": [[]] * n,
    }
    fields = schemas.DOCUMENTS
    made = [pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(n, f.type) for f in fields]
    return pa.table(made, schema=fields)


def write_part(context: Context, corpus: Corpus, part: int, rows: np.ndarray, measured: pa.Table) -> int:
    """Write the tables of one part; returns its bytes of text.

    Signatures are the kernel's. Signals are those of one batch over and over: no rule looks at them.
    """
    near = context.recipe.dedup.near or Near()
    files = [
        tables.TableWriter(context.workspace, part_file(name, part), schema)
        for name, schema in (
            ("documents", schemas.DOCUMENTS),
            ("signals", measured.schema),
            ("signatures", schemas.signatures(near.num_perm)),
        )
    ]
    text_bytes = 0
    with files[0] as documents, files[1] as signals, files[2] as signatures:
        for start in range(0, len(rows), _BATCH):
            batch = documents_table(corpus, part, int(rows[0]), rows[start : start + _BATCH])
            text = batch["text"].combine_chunks()
            here = measured.slice(0, len(text)).drop_columns(["part", "row"])
            positions = [batch["part"], batch["row"]]
            signals.write(pa.table([*positions, *here.columns], schema=measured.schema))
            signatures.write(measure_signatures(part, start, text, near))
            documents.write(batch)
            text_bytes += int(batch["text_bytes"].to_numpy().sum())
    return text_bytes


def write_workspace(folder: Path, documents: int) -> tuple[Context, Plan]:
    """Write all that the stages read, as `ingest` and `measure` would have left it."""
    source = Source(name="made", path=("*.jsonl",), format="jsonl")
    context = Context(str(folder), Recipe(name="scale", sources=(source,)))
    corpus = Corpus(documents)
    per_part = int(context.recipe.part_mb * 1e6 / 2200)
    measured = measure_signals(0, 0, corpus.texts(np.arange(min(documents, _BATCH))), context.recipe)
    parts, total = [], 0
    for number, first in enumerate(range(0, documents, per_part)):
        rows = np.arange(first, min(first + per_part, documents))
        text_bytes = write_part(context, corpus, number, rows, measured)
        part = Part(number, "made", (Piece(f"{number:05d}.jsonl", 0, None),), ids.fingerprint("scale", number))
        counts = {"source/made/text_bytes": text_bytes}
        manifest.commit(context.workspace, TaskManifest("ingest", part.key, part.mark, counts=counts))
        parts.append(part)
        total += text_bytes
    return context, Plan(tuple(parts), {"made": ""}, total)


def removed(costs: list[StageCost]) -> Counter[str]:
    """Return how many documents were removed, by kind."""
    counts = next(cost.counts for cost in costs if cost.stage == "resolve")
    return Counter({name.partition("/")[2]: n for name, n in counts.items() if name.startswith("removed/")})


def report(documents: int, megabytes: float, costs: list[StageCost]) -> list[str]:
    """Return the section of the results page."""
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in removed(costs).items())
    counts = Counter(
        {k: v for cost in costs for k, v in cost.counts.items() if k in ("entries", "edges", "components")}
    )
    all_cpu, peak = sum(cost.cpu_s for cost in costs), max(cost.peak_mb for cost in costs)
    rows = [f"| {cost.stage} | {cost.cpu_s:.1f} | {cost.peak_mb:,.0f} |" for cost in costs]
    return [
        f"{documents:,} made-up documents, {megabytes:,.0f} MB of text; {counts['entries']:,} keys, {counts['edges']:,} edges, "
        f"{counts['components']:,} components; removed: {kinds}. One process; {machine()}",
        "",
        "| stage | CPU s | peak RSS, MB |",
        "|---|--:|--:|",
        *rows,
        f"| **all** | {all_cpu:.1f} | {peak:,.0f} |",
        "",
        f"Limits for a million: {_LIMIT_CPU_S:.0f} CPU s beyond signatures ({_verdict(documents, all_cpu, _LIMIT_CPU_S)}), "
        f"{_LIMIT_MB:,.0f} MB ({_verdict(documents, peak, _LIMIT_MB)}).",
    ]


def _verdict(documents: int, found: float, limit: float) -> str:
    if documents < 1_000_000:
        return "not tried"
    return "kept" if found <= limit else "missed"


def run(documents: int) -> tuple[float, list[StageCost]]:
    """Make a corpus and run the stages; returns megabytes of text, and what each stage cost."""
    with tempfile.TemporaryDirectory(prefix="mixtrace-scale-") as scratch:
        context, plan = write_workspace(Path(scratch), documents)
        return plan.raw_bytes / 1e6, measure_stages(context, plan, STAGES)


def main() -> None:
    """Measure, print and (with --keep) put the table on the results page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--keep", action="store_true", help="put the table into docs/reference/performance.md")
    options = parser.parse_args()
    run(2 * _BATCH)  # kernels and Beam are loaded once per process, not per corpus
    lines = report(options.documents, *run(options.documents))
    print("\n".join(lines))
    if options.keep:
        keep_section("scale", lines)


if __name__ == "__main__":
    main()
