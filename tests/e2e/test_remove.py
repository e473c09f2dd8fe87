"""The command `remove`: nothing of a removed document is left, everything else is, and it never comes back."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import pipelines.beam.remove as remove
from pipelines.beam.curate import CurateOptions, run_curate, run_verify
from pipelines.beam.driver import load_workspace
from pipelines.beam.remove import RemoveOptions, run_remove
from pipelines.contracts import manifest
from pipelines.contracts.errors import ConfigError, InputError
from pipelines.contracts.shards import read_shard
from pipelines.explain import run_explain
from pipelines.ops.tombstones import read_removals
from pipelines.removal import Selector, read_selectors
from tests.data.awkward import write_recipe
from tests.data.formats import json_line
from tests.data.sentences import Writer

FOOTER = "Subscribe to our newsletter and follow us everywhere"
PLANTED = "The quixotic zebra of Mrs Plantagenet-Oglethorpe juggles quinces"
pytestmark = pytest.mark.usefixtures("quiet_signals")
VICTIM = "https://v.example/zebra"


def address(index: int) -> str:
    return f"https://s.example/{index}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Curate 50 documents: one planted; 3, 4 and 5 have copies, of which 43 is a longer near copy; footers in some."""
    folder = tmp_path_factory.mktemp("remove")
    writer = Writer(5)
    texts = [writer.document("en", 12) + (f"\n{FOOTER}" if index % 3 == 0 else "") for index in range(40)]
    texts += [texts[4], texts[5], texts[5], texts[3] + " And a longer end.", PLANTED + ". " + writer.document("en", 8)]
    urls = [*map(address, range(len(texts) - 1)), VICTIM]
    (folder / "corpus/lines").mkdir(parents=True)
    rows = [json_line(text, id=f"native-{url}", url=url) for text, url in zip(texts, urls, strict=True)]
    for number in range(4):
        (folder / f"corpus/lines/{number}.jsonl").write_bytes(b"".join(rows[number::4]))
    recipe = write_recipe(
        folder / "corpus",
        part_mb=0.01,
        profiles=[],
        lines={"min_documents": 4},
        shards={"target_mb": 0.01},
        split={"heldout_fraction": 0.2, "min_heldout_bytes": 1},
    )
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    run_curate(CurateOptions(str(recipe), str(folder / "ws"), workers=1))
    for number, handler in handlers.items():
        signal.signal(number, handler)
    return folder


def copy(made: Path, to: Path) -> Path:
    """Copy corpus and workspace; recipes are resolved anew there."""
    shutil.copytree(made, to)
    saved = to / "ws/recipe.json"
    saved.write_text(saved.read_text().replace(str(made), str(to)))
    return to


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return copy(made, tmp_path / "copy")


