"""The table's probabilities against Kneser-Ney written out slowly, and against the n-gram proxy of `analysis.models`."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.models.ngram import count_rows, fit
from analysis.quality.ngram_training import DEFAULT_DISCOUNTS, discounts, estimate, make_stream
from tests.data.ngram_models import EOS, VOCAB, byte_model
from tests.data.sentences import Writer


class SlowKneserNey:
    """Interpolated modified Kneser-Ney by dictionaries of tuples and recursion; prunes by count."""

    def __init__(self, documents: list[list[int]], order: int, vocab: int, eos: int, prune: tuple[int, ...]) -> None:
        self.order, self.vocab, self.eos = order, vocab, eos
        raw: dict[tuple[int, ...], int] = defaultdict(int)
        for document in documents:
            padded = [eos] * (order - 1) + document + [eos]
            for end in range(order - 1, len(padded)):
                raw[tuple(padded[end - order + 1 : end + 1])] += 1
        self.count = {order: dict(raw)}
        for n in range(order - 1, 0, -1):
            shorter: dict[tuple[int, ...], int] = defaultdict(int)
            for gram, count in self.count[n + 1].items():
                shorter[gram[1:]] += count if n > 1 and gram[1] == eos else 1
            self.count[n] = dict(shorter)
        self.kept = {n: {g for g, c in self.count[n].items() if c > prune[n - 1]} for n in self.count}
        for n in range(order, 1, -1):
            self.kept[n - 1] |= {g[part] for g in self.kept[n] for part in (slice(1, None), slice(None, -1))}
        self.discount = {n: discounts(np.array(list(self.count[n].values()))) for n in self.count}

    def p(self, token: int, history: tuple[int, ...]) -> float:
        n = len(history) + 1
        lower = self.p(token, history[1:]) if history else 1 / self.vocab
        following = {g: c for g, c in self.count[n].items() if g[:-1] == history}
        if not following:
            return lower
        total, free, own = sum(following.values()), 0.0, 0.0
        for gram, count in following.items():
            cut = self.discount[n][min(count, 3) - 1]
            free += cut if gram in self.kept[n] else count
            if gram[-1] == token and gram in self.kept[n]:
                own = count - cut
        return own / total + free / total * lower

    def logp(self, document: list[int]) -> float:
        padded = [self.eos] * (self.order - 1) + document + [self.eos]
        ends = range(self.order - 1, len(padded))
        return sum(math.log(self.p(padded[i], tuple(padded[i - self.order + 1 : i]))) for i in ends)


def columns(documents: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    ids = np.array([token for document in documents for token in document], np.int32)
    return ids, np.cumsum([0, *map(len, documents)]).astype(np.int64)


DOCUMENTS = st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=12), min_size=1, max_size=8)


@settings(deadline=None, max_examples=60)
@given(DOCUMENTS, DOCUMENTS, st.integers(1, 5), st.integers(0, 1))
def test_scores_equal_the_slow_reference(train: list, test: list, order: int, prune: int) -> None:
    limits = tuple(prune if n > 2 else 0 for n in range(1, order + 1))
    slow = SlowKneserNey(train, order, VOCAB, EOS, limits)
    test = [*test, [], [200, 3]]  # an empty text; a token that was never seen
    found = byte_model(*columns(train), order, limits).score(*columns(test))
    assert np.allclose(found, [slow.logp(document) for document in test], rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("prune", [(0, 0, 0), (0, 1, 1)])
def test_the_reference_sums_to_one_after_any_history(prune: tuple[int, ...]) -> None:
    generator = np.random.default_rng(5)
    train = [generator.integers(0, 6, generator.integers(1, 40)).tolist() for _ in range(20)]
    slow = SlowKneserNey(train, 3, VOCAB, EOS, prune)
    for history in ((EOS, EOS), (EOS, 1), (1, 2), (200, 1), (3, 3)):
        assert sum(slow.p(token, history) for token in range(VOCAB)) == pytest.approx(1, abs=1e-12)


def test_scores_equal_those_of_the_proxy_model() -> None:
    writer = Writer(4)
    documents = [list(writer.document("fr", 1 + writer.below(9)).encode()) for _ in range(120)]
    train, test = documents[:90], documents[90:]
    rows = np.array([EOS, *(token for document in train for token in [*document, EOS])])[None]
    proxy = fit(count_rows(rows, 5, VOCAB, EOS))
    ids = np.array([EOS, *(token for document in test for token in [*document, EOS])])[None]
    nats = proxy.logp(ids, np.ones((1, ids.shape[1] - 1), bool))[0]
    expected = np.add.reduceat(nats, np.cumsum([0, *(len(document) + 1 for document in test)])[:-1])
    assert np.allclose(byte_model(*columns(train), 5, (0,) * 5).score(*columns(test)), expected, rtol=1e-6)


def test_pruning_makes_a_smaller_model_that_knows_the_same_words() -> None:
    writer = Writer(5)
    documents = [list(writer.document("en", 6).encode()) for _ in range(60)]
    whole, pruned = (estimate(*make_stream(*columns(documents), 4, EOS), 4, VOCAB, p) for p in ((0,) * 4, (0, 0, 1, 1)))
    assert pruned.by_order[0] == whole.by_order[0] == VOCAB
    assert pruned.by_order[3] < 0.75 * whole.by_order[3]
    assert set(pruned.keys) < set(whole.keys)


@pytest.mark.parametrize("prune", [(0, 0), (1, 0, 0)])
def test_wrong_limits_are_refused(prune: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="wrong limits"):
        estimate(*make_stream(*columns([[1, 2]]), 3, EOS), 3, VOCAB, prune)


def test_discounts_fall_back_where_counts_are_missing() -> None:
    assert discounts(np.array([1, 1, 2])).tolist() == list(DEFAULT_DISCOUNTS)
