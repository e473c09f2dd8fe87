"""Files of n-gram models, text normalisation, buckets; the probabilities are tested where models are estimated."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.contracts.errors import ConfigError
from pipelines.kernels.ngram_lm import Description, NgramLanguageModel, build_table, log_values, normalise
from tests.data.awkward import awkward_texts
from tests.data.ngram_models import TOKENIZER, tiny_model
from tests.data.sentences import Writer
from tests.pipelines.kernels.test_hostile_texts import UNITS


@pytest.fixture(scope="module")
def model() -> NgramLanguageModel:
    writer = Writer(11)
    return tiny_model("en", [writer.document("en", 8) for _ in range(40)])


def test_a_file_gives_the_model_again_and_always_the_same_bytes(model: NgramLanguageModel, tmp_path: Path) -> None:
    model.save(str(tmp_path / "a.arrow"))
    read = NgramLanguageModel.load(str(tmp_path / "a.arrow"))
    assert read.description == model.description
    assert np.array_equal(read.table, model.table)
    writer = Writer(12)
    texts = pa.array([writer.document("en", 5), writer.document("de", 5), "", *awkward_texts().values()])
    assert np.array_equal(read.perplexity(texts), model.perplexity(texts))
    read.save(str(tmp_path / "b.arrow"))
    assert (tmp_path / "a.arrow").read_bytes() == (tmp_path / "b.arrow").read_bytes()


def test_perplexity_is_per_token_with_the_end(model: NgramLanguageModel) -> None:
    writer = Writer(13)
    texts = [writer.document("en", 4), "x", ""]
    nats = model.score(*model.encode(pa.array(texts)))
    expected = [math.exp(-n / (len(text.encode()) + 1)) for n, text in zip(nats, texts, strict=True)]
    assert np.allclose(model.perplexity(pa.array(texts)), expected, rtol=1e-12)
    assert (nats < 0).all()


def test_a_column_in_pieces_gives_the_same(model: NgramLanguageModel) -> None:
    writer = Writer(14)
    texts = pa.array([writer.document("en", 1 + writer.below(6)) for _ in range(20)])
    whole = model.perplexity(texts)
    pieces = [model.perplexity(texts.slice(at, 7)) for at in range(0, 20, 7)]
    assert np.array_equal(whole, np.concatenate(pieces))


def test_prose_is_less_perplexing_than_its_letters_in_another_order(model: NgramLanguageModel) -> None:
    writer = Writer(15)
    texts = [writer.document("en", 5) for _ in range(20)]
    shuffled = ["".join(sorted(text)) for text in texts]
    assert (model.perplexity(pa.array(texts)) < model.perplexity(pa.array(shuffled))).all()


@given(st.lists(st.text(max_size=12), max_size=5))
def test_normalised_texts_are_lower_case_with_zeros(texts: list[str]) -> None:
    found = normalise(pa.array(texts, pa.string())).to_pylist()
    lowered = pa.compute.utf8_lower(pa.array(texts, pa.string())).to_pylist()
    assert found == [text.translate(str.maketrans("123456789", "0" * 9)) for text in lowered]


def test_texts_that_nobody_writes(model: NgramLanguageModel) -> None:
    texts = pa.array([unit * times for unit in UNITS.values() for times in (1, 300)])
    lowered = pa.compute.utf8_lower(texts).to_pylist()
    assert normalise(texts).to_pylist() == [text.replace("7", "0") for text in lowered]
    together = model.perplexity(texts)
    assert np.array_equal(together, [model.perplexity(texts.slice(at, 1))[0] for at in range(len(texts))])
    assert (np.isfinite(together) & (together >= 1)).all()


def test_a_slice_is_normalised_as_a_slice() -> None:
    texts = pa.array(["No 1", "No 23", "No 456"])
    assert normalise(texts.slice(1, 1)).to_pylist() == ["no 00"]


def test_buckets_lie_between_the_limits(model: NgramLanguageModel) -> None:
    limits = (model.description.head_max, model.description.middle_max)
    values = np.array(
        [1.0, limits[0], np.nextafter(limits[0], np.inf), limits[1], np.nextafter(limits[1], np.inf), 1e9]
    )
    assert model.bucket(values).tolist() == ["head", "head", "middle", "middle", "tail", "tail"]


@given(st.lists(st.floats(1e-300, 1e300), min_size=1, max_size=20))
def test_logarithms_are_those_of_the_library(values: list[float]) -> None:
    found = log_values(np.array(values))
    assert np.allclose(found, [math.log(value) for value in values], rtol=1e-14, atol=1e-15)


def test_what_is_no_model_is_named(model: NgramLanguageModel, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        NgramLanguageModel.load(str(tmp_path / "absent.arrow"))
    (tmp_path / "text.arrow").write_text("not an Arrow file")
    with pytest.raises(ConfigError, match="not an n-gram model"):
        NgramLanguageModel.load(str(tmp_path / "text.arrow"))
    model.save(str(tmp_path / "old.arrow"))
    data = (tmp_path / "old.arrow").read_bytes()
    (tmp_path / "old.arrow").write_bytes(data.replace(b'"version": 1', b'"version": 9'))
    with pytest.raises(ConfigError, match="another version"):
        NgramLanguageModel.load(str(tmp_path / "old.arrow"))


def test_a_table_without_all_tokens_or_with_a_repeated_key_is_refused() -> None:
    keys = np.array([3, 5], np.uint64)
    table = build_table(keys, np.zeros(2), np.zeros(2))
    assert sorted(table[table[:, 0] != 0, 0].tolist()) == [3, 5]
    with pytest.raises(ValueError, match="a token without a probability"):
        NgramLanguageModel(Description("en", 2, 257, 256, 1.0, 2.0, (2,)), TOKENIZER, table)
    with pytest.raises(ValueError, match="one key"):
        build_table(np.array([3, 3], np.uint64), np.zeros(2), np.zeros(2))
