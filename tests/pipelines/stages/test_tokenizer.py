"""The tokenizer's sample: drawn by hash from kept training text by source and language, whatever the parts."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.contracts import ids, manifest, tables
from pipelines.contracts.errors import StageError
from pipelines.contracts.manifest import TaskManifest
from pipelines.contracts.recipe import Recipe
from pipelines.contracts.tasks import Context, NoProgress, Task, part_file
from pipelines.ops.tokenize_text import load_encoder
from pipelines.stages import tokenizer
from pipelines.stages.tokenizer import draw, drawn_rows, sum_by_stratum
from tests.pipelines.kernels.test_bpe import generated_text

COLUMNS = ["doc_id", "source", "lang", "text", "kept", "split", "words"]


def corpus(count: int) -> list[dict]:
    draw_from = random.Random(4)
    rows = []
    for index in range(count):
        text = generated_text(draw_from, draw_from.randrange(5, 60))
        rows.append(
            {
                "doc_id": ids.document_id("s", "p", index),
                "source": draw_from.choice(["web", "web", "wiki"]),
                "lang": draw_from.choice(["en", "en", "en", "de", "fi"]),
                "text": text,
                "kept": draw_from.random() < 0.8,
                "split": "train" if draw_from.random() < 0.9 else "heldout",
                "words": len(text.split()),
            }
        )
    return rows


def write_parts(folder: Path, rows: list[dict], per_part: int, **literals: object) -> tuple[Context, list[int]]:
    """Write the tables that the stage reads; a part is of one source, and holds small row groups."""
    parts = []
    for source in ("web", "wiki"):
        here = [row for row in rows if row["source"] == source]
        parts += [here[start : start + per_part] for start in range(0, len(here), per_part)]
    for number, part in enumerate(parts):
        text = pa.array([row["text"] for row in part], pa.large_string())
        sizes = pa.array([len(row["text"].encode()) for row in part], pa.int64())
        column = {name: pa.array([row[name] for row in part]) for name in COLUMNS if name != "text"}
        words = column["words"].cast(pa.float64())
        for table, columns in {
            "documents": {"source": column["source"], "text": text, "text_bytes": sizes},
            "decisions": {name: column[name] for name in ("doc_id", "kept", "split")},
            "signals": {"lang": column["lang"], "gopher_words": words},
        }.items():
            path = folder / part_file(table, number)
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table(columns), path, row_group_size=16)
    kept = sum(row["kept"] for row in rows)
    manifest.commit(str(folder), TaskManifest("decide", "00000", "f", (), {"kept/documents": kept}))
    sources = [{"name": name, "path": name, "format": "text"} for name in ("web", "wiki")]
    recipe = Recipe.model_validate({"name": "x", "sources": sources, "tokenizer": {"vocab_size": 600, **literals}})
    return Context(str(folder), recipe), list(range(len(parts)))


def run(context: Context, parts: list[int]) -> dict[str, bytes]:
    made = tokenizer.run(context, Task("tokenizer", "all", "f", {"parts": parts}), NoProgress())
    return {output.path: Path(context.workspace, output.path).read_bytes() for output in made.outputs}


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return corpus(900)


def test_parts_and_their_order_change_nothing(rows: list[dict], tmp_path: Path) -> None:
    literals = {"sample_mb": 0.05, "language_shares": {"fi": 0.4}, "fertility_mb": 0.02}
    made = []
    for name, per_part in (("a", 100), ("b", 333)):
        context, parts = write_parts(tmp_path / name, rows, per_part, **literals)
        made.append(run(context, parts[::-1] if name == "b" else parts))
    assert set(made[0]) == {f"tokenizer/{name}" for name in ("tokenizer.json", "sample.parquet", "fertility.parquet")}
    assert made[0] == made[1]


def test_the_sample_is_of_kept_training_text_and_has_the_stated_shares(rows: list[dict], tmp_path: Path) -> None:
    context, parts = write_parts(
        tmp_path, rows, 100, sample_mb=0.06, language_shares={"fi": 0.3}, source_shares={"wiki": 0.5}
    )
    run(context, parts)
    sample = tables.read_table(context.workspace, tokenizer.SAMPLE_FILE).to_pylist()
    there: Counter = Counter()
    for row in rows:
        if row["kept"] and row["split"] == "train":
            there[row["source"], row["lang"]] += len(row["text"].encode())
    assert {(row["source"], row["lang"]): row["text_bytes"] for row in sample} == there
    for row in sample:
        taken = [
            len(doc["text"].encode())
            for doc in rows
            if (doc["source"], doc["lang"], doc["kept"], doc["split"]) == (row["source"], row["lang"], True, "train")
            and ids.fraction(doc["doc_id"], "tokenizer") < row["fraction"]
        ]
        assert (row["drawn_documents"], row["drawn_bytes"]) == (len(taken), sum(taken))
    assert sum(row["share"] for row in sample if row["lang"] == "fi") == pytest.approx(0.3)
    assert sum(row["share"] for row in sample if row["source"] == "wiki") == pytest.approx(0.5)
    assert sum(row["drawn_bytes"] for row in sample) == pytest.approx(60_000, rel=0.35)


def test_fertility_equals_a_plain_count(rows: list[dict], tmp_path: Path) -> None:
    context, parts = write_parts(tmp_path, rows, 200)
    run(context, parts)
    encoder = load_encoder(Path(tmp_path, tokenizer.TOKENIZER_FILE).read_text("utf-8"))
    expected: dict[str, Counter] = {}
    for row in rows:
        if row["kept"]:
            count = expected.setdefault(row["lang"], Counter())
            count["documents"] += 1
            count["tokens"] += len(encoder.encode(pa.array([row["text"]]))[0])
            count["words"] += row["words"]
            count["text_bytes"] += len(row["text"].encode())
            count["characters"] += len(row["text"])
    found = tables.read_table(context.workspace, tokenizer.FERTILITY_FILE).to_pylist()
    assert {row["lang"]: {name: row[name] for name in expected["en"]} for row in found} == expected
    for row in found:
        assert row["bytes_per_token"] == row["text_bytes"] / row["tokens"]
        assert row["tokens_per_word"] == row["tokens"] / row["words"]


def test_only_row_groups_with_drawn_documents_are_read(rows: list[dict], tmp_path: Path) -> None:
    context, parts = write_parts(tmp_path, rows, 900)
    fractions = dict.fromkeys(sum_by_stratum([tokenizer.read_part(context.workspace, 0, None)[1]]), 0.012)
    drawn = draw(context.workspace, 0, "train", fractions, "tokenizer")
    groups = list(drawn_rows(context.workspace, 0, drawn.mask, NoProgress()))
    assert 0 < len(groups) <= drawn.mask.sum() < 20
    assert sum(table.num_rows for _, table in groups) == drawn.mask.sum()
    assert parts


def test_nothing_kept_is_an_error(rows: list[dict], tmp_path: Path) -> None:
    context, parts = write_parts(tmp_path, [{**row, "kept": False} for row in rows[:20]], 10)
    with pytest.raises(StageError, match="nothing to train on"):
        run(context, parts)


def test_a_loaded_tokenizer_is_measured_too(rows: list[dict], tmp_path: Path) -> None:
    context, parts = write_parts(tmp_path / "a", rows[:100], 50)
    run(context, parts)
    loaded, parts = write_parts(tmp_path / "b", rows[:100], 50, path=f"{tmp_path}/a/{tokenizer.TOKENIZER_FILE}")
    made = run(loaded, parts)
    assert set(made) == {"tokenizer/tokenizer.json", "tokenizer/fertility.parquet"}
    assert made["tokenizer/fertility.parquet"] == Path(context.workspace, tokenizer.FERTILITY_FILE).read_bytes()
