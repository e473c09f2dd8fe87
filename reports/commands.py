"""`mixtrace report build`: a new snapshot, and the report made from it."""

from __future__ import annotations

from pathlib import Path

from pipelines.contracts import storage
from reports.publish import open_snapshot, publish


def build(workspace: Path) -> Path:
    """Publish a snapshot of the workspace and write `reports/report.html` from it.

    Args:
        workspace: root of the workspace, on local disk.

    Returns:
        The report.

    Raises:
        InputError: if the folder is not a workspace or lacks a file that a manifest lists.
    """
    return write_report(publish(Path(workspace)))


def write_report(snapshot: Path) -> Path:
    """Write `report.html` beside a snapshot; the same snapshot gives the same bytes."""
    from reports.blocks import query
    from reports.charts import THEME
    from reports.html import render
    from reports.pages import PAGES

    with open_snapshot(snapshot) as con:
        facts = {row["name"]: row["value"] for row in query(con, "SELECT name, value FROM workspace_info")}
        pages = [page(con) for page in PAGES]
    subtitle = f"mixtrace report · recipe {facts['recipe_id']}"
    if float(facts["sample"]) < 1.0:
        subtitle += f" · a sample of {100 * float(facts['sample']):g} % of the records"
    path = snapshot.parent / "report.html"
    storage.write_bytes(str(path), render(facts["recipe"], subtitle, pages, THEME).encode())
    return path
