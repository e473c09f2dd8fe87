"""A whole job with repeated lines: what is cut, who keeps it, and that no order or worker enters."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.beam.curate import CurateOptions, run_curate, run_verify
from pipelines.beam.display import Display
from pipelines.beam.driver import load_workspace, open_workspace, run_stages
from pipelines.beam.local import LocalExecutor
from pipelines.contracts import manifest, tables
from pipelines.contracts.errors import VerifyError
from pipelines.contracts.recipe import load_recipe
from pipelines.explain import document_life, find_document
from tests.data.awkward import write_recipe
from tests.data.formats import json_line
from tests.data.sentences import Writer

FOOTER = "Subscribe to our newsletter and follow us everywhere"
NOTICE = "This page uses cookies to store information on your computer"
LINES = {"min_documents": 3, "min_chars": 20}


def texts() -> list[str]:
    """Make 60 documents; most end with a footer, in four spellings, and some begin with a notice."""
    writer = Writer(11)
    made = []
    for index in range(60):
        body = "\n".join(writer.document("en", 4) for _ in range(3))
        footer = (FOOTER, FOOTER.upper(), f"* {FOOTER}!", FOOTER.replace(" ", "  "))[index % 4]
        notice = f"{NOTICE}\n\n" if index % 5 == 0 else ""
        made.append(f"{notice}{body}\n\n{footer}" if index % 6 else f"{notice}{body}")
    return [*made, made[7], made[7]]  # exact copies


def make(folder: Path, name: str, **recipe: object) -> Path:
    """Write the corpus as several files, and its recipe."""
    corpus = folder / name
    (corpus / "lines").mkdir(parents=True)
    every = [json_line(text, id=f"d{i}") for i, text in enumerate(texts())]
    for number in range(4):
        (corpus / "lines" / f"{number}.jsonl").write_bytes(b"".join(every[number::4]))
    return write_recipe(corpus, **{"part_mb": 0.003, "lines": LINES, "profiles": [], **recipe})


def curate_until(stage: str, recipe: Path, workspace: Path) -> None:
    """Run the stages up to one."""
    context, plan = open_workspace(load_recipe(str(recipe)), str(workspace))
    display = Display()
    run_stages(context, plan, LocalExecutor(1, 900.0, display.show), display, until=stage)


def table(workspace: Path, name: str) -> pa.Table:
    return pa.concat_tables(pq.read_table(path) for path in sorted((workspace / name).glob("part-*.parquet")))


def text_by_id(workspace: Path, name: str = "documents") -> dict[str, str]:
    documents = table(workspace, name)
    return dict(zip(documents["native_id"].to_pylist(), documents["text"].to_pylist(), strict=True))


def data_files(workspace: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(workspace)): path.read_bytes()
        for path in sorted(workspace.rglob("*"))
        if path.suffix in (".parquet", ".arrow")
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lines")
    run_curate(CurateOptions(str(make(folder, "corpus")), str(folder / "ws"), workers=1))
    return folder


def test_one_text_keeps_a_repeated_line_and_the_others_lose_it(made: Path) -> None:
    before, after = text_by_id(made / "ws", "ingested"), text_by_id(made / "ws")
    assert list(before.values()) == [dict(zip((f"d{i}" for i in range(62)), texts(), strict=True))[k] for k in before]
    for mark in ("newsletter", "cookies"):
        holders = {text for text in before.values() if mark in text.lower()}
        assert len(holders) > 10
        assert len({text for text in after.values() if mark in text.lower()}) == 1
    assert after["d7"] == after["d60"] == after["d61"]  # exact copies stay exact copies
    untouched = [name for name, text in before.items() if "newsletter" not in text.lower() and "cookies" not in text]
    assert untouched
    assert all(after[name] == before[name] for name in untouched)
    assert not any(text.startswith("\n") or text.endswith("\n") for text in after.values())


def test_bytes_are_accounted_for(made: Path) -> None:
    counts = manifest.read_stage(str(made / "ws"), "lines").counts
    ingested = manifest.read_stage(str(made / "ws"), "ingest").counts
    documents, removed = table(made / "ws", "documents"), table(made / "ws", "removed_lines")
    assert counts["text_bytes"] + counts["removed_bytes"] == ingested["text_bytes"]
    assert counts["text_bytes"] == sum(documents["text_bytes"].to_pylist())
    edits = [
        edit["count"] for row in documents["edits"].to_pylist() for edit in row if edit["rule"] == "repeated_units"
    ]
    assert sum(edits) == counts["removed"] == removed.num_rows
    assert counts["changed"] == len(edits)


def test_explain_shows_what_was_cut_and_who_keeps_it(made: Path) -> None:
    context, plan = load_workspace(str(made / "ws"))
    after = text_by_id(made / "ws")
    loser = next(name for name in ("d5", "d10", "d15") if "cookies" not in after[name])
    [(part, row)] = find_document(context, plan, loser)
    life = document_life(context, part, row)
    [cut] = [line for line in life["removed_lines"] if "cookies" in line["text"]]
    assert cut["documents"] == 12
    [place] = find_document(context, plan, cut["kept_by"])
    keeper = document_life(context, *place)["record"]["native_id"]
    assert NOTICE in after[keeper]


def test_no_order_part_size_or_worker_enters(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines.contracts import storage

    plain = storage.glob
    monkeypatch.setattr(storage, "glob", lambda pattern: plain(pattern)[::-1])
    shutil.copytree(made / "corpus", tmp_path / "corpus")
    run_curate(CurateOptions(str(tmp_path / "corpus/recipe.yaml"), str(tmp_path / "ws"), workers=2))
    assert data_files(tmp_path / "ws") == data_files(made / "ws")
    curate_until("lines", make(tmp_path, "whole", part_mb=5), tmp_path / "whole-ws")
    assert text_by_id(tmp_path / "whole-ws") == text_by_id(made / "ws")


def test_without_the_section_the_same_workspace_has_all_lines_again(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "corpus", tmp_path / "corpus")
    recipe = write_recipe(tmp_path / "corpus", part_mb=0.003, profiles=[])
    saved = (made / "ws/recipe.json").read_text().replace(str(made), str(tmp_path))
    shutil.copytree(made / "ws", tmp_path / "ws")
    (tmp_path / "ws/recipe.json").write_text(saved)
    curate_until("ingest", recipe, tmp_path / "ws")
    assert text_by_id(tmp_path / "ws") == text_by_id(made / "ws", "ingested")


@pytest.mark.parametrize(
    ("column", "change", "expected"),
    [("documents", 1, "wrong about who keeps it"), ("end", -3, "not what was read without its removed_lines")],
)
def test_verify_finds_a_wrong_cut(made: Path, tmp_path: Path, column: str, change: int, expected: str) -> None:
    shutil.copytree(made / "ws", tmp_path / "ws")
    path = next(p for p in sorted((tmp_path / "ws/removed_lines").iterdir()) if pq.read_metadata(p).num_rows)
    relative = str(path.relative_to(tmp_path / "ws"))
    removed = tables.read_table(str(tmp_path / "ws"), relative)
    values = [value + change for value in removed[column].to_pylist()]
    index = removed.schema.get_field_index(column)
    wrong = removed.set_column(index, removed.schema.field(index), pa.array(values, removed.schema.field(index).type))
    tables.write_table(str(tmp_path / "ws"), relative, wrong, removed.schema)
    with pytest.raises(VerifyError, match=expected):
        run_verify(str(tmp_path / "ws"), workers=1)
