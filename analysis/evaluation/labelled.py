"""Labelled documents of a workspace: what a classifier is fine-tuned on, and the held-out ones that it is asked about.

What is classified is a passage: as many tokens as the proxy reads. A short document is one passage, of a long one (a
book) up to `PER_DOCUMENT` are taken, spread evenly.

A label is the source, the slice, any SQL expression over the documents, or a file of labels by the documents' own ids
(sentiment of the demo's reviews). Training documents are of the split `train`, tests of `heldout`: the split is by
component, so that no test document has a near-copy among them, and no run has ever read one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.data import document_tokens
from analysis.slices import Atoms, Slice, open_documents
from pipelines.contracts.errors import ConfigError, InputError, message
from pipelines.contracts.ids import fraction

MIN_TRAIN, MIN_TEST = 20, 10
"""Passages of a class below which there is nothing to learn or to ask."""
PER_DOCUMENT = 8
LABEL_COLUMNS = ("source", "native_id", "label")


@dataclass(frozen=True)
class Passages:
    """Passages as rows of tokens.

    Attributes:
        ids: [passages, context] int64; the start token, then tokens, padded with the start token.
        lengths: [passages] int64 tokens of each row, the start token among them.
        label: [passages] int64 index of the class.
        component: [passages] str, of the document.
        doc_id: [passages] str.
    """

    ids: np.ndarray
    lengths: np.ndarray
    label: np.ndarray
    component: np.ndarray
    doc_id: np.ndarray


@dataclass(frozen=True)
class LabelledTask:
    """A task of classification.

    Attributes:
        name: of the labels.
        classes: names, sorted.
        train: passages to fine-tune on.
        test: passages of held-out documents.
    """

    name: str
    classes: tuple[str, ...]
    train: Passages
    test: Passages


def labels_of(workspace: Path, labels: str, slices: tuple[Slice, ...]) -> dict[str, str]:
    """Return the label of every document that has one.

    Args:
        workspace: curated workspace.
        labels: `slice`; a CSV file with source, native_id and label; or SQL over the documents, like `source`, `lang`.
        slices: what `slice` means.

    Raises:
        ConfigError: if it is no SQL.
        InputError: if the file is not what it should be, or names no document.
    """
    connection = open_documents(str(workspace))
    if Path(labels).is_file():
        return _labels_of_file(connection, Path(labels))
    expression = labels
    if labels == "slice":
        expression = "CASE " + " ".join(f"WHEN ({one.where}) THEN '{one.name}'" for one in slices) + " END"
    query = f"SELECT doc_id, CAST(({expression}) AS VARCHAR) AS label FROM document_view"
    try:
        rows = connection.sql(query).fetchall()
    except duckdb.Error as error:
        found = str(error).splitlines()[0]
        expected = "slice, a CSV file, or SQL over the documents, like source"
        raise ConfigError(message(f"labels {labels!r}", "neither a file nor SQL", found, expected)) from error
    return {doc_id: label for doc_id, label in rows if label is not None}


def _labels_of_file(connection: duckdb.DuckDBPyConnection, path: Path) -> dict[str, str]:
    """Join a file of labels with the documents; an id with two labels has none."""
    name = str(path).replace("'", "''")
    try:
        rows = connection.sql(f"SELECT * FROM read_csv('{name}', header = true, all_varchar = true)")
    except duckdb.Error as error:
        raise InputError(message(str(path), "no CSV", str(error).splitlines()[0], ",".join(LABEL_COLUMNS))) from error
    missing = [column for column in LABEL_COLUMNS if column not in rows.columns]
    if missing:
        got = f"columns {', '.join(rows.columns)}"
        raise InputError(message(f"{path}:1", f"no column {', '.join(missing)}", got, ",".join(LABEL_COLUMNS)))
    found = connection.sql(
        "SELECT d.doc_id, min(r.label) FROM documents d JOIN rows r USING (source, native_id) "
        "GROUP BY d.doc_id HAVING count(DISTINCT r.label) = 1"
    ).fetchall()
    if not found:
        raise InputError(
            message(str(path), "labels of no document here", "no common id", "source and native_id of documents")
        )
    return dict(found)


def labelled_task(
    workspace: Path, atoms: Atoms, name: str, labels: dict[str, str], context: int, eos_id: int, per_class: int
) -> LabelledTask:
    """Choose passages and read their tokens.

    Args:
        workspace: curated workspace.
        atoms: its documents.
        name: of the labels.
        labels: label by document.
        context: tokens of a row, the start token among them.
        eos_id: token that starts a text.
        per_class: most training passages of a class, of documents in the order of their hash; a quarter of it is
            tested at most.

    Raises:
        ConfigError: if there are fewer than two classes, or too few passages of one.
        InputError: if a test document is linked to a training document.
    """
    table = atoms.table.filter(atoms.table["kept"])
    given = [labels.get(doc_id) for doc_id in table["doc_id"].to_pylist()]
    table = table.append_column("label", pa.array(given, pa.string()))
    table = table.filter(pc.is_valid(table["label"]))
    classes = tuple(sorted(set(table["label"].to_pylist())))
    if len(classes) < 2:
        raise ConfigError(
            message(f"labels {name!r}", "nothing to tell apart", f"classes {list(classes)}", "two or more")
        )
    sets = []
    for split, most, least in (("train", per_class, MIN_TRAIN), ("heldout", max(MIN_TEST, per_class // 4), MIN_TEST)):
        mine = table.filter(pc.equal(table["split"], split))
        parts = []
        for index, one in enumerate(classes):
            rows = _by_hash(mine.filter(pc.equal(mine["label"], one)))
            parts.append(_passages(workspace, atoms, rows, index, most, context, eos_id))
            if len(parts[-1].label) < least:
                where, got = f"labels {name!r}, class {one!r}", f"{len(parts[-1].label)} passages"
                raise ConfigError(message(where, f"too few passages of split {split}", got, f"at least {least}"))
        sets.append(_joined(parts))
    shared = set(sets[0].component) & set(sets[1].component)
    if shared:
        raise InputError(message(str(workspace), "test documents linked to training ones", sorted(shared)[:3], "none"))
    return LabelledTask(name, classes, *sets)


def _by_hash(rows: pa.Table) -> pa.Table:
    keys = [fraction(doc_id, "labelled") for doc_id in rows["doc_id"].to_pylist()]
    return rows.take(pa.array(np.argsort(np.array(keys), kind="stable"), pa.int64()))


def _passages(
    workspace: Path, atoms: Atoms, rows: pa.Table, label: int, most: int, context: int, eos_id: int
) -> Passages:
    """Read passages of documents until there are `most`."""
    ids, lengths, owner = [], [], []
    places = zip(rows["shard"].to_pylist(), rows["shard_row"].to_pylist(), strict=True)
    for at, (shard, row) in enumerate(places):
        if len(ids) >= most:
            break
        tokens = document_tokens(str(workspace), atoms.shards[shard], row)[:-1]
        whole = max(1, len(tokens) // (context - 1))
        for number in np.unique(np.linspace(0, whole - 1, min(whole, PER_DOCUMENT)).round().astype(int)):
            piece = tokens[number * (context - 1) : (number + 1) * (context - 1)]
            padded = np.full(context, eos_id, np.int64)
            padded[1 : 1 + len(piece)] = piece
            ids.append(padded)
            lengths.append(1 + len(piece))
            owner.append(at)
    ids, lengths, owner = ids[:most], lengths[:most], owner[:most]
    component, doc_id = (np.array(rows[name].to_pylist())[owner] for name in ("component", "doc_id"))
    labels = np.full(len(ids), label, np.int64)
    return Passages(np.array(ids).reshape(-1, context), np.array(lengths, np.int64), labels, component, doc_id)


def _joined(parts: list[Passages]) -> Passages:
    names = (field.name for field in fields(Passages))
    return Passages(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
