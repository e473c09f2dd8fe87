"""Probabilities against fastText's own, for models of every loss, with n-grams of words and characters."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fasttext
import numpy as np
import pyarrow as pa
import pytest

from pipelines.contracts.errors import ConfigError
from pipelines.kernels.classifier_text import one_line
from pipelines.kernels.text_classifier import TextClassifier
from tests.data.awkward import awkward_texts
from tests.data.sentences import Writer
from tests.pipelines.kernels.test_hostile_texts import UNITS

LANGUAGES = ("en", "de", "fr", "zh")
MODELS = {
    "softmax": {"loss": "softmax", "wordNgrams": 2},
    "tree": {"loss": "hs", "wordNgrams": 3, "minn": 2, "maxn": 4},
    "one against all": {"loss": "ova", "minn": 1, "maxn": 2},
}


@pytest.fixture(scope="module")
def texts() -> list[str]:
    writer = Writer(8)
    made = [writer.document(language, 1 + writer.below(12)) for language in LANGUAGES for _ in range(40)]
    return [
        *made,
        *awkward_texts().values(),
        *(unit * times for unit in UNITS.values() for times in (1, 300)),
        "",
        " ",
        "</s>",
        "a </s> Fluss",
        "__label__de river",
        "nothing known xyzzy",
    ]


@pytest.fixture(scope="module", params=sorted(MODELS))
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classifiers")
    writer = Writer(7)
    lines = [f"__label__{la} {writer.sentence(la)}\n" for _ in range(60) for la in LANGUAGES]
    (folder / "train.txt").write_text("".join(lines))
    options = {"dim": 6, "epoch": 8, "lr": 0.4, "bucket": 3000, "thread": 1, "verbose": 0, "minCount": 2}
    model = fasttext.train_supervised(str(folder / "train.txt"), **options, **MODELS[request.param])
    model.save_model(str(folder / "model.bin"))
    return folder / "model.bin"


def test_probabilities_equal_fasttexts(path: Path, texts: list[str]) -> None:
    oracle = fasttext.load_model(str(path)).f
    ours = TextClassifier(str(path), cache_rows=64)
    column = pa.array(texts)
    lines = one_line(column).to_pylist()
    expected = [{la: p for p, la in oracle.predict(line + "\n", len(LANGUAGES), -1.0, "strict")} for line in lines]
    for label in ours.labels:
        found = ours.probability(column, label)
        assert np.allclose(found, [one.get(label, np.nan) for one in expected], rtol=0, atol=2e-5, equal_nan=True)
        assert np.array_equal(found, ours.probability(column, label), equal_nan=True)
        assert not np.isnan(found).any()
        assert found.max() <= 1


def test_threads_may_share_a_classifier(path: Path, texts: list[str]) -> None:
    columns = [pa.array(texts[start::8]) for start in range(8)]
    alone = TextClassifier(str(path))
    expected = [alone.probability(column, "__label__de") for column in columns]
    shared = TextClassifier(str(path), cache_rows=64)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda column: shared.probability(column, "__label__de"), columns))
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


def test_what_is_no_classifier_is_named(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        TextClassifier(str(tmp_path / "absent.bin"))
    (tmp_path / "text.bin").write_text("no model at all, but long enough to hold a header")
    with pytest.raises(ConfigError, match="not a fastText"):
        TextClassifier(str(tmp_path / "text.bin"))
    with pytest.raises(ConfigError, match="Did you mean '__label__de'"):
        TextClassifier(str(path)).number_of("__label__dee")
