"""The stages match to decide over a small corpus: in one process, in rounds, and with blocks beyond memory."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines.beam.driver import open_workspace, run_stages
from pipelines.contracts import manifest
from pipelines.contracts.dedup import Dedup, Near
from pipelines.contracts.recipe import Recipe, Source
from tests.pipelines.stages.direct import DirectExecutor, NoDisplay

TABLES = ("components", "resolve", "duplicates", "decisions")


def write_corpus(folder: Path) -> None:
    """Chains of versions (each like the one before), copies, one address for several pages, and loners."""
    generator = random.Random(3)
    vocabulary = [f"word{i}" for i in range(3000)]
    rows = []
    for chain in range(12):
        words = generator.choices(vocabulary, k=120)
        for version in range(generator.randint(1, 9)):
            words[generator.randrange(120)] = generator.choice(vocabulary)
            rows.append({"text": " ".join(words), "url": f"https://a.example/{chain}?v={version}"})
    rows += [{**row, "url": f"{row['url']}&copy=1"} for row in rows[::7]]
    rows += [
        {"text": " ".join(generator.choices(vocabulary, k=60)), "url": f"http://b.example/{i % 3}/"} for i in range(9)
    ]
    rows += [{"text": "short", "url": None}, {"text": "short", "url": None}]
    generator.shuffle(rows)
    for i, row in enumerate(rows):
        row |= {"id": str(i), "date": f"2024-01-{i % 28 + 1:02d}"}
    for name, piece in (("a", rows[::2]), ("b", rows[1::2])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in piece))


def run(corpus: Path, out: Path, executor: DirectExecutor, part_mb: float = 0.01, **dedup: object) -> str:
    source = Source(name="s", path=(str(corpus / "*.jsonl"),), format="jsonl")
    near = Near(num_perm=32, bands=16, rows=2, threshold=0.7)
    recipe = Recipe(name="t", sources=(source,), part_mb=part_mb, dedup=Dedup(near=near, **dedup))
    context, plan = open_workspace(recipe, str(out))
    run_stages(context, plan, executor, NoDisplay(), until="decide")
    return str(out)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder)
    return folder


@pytest.fixture(scope="module")
def workspace(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return run(corpus, tmp_path_factory.mktemp("one") / "ws", DirectExecutor())


def contents(workspace: str) -> dict[str, bytes]:
    files = [file for name in TABLES for file in Path(workspace, name).glob("part-*.parquet")]
    return {str(file.relative_to(workspace)): file.read_bytes() for file in files}


def test_every_kind_is_found(workspace: str) -> None:
    counts = manifest.read_stage(workspace, "resolve").counts
    assert all(counts[f"removed/{kind}"] for kind in ("url", "exact", "near"))
    assert counts["spilled_partitions"] == 0


def test_rounds_give_the_same_bytes(corpus: Path, workspace: str, tmp_path: Path) -> None:
    executor = DirectExecutor()
    rounds = run(corpus, tmp_path / "ws", executor, max_edges=1)
    steps = [keys for stage, keys in executor.shuffles if stage == "components"]
    assert len(steps) >= 4
    assert steps[1][0] == "round-001-00000"
    assert contents(rounds) == contents(workspace)


def test_rounds_resume_where_they_were(corpus: Path, workspace: str, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(corpus, tmp_path / "ws", DirectExecutor(stop_at="round-002-00001"), max_edges=1)
    executor = DirectExecutor()
    resumed = run(corpus, tmp_path / "ws", executor, max_edges=1)
    assert executor.shuffles[0][0] == "components"
    assert executor.shuffles[0][1][0] == "round-002-00001"
    assert contents(resumed) == contents(workspace)
    again = DirectExecutor()
    run(corpus, tmp_path / "ws", again, max_edges=1)
    assert not again.shuffles


def test_labels_are_positions_of_members(workspace: str) -> None:
    rows = {}
    for file in Path(workspace, "components").glob("part-*.parquet"):
        part = int(file.stem.partition("-")[2])
        for row in pq.read_table(file).to_pylist():
            rows[part << 32 | row["row"]] = row["component"]
    assert all(rows[label] == label <= node for node, label in rows.items())


def test_a_component_beyond_memory_gives_the_same_bytes(tmp_path: Path) -> None:
    generator = random.Random(5)
    template = [f"word{i}" for i in range(150)]
    pages = [
        " ".join(w if generator.random() > 0.03 else f"v{generator.random()}" for w in template) for _ in range(1500)
    ]
    rows = [json.dumps({"text": page, "id": str(i)}) + "\n" for i, page in enumerate(pages)]
    (tmp_path / "pages.jsonl").write_text("".join(rows))
    small = run(tmp_path, tmp_path / "small", DirectExecutor(), 1.0, partition_mb=1)
    large = run(tmp_path, tmp_path / "large", DirectExecutor(), 1.0)
    found, expected = (manifest.read_stage(workspace, "resolve").counts for workspace in (small, large))
    assert (found["spilled_partitions"], expected["spilled_partitions"]) == (1, 0)
    assert 200 < found["removed/near"] < 1400
    assert contents(small) == contents(large)
