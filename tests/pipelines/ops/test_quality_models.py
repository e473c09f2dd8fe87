"""Trained models as signals: nothing is judged that was not measured, and models are part of identity by content."""

from __future__ import annotations

from pathlib import Path

import fasttext
import numpy as np
import pyarrow as pa
import pytest

from pipelines.contracts import schemas
from pipelines.contracts.errors import ConfigError
from pipelines.contracts.recipe import Recipe, Rule, load_recipe
from pipelines.kernels.text_classifier import TextClassifier
from pipelines.ops.quality_models import check_models, perplexity_columns
from pipelines.ops.rules import evaluate_rules, recipe_rules, signal_groups
from pipelines.stages import measure
from tests.data.ngram_models import tiny_model
from tests.data.sentences import Writer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, writer = tmp_path_factory.mktemp("models"), Writer(7)
    labels = {"en": "__label__positive", "de": "__label__negative"}
    (folder / "train.txt").write_text(
        "".join(f"{labels[la]} {writer.sentence(la)}\n" for _ in range(60) for la in labels)
    )
    model = fasttext.train_supervised(str(folder / "train.txt"), dim=4, epoch=5, bucket=100, thread=1, verbose=0)
    model.save_model(str(folder / "model.bin"))
    for language in ("en", "de"):
        tiny_model(language, [writer.document(language, 6) for _ in range(30)]).save(str(folder / f"{language}.arrow"))
    return folder


def recipe(folder: Path, **keys: object) -> Recipe:
    body = {"name": "t", "sources": [{"name": "a", "path": "x", "format": "text"}]}
    models = {
        "classifiers": {"plain": {"path": str(folder / "model.bin")}},
        "perplexity": {"path": str(folder), "languages": ["en", "de"]},
    }
    return Recipe.model_validate(body | models | keys)


def texts() -> pa.Array:
    writer = Writer(9)
    return pa.array([writer.document(language, 8) for language in ("en", "de", "fr", "en")])


def test_signals_are_measured_with_the_models(folder: Path) -> None:
    made = recipe(folder)
    table = measure.measure_signals(0, 0, texts(), made)
    assert table.schema == schemas.signals(signal_groups(made))
    assert signal_groups(made) == ("base", "perplexity", "classifier_plain")
    assert table["lang"].to_pylist() == ["en", "de", "fr", "en"]
    expected = TextClassifier(str(folder / "model.bin")).probability(texts(), "__label__positive")
    assert np.array_equal(table["classifier_plain"].to_numpy(), expected)
    found = table["perplexity"].to_pylist()
    assert found[2] is None
    assert all(1 <= value < 1000 for value in (found[0], found[1], found[3]))
    assert table["perplexity_bucket"].to_pylist()[2] is None


def test_every_document_has_the_model_of_its_language(folder: Path) -> None:
    column = texts()
    files = {language: str(folder / f"{language}.arrow") for language in ("en", "de")}
    own, _ = perplexity_columns(column, pa.array(["en", "de", "xx", "en"]), files)
    other, _ = perplexity_columns(column, pa.array(["de", "en", "xx", "de"]), files)
    assert own[0].as_py() < other[0].as_py()
    assert own[1].as_py() < other[1].as_py()
    assert own[2].as_py() is None


def test_rules_judge_only_what_was_measured(folder: Path) -> None:
    rules = {
        "fluent": Rule(signal="perplexity", max=1.0),
        "not_tail": Rule(signal="perplexity_bucket", equals_any=("nothing",)),
        "good": Rule(signal="classifier_plain", min=0.5),
    }
    made = recipe(folder, rules=rules)
    table = measure.measure_signals(0, 0, texts(), made)
    failed = evaluate_rules(table, pa.array(["a"] * 4), recipe_rules(made))
    assert failed[:, 0].tolist() == failed[:, 1].tolist() == [True, True, False, True]
    assert failed[:, 2].tolist() == (table["classifier_plain"].to_numpy() < 0.5).tolist()


def test_models_are_identified_by_their_bytes_and_not_by_their_place(folder: Path, tmp_path: Path) -> None:
    for name in ("model.bin", "en.arrow", "de.arrow"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    here, there, without = recipe(folder), recipe(tmp_path), recipe(folder, classifiers={}, perplexity=None)
    assert here.recipe_id == there.recipe_id != without.recipe_id
    assert measure.STAGE.literals(here) == measure.STAGE.literals(there) != measure.STAGE.literals(without)
    (tmp_path / "en.arrow").write_bytes(b"another")
    assert measure.STAGE.literals(here) != measure.STAGE.literals(there)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"classifiers": {"plain": {"path": "/nowhere/m.bin"}}}, "/nowhere/m.bin: no such file"),
        ({"perplexity": {"path": "/nowhere", "languages": ["en"]}}, "/nowhere/en.arrow: no such file"),
    ],
)
def test_models_that_are_not_there_are_found_before_any_work(folder: Path, keys: dict, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        check_models(recipe(folder, **keys))


def test_labels_and_signals_that_are_not_there(folder: Path) -> None:
    path = str(folder / "model.bin")
    with pytest.raises(ConfigError, match="Did you mean '__label__positive'"):
        check_models(recipe(folder, classifiers={"plain": {"path": path, "label": "__label__positiv"}}))
    with pytest.raises(ConfigError, match="Did you mean 'classifier_plain'"):
        signal_groups(recipe(folder, rules={"good": {"signal": "classifier_plane", "min": 0.5}}))
    with pytest.raises(ConfigError, match="perplexity: no models"):
        signal_groups(recipe(folder, perplexity=None, rules={"good": {"signal": "perplexity", "max": 9}}))


def test_paths_are_relative_to_the_recipe(tmp_path: Path) -> None:
    text = "name: t\nsources: [{name: a, path: x, format: text}]\nclassifiers: {q: {path: m/q.bin}}\nperplexity: {path: lm, languages: [en]}\n"
    (tmp_path / "recipe.yaml").write_text(text)
    made = load_recipe(str(tmp_path / "recipe.yaml"))
    assert made.classifiers["q"].path == str(tmp_path / "m/q.bin")
    assert made.perplexity is not None
    assert made.perplexity.files == {"en": str(tmp_path / "lm/en.arrow")}
