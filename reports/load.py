"""Fill the tables of a snapshot from the files of a workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contracts import schemas
from pipelines.contracts.recipe import Rule
from pipelines.contracts.shards import read_shard
from pipelines.ops.rules import recipe_rules, signal_groups
from reports.catalogue import Catalogue
from reports.ddl import create_table, quoted

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

MAX_STORED_TEXT_BYTES = 200_000_000
CURATION_TABLES = ("documents", "signals", "duplicates", "decisions", "dead_letters")


def load_parquet(con: duckdb.DuckDBPyConnection, table: str, columns: dict[str, str], files: list[Path]) -> None:
    """Append the rows of Parquet files to a table, in the order of the files.

    Args:
        con: connection.
        table: name of the table.
        columns: column of the table -> SQL expression over the columns of the files.
        files: may be empty.
    """
    if not files:
        return
    names = ", ".join(f'"{name}"' for name in columns)
    values = ", ".join(columns.values())
    listed = ", ".join(quoted(str(path)) for path in files)
    con.execute(f'INSERT INTO "{table}" ({names}) SELECT {values} FROM read_parquet([{listed}])')


def load_curation(con: duckdb.DuckDBPyConnection, catalogue: Catalogue) -> None:
    """Create and fill the tables that curation wrote."""
    stored = _stores_text(catalogue)
    for name in CURATION_TABLES:
        schema, expressions, note = schemas.TABLES[name], {}, ""
        if name == "signals":
            schema = schemas.signals(signal_groups(catalogue.recipe))
        if name == "documents":
            text = schema.get_field_index("text")
            schema = schema.set(text, schema.field(text).with_nullable(True))
            expressions = {} if stored else {"text": "NULL"}
            held = "is stored here" if stored else "is null here (it stays in the Parquet files of documents/)"
            note = f"The text {held}: a snapshot holds texts up to {MAX_STORED_TEXT_BYTES / 1e6:.0f} MB in all."
        if name == "dead_letters":
            schema = schema.remove(schema.get_field_index("raw"))
            note = "The raw bytes stay in the Parquet files of dead_letters/."
        create_table(con, name, schema, note)
        columns = {f.name: expressions.get(f.name, f'"{f.name}"') for f in schema}
        load_parquet(con, name, columns, catalogue.table_files(name))


def _stores_text(catalogue: Catalogue) -> bool:
    counts = catalogue.stages["ingest"].counts if "ingest" in catalogue.stages else {}
    return counts.get("text_bytes", 0) <= MAX_STORED_TEXT_BYTES


def load_tokenizer(con: duckdb.DuckDBPyConnection, catalogue: Catalogue) -> None:
    """Create and fill `tokenizer_sample` (empty for a tokenizer that was loaded) and `fertility`."""
    for schema, file in ((schemas.TOKENIZER_SAMPLE, "sample.parquet"), (schemas.FERTILITY, "fertility.parquet")):
        name = schema.metadata[b"table"].decode()
        create_table(con, name, schema)
        files = [path for path in catalogue.table_files("tokenizer") if path.name == file]
        load_parquet(con, name, {field.name: f'"{field.name}"' for field in schema}, files)


def load_shards(con: duckdb.DuckDBPyConnection, catalogue: Catalogue) -> None:
    """Fill `token_spans`; shards are memory-mapped, so only the offsets of the tokens are read."""
    for shard in catalogue.shards():
        table = read_shard(str(catalogue.workspace), shard.path)
        fixed = {"verdict": shard.verdict, "source": shard.source, "split": shard.split, "shard": shard.path}
        rows = pa.table(
            {
                **{name: table[name] for name in ("doc_id", "part", "row", "n_bytes")},
                **{name: pa.repeat(pa.scalar(value), table.num_rows) for name, value in fixed.items()},
                "shard_row": pa.array(np.arange(table.num_rows, dtype=np.int32)),
                "n_tokens": pc.list_value_length(table["input_ids"]).cast(pa.int64()),
            }
        )
        insert(con, "token_spans", rows)


def load_manifests(con: duckdb.DuckDBPyConnection, catalogue: Catalogue) -> None:
    """Fill `stage_counts`, `sources`, `recipe_rules` and `workspace_info`."""
    for order, (stage, found) in enumerate(catalogue.stages.items()):
        for name, count in sorted(found.counts.items()):
            con.execute("INSERT INTO stage_counts VALUES (?, ?, ?, ?)", [order, stage, name, count])
    recipe = catalogue.recipe
    for position, source in enumerate(recipe.sources):
        con.execute("INSERT INTO sources VALUES (?, ?, ?, ?)", [position, source.name, source.format, source.license])
    for order, (name, rule) in enumerate(recipe_rules(recipe).items()):
        values = [order, name, rule.signal, rule.min, rule.max, rule.above, rule.below]
        lists = [None if v is None else list(v) for v in (rule.equals_any, rule.languages, rule.sources)]
        row = [*values, *lists, list(rule.not_sources), rule_bound(rule), rule.min_by_language, rule.max_by_language]
        con.execute(f"INSERT INTO recipe_rules VALUES ({', '.join('?' * len(row))})", row)
    near = recipe.dedup.near
    facts = {
        "recipe": recipe.name,
        "recipe_id": recipe.recipe_id,
        "sample": f"{recipe.sample:g}",
        "near_duplicate_threshold": f"{near.threshold:g}" if near else "off",
        "near_duplicate_search": f"{near.bands} bands of {near.rows}, word {near.ngram}-grams" if near else "off",
        "vocab_size": str(recipe.tokenizer.vocab_size),
        "max_dead_letter_fraction": f"{recipe.limits.max_dead_letter_fraction:g}",
    }
    for name, value in facts.items():
        con.execute("INSERT INTO workspace_info VALUES (?, ?)", [name, value])


def rule_bound(rule: Rule) -> str:
    """Say a rule's bound in words.

    >>> rule_bound(Rule(signal="gopher_words", min=50, max=1e5))
    'gopher_words >= 50 and <= 100000'
    """
    signs = ((">=", rule.min), ("<=", rule.max), (">", rule.above), ("<", rule.below))
    bounds = [f"{sign} {value:.10g}" for sign, value in signs if value is not None]
    for sign, by_language in ((">=", rule.min_by_language), ("<=", rule.max_by_language)):
        if by_language:
            bounds.append(f"{sign} {min(by_language.values()):g} to {max(by_language.values()):g} by language")
    if rule.equals_any is not None:
        bounds.append(f"in ({', '.join(rule.equals_any)})")
    return f"{rule.signal} {' and '.join(bounds)}"


def insert(con: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    """Append an Arrow table by the names of its columns."""
    con.register("incoming_rows", rows)
    con.execute(f'INSERT INTO "{table}" BY NAME SELECT * FROM incoming_rows')
    con.unregister("incoming_rows")
