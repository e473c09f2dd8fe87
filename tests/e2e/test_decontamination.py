"""A whole job with evaluation items that leaked and with lists: reasons, explain, other thresholds, verify."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.beam.curate import CurateOptions, run_curate, run_verify
from pipelines.beam.driver import load_workspace
from pipelines.contracts import manifest
from pipelines.contracts.errors import ConfigError
from pipelines.explain import document_life, format_life
from tests.data.awkward import write_recipe
from tests.data.formats import json_line
from tests.data.leaks import make_documents, make_items

RECIPE = {
    "decontaminate": {"items": [{"task": "made", "path": "items.jsonl", "id": "item_id"}]},
    "lists": {"url_block": ["blocked.txt"], "bad_words": {"en": ["bad.txt"]}},
    "rules": {
        "url_blocked": {"signal": "url_listed", "equals_any": ["no", "allowed"]},
        "bad_words": {"signal": "bad_words", "max": 0},
    },
    "profiles": [],
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Return the folder, and what every document of the source should become."""
    folder = tmp_path_factory.mktemp("leaks")
    items = make_items(12, seed=1)
    documents = make_documents(items, boilerplate=15, clean=40, seed=2)
    lines, expected = [], []
    for index, document in enumerate(documents):
        blocked, bad = index % 9 == 4, index % 11 == 5
        url = f"https://{'www.blocked' if blocked else 'fine'}.example/{index}"
        lines.append(json_line(f"{'Darn! ' if bad else ''}{document.text}", url=url, id=str(index)))
        leaks = document.leak in ("verbatim", "reformatted", "four fifths")
        reasons = ["url_blocked"] * blocked + ["bad_words"] * bad + ["contaminated"] * leaks
        expected.append("" if document.leak == "one word in five replaced" else " ".join(reasons) or "kept")
    for name, content in (
        ("lines/a.jsonl", b"".join(lines)),
        ("items.jsonl", b"".join(json_line(i.text, item_id=i.item_id) for i in items)),
        ("blocked.txt", b"blocked.example\n"),
        ("bad.txt", b"darn\n"),
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    return folder, expected


def curate(folder: Path, workspace: Path, workers: int = 1, **recipe: object) -> list[dict]:
    path = write_recipe(folder, **{**RECIPE, **recipe})
    run_curate(CurateOptions(str(path), str(workspace), workers=workers))
    tables = [
        pa.concat_tables(pq.read_table(file) for file in sorted(workspace.glob(f"{name}/part-*.parquet")))
        for name in ("decisions", "documents")
    ]
    rows = zip(tables[0].to_pylist(), tables[1]["native_id"].to_pylist(), strict=True)
    return [row for row, _ in sorted(rows, key=lambda pair: int(pair[1]))]


@pytest.fixture(scope="module")
def workspace(corpus: tuple[Path, list[str]], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict]]:
    out = tmp_path_factory.mktemp("ws") / "w"
    return out, curate(corpus[0], out)


def test_every_document_has_just_its_reasons(
    corpus: tuple[Path, list[str]], workspace: tuple[Path, list[dict]]
) -> None:
    seen = set()
    for row, expected in zip(workspace[1], corpus[1], strict=True):
        if expected:
            reasons = [reason for reason in row["failed_rules"] if not reason.endswith("_duplicate")]
            assert " ".join(reasons) == expected.replace("kept", ""), row
            seen.update(reasons)
    assert seen == {"url_blocked", "bad_words", "contaminated"}


def test_explain_names_task_item_overlap_and_offset(workspace: tuple[Path, list[dict]]) -> None:
    context, _ = load_workspace(str(workspace[0]))
    row = next(row for row in workspace[1] if "contaminated" in row["failed_rules"])
    life = document_life(context, row["part"], row["row"])
    best = max(life["contamination"], key=lambda hit: hit["overlap"])
    assert (best["task"], best["item_id"][:5], best["offset"] > 0) == ("made", "item-", True)
    assert best["overlap"] > 0.5
    assert best["item_id"] in format_life(life)
    assert json.dumps(life["contamination"])


def test_another_threshold_searches_no_document_again(
    corpus: tuple[Path, list[str]], workspace: tuple[Path, list[dict]], capsys: pytest.CaptureFixture
) -> None:
    before = manifest.read_stage(str(workspace[0]), "decide").counts["dropped/contaminated/documents"]
    stricter = {
        **RECIPE["decontaminate"],
        "overlaps": [{"ngram": 13, "min_overlap": 0.95}, {"ngram": 8, "min_overlap": 0.95}],
    }
    curate(corpus[0], workspace[0], decontaminate=stricter)
    shown = capsys.readouterr().err
    for stage in ("ingest", "items", "item_hits", "item_counts", "contamination", "measure", "components"):
        assert f"{stage:<11} done already" in shown
    after = manifest.read_stage(str(workspace[0]), "decide").counts.get("dropped/contaminated/documents", 0)
    assert after < before
    run_verify(str(workspace[0]), workers=1)


def test_two_workers_write_the_same_bytes(
    corpus: tuple[Path, list[str]], workspace: tuple[Path, list[dict]], tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    curate(corpus[0], one, part_mb=0.06)
    curate(corpus[0], two, workers=2, part_mb=0.06)
    files = sorted(path.relative_to(one) for path in one.glob("*/part-*.parquet"))
    assert len([f for f in files if f.parts[0] == "contamination"]) > 1
    assert [f for f in files if (one / f).read_bytes() != (two / f).read_bytes()] == []


def test_items_and_lists_that_are_not_there_stop_the_job_before_any_work(
    corpus: tuple[Path, list[str]], tmp_path: Path
) -> None:
    for change in (
        {"decontaminate": {"items": [{"task": "made", "path": "nowhere.jsonl"}]}},
        {"lists": {**RECIPE["lists"], "url_block": ["nowhere.txt"]}},
        {"lists": {}},
        {"pii": {"kinds": ["email"], "placeholder": "keyed"}},
    ):
        with pytest.raises(ConfigError):
            curate(corpus[0], tmp_path / "ws", **change)
    assert not (tmp_path / "ws").exists()
