"""Key numbers of the corpus, and what the study found, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.blocks import Block, Page, Row, Tile, Tiles, query
from reports.format import byte_size, count, share, short_count

if TYPE_CHECKING:
    import duckdb

_TOTALS = """
SELECT (SELECT coalesce(sum(records), 0)::BIGINT FROM accounts) AS records, count(*) AS documents,
  coalesce(sum(text_bytes), 0)::BIGINT AS text_bytes, count(*) FILTER (kept) AS kept,
  coalesce(sum(text_bytes) FILTER (kept), 0)::BIGINT AS kept_bytes,
  count(*) FILTER (NOT kept AND duplicate_kind IS NULL) AS by_rules, count(*) FILTER (duplicate_kind = 'exact') AS exact,
  count(*) FILTER (duplicate_kind = 'near') AS near, (SELECT count(*) FROM dead_letters) AS dead_letters,
  coalesce(sum(n_tokens), 0)::BIGINT AS tokens, coalesce(sum(n_tokens) FILTER (kept), 0)::BIGINT AS kept_tokens,
  (SELECT count(*) FROM sources) AS sources, count(DISTINCT lang) AS languages
FROM curated
"""


def page(con: duckdb.DuckDBPyConnection) -> Page:
    """Make the page."""
    return Page("overview", "Overview", (corpus_tiles(query(con, _TOTALS)[0]),))


def corpus_tiles(total: Row) -> Block:
    """Show what was read and what is left."""
    documents = total["documents"]

    def of_documents(part: int) -> str:
        return f"{share(part / documents if documents else None)} of the documents"

    return Tiles(
        (
            Tile("records read", count(total["records"]), f"{total['sources']} sources"),
            Tile("documents", count(documents), byte_size(total["text_bytes"])),
            Tile(
                "kept",
                count(total["kept"]),
                f"{of_documents(total['kept'])}, {byte_size(total['kept_bytes'])}",
            ),
            Tile("dropped by rules", count(total["by_rules"]), of_documents(total["by_rules"])),
            Tile("exact duplicates", count(total["exact"]), of_documents(total["exact"])),
            Tile("near duplicates", count(total["near"]), of_documents(total["near"])),
            Tile("dead letters", count(total["dead_letters"]), "records that could not become documents"),
            Tile(
                "tokens kept",
                short_count(total["kept_tokens"]),
                f"{short_count(total['tokens'])} with rejected documents",
            ),
        )
    )
