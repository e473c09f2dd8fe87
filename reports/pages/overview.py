"""Key numbers of the corpus, and what the study found, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.blocks import Block, Finding, Findings, Page, Prose, Row, Tile, Tiles, query
from reports.format import byte_size, count, effect, share, short_count
from reports.pages.study import finding

if TYPE_CHECKING:
    import duckdb

_TOTALS = """
SELECT (SELECT coalesce(sum(records), 0)::BIGINT FROM accounts) AS records, count(*) AS documents,
  coalesce(sum(text_bytes), 0)::BIGINT AS text_bytes, count(*) FILTER (kept) AS kept,
  coalesce(sum(text_bytes) FILTER (kept), 0)::BIGINT AS kept_bytes,
  count(*) FILTER (NOT kept AND duplicate_kind IS NULL) AS by_rules, count(*) FILTER (duplicate_kind = 'exact') AS exact,
  count(*) FILTER (duplicate_kind = 'near') AS near, count(*) FILTER (duplicate_kind = 'url') AS url,
  (SELECT count(*) FROM dead_letters) AS dead_letters,
  coalesce(sum(n_tokens), 0)::BIGINT AS tokens, coalesce(sum(n_tokens) FILTER (kept), 0)::BIGINT AS kept_tokens,
  (SELECT count(*) FROM sources) AS sources
FROM curated
"""
# Own-slice removal hurts by construction and is no finding.
_EFFECTS = """
SELECT * FROM effect_table
WHERE design_id = ? AND method NOT IN ('ngram', 'law', 'ekfac', 'tracin') AND family NOT IN ('own-slice', 'controls', 'canary', 'robustness-lr', 'robustness-tokens')
-- what dilution alone does not explain comes first
ORDER BY family = 'decisions' DESC, metric, abs(estimate - coalesce(dilution, 0)) DESC NULLS LAST, contrast, target
"""
_OWN = """
SELECT count(*) AS tests, count(*) FILTER (verdict = 'helps') AS helps, count(*) FILTER (verdict = 'withheld') AS withheld,
  count(*) FILTER (lo > 0) AS above, min(estimate) AS least, max(estimate) AS most
FROM effect_table WHERE design_id = ? AND method NOT IN ('ngram', 'law', 'ekfac', 'tracin') AND family = 'own-slice' AND metric = 'bpb'
  AND estimate IS NOT NULL
