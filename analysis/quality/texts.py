"""Choose texts to train on: by SQL over a workspace, from files, or both; every record is accounted for."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import zstandard

from pipelines.contracts import ids, manifest, storage
from pipelines.contracts.errors import ConfigError, InputError, message

if TYPE_CHECKING:
    import duckdb

SCHEMA = pa.schema(
    [
        pa.field("key", pa.string()),  # doc_id, or file:line
        pa.field("source", pa.string()),  # source of the workspace, or name of the file
        pa.field("lang", pa.string()),
        pa.field("group", pa.string()),  # what a split keeps together: the component, or the hash of the text
        pa.field("text", pa.large_string()),
    ]
)
_FAULTS_NAMED = 10
_LONGEST_LINE_BYTES = 64 << 20


@dataclass(frozen=True)
class Selection:
    """Which texts make up a class.

    Attributes:
        name: what the class is called in errors.
        where: SQL condition over the documents of the workspace; None for none of them.
        files: globs of JSONL files (`.jsonl`, `.json`, also `.gz` and `.zst`; one document a line) or of plain
            text (any other name; a line is a document).
    """

    name: str
    where: str | None = None
    files: tuple[str, ...] = ()


@dataclass
class Chosen:
    """The texts of a class.

    Attributes:
        table: rows of SCHEMA, sorted by key.
        counts: records by what became of them; `found` is the sum of the others.
        faults: the first records that could not be read, as file, line and cause.
        inputs: files and workspace with their hashes.
    """

    table: pa.Table
    counts: dict[str, int]
    faults: list[str] = field(default_factory=list)
    inputs: list[dict[str, Any]] = field(default_factory=list)


def choose(
    selection: Selection, workspace: str | None, *, text_field: str, max_documents: int, language: str | None = None
) -> Chosen:
    """Gather the texts of a class.

    Args:
        selection: which.
        workspace: curated workspace that `where` is about.
        text_field: field of the text in JSONL files.
        max_documents: of more than these, those with the least hash of their key are taken.
        language: language of the texts in files; those of a workspace know theirs.

    Raises:
        ConfigError: for a condition that is no SQL, or without a workspace.
        InputError: for files that are not there, or if nothing is chosen.
    """
    chosen = Chosen(SCHEMA.empty_table(), {"found": 0, "unreadable": 0, "empty": 0, "over_limit": 0})
    if selection.where is None and not selection.files:
        raise ConfigError(message(selection.name, "nothing chosen", "no condition, no file", "one of them or both"))
    rows = [_from_files(selection, chosen, text_field, language)] if selection.files else []
    if selection.where is not None:
        if workspace is None:
            raise ConfigError(message(selection.name, "a condition without documents", selection.where, "a workspace"))
        rows.append(_from_workspace(selection, chosen, workspace, max_documents))
    table = _least_hashes(pa.concat_tables(rows), max_documents)
    chosen.counts["over_limit"] = chosen.counts["found"] - chosen.counts["unreadable"] - chosen.counts["empty"]
    chosen.counts["over_limit"] -= len(table)
    if not len(table):
        what = selection.where if selection.where is not None else ", ".join(selection.files)
        raise InputError(message(selection.name, "no document", what, "at least one"))
    chosen.table = table.sort_by("key")
    return chosen


def _least_hashes(table: pa.Table, most: int) -> pa.Table:
    """Keep the rows with the least hash of their key."""
    if len(table) <= most:
        return table
    order = np.argsort([ids.fraction(key, "sample") for key in table["key"].to_pylist()], kind="stable")
    return table.take(pa.array(np.sort(order[:most])))


def open_workspace(workspace: str) -> duckdb.DuckDBPyConnection:
    """Open the documents of a workspace for SQL.

    Raises:
        ConfigError: without DuckDB.
    """
    try:
        from analysis.slices import open_documents
    except ModuleNotFoundError as error:
        expected = "an installation with [reports] or [analysis]; files can be read without it"
        raise ConfigError(message("conditions", "DuckDB is not installed", error.name, expected)) from error
    return open_documents(workspace)


def _from_workspace(selection: Selection, chosen: Chosen, workspace: str, max_documents: int) -> pa.Table:
    from analysis.slices import Slice, check_predicate

    connection = open_workspace(workspace)
    condition = Slice(selection.name, str(selection.where))
    check_predicate(connection, condition)
    found = connection.sql(
        f"""SELECT doc_id AS key, source, lang, component AS "group", part, row, text_bytes
            FROM document_view WHERE coalesce(({condition.where}), false) ORDER BY key"""
    ).to_arrow_table()
    with_text = found.filter(pc.greater(found["text_bytes"], 0))
    chosen.counts["found"] += len(found)
    chosen.counts["empty"] += len(found) - len(with_text)
    connection.register("chosen", _least_hashes(with_text, max_documents))
    table = connection.sql(
        """SELECT c.key, c.source, c.lang, c."group", d.text
           FROM chosen c JOIN documents d USING (part, row) ORDER BY c.key"""
    ).to_arrow_table()
    chosen.inputs.append({"where": condition.where, "documents_hash": _documents(workspace)})
    return table.cast(SCHEMA)


def _documents(workspace: str) -> str:
    """Identify what conditions were asked of: the data files of three stages."""
    stages = [manifest.read_stage(workspace, stage) for stage in ("ingest", "measure", "decide")]
    return ids.fingerprint([[output.path, output.hash] for stage in stages for output in stage.outputs])


def _from_files(selection: Selection, chosen: Chosen, text_field: str, language: str | None) -> pa.Table:
    rows: dict[str, list] = {name: [] for name in SCHEMA.names}
    for pattern in selection.files:
        paths = storage.glob(pattern)
        if not paths:
            raise InputError(message(selection.name, "no such file", pattern, "JSONL or text files"))
        for path in paths:
            name = path.rsplit("/", 1)[-1]
            chosen.inputs.append({"file": name, "bytes": storage.size_bytes(path), "xxh3": storage.file_hash(path)})
            for line, text in _documents_of(path, text_field, chosen):
                values = (f"{name}:{line}", name, language, ids.content_hash(text), text)
                for column, value in zip(rows.values(), values, strict=True):
                    column.append(value)
    return pa.table(rows, SCHEMA)


def _documents_of(path: str, text_field: str, chosen: Chosen) -> Iterator[tuple[int, str]]:
    """Yield line number and text of every document of a file; count what is none."""
    name = path.rsplit("/", 1)[-1]
    is_json = any(name.endswith(kind + packed) for kind in (".jsonl", ".json") for packed in ("", ".gz", ".zst"))
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        chosen.counts["found"] += 1
        try:
            text = _json_text(line, text_field) if is_json else line.decode()
        except ValueError as error:
            chosen.counts["unreadable"] += 1
            if len(chosen.faults) < _FAULTS_NAMED:
                chosen.faults.append(f"{name}:{number}: {error}")
            continue
        if text.strip():
            yield number, text.rstrip("\r\n")
        else:
            chosen.counts["empty"] += 1


def _json_text(line: bytes, text_field: str) -> str:
    record: Any = orjson.loads(line)  # its error is a ValueError
    for step in text_field.split("."):
        if not isinstance(record, dict) or step not in record:
            raise ValueError(f"no field {text_field!r}")
        record = record[step]
    if not isinstance(record, str):
        raise ValueError(f"field {text_field!r} is no text: {type(record).__name__}")
    return record


def _lines(path: str) -> Iterator[bytes]:
    """Yield the lines of a file, which may be compressed; they end with a line feed and nothing else."""
    with storage.open_read(path) as raw, _unpacked(path, raw) as file:
        while line := file.readline(_LONGEST_LINE_BYTES):
            yield line


def _unpacked(path: str, raw: IO[bytes]) -> IO[bytes]:
    if path.endswith(".gz"):
        return gzip.GzipFile(fileobj=raw)  # type: ignore[return-value]
    if path.endswith(".zst"):
        return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True))
    return raw
