"""Write the reference pages from the code: `python docs/generate.py`. A test compares them."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from analysis.records import TABLES as STUDY_TABLES  # noqa: E402
from pipelines.contracts import schemas  # noqa: E402
from pipelines.ops.profiles import PROFILES  # noqa: E402


def tables_page() -> str:
    """Describe every table and column."""
    curation = {**schemas.TABLES, "signals": schemas.signals(schemas.SIGNAL_GROUPS)}
    tokens, signatures = schemas.tokens(4096), schemas.signatures(112)
    groups = {
        "Curation": [*curation.values(), signatures, tokens],
        "Studies": list(STUDY_TABLES.values()),
    }
    lines = ["# Tables", "", "Made by `python docs/generate.py` from the schemas.", ""]
    for title, group in groups.items():
        lines += [f"## {title}", ""]
        for schema in group:
            lines += [f"### {schema.metadata[b'table'].decode()}", "", schema.metadata[b"doc"].decode(), ""]
            lines += ["| column | type | unit | meaning |", "|---|---|---|---|"]
            for column in schema:
                unit, doc = (column.metadata[key].decode() for key in (b"unit", b"doc"))
                lines.append(f"| {column.name} | {column.type} | {unit} | {doc} |")
            lines.append("")
    return "\n".join(lines)


def rules_page() -> str:
    """Describe every signal, and every rule of every profile."""
    lines = ["# Signals and rules", "", "Made by `python docs/generate.py`.", "", "## Signals", ""]
    lines += [
        "The group `base` is always measured; another one if a rule reads one of its signals, or if the recipe",
        "asks for it (`signals: [group]`). The table `signals` has the columns of the groups in use.",
        "",
    ]
    for group, fields in schemas.SIGNAL_GROUPS.items():
        lines += [f"### Group {group}", "", "| signal | unit | meaning |", "|---|---|---|"]
        for column in fields:
            unit, doc = (column.metadata[key].decode() for key in (b"unit", b"doc"))
            lines.append(f"| {column.name} | {unit} | {doc} |")
        lines.append("")
    lines.pop()
    for profile, rules in PROFILES.items():
        lines += ["", f"## {profile}", "", "| rule | signal | bound |", "|---|---|---|"]
        for name, rule in rules.items():
            signs = (("≥", rule.min), ("≤", rule.max), (">", rule.above), ("<", rule.below))
            bound = " and ".join(f"{sign} {value:g}" for sign, value in signs if value is not None)
            lines.append(f"| {name} | {rule.signal} | {bound} |")
    return "\n".join([*lines, ""])


PAGES = {"tables.md": tables_page, "signals-and-rules.md": rules_page}

if __name__ == "__main__":
    for file, make in PAGES.items():
        (ROOT / "docs" / "reference" / file).write_text(make(), "utf-8")
