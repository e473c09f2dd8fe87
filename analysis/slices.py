"""Slices and atoms: SQL predicates over all documents, refined to a checked disjoint partition.

Slices may overlap and mixtures cannot, so weights live on atoms: documents that belong to the same
slices, have the same language and the same verdict. Every document lies in exactly one atom.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.shards import check_size, corpus_id, open_shard
from pipelines.contracts import manifest, storage
from pipelines.contracts.errors import ConfigError, InputError, message
from pipelines.contracts.manifest import OutputFile

VIEW = """
CREATE OR REPLACE TEMP VIEW document_view AS
SELECT d.doc_id, d.part, d.row, d.source, d.path, d.url, d.date, d.text_bytes,
       s.* EXCLUDE (part, row),
       c.kept, c.first_reason, c.failed_rules, c.split, c.split_key AS component,
       u.component_size, u.kind AS duplicate_kind, u.leader, u.similarity,
       d.doc_id IN (SELECT leader FROM duplicates WHERE kind = 'near' AND leader_build IS NULL) AS leads_near_duplicate
FROM documents d JOIN signals s USING (part, row) JOIN decisions c USING (part, row)
LEFT JOIN duplicates u USING (part, row)
"""


@dataclass(frozen=True)
class Slice:
    """A named subset of the documents.

    Attributes:
        name: name.
        where: SQL predicate over `document_view`.
        kind: a source-level slice (a target of evaluation), a predicate, or a curation decision.
        description: what it is, in words.
    """

    name: str
    where: str
    kind: Literal["source", "predicate", "decision"] = "predicate"
    description: str = ""


@dataclass(frozen=True)
class Atoms:
    """All tokenized documents, each in exactly one atom.

    Attributes:
        slices: the slices that were refined.
        table: [documents] atom, doc_id, shard, shard_row, tokens, bytes, component, source, lang, split, kept,
            and one boolean column `in_<slice>` per slice; ordered by shard and row.
        shards: paths of the shards; `shard` indexes them.
        corpus: hash of all shards.
    """

    slices: tuple[Slice, ...]
    table: pa.Table
    shards: tuple[str, ...]
    corpus: str = ""

    def members(self, slice_name: str) -> np.ndarray:
        """Return the [documents] mask of a slice."""
        return self.table[f"in_{slice_name}"].to_numpy()

    def atoms_of(self, slice_name: str, *, split: str = "train", kept: bool | None = None) -> list[str]:
        """Return the atoms whose documents belong to a slice, sorted by name."""
        mask = pc.and_(self.table[f"in_{slice_name}"], pc.equal(self.table["split"], split))
        if kept is not None:
            mask = pc.and_(mask, pc.equal(self.table["kept"], kept))
        return sorted(pc.unique(self.table["atom"].filter(mask)).to_pylist())

    def sources(self) -> dict[str, str]:
        """Return the source of every atom of a partition by source (else, one of its sources)."""
        pairs = self.table.group_by("atom").aggregate([("source", "min")])
        return dict(zip(pairs["atom"].to_pylist(), pairs["source_min"].to_pylist(), strict=True))

    def tokens_by_atom(self, split: str = "train") -> dict[str, int]:
        """Return the tokens of every atom in a split."""
        chosen = self.table.filter(pc.equal(self.table["split"], split))
        sums = chosen.group_by("atom").aggregate([("tokens", "sum")])
        return dict(sorted(zip(sums["atom"].to_pylist(), sums["tokens_sum"].to_pylist(), strict=True)))


def open_documents(workspace: str) -> duckdb.DuckDBPyConnection:
    """Open the curated tables of a workspace for SQL.

    Raises:
        InputError: if curation has not finished.
    """
    connection = duckdb.connect()
    connection.execute("SET threads = 2")
    cut = bool(manifest.read_tasks(workspace, "lines"))  # then this stage writes the documents
    for table, stage in (
        ("documents", "lines" if cut else "ingest"),
        ("signals", "measure"),
        ("decisions", "decide"),
        ("duplicates", "decide"),
    ):
        files = [o.path for o in manifest.read_stage(workspace, stage).outputs if o.path.startswith(f"{table}/")]
        listed = ", ".join("'" + storage.join(workspace, path).replace("'", "''") + "'" for path in files)
        connection.execute(f"CREATE OR REPLACE TEMP VIEW {table} AS SELECT * FROM read_parquet([{listed}])")
    connection.execute(VIEW)
    return connection


def _spans(workspace: str, outputs: list[OutputFile]) -> pa.Table:
    """List every tokenized document: part, row, shard, row in the shard, tokens."""
    tables = []
    for number, output in enumerate(outputs):
        check_size(workspace, output)
        shard = open_shard(workspace, output.path)
        columns = {
            "part": shard["part"],
            "row": shard["row"],
            "shard": pa.array(np.full(shard.num_rows, number, np.int32)),
            "shard_row": pa.array(np.arange(shard.num_rows, dtype=np.int32)),
            "tokens": pc.list_value_length(shard["input_ids"]).cast(pa.int64()),
        }
        tables.append(pa.table(columns))
    return pa.concat_tables(tables)


def partition(workspace: str, slices: tuple[Slice, ...], *, by_source: bool = False) -> Atoms:
    """Refine slices to atoms.

    Args:
        workspace: a curated workspace.
        slices: predicates; they may overlap.
        by_source: whether documents of two sources are never in one atom.

    Raises:
        ConfigError: if a predicate is no SQL, is no condition, or holds no document.
        InputError: if a shard is missing or cut short, or documents and tokens do not match.
    """
    connection = open_documents(workspace)
    outputs = manifest.read_stage(workspace, "tokenize").outputs
    spans = _spans(workspace, outputs)
    connection.register("spans", spans)
    for one in slices:
        check_predicate(connection, one)
    flags = ", ".join(f'coalesce(({one.where}), false) AS "in_{one.name}"' for one in slices)
    names = ", ".join(f"CASE WHEN coalesce(({one.where}), false) THEN '{one.name}' END" for one in slices)
    place = " || '@' || source" if by_source else ""
    query = f"""
        SELECT concat_ws('+', {names}){place} || '/' || lang || CASE WHEN kept THEN '' ELSE '/dropped' END AS atom,
               doc_id, shard, shard_row, tokens, text_bytes AS bytes, component, source, lang, split, kept, {flags}
        FROM document_view JOIN spans USING (part, row) ORDER BY shard, shard_row
    """
    table = connection.sql(query).to_arrow_table()
    documents = connection.sql("SELECT count(*) FROM documents").fetchall()[0][0]
    if table.num_rows != documents or table.num_rows != spans.num_rows:
        raise InputError(
            message(
                workspace,
                "documents and tokens differ",
                table.num_rows,
                f"{documents} documents",
                "Run `mixtrace verify`.",
            )
        )
    for one in slices:
        if not pc.any(table[f"in_{one.name}"]).as_py():
            raise ConfigError(
                message(f"slice {one.name!r}", "empty slice", one.where, "a predicate that holds for some document")
            )
    return Atoms(slices, table, tuple(output.path for output in outputs), corpus_id(outputs))


def check_predicate(connection: duckdb.DuckDBPyConnection, one: Slice) -> None:
    """Refuse what is not a condition over `document_view`.

    Raises:
        ConfigError: with DuckDB's words, or the type of what is no condition.
    """
    where = f"slice {one.name!r}"
    try:
        kind = connection.sql(f"SELECT ({one.where}) AS value FROM document_view LIMIT 0").types[0]
    except duckdb.Error as error:
        found = str(error).splitlines()[0]
        raise ConfigError(
            message(where, "not SQL over the documents", found, "a condition on the columns of a document")
        ) from error
    if str(kind) != "BOOLEAN":
        raise ConfigError(message(where, "not a condition", f"{one.where} of type {kind}", "true or false"))


def summarise(atoms: Atoms) -> list[dict]:
    """Count documents, tokens and bytes of every slice."""
    rows = []
    for one in atoms.slices:
        chosen = atoms.table.filter(atoms.table[f"in_{one.name}"])
        rows.append(
            {
                "slice": one.name,
                "where_sql": one.where,
                "kind": one.kind,
                "description": one.description,
                "documents": chosen.num_rows,
                "tokens": pc.sum(chosen["tokens"]).as_py(),
                "bytes": pc.sum(chosen["bytes"]).as_py(),
            }
        )
    return rows
