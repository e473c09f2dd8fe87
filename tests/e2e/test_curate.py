"""The whole curation job on the awkward corpus: accounts, dead letters, duplicates, tokens, explain, verify."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pipelines.beam.curate import CurateOptions, run_curate, run_verify
from pipelines.beam.driver import load_workspace
from pipelines.contracts import manifest
from pipelines.contracts.errors import DataQualityError, InputError, VerifyError
from pipelines.contracts.shards import read_shard
from pipelines.explain import document_life, find_document, run_explain
from pipelines.exports.files import Selection
from pipelines.exports.run import ExportOptions, run_export
from pipelines.ops.tokenize_text import load_decoder
from tests.data.awkward import make_awkward_corpus, write_recipe
from tests.pipelines.exports.test_run import read_megatron


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("corpus")
    return folder, make_awkward_corpus(folder)


@pytest.fixture(scope="module")
def workspace(corpus: tuple[Path, dict], tmp_path_factory: pytest.TempPathFactory) -> str:
    out = str(tmp_path_factory.mktemp("ws") / "awkward")
    run_curate(CurateOptions(str(write_recipe(corpus[0])), out, workers=1))
    return out


def table(workspace: str, name: str) -> pa.Table:
    files = sorted(Path(workspace, name).glob("part-*.parquet"))
    return pa.concat_tables([pq.read_table(file) for file in files])


def test_every_record_is_accounted_for(corpus: tuple[Path, dict], workspace: str) -> None:
    counts = manifest.read_stage(workspace, "ingest").counts
    expected = {
        kind: sum(source.get(kind, 0) for source in corpus[1].values())
        for source in corpus[1].values()
        for kind in source
    }
    assert counts["documents"] == expected["documents"]
    for kind, count in expected.items():
        if "/" in kind:
            assert counts[kind] == count, kind
    others = sum(count for name, count in counts.items() if name.startswith("nondocuments/"))
    assert counts["records"] == counts["documents"] + others + counts["dead_letters"]
    parts = counts["document_raw_bytes"] + counts["nondocument_bytes"] + counts["dead_letter_bytes"]
    assert counts["raw_bytes"] == parts


def test_dead_letters_name_file_offset_stage_and_cause(workspace: str) -> None:
    letters = table(workspace, "dead_letters").to_pylist()
    assert letters
    for letter in letters:
        assert letter["path"]
        assert letter["stage"] in ("read", "extract", "clean")
        assert "got" in letter["message"]
        assert letter["raw"] is not None
        assert len(letter["raw"]) <= 65_536


def test_positions_agree_across_tables(workspace: str) -> None:
    documents, signals, decisions = (table(workspace, name) for name in ("documents", "signals", "decisions"))
    for other in (signals, decisions):
        assert other["part"].equals(documents["part"])
        assert other["row"].equals(documents["row"])
    assert decisions["doc_id"].equals(documents["doc_id"])
    assert len(set(documents["doc_id"].to_pylist())) == documents.num_rows


def test_every_dropped_document_has_its_reasons_in_order(workspace: str) -> None:
    for row in table(workspace, "decisions").to_pylist():
        assert row["kept"] == (not row["failed_rules"])
        assert row["first_reason"] == (row["failed_rules"][0] if row["failed_rules"] else None)


def test_special_tokens_in_a_text_stay_text(workspace: str) -> None:
    context, plan = load_workspace(workspace)
    documents = table(workspace, "documents")
    chosen = documents.filter(pc.match_substring(documents["text"], "<|endoftext|>"))
    assert chosen.num_rows
    for doc_id in chosen["doc_id"].to_pylist():
        [(part, row)] = find_document(context, plan, doc_id)
        place = document_life(context, part, row)["tokens"]
        ids = read_shard(workspace, place["shard"])["input_ids"][place["row"]].as_py()
        assert ids.count(0) == 1
        assert ids[-1] == 0


def test_shards_load_in_one_line_of_datasets(workspace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    source = next(path for path in sorted(Path(workspace, "tokens/kept").iterdir()) if path.is_dir())
    mapped = datasets.load_from_disk(str(source))
    rows = sum(split.num_rows for split in mapped.values())
    streamed = datasets.load_dataset(
        "arrow", data_files=str(source / "train" / "*.arrow"), split="train", streaming=True
    )
    assert rows == sum(read_shard(workspace, str(p.relative_to(workspace))).num_rows for p in source.rglob("*.arrow"))
    assert next(iter(streamed))["input_ids"][-1] == 0


def test_fertility_is_in_the_card_and_equals_the_shards(workspace: str) -> None:
    found = pq.read_table(Path(workspace, "tokenizer/fertility.parquet")).to_pylist()  # the corpus is small: all of it
    expected: dict[str, int] = {}
    for path in Path(workspace, "tokens/kept").rglob("*.arrow"):
        for row in read_shard(workspace, str(path.relative_to(workspace))).to_pylist():
            expected[row["lang"]] = expected.get(row["lang"], 0) + len(row["input_ids"]) - 1
    assert {row["lang"]: row["tokens"] for row in found} == expected
    card = Path(workspace, "tokens/README.md").read_text("utf-8")
    for row in found:
        assert f"| {row['lang']} | {row['documents']} | {row['bytes_per_token']:.2f} |" in card


def test_an_export_leads_back_to_the_documents(workspace: str, tmp_path: Path) -> None:
    out = run_export(ExportOptions(workspace, "megatron", str(tmp_path / "out"), Selection(())))
    decode = load_decoder(Path(workspace, "tokenizer/tokenizer.json").read_text("utf-8"))
    text_of = dict(zip(*(table(workspace, "documents")[name].to_pylist() for name in ("doc_id", "text")), strict=True))
    decided = table(workspace, "decisions")
    verdict_of = dict(zip(decided["doc_id"].to_pylist(), decided["kept"].to_pylist(), strict=True))
    seen = []
    for index in sorted(Path(out).rglob("*.idx")):
        prefix = str(index).removesuffix(".idx")
        doc_ids = pq.read_table(f"{prefix}.documents.parquet")["doc_id"].to_pylist()
        for doc_id, ids in zip(doc_ids, read_megatron(prefix), strict=True):
            assert ids[-1] == 0
            assert 0 not in ids[:-1]
            (text,) = decode(ids[:-1], np.array([0, len(ids) - 1]))
            assert text == text_of[doc_id].encode()
            assert ("/kept/" in prefix) == verdict_of[doc_id]
        assert len(doc_ids) == 1 or doc_ids == sorted(doc_ids)
        seen += doc_ids
    assert sorted(seen) == sorted(text_of)


def test_native_ids_may_repeat_and_explain_finds_all(workspace: str, capsys: pytest.CaptureFixture) -> None:
    native = table(workspace, "documents")["native_id"].drop_null()
    repeated = [row["values"] for row in pc.value_counts(native).to_pylist() if row["counts"] > 1]
    assert repeated
    run_explain(workspace, repeated[0], as_json=True)
    lives = json.loads(capsys.readouterr().out)
    assert len(lives) >= 2
    assert {life["record"]["native_id"] for life in lives} == {repeated[0]}
    run_explain(workspace, lives[0]["record"]["doc_id"])
    assert "decision" in capsys.readouterr().out


def test_explaining_nothing_is_an_error(workspace: str) -> None:
    with pytest.raises(InputError, match="no such document"):
        run_explain(workspace, "https://nowhere.example/")


def test_a_second_run_does_nothing(corpus: tuple[Path, dict], workspace: str, capsys: pytest.CaptureFixture) -> None:
    run_curate(CurateOptions(str(corpus[0] / "recipe.yaml"), workspace, workers=1))
    shown = capsys.readouterr().err
    assert shown.count("done already") == 11


def test_too_many_dead_letters_exit_3_with_everything_else_kept(
    corpus: tuple[Path, dict], workspace: str, tmp_path: Path
) -> None:
    recipe = write_recipe(corpus[0], limits={"max_dead_letter_fraction": 0.0001})
    try:
        with pytest.raises(DataQualityError, match="too many input bytes") as caught:
            run_curate(CurateOptions(str(recipe), workspace, workers=1))
    finally:
        write_recipe(corpus[0])
    assert caught.value.exit_code == 3
    assert manifest.read_stage(workspace, "verify").tasks


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("tokens/kept/*/*/*.arrow", "file has changed"),
        ("documents/part-*.parquet", "file has changed"),
        ("tokenizer/*.json", "file is gone"),
    ],
)
def test_verify_finds_what_was_tampered_with(workspace: str, tmp_path: Path, pattern: str, expected: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(workspace, copy)
    victim = max(copy.glob(pattern), key=lambda path: path.stat().st_size)
    if expected == "file is gone":
        (copy / "tokenizer" / "spare.json").write_bytes(victim.read_bytes())
        card = copy / "tokens" / "README.md"
        card.unlink()
    else:
        data = bytearray(victim.read_bytes())
        data[len(data) // 2] ^= 1
        victim.write_bytes(bytes(data))
    with pytest.raises((VerifyError, pa.ArrowInvalid, OSError)) as caught:
        run_verify(str(copy), workers=1)
    if isinstance(caught.value, VerifyError):
        assert any(text in caught.value.message for text in (expected, "do not decode", "does not match"))


def test_verify_passes_on_what_is_sound(workspace: str, capsys: pytest.CaptureFixture) -> None:
    run_verify(workspace, workers=1)
    assert "verified: files" in capsys.readouterr().out
