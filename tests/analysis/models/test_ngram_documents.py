import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.models.ngram import add, count_rows, fit, subtract
from analysis.models.ngram_documents import Scored, count_documents
from tests.analysis.toy import documents

EOS = 0
DISCOUNTS = (0.6, 1.1, 1.4)


def _corpus(seed, n, vocab=9, longest=12):
    texts = [np.append(text, EOS) for text in documents(n, seed, vocab, longest)]
    if seed % 2:
        texts[1] = texts[0]  # a copy: nothing disappears with it
        texts[2] = np.array([EOS])  # an empty document
    return np.concatenate(texts), np.cumsum([0, *map(len, texts)])


def _held(seed, rows=8, vocab=9):
    rng = np.random.default_rng(seed)
    ids = np.where(rng.random((rows, 14)) < 0.15, EOS, rng.integers(0, vocab, (rows, 14)))
    return ids, rng.random((rows, 13)) < 0.8


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.sampled_from([9, 70_000]))
def test_without_a_document_equals_retraining_to_the_bit(seed, order, vocab):
    ids, offsets = _corpus(seed, 6)
    total, alone = count_documents(ids, offsets, order, vocab, EOS)
    held, mask = _held(seed)
    scored = Scored(fit(total, DISCOUNTS), held, mask)
    assert np.array_equal(scored.logp(), fit(total, DISCOUNTS).logp(held, mask)[mask])
    for index in range(len(alone)):
        others = np.concatenate([ids[offsets[i] : offsets[i + 1]] for i in range(len(alone)) if i != index])
        again = count_rows(np.concatenate([[EOS], others])[None], order, vocab, EOS)
        want = fit(again, DISCOUNTS).logp(held, mask)[mask]
        assert np.array_equal(scored.logp_without(alone[index]), want)
        left = subtract(total, alone[index])
        assert np.array_equal(left.keys, again.keys)
        assert np.array_equal(left.counts, again.counts)


def test_a_vocabulary_of_4096_and_the_last_document():
    ids, offsets = _corpus(4, 60, vocab=4096, longest=200)
    total, alone = count_documents(ids, offsets, 3, 4096, EOS)
    held, mask = _held(1, rows=50, vocab=4096)
    held[:, 3:9] = ids[offsets[5] : offsets[5] + 6] if offsets[6] - offsets[5] > 6 else ids[:6]
    scored = Scored(fit(total, DISCOUNTS), held, mask)
    moved = 0.0
    for index in (0, 5, 30, 59):
        want = fit(subtract(total, alone[index]), DISCOUNTS).logp(held, mask)[mask]
        assert np.array_equal(scored.logp_without(alone[index]), want)
        moved += abs(want - scored.logp()).sum()
    assert moved > 0
    only, parts = count_documents(ids[: offsets[1]], offsets[:2], 3, 4096, EOS)
    alone_nats = Scored(fit(only, DISCOUNTS), held, mask).logp_without(parts[0])
    np.testing.assert_allclose(alone_nats, -np.log(4096), rtol=1e-12)  # nothing counted is left: uniform


def test_documents_add_up():
    ids, offsets = _corpus(3, 9)
    total, alone = count_documents(ids, offsets, 4, 9, EOS)
    together = add(alone)
    assert np.array_equal(together.keys, total.keys)
    assert np.array_equal(together.counts, total.counts)
    assert total.counts.sum() == len(ids)


def test_what_cannot_be_exact_is_refused():
    ids, offsets = _corpus(2, 6)
    total, alone = count_documents(ids, offsets, 3, 9, EOS)
    with pytest.raises(ValueError, match="got estimated ones; expected literals"):
        Scored(fit(total), *_held(1))
    strange, _ = count_documents(np.array([7, 8, 7, 8, 8, 8, EOS]), np.array([0, 7]), 3, 9, EOS)
    with pytest.raises(ValueError, match="expected a counted document"):
        Scored(fit(alone[0], DISCOUNTS), *_held(1)).logp_without(strange)
    with pytest.raises(ValueError, match="one does not end"):
        count_documents(ids[:-1], np.array([0, len(ids) - 1]), 3, 9, EOS)