"""
_LISTED = 12


def page(con: duckdb.DuckDBPyConnection) -> Page:
    """Make the page."""
    studies = query(con, "SELECT design_id, name FROM designs ORDER BY design_order")
    found = [study_findings(con, study) for study in studies]
    note = () if studies else (Prose("No study was run on this workspace yet; this report is about its curation."),)
    return Page("overview", "Overview", (corpus_tiles(query(con, _TOTALS)[0]), *note, *found))


def corpus_tiles(total: Row) -> Block:
    """Show what was read and what is left."""
    documents = total["documents"]

    def of_documents(part: int) -> str:
        return f"{share(part / documents if documents else None)} of the documents"

    return Tiles(
        (
            Tile("records read", count(total["records"]), f"{total['sources']} sources"),
            Tile("documents", count(documents), f"{byte_size(total['text_bytes'])} of text"),
            Tile(
                "kept",
                count(total["kept"]),
                f"{of_documents(total['kept'])}, {byte_size(total['kept_bytes'])}",
            ),
            Tile("dropped by rules", count(total["by_rules"]), of_documents(total["by_rules"])),
            Tile("exact duplicates", count(total["exact"]), of_documents(total["exact"])),
            Tile("older versions", count(total["url"]), of_documents(total["url"])),
            Tile("near duplicates", count(total["near"]), of_documents(total["near"])),
            Tile("dead letters", count(total["dead_letters"]), "records that could not become documents"),
            Tile(
                "tokens kept",
                short_count(total["kept_tokens"]),
                f"{short_count(total['tokens'])} with dropped documents",
            ),
        )
    )


def study_findings(con: duckdb.DuckDBPyConnection, study: Row) -> Findings:
    """Say what a study found: determined effects first, and how many tests determined nothing."""
    title = f"What the study “{study['name']}” found"
    trust = trust_finding(query(con, "SELECT * FROM trust_table WHERE design_id = ?", [study["design_id"]]))
    if query(
        con,
        "SELECT 1 FROM controls WHERE NOT passed AND control IN ('sham', 'shuffle', 'canary') AND design_id = ?",
        [study["design_id"]],
    ):
        return Findings(
            title,
            (
                *trust,
                Finding("Nothing: a control failed, so the study is void and no verdict is printed here.", "hurts"),
            ),
        )
    effects = query(con, _EFFECTS, [study["design_id"]])
    determined = [row for row in effects if row["verdict"] in ("helps", "hurts")]
    items = [*trust, *(finding(row) for row in determined[:_LISTED])]
    if len(determined) > _LISTED:
        items.append(
            Finding(f"… and {len(determined) - _LISTED} more determined effects, in the tables below.", "helps")
        )
    negligible = sum(row["verdict"] == "negligible" for row in effects)
    undetermined = sum(row["verdict"] == "undetermined" for row in effects)
    if negligible:
        items.append(
            Finding(
                f"{negligible} of {len(effects)} effects are negligible: shown to lie within ±δ.",
                "negligible",
            )
        )
    if undetermined:
        text = f"{undetermined} of {len(effects)} effects are undetermined: neither a difference nor its absence could be shown."
        items.append(Finding(text, "undetermined"))
    withheld = sum(row["verdict"] == "withheld" for row in effects)
    if withheld:
        text = f"No verdict: {withheld} of {len(effects)} are withheld, because the proxy is too weak; estimates and intervals are below."
        items.append(Finding(text, "withheld"))
    own = query(con, _OWN, [study["design_id"]])[0]
    if own["tests"]:
        items.append(Finding(own_sentence(own), "undetermined"))
    if not effects and not own["tests"]:
        items.append(Finding("No effect was estimated yet: run `mixtrace effects`.", "undetermined"))
    return Findings(title, tuple(items))


def own_sentence(own: Row) -> str:
    """Say what leaving slices out does to their own targets, which is no finding.

    >>> own_sentence({"tests": 6, "helps": 0, "withheld": 6, "above": 6, "least": 0.3, "most": 1.25})
    'By construction, removing a slice hurts its own target: 6 of 6 intervals lie above 0 (+0.30 to +1.25 bpb); no verdict, as above.'
    """
    size = f"({own['least']:+.2f} to {own['most']:+.2f} bpb)".replace("-", "−")
    if own["withheld"]:
        said = f"{own['above']} of {own['tests']} intervals lie above 0 {size}; no verdict, as above."
    else:
        said = f"{own['helps']} of {own['tests']} such effects are determined {size}."
    return f"By construction, removing a slice hurts its own target: {said}"


def trust_finding(rows: tuple[Row, ...]) -> tuple[Finding, ...]:
    """Say in one sentence whether a study can be trusted: its controls, then noise and power as numbers."""
    checks = [row for row in rows if row["verdict"] is not None]
    if not checks:
        return ()
    said = [
        f"{row['check']} {row['verdict']}" + (f" ({effect(row['value'])} bpb)" if row["value"] is not None else "")
        for row in checks
    ]
    values = {name: [row["value"] for row in rows if row["check"] == name and row["value"] is not None]
              for name in ("noise", "power")}  # fmt: skip
    words = {"noise": "seeds alone", "power": "detectable in every family from"}
    numbers = [f"{words[name]} {max(found):.3f} bpb" for name, found in values.items() if found]
    failed = any(row["verdict"] == "failed" for row in checks)
    text = f"Can it be trusted? {', '.join(said)}; {'; '.join(numbers) or 'noise unknown'}."
    return (Finding(text, "failed" if failed else "passed"),)
