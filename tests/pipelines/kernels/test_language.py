"""Language identification equals fastText: same labels, probabilities to 2e-5."""

from __future__ import annotations

import math
import random
import sysconfig
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.contracts.errors import ConfigError
from pipelines.kernels.language import UNKNOWN, LanguageIdentifier
from pipelines.kernels.language_model import default_model_path, load_model
from pipelines.kernels.language_output import exp_ieee, log_ieee

RANGES = [(0x20, 0x7F), (0xA0, 0x250), (0x370, 0x400), (0x400, 0x500), (0x590, 0x600), (0x600, 0x700), (0x900, 0x980),
          (0xE00, 0xE7F), (0x3040, 0x3100), (0x4E00, 0x9FFF), (0xAC00, 0xD7A0), (0x1F300, 0x1F600)]  # fmt: skip


@pytest.fixture(scope="module")
def identifier() -> LanguageIdentifier:
    return LanguageIdentifier.load()


@pytest.fixture(scope="module")
def oracle():
    import fasttext

    return fasttext.load_model(str(default_model_path()))


def mixed_documents() -> list[str]:
    """Make 2,200 documents: pieces of the standard library, and words of many scripts with odd separators."""
    rng = random.Random(0)
    documents = []
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))[:60]:
        text = path.read_text("utf-8", "replace")
        documents += [text[i : i + rng.randint(20, 2200)] for i in range(0, min(len(text), 20_000), 2200)]
    while len(documents) < 2200:
        low, high = rng.choice(RANGES)
        letters = (
            chr(rng.randint(low, high)) if rng.random() > 0.15 else rng.choice(" \t\n\x0b\0\u2028 ")
            for _ in range(rng.randint(0, 400))
        )
        documents.append("".join(letters))
    return [*documents, "", "   ", "x" * 300 + " hello", "__label__en foo bar", "\0\0", "中" * 3000]


def compare(identifier: LanguageIdentifier, oracle, documents: list[str]) -> int:
    labels, probabilities = identifier.predict(pa.array(documents, pa.large_string()))
    known = 0
    for text, label, probability in zip(documents, labels.to_pylist(), probabilities, strict=True):
        if label == UNKNOWN:
            assert probability == 0
            continue
        known += 1
        expected, score = oracle.predict(text.replace("\n", " "), 1)
        assert label == expected[0].removeprefix("__label__"), text[:80]
        assert abs(probability - score[0]) <= 2e-5, text[:80]
    return known


def test_labels_and_probabilities_equal_fasttext(identifier: LanguageIdentifier, oracle) -> None:
    documents = mixed_documents()
    assert compare(identifier, oracle, documents) > 2000


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=60).filter(lambda text: "</s>" not in text), max_size=8))
def test_any_text_equals_fasttext(identifier: LanguageIdentifier, oracle, documents: list[str]) -> None:
    compare(identifier, oracle, documents)


def test_the_cache_and_the_batch_change_nothing() -> None:
    documents = mixed_documents()[::7]
    cold = LanguageIdentifier.load()
    whole = cold.predict(pa.array(documents, pa.large_string()))
    again = cold.predict(pa.array(documents, pa.large_string()))
    tiny = LanguageIdentifier(load_model(), cache_rows=16)
    single = [tiny.predict(pa.array([text], pa.string())) for text in documents]
    assert whole[0].equals(again[0])
    assert np.array_equal(whole[1], again[1])
    assert whole[0].to_pylist() == [label[0].as_py() for label, _ in single]
    assert np.array_equal(whole[1], np.concatenate([probability for _, probability in single]))


def test_nothing_known_is_und(identifier: LanguageIdentifier) -> None:
    labels, probabilities = identifier.predict(pa.array(["", " \n\t", "\0"]))
    assert labels.to_pylist() == [UNKNOWN] * 3
    assert probabilities.tolist() == [0, 0, 0]
    assert len(identifier.predict(pa.array([], pa.string()))[0]) == 0


@settings(deadline=None)
@given(st.floats(-600, 600), st.floats(1e-6, 2.0))
def test_exp_and_log_are_accurate(x: float, y: float) -> None:
    assert exp_ieee(x) == pytest.approx(math.exp(x), rel=1e-14)
    assert log_ieee(y) == pytest.approx(math.log(y), abs=1e-14)


def test_files_that_are_not_models(tmp_path: Path) -> None:
    path = tmp_path / "model.ftz"
    path.write_bytes(b"not a model")
    with pytest.raises(ConfigError, match="not a fastText model"):
        load_model(path)
