import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.models import MODELS
from analysis.models.ngram import add, count_atoms, count_rows, fit, leave_out, load, save, subtract
from analysis.models.ngram_keys import Packing, token_bits
from tests.analysis.toy import ToyStream, small_proxy

EOS = 0


def _rows(seed, n=60, context=12, vocab=9):
    rng = np.random.default_rng(seed)
    rows = np.minimum(rng.zipf(1.5, (n, context + 1)) - 1, vocab - 1)
    rows[rng.random(rows.shape) < 0.1] = EOS
    return rows.astype(np.int64)


def _tables_equal(a, b):
    return all(
        np.array_equal(x.keys, y.keys)
        and np.array_equal(x.discounted, y.discounted)
        and np.array_equal(x.histories, y.histories)
        and np.array_equal(x.backoff, y.backoff)
        and x.discounts == y.discounts
        for x, y in zip(a.levels, b.levels, strict=True)
    )


class SlowKneserNey:
    """The same model by dictionaries and recursion, straight from the definitions."""

    def __init__(self, rows, order, vocab):
        self.order, self.vocab = order, vocab
        raw = Counter()
        for row in rows.tolist():
            for at in range(1, len(row)):
                gram = self._gram(row, at)
                if gram is not None:
                    raw[gram] += 1
        self.counts = {order: raw}
        for length in range(order - 1, 0, -1):
            longer, shorter = self.counts[length + 1], defaultdict(int)
            for gram, count in longer.items():
                starts_document = length > 1 and gram[1] == EOS
                shorter[gram[1:]] += count if starts_document else 1
            self.counts[length] = dict(shorter)
        self.discounts = {length: self._discount(list(c.values())) for length, c in self.counts.items()}

    def _gram(self, row, at):
        history, open_ = [], False
        for back in range(1, self.order):
            if not open_ and at - back < 0:
                return None
            open_ = open_ or row[at - back] == EOS
            history.insert(0, EOS if open_ else row[at - back])
        return (*history, row[at])

    @staticmethod
    def _discount(values):
        n = [values.count(c) for c in range(1, 5)]
        if 0 in n:
            return (0.5, 1.0, 1.5)
        y = n[0] / (n[0] + 2 * n[1])
        found = [c - (c + 1) * y * n[c] / n[c - 1] for c in (1, 2, 3)]
        return tuple(d if 0 < d <= c else c / 2 for c, d in zip((1, 2, 3), found, strict=True))

    def p(self, history, token):
        lower = 1 / self.vocab if not history else None
        if history:
            lower = self.p(history[1:], token)
        counts = self.counts[len(history) + 1]
        follow = {gram[-1]: c for gram, c in counts.items() if gram[:-1] == history}
        if not follow:
            return lower
        d = self.discounts[len(history) + 1]
        total = sum(follow.values())
        mine = follow.get(token, 0)
        kept = mine - d[min(mine, 3) - 1] if mine else 0.0
        freed = sum(d[min(c, 3) - 1] for c in follow.values())
        return kept / total + freed / total * lower


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_equals_the_definitions(order):
    rows = _rows(1)
    model, slow = fit(count_rows(rows, order, 9, EOS)), SlowKneserNey(rows, order, 9)
    rng = np.random.default_rng(2)
    histories = [tuple(rng.integers(1, 9, k).tolist()) for k in range(order) for _ in range(8)]
    histories += [(EOS,) * (order - 1)]
    for history in histories:
        want = [slow.p(history, token) for token in range(9)]
        np.testing.assert_allclose(model.distribution(history), want, rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.lists(st.integers(0, 8), max_size=3))
def test_probabilities_sum_to_one(seed, order, history):
    model = fit(count_rows(_rows(seed, n=20), order, 9, EOS))
    distribution = model.distribution(history)
    assert distribution.sum() == pytest.approx(1.0, abs=1e-12)
    assert (distribution > 0).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(2, 5))
def test_leave_one_out_equals_retraining(seed, order, n_atoms):
    rows = _rows(seed, n=40)
    atom = np.array([f"a{i}" for i in np.random.default_rng(seed).integers(0, n_atoms, len(rows))])
    atoms = count_atoms(rows, atom, order, 9, EOS)
    name = sorted(atoms)[0]
    if len(atoms) == 1:
        return
    without, again = leave_out(atoms, [name]), fit(count_rows(rows[atom != name], order, 9, EOS))
    assert _tables_equal(without, again)
    held = _rows(seed + 1, n=10)
    mask = np.ones((len(held), held.shape[1] - 1), bool)
    assert np.array_equal(without.logp(held, mask), again.logp(held, mask))


def test_leave_one_out_on_a_stream_of_a_vocabulary_of_4096():
    rng = np.random.default_rng(0)
    rows = np.minimum(rng.zipf(1.2, (600, 65)), 4095)
    atom = np.array(["code", "web", "books"])[rng.integers(0, 3, 600)]
    atoms = count_atoms(rows, atom, 3, 4096, EOS)
    for name in atoms:
        assert _tables_equal(leave_out(atoms, [name]), fit(count_rows(rows[atom != name], 3, 4096, EOS)))


def test_subtracting_continuation_tables_would_be_wrong():
    rows = _rows(4, n=200)
    atom = np.arange(200) % 2
    full, part = (count_rows(r, 2, 9, EOS) for r in (rows, rows[atom == 0]))
    right = fit(subtract(full, part)).levels[0]
    types = [np.bincount((c.keys & np.uint64(15)).astype(int), minlength=9) for c in (full, part)]
    naive = types[0] - types[1]
    rest = count_rows(rows[atom == 1], 2, 9, EOS)
    exact = np.bincount((rest.keys & np.uint64(15)).astype(int), minlength=9)
    assert (naive != exact).any()
    assert len(right.keys) == np.count_nonzero(exact)


