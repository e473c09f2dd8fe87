"""ingest: raw files -> documents and dead letters, part by part.

Every record that is read becomes a document, a non-document (counted by kind) or a dead letter, and so do its
bytes; both sums are checked at the end of every task.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from pipelines.contracts import ids, schemas, storage, tables
from pipelines.contracts.errors import StageError, message
from pipelines.contracts.manifest import TaskManifest
from pipelines.contracts.recipe import Recipe
from pipelines.contracts.tasks import Context, Lineage, MapStage, Plan, Progress, Task, part_file
from pipelines.ops.clean import clean
from pipelines.ops.extract import Extracted, ExtractionError, extract
from pipelines.ops.pages.blocks import model_digest
from pipelines.ops.privacy.mask import Masker, key_mark, make_masker
from pipelines.ops.tombstones import load_tombstones, tombstone_row
from pipelines.readers import READERS
from pipelines.readers.records import RAW_BYTES, BadRecord, Item, NonDocument, Record, read_options

_BATCH_ROWS = 512
_BATCH_BYTES = 8 << 20
_MESSAGE_NOT_KEPT = "not kept: messages may quote the record (limits.keep_dead_letter_bytes: false)"


@dataclass(frozen=True, slots=True)
class _Failure:
    """A record that was read but could not become a document."""

    stage: str
    error: str
    message: str


@dataclass
class _Rows:
    """Rows that wait to be written; flushed every 512 rows or 8 MB, so that memory is bounded."""

    writer: tables.TableWriter
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    bytes: int = 0

    def add(self, row: tuple[Any, ...], size: int) -> bool:
        """Append a row; True if the batch is full and was written."""
        self.rows.append(row)
        self.bytes += size
        full = len(self.rows) >= _BATCH_ROWS or self.bytes >= _BATCH_BYTES
        if full:
            self.flush()
        return full

    def flush(self) -> None:
        """Write what waits."""
        schema = self.writer.schema
        columns = list(zip(*self.rows, strict=True)) or [()] * len(schema)
        arrays = [pa.array(column, f.type) for column, f in zip(columns, schema, strict=True)]
        self.writer.write(pa.Table.from_arrays(arrays, schema=schema))
        self.rows, self.bytes = [], 0


def documents_file(recipe: Recipe, part: int) -> str:
    """Return where the documents of a part go: to `ingested/` if the stage `lines` makes those of `documents/`."""
    return part_file("documents" if recipe.lines is None else "ingested", part)


def _literals(recipe: Recipe) -> object:
    return {
        "sample": recipe.sample,
        "extract": recipe.extract.model_dump(mode="json"),
        "block_model": model_digest() if recipe.extract.html == "mixtrace" else None,
        "max_record_mb": recipe.limits.max_record_mb,
        "max_page_mb": recipe.limits.max_page_mb,
        "max_inflation": recipe.limits.max_inflation,
        "keep_dead_letter_bytes": recipe.limits.keep_dead_letter_bytes,
        **_pii_literals(recipe),
        **({} if recipe.lines is None else {"table": "ingested"}),
    }


def _pii_literals(recipe: Recipe) -> dict[str, object]:
    """Return what masking depends on, and nothing without it: its settings are then of no effect."""
    if not recipe.pii.kinds:
        return {}
    return {"pii": recipe.pii.model_dump(mode="json"), "pii_key": key_mark(recipe.pii)}


def _plan(context: Context, plan: Plan, lineage: Lineage) -> list[Task]:
    """Plan one task per part."""
    return [
        Task(
            "ingest",
            part.key,
            lineage.of("ingest", part.number),
            {
                "part": part.number,
                "source": part.source,
                "root": plan.roots[part.source],
                "pieces": [[piece.path, piece.start, piece.end] for piece in part.pieces],
            },
        )
        for part in plan.parts
    ]


class _Ingest:
    """The state of one task: two tables that grow, and the counts."""

    def __init__(self, context: Context, task: Task, progress: Progress, documents: _Rows, dead: _Rows) -> None:
        self.recipe, self.progress = context.recipe, progress
        self.part, self.source = task.payload["part"], task.payload["source"]
        self.defaults = self.recipe.source(self.source).defaults
        self.masker = make_masker(self.recipe.pii)
        self.poison = frozenset(map(tuple, task.poison))
        self.tombstones = load_tombstones(context.workspace)
        self.documents, self.dead = documents, dead
        self.counts: Counter[str] = Counter()
        self.row = self.reported_row = self.reported_bytes = 0

    def piece(self, root: str, path: str, start: int, end: int | None) -> None:
        """Read one piece of a file.

        Raises:
            StageError: if the items of the reader do not cover its bytes (a fault of the reader).
        """
        source = self.recipe.source(self.source)
        poison = frozenset(offset for poisoned, offset in self.poison if poisoned == path)
        options = read_options(source, self.recipe.limits, start, end)
        options = replace(options, poison=poison, at=lambda mark: self.progress.at(path, mark))
        reader = READERS[source.format]
        opened = reader.open(storage.join(root, path) if root else path, options)
        place = start
        self.progress.at(path, place)
        for item in reader.read(opened, options):
            if item.offset != place:  # the first of a piece, or of a group of rows
                self.progress.at(path, item.offset)
            self._account(path, item)
            place = opened.after(item)
            self.progress.at(path, place)
        self.counts["raw_bytes"] += opened.bytes_read
        if end is None and not opened.finished():
            raise StageError(message(path, "reader stopped early", f"{opened.bytes_read} bytes", "all of the file"))

    def _account(self, path: str, item: Item) -> None:
        self.counts["records"] += 1
        if isinstance(item, Record):
            self._record(path, item)
        elif isinstance(item, NonDocument):
            self._skip(item.kind, item.length)
        else:
            self._bury(path, item, "read")

    def _record(self, path: str, record: Record) -> None:
        if (path, record.offset) in self.poison:
            text = "reading this record killed a worker: got a dead process; expected text"
            self._fail(path, record, _Failure("extract", "worker_killed", text))
            return
        doc_id = ids.document_id(self.source, path, record.offset)
        if self.recipe.sample < 1.0 and ids.fraction(doc_id, "sample") >= self.recipe.sample:
            self._skip("not_sampled", record.length)
            return
        result = _extract_and_clean(record, self.recipe, self.masker)
        if isinstance(result, _Failure):
            self._fail(path, record, result)
        else:
            self._document(path, record, doc_id, *result)

    def _document(self, path: str, record: Record, doc_id: str, data: bytes, extracted: Extracted) -> None:
        page, edits = extracted.metadata, extracted.edits
        content_hash = ids.content_hash(data)
        row = (
            *(doc_id, self._masked(record.native_id, edits), self.part, self.row, self.source, path, record.offset),
            *(self._masked(self._url(path, record), edits), record.date or self.defaults.date),
            *(self._masked(page.title, edits), page.published),
            *(self._masked(page.canonical_url, edits), page.lang_hint),
            *(data, record.length, len(data), content_hash),
            [{"rule": rule, "count": count} for rule, count in sorted(edits.items())],
        )
        if self.tombstones.covers(doc_id, self.source, path, content_hash):
            row = tuple(tombstone_row(dict(zip(schemas.DOCUMENTS.names, row, strict=True))).values())
        self.row += 1
        self.counts["documents"] += 1
        self.counts["document_raw_bytes"] += record.length
        self.counts["text_bytes"] += len(data)
        self.counts[f"source/{self.source}/documents"] += 1
        self.counts[f"source/{self.source}/text_bytes"] += len(data)
        if self.documents.add(row, len(data)):
            self.beat()

    def _masked(self, value: str | None, edits: dict[str, int]) -> str | None:
        """Mask an address or id; what was masked adds to the edits."""
        if value is None or self.masker is None:
            return value
        masked, counts = self.masker.mask(value)
        for rule, count in counts.items():
            edits[rule] = edits.get(rule, 0) + count
        return masked

    def _url(self, path: str, record: Record) -> str | None:
        if record.url is not None or self.defaults.url is None:
            return record.url
        return self.defaults.url.format(id=record.native_id or "", path=path)

    def beat(self) -> None:
        """Report what was done since the last report."""
        done = self.counts["text_bytes"]
        self.progress.beat(self.row - self.reported_row, done - self.reported_bytes)
        self.reported_row, self.reported_bytes = self.row, done

    def _skip(self, kind: str, length: int) -> None:
        self.counts[f"nondocuments/{kind}"] += 1
        self.counts["nondocument_bytes"] += length

    def _fail(self, path: str, record: Record, failure: _Failure) -> None:
        removed = ids.document_id(self.source, path, record.offset) in self.tombstones.doc_ids
        raw = b"" if removed else record.content[:RAW_BYTES]
        bad = BadRecord(record.offset, record.length, failure.error, failure.message, raw)
        self._bury(path, bad, failure.stage)

    def _bury(self, path: str, bad: BadRecord, stage: str) -> None:
        keeps = self.recipe.limits.keep_dead_letter_bytes
        raw = bad.raw if keeps else None
        text = self._masked(bad.message, {}) if keeps else _MESSAGE_NOT_KEPT
        row = (
            self.source,
            path,
            bad.offset,
            bad.length,
            stage,
            bad.error,
            text,
            raw,
            ids.content_hash(bad.raw),
        )
        self.counts["dead_letters"] += 1
        self.counts[f"dead_letters/{bad.error}"] += 1
        self.counts["dead_letter_bytes"] += bad.length
        self.dead.add(row, len(bad.raw))


def _extract_and_clean(record: Record, recipe: Recipe, masker: Masker | None) -> tuple[bytes, Extracted] | _Failure:
    """Extract, clean and mask one record; the text as UTF-8, and what was extracted with the edits of all three.

    The one broad catch of this stage: extraction runs parsers over hostile bytes, and whatever they raise must
    cost this record only. The fault is recorded with its type, never hidden.
    """
    stage = "extract"
    try:
        found = extract(record, recipe.extract)
        stage = "clean"
        text, edits = clean(found.text)
        if masker is not None:
            stage = "mask"
            text, masked = masker.mask(text)
            edits |= masked
        data = text.encode()
    except ExtractionError as error:
        return _Failure(stage, error.error, str(error))
    except Exception as error:  # noqa: BLE001 (see above)
        what = f"{stage} failed: got {type(error).__name__}: {str(error)[:500]}; expected text"
        return _Failure(stage, f"{stage}_failed", what)
    return data, replace(found, text="", edits=found.edits | edits)


def _check_identity(where: str, counts: Counter[str]) -> None:
    """Check that records and bytes are all accounted for.

    Raises:
        StageError: if they are not.
    """
    skipped = sum(count for name, count in counts.items() if name.startswith("nondocuments/"))
    records = counts["documents"] + skipped + counts["dead_letters"]
    if counts["records"] != records:
        raise StageError(message(where, "records are not accounted for", records, str(counts["records"])))
    parts = ("document_raw_bytes", "nondocument_bytes", "dead_letter_bytes")
    total = sum(counts[name] for name in parts)
    if counts["raw_bytes"] != total:
        raise StageError(message(where, "bytes are not accounted for", total, str(counts["raw_bytes"])))


_ALWAYS = ("records", "documents", "dead_letters", "raw_bytes", "document_raw_bytes", "nondocument_bytes")


def run(context: Context, task: Task, progress: Progress) -> TaskManifest:
    """Ingest one part.

    Raises:
        StageError: if records or bytes are not accounted for.
    """
    part = task.payload["part"]
    paths = [documents_file(context.recipe, part), part_file("dead_letters", part)]
    with (
        tables.TableWriter(context.workspace, paths[0], schemas.DOCUMENTS) as documents,
        tables.TableWriter(context.workspace, paths[1], schemas.DEAD_LETTERS) as dead,
    ):
        work = _Ingest(context, task, progress, _Rows(documents), _Rows(dead))
        for path, start, end in task.payload["pieces"]:
            work.piece(task.payload["root"], path, start, end)
        work.documents.flush()
        work.dead.flush()
        work.beat()
        _check_identity(f"ingest part {task.key}", work.counts)
    outputs = tuple(writer.output for writer in (documents, dead) if writer.output is not None)
    empty = dict.fromkeys((*_ALWAYS, "dead_letter_bytes", "text_bytes"), 0)
    return TaskManifest("ingest", task.key, task.fingerprint, outputs, empty | dict(sorted(work.counts.items())))


STAGE = MapStage(name="ingest", version=2, upstream=(), scope="part", literals=_literals, plan=_plan, run=run)
