"""Planted personal data is in no output of a whole job, whatever the format and however the file is packed."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.beam.curate import CurateOptions, run_curate
from pipelines.contracts.recipe import PII_KINDS
from pipelines.contracts.shards import read_shard
from tests.data.awkward import write_recipe
from tests.data.formats import json_line
from tests.data.pii import POSITIVES
from tests.data.sentences import Writer

PLANTED_FORMS = [
    ("email", "plain"), ("phone", "international"), ("ipv4", "in a URL with port"), ("ipv6", "compressed"), ("iban", "compact"),
    ("card", "spaces"), ("secret", "GitHub token"), ("secret", "Slack token"),
]  # fmt: skip


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("planted")
    rng, writer = random.Random(3), Writer(3)
    values: list[str] = []
    lines = []
    for index in range(120):
        value = POSITIVES[PLANTED_FORMS[index % len(PLANTED_FORMS)]](rng)
        values.append(value)
        text = f"{writer.document('en', 6)} Ask {value} for more. {writer.document('en', 6)}"
        url = f"https://x.example/{index}?mail=user{index}@mail{index}.example.org"
        values.append(f"user{index}@mail{index}.example.org")
        lines.append(json_line(text, id=f"id-{index}-someone{index}@native.example.org", url=url))
        values.append(f"someone{index}@native.example.org")
    broken = f'{{"text": "call dead.letter@broken.example.org", "id": {rng.random()}'
    values.append("dead.letter@broken.example.org")
    (folder / "lines").mkdir()
    (folder / "lines" / "a.jsonl").write_bytes(b"".join(lines) + broken.encode() + b"\n")
    return folder, values


def outputs(workspace: Path) -> bytes:
    """Return everything that a workspace holds, unpacked: bytes of all files, and the values of all tables."""
    found = []
    for path in sorted(p for p in workspace.rglob("*") if p.is_file()):
        found.append(path.read_bytes())
        if path.suffix == ".parquet":
            found.append(json.dumps(pq.read_table(path).to_pylist(), default=repr, ensure_ascii=False).encode())
        elif path.suffix == ".arrow":
            relative = str(path.relative_to(workspace))
            found.append(repr(read_shard(str(workspace), relative).to_pylist()).encode())
    return b"\n".join(found)


def run(planted: tuple[Path, list[str]], workspace: Path, **recipe: object) -> bytes:
    path = write_recipe(planted[0], limits={"max_dead_letter_fraction": 0.5, "keep_dead_letter_bytes": False}, **recipe)
    run_curate(CurateOptions(str(path), str(workspace), workers=1))
    return outputs(workspace)


@pytest.fixture(scope="module")
def masked(planted: tuple[Path, list[str]], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    workspace = tmp_path_factory.mktemp("masked") / "ws"
    return workspace, run(planted, workspace, pii={"kinds": list(PII_KINDS)})


def test_no_output_holds_a_planted_value(planted: tuple[Path, list[str]], masked: tuple[Path, bytes]) -> None:
    workspace, held = masked
    assert [value for value in planted[1] if value.encode() in held] == []
    assert b"<email>" in held
    documents = pa.concat_tables(pq.read_table(p) for p in sorted((workspace / "documents").glob("part-*.parquet")))
    counts: dict[str, int] = {}
    for edits in documents["edits"].to_pylist():
        for edit in edits:
            counts[edit["rule"]] = counts.get(edit["rule"], 0) + edit["count"]
    found = {kind: counts.get(f"pii_{kind}", 0) for kind in PII_KINDS}
    assert found == {"email": 15 + 240, "phone": 15, "ipv4": 15, "ipv6": 15, "iban": 15, "card": 15, "secret": 30}


def test_without_masks_the_same_search_finds_them(planted: tuple[Path, list[str]], tmp_path: Path) -> None:
    held = run(planted, tmp_path / "ws")
    missed = [value for value in planted[1] if value.encode() not in held]
    assert missed == ["dead.letter@broken.example.org"]


def test_dead_letters_keep_place_and_hash_only(masked: tuple[Path, bytes]) -> None:
    [letter] = pq.read_table(next((masked[0] / "dead_letters").glob("part-*.parquet"))).to_pylist()
    assert letter["raw"] is None
    assert "limits.keep_dead_letter_bytes" in letter["message"]
    assert (len(letter["raw_hash"]), letter["length"] > 40, letter["offset"] > 0) == (32, True, True)


def test_keyed_placeholders_are_the_same_in_every_document(
    planted: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIXTRACE_PII_KEY", "a key of this test, long enough")
    held = run(planted, tmp_path / "ws", pii={"kinds": list(PII_KINDS), "placeholder": "keyed"})
    assert [value for value in planted[1] if value.encode() in held] == []
    assert b"a key of this test" not in held
