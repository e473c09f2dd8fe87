"""Write the reference pages from the code: `python docs/generate.py`. A test compares them."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from analysis.records import TABLES as STUDY_TABLES  # noqa: E402
from pipelines.contracts import schemas  # noqa: E402
from pipelines.contracts.recipe import Rule  # noqa: E402
from pipelines.ops.profiles import PROFILES, SOURCES  # noqa: E402
from pipelines.ops.script_words import languages  # noqa: E402
from pipelines.ops.signals import formulas  # noqa: E402


def tables_page() -> str:
    """Describe every table and column."""
    curation = {**schemas.TABLES, "signals": schemas.signals(schemas.SIGNAL_GROUPS)}
    tokens, signatures = schemas.tokens(4096), schemas.signatures(112)
    groups = {
        "Curation": [
            *curation.values(),
            signatures,
            schemas.TOKENIZER_SAMPLE,
            schemas.FERTILITY,
            tokens,
            schemas.EXPORTED,
        ],
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
    formula_of = formulas()
    units = {c.name: c.metadata[b"unit"].decode() for fields in schemas.SIGNAL_GROUPS.values() for c in fields}
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
        lines += ["", f"## {profile}", "", f"Source: {SOURCES[profile]}.", ""]
        lines += ["| rule | signal | formula | unit | bound |", "|---|---|---|---|---|"]
        for name, rule in rules.items():
            formula = formula_of.get(rule.signal, "count")
            unit = units[rule.signal]
            lines.append(f"| {name} | {rule.signal} | {formula} | {unit} | {bound_text(rule)} |")
    return "\n".join([*lines, "", *language_lines(), ""])


def bound_text(rule: Rule) -> str:
    """Write the bounds of a rule; those by language as their range."""
    parts = []
    for sign, value, by_language in (
        ("≥", rule.min, rule.min_by_language),
        ("≤", rule.max, rule.max_by_language),
        (">", rule.above, {}),
        ("<", rule.below, {}),
    ):
        if by_language:
            least, most = min(by_language.values()), max(by_language.values())
            otherwise = "" if value is None else f" (others {value:g})"
            parts.append(f"{sign} {least:g} to {most:g} by language{otherwise}")
        elif value is not None:
            parts.append(f"{sign} {value:g}")
    return " and ".join(parts)


def language_lines() -> list[str]:
    """List the thresholds of every language of languages.json."""
    numbers = [key for key, value in languages()["en"].items() if not isinstance(value, list)]
    head = [*numbers, *(f"top_{n}gram" for n in range(2, 5)), *(f"dup_{n}gram" for n in range(5, 11)), "stop words"]
    lines = ["## Thresholds by language", "", f"| lang | {' | '.join(head)} |", "|---" * (len(head) + 1) + "|"]
    for lang, entry in languages().items():
        ngrams = [*entry["top_ngram_char_frac"], *entry["dup_ngram_char_frac"]]
        cells = [
            *(f"{value:g}" for value in [*(entry[key] for key in numbers), *ngrams]),
            " ".join(entry["stop_words"]),
        ]
        lines.append(f"| {lang} | {' | '.join(cells)} |")
    return lines


PAGES = {"tables.md": tables_page, "signals-and-rules.md": rules_page}

if __name__ == "__main__":
    for file, make in PAGES.items():
        (ROOT / "docs" / "reference" / file).write_text(make(), "utf-8")
