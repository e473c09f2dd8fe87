"""Build a small workspace: documents drawn by a seeded generator, everything else computed from them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.contracts import ids, manifest, schemas, storage, tables
from pipelines.contracts.manifest import TaskManifest
from pipelines.contracts.recipe import Recipe
from pipelines.contracts.shards import shard_path, write_shard
from pipelines.ops.rules import evaluate_rules, recipe_rules

SOURCES = {"web": "warc", "wiki": "mediawiki", "code": "text"}
LANGUAGES = {"web": ["en", "zh", "de"], "wiki": ["en", "zh"], "code": ["en"]}
WORDS = ["data", "model", "the", "of", "mixture", "tokens", "slice", "weather", "river", "语料", "模型"]
DOCUMENTS_PER_SOURCE = 80


def recipe() -> Recipe:
    """Return the recipe of the tiny workspace."""
    return Recipe.model_validate(
        {
            "name": "tiny",
            "sources": [{"name": n, "path": [f"/raw/{n}/*"], "format": f} for n, f in SOURCES.items()],
            "rules": {
                "language": {"signal": "lang", "equals_any": ["en", "zh"]},
                "too_short": {"signal": "gopher_words", "min": 12},
                "few_letters": {"signal": "gopher_alpha_word_frac", "min": 0.3, "not_sources": ["code"]},
            },
        }
    )


def build_curated(folder: Path) -> Path:
    """Write a curated workspace of three sources and return its root."""
    rng = np.random.default_rng(7)
    storage.write_bytes(str(folder / "recipe.json"), recipe().model_dump_json(indent=1).encode())
    for part, source in enumerate(SOURCES):
        _write_part(folder, part, source, rng)
    for stage in ("ingest", "measure", "decide", "tokenize"):
        merged = manifest.read_tasks(str(folder), stage)
        manifest.merge(str(folder), stage, merged, {"python": "3"})
    return folder


def _texts(source: str, rng: np.random.Generator) -> list[str]:
    texts = []
    for number in range(DOCUMENTS_PER_SOURCE):
        if number % 10 == 9:
            texts.append(texts[number - 3])  # an exact duplicate of the third last
        else:
            words = rng.choice(WORDS, size=int(rng.integers(5, 60)))
            texts.append(f"{source} {number} " + " ".join(words))
    return texts


def _write_part(folder: Path, part: int, source: str, rng: np.random.Generator) -> None:
    """Write documents, signals, decisions, duplicates, dead letters and shards of one source."""
    texts = _texts(source, rng)
    count = len(texts)
    hashes = [ids.content_hash(text) for text in texts]
    sizes = [len(text.encode()) for text in texts]
    doc_ids = [ids.document_id(source, f"{source}.raw", row * 1000) for row in range(count)]
    place = {"part": pa.array([part] * count, pa.int32()), "row": pa.array(range(count), pa.int32())}
    documents = pa.table(
        {
            "doc_id": doc_ids, "native_id": pa.array([None] * count, pa.string()), **place, "source": [source] * count,
            "path": [f"{source}.raw"] * count, "offset": [row * 1000 for row in range(count)],
            "url": pa.array([f"https://example.org/{source}/{row}" if source == "web" else None for row in range(count)], pa.string()),
            "date": pa.array([None] * count, pa.string()),
            "title": [f"Page {row} of {source}" for row in range(count)], "published": pa.array([None] * count, pa.string()),
            "canonical_url": pa.array([None] * count, pa.string()), "lang_hint": [LANGUAGES[source][0]] * count, "text": pa.array(texts, pa.large_string()),
            "raw_bytes": [size + 100 for size in sizes], "text_bytes": sizes, "content_hash": hashes,
            "edits": pa.array([[{"rule": "nfc", "count": 1}] if row % 7 == 0 else [] for row in range(count)], schemas.DOCUMENTS.field("edits").type),
        }
    ).cast(schemas.DOCUMENTS)  # fmt: skip
    signals = _signals(texts, place, LANGUAGES[source], rng)
    rules = recipe_rules(recipe())
    failed = evaluate_rules(signals, documents["source"], rules)
    duplicates, repeated = _duplicates(part, hashes, doc_ids, failed.any(axis=1))
    failing = [[n for n, f in zip(rules, failed[row], strict=True) if f] + repeated[row] for row in range(count)]
    split = ["heldout" if ids.fraction(h, "split") < 0.2 else "train" for h in hashes]
    decisions = pa.table(
        {
            "doc_id": doc_ids, **place, "kept": [not f for f in failing],
            "first_reason": pa.array([f[0] if f else None for f in failing], pa.string()),
            "failed_rules": pa.array(failing, pa.list_(pa.string())), "split": split, "split_key": hashes,
        }
    ).cast(schemas.DECISIONS)  # fmt: skip
    dead = _dead_letters(source, part)
    written = {
        "documents": documents,
        "signals": signals,
        "decisions": decisions,
        "duplicates": duplicates,
        "dead_letters": dead,
    }
    outputs = {
        name: tables.write_table(str(folder), f"{name}/part-{part:05d}.parquet", rows, schemas.TABLES[name])
        for name, rows in written.items()
    }
    counts = {
        "records": count + dead.num_rows + 4, "documents": count, "nondocuments/request": 4, "dead_letters": dead.num_rows,
        "dead_letters/bad_gzip": dead.num_rows, "text_bytes": sum(sizes), "raw_bytes": sum(sizes) + 100 * count + 400 + 50 * dead.num_rows,
        "dead_letter_bytes": 50 * dead.num_rows, f"source/{source}/documents": count, f"source/{source}/text_bytes": sum(sizes),
    }  # fmt: skip
    key = f"{part:05d}"
    commit = lambda stage, names, numbers: manifest.commit(  # noqa: E731
        str(folder), TaskManifest(stage, key, "f", tuple(outputs[n] for n in names), numbers)
    )
    commit("ingest", ["documents", "dead_letters"], counts)
    commit("measure", ["signals"], {"documents": count})
    verdicts = Counter("kept" if not f else "rejected" for f in failing)
    commit("decide", ["decisions", "duplicates"], {f"{v}/documents": n for v, n in sorted(verdicts.items())})
    _write_shards(folder, part, source, documents, decisions, signals)


def _signals(texts: list[str], place: dict, languages: list[str], rng: np.random.Generator) -> pa.Table:
    count = len(texts)
    columns: dict[str, object] = {**place}
    columns["lang"] = [languages[int(i)] for i in rng.integers(0, len(languages), count)]
    columns["lang_score"] = pa.array(rng.uniform(0.5, 1.0, count).astype(np.float32))
    columns["lang_label"] = columns["lang"]
    for name in schemas.SIGNALS.names[5:]:
        columns[name] = rng.uniform(0.0, 1.0, count)
    columns["gopher_words"] = [float(len(text.split())) for text in texts]
    return pa.table(columns).cast(schemas.SIGNALS)


def _duplicates(part: int, hashes: list[str], doc_ids: list[str], bad: np.ndarray) -> tuple[pa.Table, list[list[str]]]:
    """Mark later copies of an eligible text as exact duplicates."""
    first: dict[str, int] = {}
    counts = Counter(hashes)
    repeated: list[list[str]] = [[] for _ in hashes]
    rows = []
    for row, digest in enumerate(hashes):
        if counts[digest] < 2:
            continue
        leader = None
        if not bad[row] and digest in first:
            leader, repeated[row] = doc_ids[first[digest]], ["exact_duplicate"]
        elif not bad[row]:
            first[digest] = row
        kind, similarity = ("exact", 1.0) if leader else (None, None)
        stays = not bad[row] and leader is None
        copies = sum(h == digest and not b for h, b in zip(hashes, bad, strict=True)) if stays else 0
        rows.append((part, row, digest, counts[digest], kind, leader, None, similarity, copies, copies))
    columns = list(zip(*rows, strict=True))
    arrays = [pa.array(c, f.type) for c, f in zip(columns, schemas.DUPLICATES, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schemas.DUPLICATES), repeated


def _dead_letters(source: str, part: int) -> pa.Table:
    rows = [
        (
            source,
            f"{source}.raw",
            10**6 + i,
            50,
            "read",
            "bad_gzip",
            "truncated: got <b>; expected more",
            b"x",
            "0" * 32,
        )
        for i in range(part)
    ]
    columns = list(zip(*rows, strict=True)) or [()] * len(schemas.DEAD_LETTERS)
    arrays = [pa.array(c, f.type) for c, f in zip(columns, schemas.DEAD_LETTERS, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schemas.DEAD_LETTERS)


def _write_shards(
    folder: Path, part: int, source: str, documents: pa.Table, decisions: pa.Table, signals: pa.Table
) -> None:
    schema = schemas.tokens(4096)
    groups: dict[tuple[str, str], list[int]] = {}
    for row, (kept, split) in enumerate(
        zip(decisions["kept"].to_pylist(), decisions["split"].to_pylist(), strict=True)
    ):
        groups.setdefault(("kept" if kept else "rejected", split), []).append(row)
    outputs, counts = [], Counter()
    for (verdict, split), rows in sorted(groups.items()):
        chosen = documents.take(rows)
        tokens = [[*list(text.encode())[::3], 0] for text in chosen["text"].to_pylist()]
        columns = [
            chosen["doc_id"],
            chosen["part"],
            chosen["row"],
            signals["lang"].take(rows),
            chosen["text_bytes"],
        ]
        table = pa.Table.from_arrays([*columns, pa.array(tokens, schema.field("input_ids").type)], schema=schema)
        outputs.append(
            write_shard(
                str(folder), shard_path(verdict, source, split, 0, 1), table, pa.array(range(table.num_rows)), schema
            )
        )
        counts.update({"documents": len(rows), "tokens": sum(map(len, tokens))})
    manifest.commit(str(folder), TaskManifest("tokenize", f"{part:05d}", "f", tuple(outputs), dict(counts)))
