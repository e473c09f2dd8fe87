"""From a workspace to models, and back: the signals of the same documents, and what rules make of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import numpy as np
import pytest
from typer.testing import CliRunner

import beam_runner
from pipelines.beam.curate import CurateOptions, run_curate
from pipelines.contracts import manifest
from pipelines.kernels.ngram_lm import NgramLanguageModel
from pipelines.kernels.text_classifier import TextClassifier
from tests.data.awkward import write_recipe

SMALL = ("--vocab-size", "400", "--min-documents", "15", "--min-reference", "5", "--languages", "en")


def fingerprints(folder: Path) -> dict[str, set[str]]:
    return {
        stage: {task.fingerprint for task in manifest.read_tasks(str(folder / "ws"), stage).values()}
        for stage in ("ingest", "measure")
    }


@pytest.fixture(scope="module")
def folder(workspace: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "corpus"
    shutil.copytree(Path(workspace).parent, folder)
    for command in (
        ("classifier", "train", "--positive", "lang = 'de'", "--negative", "lang = 'en'", "--min-heldout", "5"),
        ("perplexity", "train", "--where", "lang = 'en'", *SMALL),
    ):
        arguments = [*command[:2], str(folder / "ws"), *command[2:], "--out", str(folder / command[0])]
        CliRunner().invoke(beam_runner.app, arguments, catch_exceptions=False, standalone_mode=False)
    before = fingerprints(folder)
    recipe = write_recipe(
        folder,
        classifiers={"german": {"path": "classifier/model.bin"}},
        perplexity={"path": "perplexity", "languages": ["en"]},
        rules={
            "not_german": {"signal": "classifier_german", "max": 0.5},
            "no_tail": {"signal": "perplexity_bucket", "equals_any": ["head", "middle"]},
        },
    )
    run_curate(CurateOptions(str(recipe), str(folder / "ws"), workers=1))
    after = fingerprints(folder)
    assert before["ingest"] == after["ingest"]  # texts are not read again
    assert not before["measure"] & after["measure"]
    return folder


def test_signals_and_decisions_follow_the_models(folder: Path) -> None:
    tables = (f"'{folder}/ws/{name}/*.parquet'" for name in ("documents", "signals", "decisions"))
    rows = duckdb.sql(
        "SELECT text, lang, classifier_german, perplexity, perplexity_bucket, failed_rules FROM {} JOIN {} USING (part, row) "
        "JOIN {} USING (part, row)".format(*tables)
    ).to_arrow_table()
    text = rows["text"].combine_chunks()
    expected = TextClassifier(str(folder / "classifier/model.bin")).probability(text, "__label__positive")
    assert np.array_equal(rows["classifier_german"].to_numpy(), expected)
    model = NgramLanguageModel.load(str(folder / "perplexity/en.arrow"))
    perplexity = model.perplexity(text)
    buckets = model.bucket(perplexity)
    for number, row in enumerate(rows.to_pylist()):
        english = row["lang"] == "en"
        assert row["perplexity"] == (perplexity[number] if english else None)
        assert row["perplexity_bucket"] == (buckets[number] if english else None)
        assert ("no_tail" in row["failed_rules"]) == (english and buckets[number] == "tail")
        assert ("not_german" in row["failed_rules"]) == (expected[number] > 0.5)
    assert {"head", "tail"} <= set(rows["perplexity_bucket"].to_pylist())
