"""Exact and near duplicates: how many, in clusters of which size, and the biggest clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.blocks import Block, Column, Page, Prose, figure, query
from reports.charts import bars, colours, stacked_bars

if TYPE_CHECKING:
    import duckdb


def page(con: duckdb.DuckDBPyConnection) -> Page:
    """Make the page."""
    facts = {row["name"]: row["value"] for row in query(con, "SELECT name, value FROM workspace_info")}
    threshold, search = facts["near_duplicate_threshold"], facts["near_duplicate_search"]
    rule = (
        f"Near duplicates were searched by MinHash ({search}) and checked by exact Jaccard similarity: every removed document "
        f"has a kept leader at similarity ≥ {threshold}."
        if threshold != "off"
        else "Near duplicates were not searched."
    )
    intro = Prose(f"{rule} Only documents that pass the other rules take part, so no cluster loses all its members.")
    return Page("duplicates", "Duplicates", (intro, _kinds(con), _sizes(con), _biggest(con)))


def _kinds(con: duckdb.DuckDBPyConnection) -> Block:
    return figure(
        con,
        "duplicate-kinds",
        "Removed duplicates",
        "Documents removed because they repeat a kept one, by source and kind.",
        "SELECT c.source, c.duplicate_kind AS kind, count(*) AS documents, sum(c.text_bytes)::BIGINT AS text_bytes,\n"
        "  avg(c.similarity) AS mean_similarity\n"
        "FROM curated c JOIN sources s USING (source) WHERE c.duplicate_kind IS NOT NULL\n"
        "GROUP BY s.position, c.source, kind ORDER BY s.position, kind",
        (
            Column("source", "source"),
            Column("kind", "kind"),
            Column("documents", "documents", "count"),
            Column("text_bytes", "text", "bytes"),
            Column("mean_similarity", "mean similarity", "number"),
        ),
        lambda rows: (
            stacked_bars(rows, "source", "documents", "kind", colours(["exact", "near", "url"]), "documents removed"),
            stacked_bars(rows, "source", "text_bytes", "kind", colours(["exact", "near", "url"]), "text bytes removed"),
        ),
    )


def _sizes(con: duckdb.DuckDBPyConnection) -> Block:
    return figure(
        con,
        "cluster-sizes",
        "Sizes of clusters",
        "How many clusters of linked documents there are of each size (a link is a candidate; it need not be a duplicate).",
        "SELECT size, count(*) AS clusters, sum(documents)::BIGINT AS documents,\n"
        "  sum(url_removed + exact_removed + near_removed)::BIGINT AS removed\n"
        "FROM (SELECT *, CASE WHEN documents <= 4 THEN documents::VARCHAR WHEN documents <= 8 THEN '5–8'\n"
        "  WHEN documents <= 16 THEN '9–16' WHEN documents <= 64 THEN '17–64' ELSE 'over 64' END AS size FROM duplicate_clusters)\n"
        "GROUP BY size ORDER BY min(documents)",
        (
            Column("size", "documents in the cluster"),
            Column("clusters", "clusters", "count"),
            Column("documents", "documents", "count"),
            Column("removed", "removed", "count"),
        ),
        lambda rows: (bars(rows, "size", "clusters", "clusters by number of documents"),),
    )


def _biggest(con: duckdb.DuckDBPyConnection) -> Block:
    return figure(
        con,
        "biggest-clusters",
        "Biggest clusters",
        "The fifteen clusters with most documents, with one address each.",
        "SELECT * FROM duplicate_clusters ORDER BY documents DESC, component_id LIMIT 15",
        (
            Column("example", "for example"),
            Column("sources", "sources"),
            Column("documents", "documents", "count"),
            Column("kept_documents", "kept", "count"),
            Column("url_removed", "same address", "count"),
            Column("exact_removed", "exact", "count"),
            Column("near_removed", "near", "count"),
            Column("least_similarity", "least similarity", "number"),
            Column("removed_bytes", "removed text", "bytes"),
        ),
    )
