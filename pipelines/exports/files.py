"""Which files an export consists of, and the documents that go into each."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contracts import manifest, schemas, storage
from pipelines.contracts.errors import InputError, StageError, did_you_mean, message
from pipelines.contracts.manifest import OutputFile, StageManifest
from pipelines.contracts.shards import read_shard
from pipelines.contracts.tables import TableWriter
from pipelines.contracts.tasks import Progress


@dataclass(frozen=True)
class ExportFile:
    """One file of an export: consecutive shards of one (verdict, source, split).

    Attributes:
        verdict: kept or rejected.
        source: name of the source.
        split: train or heldout.
        index: number of the file in its split, of `count`.
        count: files of the split.
        shards: the shards in it, in their order.
        documents: rows of all of them.
        tokens: token ids of all of them, end-of-text tokens among them.
    """

    verdict: str
    source: str
    split: str
    index: int
    count: int
    shards: tuple[OutputFile, ...]
    documents: int
    tokens: int

    @property
    def name(self) -> str:
        """Path below the export, without the suffix."""
        return f"{self.verdict}/{self.source}/{self.split}-{self.index:05d}-of-{self.count:05d}"


@dataclass(frozen=True)
class Selection:
    """What is exported; empty tuples mean all."""

    verdicts: tuple[str, ...] = ("kept",)
    sources: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()


def plan_files(tokenized: StageManifest, selection: Selection, max_tokens: float) -> list[ExportFile]:
    """Cut the selected shards into files of at most so many tokens (but at least one shard).

    Shards without documents are left out, as an empty file cannot be memory-mapped.

    Args:
        tokenized: manifest of the stage `tokenize`.
        selection: what is exported.
        max_tokens: token ids per file.

    Raises:
        InputError: if nothing is selected, naming what there is.
    """
    groups: dict[tuple[str, str, str], list[tuple[OutputFile, int]]] = {}
    for key in sorted(tokenized.tasks):
        task = tokenized.tasks[key]
        for shard in (output for output in task.outputs if output.rows):
            _, verdict, source, split, _ = shard.path.split("/")
            groups.setdefault((verdict, source, split), []).append((shard, task.counts["tokens"]))
    _check_names(selection, groups)
    files = []
    for (verdict, source, split), shards in sorted(groups.items()):
        if _selected(verdict, selection.verdicts) and _selected(source, selection.sources):
            if not _selected(split, selection.splits):
                continue
            pieces = _cut(shards, max_tokens)
            for index, piece in enumerate(pieces):
                outputs = tuple(shard for shard, _ in piece)
                rows, tokens = sum(shard.rows for shard in outputs), sum(count for _, count in piece)
                files.append(ExportFile(verdict, source, split, index, len(pieces), outputs, rows, tokens))
    if not files:
        found = ", ".join("/".join(group) for group in sorted(groups)) or "no shards"
        raise InputError(message("export", "nothing is selected", selection, f"some of: {found}"))
    return files


def _selected(name: str, wanted: Collection[str]) -> bool:
    return not wanted or name in wanted


def _check_names(selection: Selection, groups: Collection[tuple[str, str, str]]) -> None:
    known = {source for _, source, _ in groups}
    for source in selection.sources:
        if source not in known:
            raise InputError(message("--source", "no such source", source, f"a source. {did_you_mean(source, known)}"))


def _cut(shards: list[tuple[OutputFile, int]], max_tokens: float) -> list[list[tuple[OutputFile, int]]]:
    pieces: list[list[tuple[OutputFile, int]]] = []
    size = 0.0
    for shard, tokens in shards:
        if not pieces or size + tokens > max_tokens:
            pieces.append([])
            size = 0.0
        pieces[-1].append((shard, tokens))
        size += tokens
    return pieces


def read_batches(workspace: str, file: ExportFile) -> Iterator[pa.RecordBatch]:
    """Yield the documents of a file, about a thousand at a time; local shards are memory-mapped.

    Raises:
        StageError: if a shard is not as its manifest says.
    """
    for shard in file.shards:
        full = storage.join(workspace, shard.path)
        size = storage.size_bytes(full) if storage.exists(full) else None
        hint = f"`mixtrace verify {workspace}` says what else is wrong."
        if size != shard.bytes:
            raise StageError(message(full, "shard is not as its manifest says", size, f"{shard.bytes} bytes", hint))
        try:
            table = read_shard(workspace, shard.path)
        except (pa.ArrowInvalid, OSError) as error:
            raise StageError(message(full, "damaged shard", error, "an Arrow stream", hint)) from error
        yield from table.to_batches()


def copy_tokens(
    workspace: str,
    file: ExportFile,
    sink: IO[bytes],
    dtype: np.dtype,
    end: int,
    documents: TableWriter,
    progress: Progress,
) -> np.ndarray:
    """Write the token ids of a file one after another, and the table of its documents.

    Args:
        workspace: where the shards lie.
        file: what to write.
        sink: gets the ids, little-endian.
        dtype: type of an id there.
        end: id of the end-of-text token, which must end every document.
        documents: gets one row per document.
        progress: is told of every batch.

    Returns:
        Tokens of every document, `int32 [documents]`.

    Raises:
        StageError: if shards and manifests disagree.
    """
    lengths = [np.zeros(0, np.int32)]
    start = 0
    for batch in read_batches(workspace, file):
        column = batch.column("input_ids")
        token_ids = column.flatten().to_numpy()
        sizes = pc.list_value_length(column).to_numpy()
        ends = np.cumsum(sizes, dtype=np.int64)
        if len(sizes) and (sizes.min() < 1 or (token_ids[ends - 1] != end).any()):
            raise StageError(message(file.name, "a document without its end", "another last token", f"token {end}"))
        sink.write(token_ids.astype(dtype, copy=False).data)
        documents.write(document_rows(batch, start + ends - sizes, sizes))
        lengths.append(sizes.astype(np.int32))
        start += len(token_ids)
        progress.beat(batch.num_rows, token_ids.nbytes)
    found = np.concatenate(lengths)
    if (len(found), start) != (file.documents, file.tokens):
        raise StageError(
            message(
                file.name,
                "shards and manifest disagree",
                f"{len(found)} documents, {start} tokens",
                f"{file.documents} documents, {file.tokens} tokens",
            )
        )
    return found


def document_rows(batch: pa.RecordBatch, starts: np.ndarray, sizes: np.ndarray) -> pa.RecordBatch:
    """Make rows of the table of exported documents.

    Args:
        batch: [rows] of a shard.
        starts: [rows] where each document starts in its file, tokens.
        sizes: [rows] tokens of each.
    """
    fixed = [batch.column(name) for name in ("doc_id", "part", "row", "lang", "n_bytes")]
    places = [pa.array(starts, pa.int64()), pa.array(sizes, pa.int32())]
    return pa.record_batch([*fixed, *places], schema=schemas.EXPORTED)


def documents_path(file: ExportFile) -> str:
    """Return the path of the table of documents beside a file."""
    return f"{file.name}.documents.parquet"


def read_tokenized(workspace: str) -> StageManifest:
    """Read the manifest of the shards.

    Raises:
        InputError: if there are none yet.
    """
    try:
        return manifest.read_stage(workspace, "tokenize")
    except StageError as error:
        raise InputError(error.message) from error
