"""Cuts of big files: the pieces give what the whole gives, and ids do not depend on `part_mb`."""

from __future__ import annotations

import bz2
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.contracts import tables
from pipelines.contracts.errors import InputError
from pipelines.contracts.recipe import Recipe, Source
from pipelines.contracts.recipe_sources import Units
from pipelines.contracts.tasks import Context, Lineage, NoProgress
from pipelines.cutting import cut_file
from pipelines.planning import make_plan
from pipelines.stages import ingest
from tests.data.formats import WIKI_HEAD, WIKI_TAIL, wiki_page
from tests.data.sentences import Writer


def _dump(folder: Path, number: str = "") -> tuple[Path, list[str]]:
    """Write a multistream dump of 12 streams and its index."""
    writer = Writer(5)
    texts = [writer.document("en", 6) for _ in range(120)]
    data, lines = bytearray(bz2.compress(WIKI_HEAD)), []
    for start in range(0, 120, 10):
        lines += [f"{len(data)}:{n}:Title {n}" for n in range(start, start + 10)]
        pages = [wiki_page(n, f"Title {n}", texts[n]) for n in range(start, start + 10)]
        data += bz2.compress(b"".join(pages))
    data += bz2.compress(WIKI_TAIL)
    folder.mkdir(parents=True, exist_ok=True)
    dump = folder / f"testwiki-pages-articles-multistream{number}.xml.bz2"
    dump.write_bytes(bytes(data))
    index = folder / f"testwiki-pages-articles-multistream-index{number}.txt.bz2"
    index.write_bytes(bz2.compress("\n".join(lines).encode() + b"\n"))
    return dump, texts


def _ingest(folder: Path, source: Source, part_mb: float) -> tuple[int, list[dict]]:
    recipe = Recipe(name="t", sources=(source,), part_mb=part_mb)
    workspace = str(folder / f"ws-{part_mb}")
    plan, context = make_plan(recipe, workspace), Context(workspace, recipe)
    tasks = ingest.STAGE.plan(context, plan, Lineage([ingest.STAGE], recipe, plan))
    manifests = [ingest.STAGE.run(context, task, NoProgress()) for task in tasks]
    rows = [row for m in manifests for row in tables.read_table(workspace, m.outputs[0].path).to_pylist()]
    assert sum(m.counts["dead_letters"] for m in manifests) == 0
    return len(tasks), [{k: v for k, v in row.items() if k not in ("part", "row")} for row in rows]


@pytest.mark.parametrize("number", ["", "3"])
def test_a_multistream_dump_is_cut_by_its_index(tmp_path: Path, number: str) -> None:
    dump, texts = _dump(tmp_path / "raw", number)
    source = Source(name="wiki", path=(f"{tmp_path}/raw/*.bz2",), format="mediawiki")
    whole, one = _ingest(tmp_path, source, 16.0)
    several, many = _ingest(tmp_path, source, dump.stat().st_size / 5e6)
    assert (whole, several) == (1, 4)
    assert one == many
    assert [row["text"] for row in one] == [text.strip() for text in texts]
    assert one[3]["url"] == "https://wiki.example/wiki/Title_3"
    assert {row["path"] for row in one} == {dump.name}


def test_an_index_that_does_not_fit_is_named(tmp_path: Path) -> None:
    dump, _ = _dump(tmp_path / "raw")
    dump.write_bytes(bz2.compress(b"x" * 100) + dump.read_bytes())
    with pytest.raises(
        InputError, match=r"multistream-index\.txt\.bz2: line 1: index does not fit the dump: got \d+:0:"
    ):
        _ingest(tmp_path, Source(name="wiki", path=(str(dump),), format="mediawiki"), 1.0)


@pytest.mark.parametrize("kind", ["parquet", "arrow", "jsonl", "text"])
def test_ids_do_not_depend_on_the_cuts(tmp_path: Path, kind: str) -> None:
    writer = Writer(9)
    texts = [writer.document("en", 5).replace("\n", " ") for _ in range(200)]
    path = tmp_path / f"a.{kind}"
    table = pa.table({"text": texts})
    if kind == "parquet":
        pq.write_table(table, path, row_group_size=20)
    elif kind == "arrow":
        with pa.ipc.new_file(path, table.schema) as file:
            file.write_table(table, max_chunksize=20)
    else:
        path.write_bytes(b"".join((f'{{"text": "{t}"}}\n' if kind == "jsonl" else t + "\n").encode() for t in texts))
    source = Source(name="a", path=(str(path),), format=kind, text=Units(unit="line" if kind == "text" else "file"))
    whole, one = _ingest(tmp_path, source, 16.0)
    several, many = _ingest(tmp_path, source, path.stat().st_size / 4e6)
    assert whole == 1
    assert several > 3
    assert one == many
    assert [row["text"] for row in one] == [text.strip() for text in texts]


def test_what_cannot_be_cut_stays_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"x" * 1000)
    source = Source(name="a", path=(str(path),), format="parquet")
    assert [(p.start, p.end) for p in cut_file(source, str(path), "a.parquet", 1000, 100)] == [(0, None)]
    path.write_bytes("text\n".encode("utf-16") * 100)
    lines = Source(name="a", path=(str(path),), format="jsonl")
    assert [(p.start, p.end) for p in cut_file(lines, str(path), "a.jsonl", 1000, 100)] == [(0, None)]
