"""Fill the tables of the studies of a workspace; without a study they stay empty."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from analysis import records
from pipelines.contracts.errors import InputError, message
from reports.catalogue import Catalogue
from reports.ddl import create_table
from reports.load import insert

if TYPE_CHECKING:
    import duckdb


def load_analysis(con: duckdb.DuckDBPyConnection, catalogue: Catalogue) -> None:
    """Create and fill the tables of `analysis.records`, and `designs`.

    Raises:
        InputError: if a table of a study lacks a column.
    """
    for name, schema in records.TABLES.items():
        create_table(con, name, schema)
    for order, design_id in enumerate(records.list_studies(catalogue.workspace)):
        study = records.study_folder(catalogue.workspace, design_id)
        body = json.loads((study / "design.json").read_text(encoding="utf-8"))
        row = [order, design_id, _name(body) or design_id, json.dumps(body, sort_keys=True)]
        con.execute("INSERT INTO designs VALUES (?, ?, ?, ?)", row)
        for name in records.TABLES:
            for path in table_files(study, name):
                insert(con, name, with_whole_run_ids(records.read_table(path, name), design_id))


def with_whole_run_ids(rows: pa.Table, design_id: str) -> pa.Table:
    """Put the design before the run ids of a study: its files name a run by its folder, as other studies do, too."""
    if "run_id" not in rows.column_names:
        return rows
    whole = pc.binary_join_element_wise(design_id, pc.cast(rows["run_id"], pa.string()), "/")
    return rows.set_column(rows.column_names.index("run_id"), rows.schema.field("run_id"), whole)


def table_files(study: Path, name: str) -> list[Path]:
    """Return the files of a table: one of the study, or else one per run that is done (`run.json` is its commit)."""
    whole = study / f"{name}.parquet"
    if whole.is_file():
        return [whole]
    return [path for run in records.list_runs(study) if (path := run / f"{name}.parquet").is_file()]


def load_slice_documents(con: duckdb.DuckDBPyConnection) -> None:
    """Find the documents of every slice by running its predicate over all documents.

    Raises:
        InputError: naming the slice whose predicate does not run.
    """
    import duckdb

    for design_id, name, where in con.sql("SELECT design_id, slice, where_sql FROM slices ORDER BY rowid").fetchall():
        try:
            con.execute(
                "INSERT INTO slice_documents SELECT ?, ?, doc_id, part, row FROM document_view "
                f"WHERE ({where}) ORDER BY part, row",
                [design_id, name],
            )
        except (duckdb.BinderException, duckdb.ParserException) as error:
            what = str(error).splitlines()[0]
            where_from = f"slice {name!r} of design {design_id}"
            raise InputError(
                message(where_from, "predicate does not run", what, "SQL over the columns of document_view")
            ) from error


def _name(body: dict[str, Any]) -> str | None:
    """Return the name of a design: its own field, or that of the design file inside of it."""
    return body.get("name") or body.get("spec", {}).get("name")
