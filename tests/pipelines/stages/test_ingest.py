"""The ingest stage: every record and byte becomes a document, a non-document or a dead letter."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipelines.contracts import ids, schemas, tables
from pipelines.contracts.errors import StageError
from pipelines.contracts.manifest import TaskManifest
from pipelines.contracts.recipe import Recipe, load_recipe
from pipelines.contracts.tasks import Context, Lineage, NoProgress, Plan, Task
from pipelines.planning import make_plan
from pipelines.readers import Format
from pipelines.readers.records import Reader
from pipelines.stages import ingest
from tests.data.awkward import make_awkward_corpus, make_corpus, write_recipe
from tests.data.formats import json_line


def _tasks(recipe_path: Path, workspace: Path) -> tuple[Context, list[Task], Plan]:
    recipe = load_recipe(str(recipe_path))
    plan = make_plan(recipe, str(workspace))
    context = Context(str(workspace), recipe)
    return context, ingest.STAGE.plan(context, plan, Lineage([ingest.STAGE], recipe, plan)), plan


def _run(recipe_path: Path, workspace: Path) -> tuple[list[TaskManifest], list[dict], list[dict]]:
    context, tasks, _ = _tasks(recipe_path, workspace)
    manifests = [ingest.STAGE.run(context, task, NoProgress()) for task in tasks]
    rows = [
        [row for m in manifests for row in tables.read_table(context.workspace, m.outputs[table].path).to_pylist()]
        for table in (0, 1)
    ]
    return manifests, rows[0], rows[1]


def _one_source(folder: Path, lines: list[bytes], **recipe: Any) -> Path:
    (folder / "lines").mkdir(parents=True)
    (folder / "lines/a.jsonl").write_bytes(b"".join(lines))
    return write_recipe(folder, **recipe)


@pytest.fixture(scope="module")
def awkward(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[dict, list[TaskManifest], list[dict], list[dict], Path]:
    folder = tmp_path_factory.mktemp("awkward")
    expected = make_awkward_corpus(folder)
    return (expected, *_run(folder / "recipe.yaml", folder / "ws"), folder)


def test_the_awkward_corpus_is_counted_as_expected(awkward: Any) -> None:
    expected, manifests, documents, dead, folder = awkward
    recipe = folder / "recipe.yaml"
    sources = {part.key: part.source for part in _tasks(recipe, folder / "ws")[2].parts}
    for source, counts in expected.items():
        found: Counter[str] = Counter()
        for manifest in manifests:
            if sources[manifest.key] == source:
                found.update(manifest.counts)
        kinds = ("documents", "dead_letters/", "nondocuments/")
        assert {k: v for k, v in found.items() if k == "documents" or k.startswith(kinds[1:])} == counts, source
        assert found["documents"] == found[f"source/{source}/documents"]
        assert found["text_bytes"] == found[f"source/{source}/text_bytes"]
    assert len(documents) == sum(counts["documents"] for counts in expected.values())
    assert Counter(row["error"] for row in dead) == Counter(
        {
            error: sum(counts.get(f"dead_letters/{error}", 0) for counts in expected.values())
            for error in {row["error"] for row in dead}
        }
    )


def test_records_and_bytes_are_accounted_for(awkward: Any) -> None:
    _, manifests, documents, dead, folder = awkward
    total: Counter[str] = Counter()
    for manifest in manifests:
        total.update(manifest.counts)
    skipped = sum(count for name, count in total.items() if name.startswith("nondocuments/"))
    assert total["records"] == len(documents) + skipped + len(dead)
    assert total["raw_bytes"] == total["document_raw_bytes"] + total["nondocument_bytes"] + total["dead_letter_bytes"]
    assert total["document_raw_bytes"] == sum(row["raw_bytes"] for row in documents)
    assert total["dead_letter_bytes"] == sum(row["length"] for row in dead)
    assert total["text_bytes"] == sum(len(row["text"].encode()) for row in documents)
    plain = sum((folder / "lines" / name).stat().st_size for name in ("awkward.jsonl", "empty.jsonl"))
    rows = [row for row in documents if row["path"] == "awkward.jsonl"]
    lost = [row for row in dead if row["path"] == "awkward.jsonl"]
    blank = len(b"\n") + len(b"  \r\n")
    assert sum(r["raw_bytes"] for r in rows) + sum(r["length"] for r in lost) + blank == plain


def test_rows_of_documents(awkward: Any) -> None:
    _, _, documents, dead, _ = awkward
    parts: dict[int, list[int]] = {}
    for row in documents:
        parts.setdefault(row["part"], []).append(row["row"])
        assert row["doc_id"] == ids.document_id(row["source"], row["path"], row["offset"])
        assert row["content_hash"] == ids.content_hash(row["text"])
        assert row["text_bytes"] == len(row["text"].encode())
    assert all(rows == list(range(len(rows))) for rows in parts.values())
    assert len({row["doc_id"] for row in documents}) == len(documents)
    natives = Counter(row["native_id"] for row in documents)
    assert natives["same"] == 2
    assert natives["<same>"] == 6
    by_native = {row["native_id"]: row for row in documents}
    assert by_native["empty"]["text"] == ""
    assert by_native["nul"]["text"].startswith("ab ")
    assert by_native["nul"]["edits"] == [{"rule": "control_characters", "count": 1}]
    assert "<|endoftext|>" in by_native["end_of_text"]["text"]
    assert "\u2028" in by_native["line_separators"]["text"]
    assert len(by_native["five_megabytes"]["text"]) > 4_900_000
    assert all(row["raw_hash"] == ids.content_hash(row["raw"]) for row in dead)
    assert {row["stage"] for row in dead} == {"read", "extract"}


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = make_corpus(tmp_path / "corpus", documents=200)
    first = [m.outputs for m in _run(recipe, tmp_path / "a")[0]]
    monkeypatch.setattr(ingest, "_BATCH_ROWS", 7)
    monkeypatch.setattr(ingest, "_BATCH_BYTES", 3000)
    assert [m.outputs for m in _run(recipe, tmp_path / "b")[0]] == first


def test_made_corpus_is_sound(tmp_path: Path) -> None:
    manifests, documents, dead = _run(make_corpus(tmp_path, documents=400, seed=3), tmp_path / "ws")
    assert (len(documents), dead) == (400, [])
    assert {row["source"] for row in documents} == {"lines", "notes", "web", "wiki"}
    hashes = Counter(row["content_hash"] for row in documents)
    assert sum(count - 1 for count in hashes.values()) >= 2
    assert len(manifests) >= 4


def test_pieces_of_one_file_cover_it(tmp_path: Path) -> None:
    recipe = _one_source(tmp_path / "c", [json_line(f"text {n} " * 30) for n in range(300)], part_mb=0.01)
    manifests, documents, _ = _run(recipe, tmp_path / "ws")
    assert len(manifests) > 3
    assert [row["text"].split()[1] for row in documents] == [str(n) for n in range(300)]
    assert sum(m.counts["raw_bytes"] for m in manifests) == (tmp_path / "c/lines/a.jsonl").stat().st_size


def test_a_sample_is_drawn_by_hash_and_counted(tmp_path: Path) -> None:
    recipe = _one_source(tmp_path / "c", [json_line(f"text {n}") for n in range(1000)], sample=0.2)
    (manifest,), documents, _ = _run(recipe, tmp_path / "ws")
    assert 140 < len(documents) < 260
    assert manifest.counts["nondocuments/not_sampled"] == 1000 - len(documents)
    assert all(ids.fraction(row["doc_id"], "sample") < 0.2 for row in documents)


def test_a_poisoned_record_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [json_line(f"text {n}") for n in range(3)]
    context, (task,), _ = _tasks(_one_source(tmp_path / "c", lines), tmp_path / "ws")
    seen: list[int] = []
    extract = ingest.extract
    monkeypatch.setattr(
        ingest, "extract", lambda record, options: (seen.append(record.offset), extract(record, options))[1]
    )
    poisoned = Task(task.stage, task.key, task.fingerprint, task.payload, (("a.jsonl", len(lines[0])),))
    manifest = ingest.STAGE.run(context, poisoned, NoProgress())
    (dead,) = tables.read_table(context.workspace, manifest.outputs[1].path).to_pylist()
    assert (dead["error"], dead["offset"]) == ("worker_killed", len(lines[0]))
    assert seen == [0, 2 * len(lines[0])]


def test_whatever_extraction_raises_costs_one_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(text: str) -> tuple[str, dict[str, int]]:
        if text == "text 1":
            raise RecursionError("too deep")
        return text, {}

    monkeypatch.setattr(ingest, "clean", fail)
    recipe = _one_source(tmp_path / "c", [json_line(f"text {n}") for n in range(3)])
    _, documents, (dead,) = _run(recipe, tmp_path / "ws")
    assert [row["text"] for row in documents] == ["text 0", "text 2"]
    assert (dead["stage"], dead["error"]) == ("clean", "clean_failed")
    assert dead["message"] == "clean failed: got RecursionError: too deep; expected text"


def test_bytes_of_dead_letters_can_be_left_out(tmp_path: Path) -> None:
    limits = {"keep_dead_letter_bytes": False, "max_dead_letter_fraction": 1.0}
    _, _, (dead,) = _run(_one_source(tmp_path / "c", [b"private\n"], limits=limits), tmp_path / "ws")
    assert dead["raw"] is None
    assert dead["raw_hash"] == ids.content_hash(b"private\n")


def test_progress_names_every_place_before_it_is_read(tmp_path: Path) -> None:
    lines = [json_line("x"), b"bad\n", b"\n", json_line("y")]
    context, (task,), _ = _tasks(_one_source(tmp_path / "c", lines), tmp_path / "ws")
    places: list[tuple[str, int]] = []
    done: list[tuple[int, int]] = []

    class Recorder(NoProgress):
        def at(self, path: str, offset: int) -> None:
            places.append((path, offset))

        def beat(self, documents: int, text_bytes: int) -> None:
            done.append((documents, text_bytes))

    ingest.STAGE.run(context, task, Recorder())
    starts = [sum(map(len, lines[:n])) for n in range(5)]
    assert places == [("a.jsonl", start) for start in starts]
    assert (sum(d for d, _ in done), sum(b for _, b in done)) == (2, 2)


def test_a_reader_that_loses_bytes_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = _one_source(tmp_path / "c", [json_line(f"text {n}") for n in range(3)])
    context, (task,), _ = _tasks(recipe, tmp_path / "ws")
    jsonl = ingest.READERS["jsonl"]

    def replace(read: Reader) -> None:
        monkeypatch.setitem(ingest.READERS, "jsonl", Format(jsonl.open, read))

    replace(lambda stream, options: list(jsonl.read(stream, options))[1:])
    with pytest.raises(StageError, match="bytes are not accounted for"):
        ingest.STAGE.run(context, task, NoProgress())
    replace(lambda stream, options: [next(iter(jsonl.read(stream, options)))])
    with pytest.raises(StageError, match="reader stopped early"):
        ingest.STAGE.run(context, task, NoProgress())


def test_an_empty_part_writes_empty_tables(tmp_path: Path) -> None:
    (manifest,), documents, dead = _run(_one_source(tmp_path / "c", []), tmp_path / "ws")
    assert (documents, dead, manifest.counts["records"], manifest.counts["raw_bytes"]) == ([], [], 0, 0)
    assert tables.read_table(str(tmp_path / "ws"), manifest.outputs[0].path).schema.names == schemas.DOCUMENTS.names


def test_the_fingerprint_depends_on_what_ingest_reads_only(tmp_path: Path) -> None:
    recipe = load_recipe(str(_one_source(tmp_path / "c", [json_line("x")])))
    plan = make_plan(recipe, str(tmp_path / "ws"))

    def of(changed: Recipe) -> str:
        return Lineage([ingest.STAGE], changed, plan).of("ingest", 0)

    assert of(recipe) == of(recipe.model_copy(update={"rules": {}, "part_mb": 3.0}))
    assert of(recipe) != of(recipe.model_copy(update={"sample": 0.5}))
    assert json.dumps(ingest.STAGE.literals(recipe))