@pytest.fixture(scope="module")
def removed(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the planted document removed; a report that held it was there."""
    folder = copy(made, tmp_path_factory.mktemp("removed") / "copy")
    (folder / "ws/reports").mkdir()
    (folder / "ws/reports/mixtrace-000001.duckdb").write_text(PLANTED)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    take_out(folder / "ws", Selector("url", VICTIM), requested_by="a lawyer")
    for number, handler in handlers.items():
        signal.signal(number, handler)
    return folder


def take_out(workspace: Path, *selectors: Selector, **options: object) -> None:
    dry_run = bool(options.pop("dry_run", False))
    given = {"reason": "request 17", **options}
    run_remove(RemoveOptions(CurateOptions("", str(workspace), 1, dry_run=dry_run), selectors, **given))


def data_files(workspace: Path, *, audit: bool = False) -> dict[str, bytes]:
    return {
        str(path.relative_to(workspace)): path.read_bytes()
        for path in sorted(workspace.rglob("*"))
        if path.suffix in (".parquet", ".arrow", ".md") and (audit or "removals" not in path.parts)
    }


def everything(workspace: Path) -> bytes:
    """Return all bytes of all files, and the values of all tables and shards."""
    found = []
    for path in sorted(p for p in workspace.rglob("*") if p.is_file()):
        found.append(path.read_bytes())
        if path.suffix == ".parquet":
            found.append(json.dumps(pq.read_table(path).to_pylist(), default=repr).encode())
    context, _ = load_workspace(str(workspace))
    tokenizer = pytest.importorskip("tokenizers").Tokenizer.from_file(str(workspace / "tokenizer/tokenizer.json"))
    for path in sorted(workspace.rglob("*.arrow")):
        rows = read_shard(context.workspace, str(path.relative_to(workspace)))["input_ids"].to_pylist()
        found += [tokenizer.decode(row, skip_special_tokens=False).encode() for row in rows]
    return b"\n".join(found)


def decisions(workspace: Path) -> dict[str, dict]:
    rows = {}
    for path in sorted((workspace / "decisions").iterdir()):
        documents = pq.read_table(workspace / "documents" / path.name, columns=["doc_id", "url"]).to_pylist()
        for document, decision in zip(documents, pq.read_table(path).to_pylist(), strict=True):
            rows[document["doc_id"]] = {**decision, "url": document["url"]}
    return rows


def by_url(workspace: Path) -> dict[str, dict]:
    return {row["url"]: row for row in decisions(workspace).values()}


def test_nothing_of_it_is_left_and_everything_else_is(made: Path, removed: Path) -> None:
    planted = [PLANTED.encode(), VICTIM.encode(), b"Oglethorpe"]
    held = everything(made / "ws")
    assert all(value in held for value in planted)
    held = everything(removed / "ws")
    assert [value for value in planted if value in held] == []
    before, after = decisions(made / "ws"), decisions(removed / "ws")
    [gone] = [doc_id for doc_id, row in after.items() if row["first_reason"] == "removed"]
    assert before[gone]["url"] == VICTIM
    assert not after[gone]["kept"]
    assert after[gone]["failed_rules"] == ["removed"]
    assert {d: row for d, row in before.items() if d != gone} == {d: row for d, row in after.items() if d != gone}
    [audit] = read_removals(str(removed / "ws"))
    assert (audit["doc_id"], audit["kept"], audit["selector"], audit["reason"]) == (gone, True, "url", "request 17")
    assert audit["requested_by"] == "a lawyer"
    assert {path.split("/")[0] for path in audit["files"]} >= {"documents", "ingested", "signals", "tokens", "reports"}
    run_verify(str(removed / "ws"), workers=1)


def test_accounts_still_add_up_and_explain_tells(made: Path, removed: Path, capsys: pytest.CaptureFixture) -> None:
    workspaces = [str(folder / "ws") for folder in (made, removed)]
    before, after = (manifest.read_stage(workspace, "ingest").counts for workspace in workspaces)
    assert before == after
    before, after = (manifest.read_stage(workspace, "decide").counts for workspace in workspaces)
    assert after["documents"] == before["documents"]
    assert after["kept/documents"] == before["kept/documents"] - 1
    assert after["dropped/removed/documents"] == 1
    with pytest.raises(InputError, match="no such document"):
        run_explain(workspaces[1], VICTIM)
    run_explain(workspaces[1], read_removals(workspaces[1])[0]["doc_id"])
    shown = capsys.readouterr().out
    assert "request 17" in shown
    assert "tokens\n                   none" in shown


def test_it_never_comes_back(removed: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folder = copy(removed, tmp_path / "copy")
    workspace, recipe = folder / "ws", str(folder / "corpus/recipe.yaml")
    before = data_files(workspace, audit=True)
    run_curate(CurateOptions(recipe, str(workspace), workers=1))
    assert capsys.readouterr().err.count("done already") == 13
    assert data_files(workspace, audit=True) == before
    for stage in ("ingest", "tokenize", "measure", "lines"):  # what another run makes of the raw files
        manifest.forget(str(workspace), stage)
    run_curate(CurateOptions(recipe, str(workspace), workers=1))
    after = data_files(workspace, audit=True)
    assert sorted(path for path in after if after[path] != before.get(path)) == []
    assert PLANTED.encode() not in everything(workspace)


def test_a_duplicate_of_a_removed_leader_takes_its_place(folder: Path) -> None:
    workspace = folder / "ws"
    before = by_url(workspace)
    assert before[address(43)]["kept"]
    assert before[address(3)]["first_reason"] == "near_duplicate"
    take_out(workspace, Selector("url", address(43)))
    after = decisions(workspace)
    promoted = next(row for row in after.values() if row["url"] == address(3))
    assert promoted["kept"]
    assert promoted["split"] == before[address(3)]["split"]
    others = {address(i) for i in range(43)} - {address(3)}
    assert all(by_url(workspace)[url] == before[url] for url in others)
    shards = (workspace / "tokens/kept").rglob("*.arrow")
    held = [i for p in shards for i in read_shard(str(workspace), str(p.relative_to(workspace)))["doc_id"].to_pylist()]
    assert sorted(held) == sorted(doc_id for doc_id, row in after.items() if row["kept"])


def test_copies_go_too_if_asked_and_shards_are_those_of_a_whole_run(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    workspace, listed = folder / "ws", folder / "list.txt"
    take_out(workspace, Selector("url", address(5)), dry_run=True)
    assert "2 exact copies of the 1 that were named stay" in capsys.readouterr().out
    listed.write_text(
        "# opt-outs\n\n" + "\n".join(map(address, (3, 5, *range(10, 30, 2)))) + "\nhttps://not.example/\n"
    )
    take_out(workspace, *read_selectors(str(listed)), copies="near")
    gone = [row for row in decisions(workspace).values() if row["first_reason"] == "removed"]
    assert len(gone) == 12 + 2 + 1
    assert {r["selector"] for r in read_removals(str(workspace))} == {"url", "exact copy", "near copy"}
    made = data_files(workspace)
    for stage in ("tokenize", "card"):
        manifest.forget(str(workspace), stage)
    shutil.rmtree(workspace / "tokens")
    run_curate(CurateOptions(str(folder / "corpus/recipe.yaml"), str(workspace), workers=1))
    assert data_files(workspace) == made


@pytest.mark.parametrize("step", ["_blank_part", "reshard", "_delete_reports"])
def test_an_interrupted_removal_is_refused_and_completed(
    folder: Path, removed: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    workspace = folder / "ws"
    with monkeypatch.context() as patch:
        patch.setattr(remove, step, killed)
        with pytest.raises(KeyboardInterrupt):
            take_out(workspace, Selector("native_id", f"native-{VICTIM}"))
    with pytest.raises(InputError, match="a removal was interrupted"):
        run_verify(str(workspace), workers=1)
    with pytest.raises(InputError, match="a removal was interrupted"):
        run_curate(CurateOptions(str(folder / "corpus/recipe.yaml"), str(workspace), workers=1))
    take_out(workspace)
    assert data_files(workspace) == data_files(removed / "ws")


def test_wrong_requests_change_nothing(folder: Path, capsys: pytest.CaptureFixture) -> None:
    workspace = folder / "ws"
    before = data_files(workspace)
    with pytest.raises(InputError, match="no such document"):
        take_out(workspace, Selector("url", "https://nowhere.example"))
    assert "not in this workspace: url https://nowhere.example" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="no reason"):
        take_out(workspace, Selector("url", VICTIM), reason="")
    with pytest.raises(ConfigError, match="nothing to remove"):
        take_out(workspace)
    with pytest.raises(ConfigError, match="--copies"):
        take_out(workspace, Selector("url", VICTIM), copies="all")
    take_out(workspace, Selector("url", VICTIM), dry_run=True)
    assert data_files(workspace) == before
