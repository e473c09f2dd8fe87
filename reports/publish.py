"""Publish a snapshot: all tables of a workspace, with comments and views, in one DuckDB file.

Readers hold a file open while a writer works, so a snapshot is a new file under a new number; it is
built under a temporary name, renamed, and only then does `CURRENT` name it.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.contracts import storage
from pipelines.contracts.errors import InputError, message
from reports.catalogue import Catalogue, open_catalogue
from reports.ddl import quoted
from reports.load import load_curation, load_manifests, load_shards, load_tokenizer
from reports.load_analysis import load_analysis, load_slice_documents

if TYPE_CHECKING:
    import duckdb

KEPT_SNAPSHOTS = 5
STORAGE_VERSION = "v1.5.0"  # the default of DuckDB 2.0 cannot be read by any older client
_HERE = Path(__file__).parent
_SNAPSHOT = re.compile(r"mixtrace-(\d{6})\.duckdb")


def publish(workspace: Path) -> Path:
    """Build the next snapshot of a workspace and point `CURRENT` at it.

    Args:
        workspace: root of the workspace, on local disk.

    Returns:
        The new file, `reports/mixtrace-<number>.duckdb`.

    Raises:
        InputError: if the folder is not a workspace or lacks a file that a manifest lists.
    """
    catalogue = open_catalogue(workspace)
    folder = catalogue.workspace / "reports"
    folder.mkdir(exist_ok=True)
    storage.remove_temporaries(str(folder))
    final = folder / f"mixtrace-{max(snapshots(folder), default=0) + 1:06d}.duckdb"
    temporary = folder / f"{storage.TEMPORARY}{final.name}"
    try:
        build(catalogue, temporary)
        os.replace(temporary, final)
    finally:
        temporary.unlink(missing_ok=True)
    storage.write_bytes(str(folder / "CURRENT"), f"{final.name}\n".encode())
    for _, path in sorted(snapshots(folder).items())[:-KEPT_SNAPSHOTS]:
        path.unlink()
    return final


def build(catalogue: Catalogue, path: Path) -> None:
    """Write all tables and views of a workspace into a new database file."""
    import duckdb

    with contextlib.closing(duckdb.connect(":memory:", config={"threads": "2"})) as con:
        con.execute(
            f"ATTACH '{str(path).replace(chr(39), chr(39) * 2)}' AS snapshot (STORAGE_VERSION '{STORAGE_VERSION}')"
        )
        con.execute("USE snapshot")
        con.execute("BEGIN TRANSACTION")  # one commit, not one flush to disk per comment
        run_sql(con, _HERE / "schema")
        load_manifests(con, catalogue)
        load_curation(con, catalogue)
        load_tokenizer(con, catalogue)
        load_shards(con, catalogue)
        load_analysis(con, catalogue)
        run_sql(con, _HERE / "views")
        inherit_comments(con)
        load_slice_documents(con)
        con.execute("COMMIT")
        con.execute("USE memory")
        con.execute("DETACH snapshot")  # checkpoints: the file is whole and needs no log


def run_sql(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Run the numbered SQL files of a folder, in the order of their names."""
    for path in sorted(folder.glob("*.sql")):
        con.execute(path.read_text(encoding="utf-8"))


def inherit_comments(con: duckdb.DuckDBPyConnection) -> None:
    """Give uncommented columns of a view the comment of the first column of that name, tables first.

    Views that pass whole tables through (`SELECT e.*`) need no second copy of their comments.
    """
    columns = con.sql(
        "SELECT c.table_name, c.column_name, c.comment, v.view_name IS NOT NULL AS is_view\n"
        "FROM duckdb_columns() c LEFT JOIN duckdb_views() v ON v.view_oid = c.table_oid AND v.database_name = c.database_name\n"
        "WHERE NOT c.internal ORDER BY is_view, c.table_oid, c.column_index"
    ).fetchall()
    meanings: dict[str, str] = {}
    for _, column, comment, _ in columns:
        if comment:
            meanings.setdefault(column, comment)
    for view, column, comment, is_view in columns:
        if is_view and not comment and column in meanings:
            con.execute(f'COMMENT ON COLUMN "{view}"."{column}" IS {quoted(meanings[column])}')


def snapshots(folder: Path) -> dict[int, Path]:
    """Return the snapshots of a reports folder by number."""
    found = {}
    for path in folder.glob("mixtrace-*.duckdb"):
        if match := _SNAPSHOT.fullmatch(path.name):
            found[int(match[1])] = path
    return found


def current_snapshot(workspace: Path) -> Path:
    """Return the snapshot that `CURRENT` names.

    Raises:
        InputError: if there is none.
    """
    pointer = workspace / "reports" / "CURRENT"
    if not pointer.is_file():
        raise InputError(
            message(
                str(pointer),
                "no snapshot",
                "no CURRENT file",
                "a published snapshot",
                "Run `mixtrace report build`.",
            )
        )
    return pointer.parent / pointer.read_text(encoding="utf-8").strip()


@contextlib.contextmanager
def open_snapshot(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a snapshot for reading; nothing outside of the file can be reached through the connection."""
    import duckdb

    config = {
        "enable_external_access": "false",
        "lock_configuration": "true",
        "threads": "1",
    }  # one thread: float sums have one order
    with contextlib.closing(duckdb.connect(str(path), read_only=True, config=config)) as con:
        yield con
