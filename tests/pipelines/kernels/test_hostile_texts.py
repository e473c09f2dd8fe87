"""Texts that nobody writes: no kernel crashes, none is quadratic, and where there is a peer the results agree."""

from __future__ import annotations

import time

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.arrow_strings import string_buffers
from pipelines.kernels.bpe import BytePairEncoder
from pipelines.kernels.bpe_model import load_bpe
from pipelines.kernels.hashing import xxh32, xxh64
from pipelines.kernels.language import LanguageIdentifier
from pipelines.kernels.minhash import minhash_signatures, shingle_hashes
from pipelines.kernels.ngrams import count_words, find_ngrams, make_index, ngram_keys
from pipelines.kernels.privacy_scan import CLASSES, privacy_flags
from pipelines.kernels.quality import quality_statistics
from tests.pipelines.kernels.test_bpe import expected_rows, split_rows, trained_json
from tests.pipelines.kernels.test_quality import COLUMNS, reference, split_words

UNITS = {
    "NUL": "\0",
    "letter": "x",
    "space": " ",
    "line end": "\n",
    "full stop": ".",
    "digit": "7",
    "apostrophe": "'",
    "last code point": "\U0010ffff",
    "emoji and joiner": "👩\u200d",
    "combining mark": "\u0301",
    "marks of two classes": "\u0301\u0316",
    "letter that grows in lower case": "Ⱥ",
    "final sigma": "Σ",
    "dotted I": "İ",
    "right to left": "\u202eא",
    "ideograph": "中",
    "jamo": "\u1100",
    "tag": "\U000e0061",
    "word": "ab ",
    "line": "ab\n",
    "paragraph": "ab.\n\n",
    "replacement": "\ufffd",
    "non-character": "\uffff",
    "mail": "a@b.",
}
HOSTILE = st.lists(
    st.one_of(
        st.sampled_from(list(UNITS.values())),
        st.tuples(st.sampled_from(list(UNITS.values())), st.integers(1, 300)).map(lambda pair: pair[0] * pair[1]),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    ),
    max_size=12,
).map("".join)


@pytest.fixture(scope="module")
def identifier() -> LanguageIdentifier:
    return LanguageIdentifier.load()


@pytest.fixture(scope="module")
def encoder() -> BytePairEncoder:
    return BytePairEncoder(load_bpe(trained_json()))


def run_all(texts: list[str], identifier: LanguageIdentifier, encoder: BytePairEncoder) -> list[object]:
    """Run every kernel over a batch; what each row gives."""
    column = pa.array(texts, pa.large_string())
    labels, probabilities = identifier.predict(column)
    sets, index_keys = shingle_hashes(column), ngram_keys(column, 3)
    index = make_index(np.unique(index_keys[0])[:50], (3,))
    hits = find_ngrams(column, index)
    return [
        quality_statistics(column).to_pylist(),
        [array.tolist() for array in minhash_signatures(column)],
        np.split(sets.hashes, sets.offsets[1:-1]),
        labels.to_pylist(),
        probabilities.tolist(),
        split_rows(*encoder.encode(column)),
        count_words(column).tolist(),
        index_keys[1].tolist(),
        [privacy_flags(np.frombuffer(text.encode(), np.uint8), CLASSES) for text in texts],
        hits,
    ]


@settings(max_examples=120, deadline=None)
@given(st.lists(HOSTILE, max_size=5))
def test_any_text_passes_all_kernels(
    identifier: LanguageIdentifier, encoder: BytePairEncoder, texts: list[str]
) -> None:
    statistics, signatures, sets, _, probabilities, ids, counts, *_ = run_all(texts, identifier, encoder)
    assert statistics == [{name: reference(t, split_words(t))[name] for name in COLUMNS} for t in texts]
    assert ids == expected_rows(trained_json(), texts)
    assert len(signatures[0]) == len(probabilities) == len(counts) == len(texts)
    assert all(0 <= value <= 1.0001 for value in probabilities)
    assert all((np.diff(found.astype(object)) > 0).all() for found in sets)


@settings(deadline=None)
@given(HOSTILE)
def test_hashes_of_any_text_are_xxhash(text: str) -> None:
    data = text.encode()
    buffers = string_buffers(pa.array([text], pa.large_string()))
    start, end = int(buffers.offsets[0]), int(buffers.offsets[1])
    assert int(xxh64(buffers.data, start, end)) == xxhash.xxh64_intdigest(data)
    assert int(xxh32(buffers.data, start, end)) == xxhash.xxh32_intdigest(data)


@pytest.mark.parametrize("unit", UNITS)
def test_much_of_one_thing_takes_no_time(identifier: LanguageIdentifier, encoder: BytePairEncoder, unit: str) -> None:
    text = UNITS[unit] * (300_000 // len(UNITS[unit].encode()))
    run_all(["warm"], identifier, encoder)
    start = time.process_time()
    alone = run_all([text], identifier, encoder)
    assert time.process_time() - start < 6.0
    among = run_all(["before it", text, ""], identifier, encoder)
    assert alone[0][0] == among[0][1]
    assert alone[5][0] == among[5][1]
    assert alone[6][0] == among[6][1]
