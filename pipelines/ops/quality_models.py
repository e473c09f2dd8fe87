"""Trained models of quality as signals: loaded once per process, and their hashes for fingerprints."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contracts.recipe import Recipe
from pipelines.contracts.side_files import Classifier
from pipelines.kernels.ngram_lm import NgramLanguageModel
from pipelines.kernels.text_classifier import TextClassifier
from pipelines.ops.list_files import list_mark


@functools.cache
def load_classifier(path: str) -> TextClassifier:
    """Load a classifier, once per process.

    Raises:
        ConfigError: if it is absent or none.
    """
    return TextClassifier(path)


@functools.cache
def load_ngram_model(path: str) -> NgramLanguageModel:
    """Load an n-gram model, once per process.

    Raises:
        ConfigError: if it is absent or none.
    """
    return NgramLanguageModel.load(path)


def check_models(recipe: Recipe) -> None:
    """Load the models of a recipe, to find what is wrong before any work.

    Raises:
        ConfigError: for a file that is absent or no model, or a label that a classifier does not know.
    """
    for classifier in recipe.classifiers.values():
        load_classifier(classifier.path).number_of(classifier.label)
    for path in recipe.perplexity.files.values() if recipe.perplexity else ():
        load_ngram_model(path)


def model_marks(recipe: Recipe) -> dict[str, str]:
    """Return what stands for the models in fingerprints: hashes of their bytes, and labels, wherever they lie."""
    classifiers = sorted(recipe.classifiers.items())
    marks = {f"classifier {name}": f"{one.label} {list_mark(one.path)}" for name, one in classifiers}
    files = recipe.perplexity.files if recipe.perplexity else {}
    return marks | {f"perplexity {language}": list_mark(path) for language, path in files.items()}


def classifier_probability(text: pa.Array, classifier: Classifier) -> pa.Array:
    """Return the probability of the label of a classifier.

    Args:
        text: [rows] texts.
        classifier: which.

    Returns:
        [rows] float64, null where the model knows nothing of a text.
    """
    return pa.array(load_classifier(classifier.path).probability(text, classifier.label), from_pandas=True)


def perplexity_columns(text: pa.Array, lang: pa.Array, files: Mapping[str, str]) -> tuple[pa.Array, pa.Array]:
    """Measure perplexity, document by document under the model of its language.

    Args:
        text: [rows] texts.
        lang: [rows] their languages.
        files: model of every language.

    Returns:
        [rows] float64 perplexity per token and [rows] bucket; null in languages without a model.
    """
    values, buckets = np.full(len(text), np.nan), np.full(len(text), None, dtype=object)
    for language, path in files.items():
        rows = np.flatnonzero(np.asarray(pc.equal(lang, language)))
        if len(rows):
            model = load_ngram_model(path)
            values[rows] = model.perplexity(text.take(pa.array(rows)))
            buckets[rows] = model.bucket(values[rows])
    return pa.array(values, from_pandas=True), pa.array(buckets.tolist(), pa.string())
