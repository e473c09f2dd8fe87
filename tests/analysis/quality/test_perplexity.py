"""`perplexity train`: the same bytes every time, terciles of texts that were not trained on, languages with enough texts."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import beam_runner
from analysis.quality.texts import Selection, choose
from pipelines.contracts import ids
from pipelines.contracts.errors import ConfigError, InputError
from pipelines.kernels.ngram_lm import NgramLanguageModel

SMALL = ("--vocab-size", "400", "--order", "4", "--min-documents", "15", "--min-reference", "5")


def run(*arguments: str) -> dict:
    command = ["perplexity", "train", *arguments]
    result = CliRunner().invoke(beam_runner.app, command, catch_exceptions=False, standalone_mode=False)
    if result.exception:
        raise result.exception
    return json.loads((Path(result.output.splitlines()[-1]) / "card.json").read_bytes())


@pytest.fixture(scope="module")
def trained(workspace: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("perplexity")
    return out, run(workspace, "--where", "text_bytes > 300", *SMALL, "--out", str(out))


def test_the_same_inputs_give_the_same_bytes(trained: tuple[Path, dict], workspace: str, tmp_path: Path) -> None:
    out, card = trained
    run(workspace, "--where", "text_bytes > 300", *SMALL, "--out", str(tmp_path))
    names = {"card.json", *(f"{lang}.arrow" for lang in card["languages"])}
    assert {path.name for path in tmp_path.iterdir()} == names
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (out / path.name).read_bytes()
    for about in card["languages"].values():
        assert about["model"]["sha256"] == hashlib.sha256((out / about["model"]["file"]).read_bytes()).hexdigest()


def test_terciles_are_those_of_the_texts_held_back(trained: tuple[Path, dict], workspace: str) -> None:
    out, card = trained
    assert len(card["languages"]) >= 2
    table = choose(Selection("t", "text_bytes > 300"), workspace, text_field="text", max_documents=10**6).table
    for lang, about in card["languages"].items():
        rows = [row for row in table.to_pylist() if row["lang"] == lang]
        held = [row["text"] for row in rows if ids.fraction(row["group"], "reference") < 0.2]
        assert about["reference_documents"] == len(held)
        assert about["train_documents"] == len(rows) - len(held)
        model = NgramLanguageModel.load(str(out / f"{lang}.arrow"))
        buckets = model.bucket(
            model.perplexity(
                table["text"].filter(np.isin(table["key"].to_pylist(), [r["key"] for r in rows if r["text"] in held]))
            )
        )
        counts = [int((buckets == name).sum()) for name in ("head", "middle", "tail")]
        assert max(counts) - min(counts) <= 1


def test_reference_texts_are_never_those_trained_on(workspace: str, tmp_path: Path) -> None:
    arguments = ("--where", "lang = 'en' AND source = 'lines'", "--reference", "lang = 'en'", *SMALL)
    card = run(workspace, *arguments, "--languages", "en", "--out", str(tmp_path))
    train, every = (
        choose(Selection("t", where), workspace, text_field="text", max_documents=10**6).table["group"].to_pylist()
        for where in ("lang = 'en' AND source = 'lines'", "lang = 'en'")
    )
    assert card["languages"]["en"]["reference_documents"] == sum(group not in train for group in every) > 5
    assert card["languages"]["en"]["train_documents"] == len(train)
    assert card["reference"]["inputs"][0]["where"] == "lang = 'en'"


def test_files_need_a_language_and_enough_texts(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one text\nanother text\n")
    with pytest.raises(ConfigError, match="--language"):
        run("--file", str(tmp_path / "a.txt"), "--out", str(tmp_path / "lm"))
    with pytest.raises(InputError, match="too few texts"):
        run("--file", str(tmp_path / "a.txt"), "--language", "en", "--out", str(tmp_path / "lm"))
    assert not (tmp_path / "lm").exists()


def test_a_language_that_is_asked_for_must_have_texts(workspace: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'xx': \\[0, 0\\]"):
        run(workspace, "--where", "true", *SMALL, "--languages", "xx", "--out", str(tmp_path))