def test_documents_are_delimited():
    """What a document begins with does not depend on the document before it."""
    rows = np.array([[5, 6, EOS, 7, 8], [3, 4, EOS, 7, 8]])
    counts = count_rows(rows, 3, 9, EOS)
    grams = {
        tuple(int(k >> np.uint64(s)) & 15 for s in (8, 4, 0)): int(c)
        for k, c in zip(counts.keys, counts.counts, strict=True)
    }
    assert grams == {(5, 6, EOS): 1, (3, 4, EOS): 1, (EOS, EOS, 7): 2, (EOS, 7, 8): 2}


def test_short_history_answers_with_the_lower_order():
    rows = _rows(3)
    model = fit(count_rows(rows, 3, 9, EOS))
    row = np.array([[4, 2, 3]])
    got = np.exp(model.logp(row, np.ones((1, 2), bool)))[0]
    assert got[0] == pytest.approx(model.distribution([4])[2], rel=1e-12)
    assert got[1] == pytest.approx(model.distribution([4, 2])[3], rel=1e-12)


def test_adding_atoms_gives_the_counts_of_all():
    rows = _rows(5)
    atoms = count_atoms(rows, np.arange(len(rows)) % 3, 3, 9, EOS)
    total, whole = add(list(atoms.values())), count_rows(rows, 3, 9, EOS)
    assert np.array_equal(total.keys, whole.keys)
    assert np.array_equal(total.counts, whole.counts)
    with pytest.raises(ValueError, match="expected a subset"):
        subtract(atoms["0"], total)


def test_learns_structure_and_saves(tmp_path):
    proxy = small_proxy(model="ngram")
    trainer = MODELS["ngram"].build(proxy)
    model = trainer.train(ToyStream(512, 16, seed=1).slots_tokens(0, 512))
    held = ToyStream(32, 16, seed=2).slots_tokens(0, 32)
    nats = -model.logp(held, np.ones((32, 16), bool)).mean()
    assert nats < math.log(64) - 0.5
    counts = count_rows(held, 3, 64, EOS)
    save(counts, tmp_path / "model.safetensors")
    read = load(tmp_path / "model.safetensors")
    assert (read.order, read.vocab_size, read.eos_id) == (3, 64, EOS)
    assert np.array_equal(read.keys, counts.keys)
    assert np.array_equal(read.counts, counts.counts)
    wide = count_rows(held, 12, 64, EOS)
    save(wide, tmp_path / "wide.safetensors")
    assert np.array_equal(load(tmp_path / "wide.safetensors").keys, wide.keys)


def test_tokens_that_do_not_fit_64_bits_are_packed_as_bytes():
    """Order 6 over 65,536 tokens takes 96 bits; everything equals the definitions, as with integers."""
    assert token_bits(65_536) == 16
    rows = _rows(7, n=30)
    narrow, wide = (count_rows(rows, 6, vocab, EOS) for vocab in (9, 65_536))
    assert (narrow.keys.dtype.kind, wide.keys.dtype.kind) == ("u", "V")
    assert np.array_equal(narrow.counts, wide.counts)  # in the same order
    assert np.array_equal(narrow.packing.unpack(narrow.keys, 6), wide.packing.unpack(wide.keys, 6))
    model, slow = fit(wide), SlowKneserNey(rows, 6, 65_536)
    for at in range(0, 30, 5):
        history = [t if t != EOS else 1 for t in rows[at, :5].tolist()]
        got = model.distribution(history)[:9]
        np.testing.assert_allclose(got, [slow.p(tuple(history), token) for token in range(9)], rtol=1e-12)
    without = subtract(wide, count_rows(rows[:7], 6, 65_536, EOS))
    assert _tables_equal(fit(without), fit(count_rows(rows[7:], 6, 65_536, EOS)))


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 70_000), st.integers(1, 7), st.integers(0, 1000))
def test_keys_sort_as_the_tokens_do(vocab, length, seed):
    tokens = np.random.default_rng(seed).integers(0, vocab, (20, length))
    packing = Packing(vocab)
    keys = packing.pack(tokens)
    assert np.array_equal(packing.unpack(keys, length), tokens)
    assert np.array_equal(packing.unpack(np.sort(keys), length), np.array(sorted(tokens.tolist())))
    assert np.array_equal(packing.first(keys, length), tokens[:, 0])
    if length > 1:
        assert np.array_equal(packing.unpack(packing.suffixes(keys, length), length - 1), tokens[:, 1:])
        assert np.array_equal(packing.unpack(packing.histories(keys, length), length - 1), tokens[:, :-1])


def test_literal_discounts_are_taken_as_they_are():
    rows = _rows(8)
    counts = count_rows(rows, 2, 9, EOS)
    model = fit(counts, (0.4, 0.7, 0.9))
    assert all(level.discounts == (0.4, 0.7, 0.9) for level in model.levels)
    assert model.distribution([3]).sum() == pytest.approx(1, abs=1e-12)
    assert MODELS["ngram"].build(small_proxy(model="ngram", discounts=(0.4, 0.7, 0.9))).discounts == (0.4, 0.7, 0.9)
    with pytest.raises(ValueError, match="discounts: no discounts of counts of 1, 2, 3 and more"):
        small_proxy(model="ngram", discounts=(0.4, 2.5, 0.9))
