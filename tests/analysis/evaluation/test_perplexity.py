import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.evaluation.perplexity import SUMS, bits_per_byte, cut_windows, evaluate, thin
from analysis.models.ngram import count_rows, fit
from tests.analysis.toy import ToyStream, held_out


class Uniform:
    """Every token has probability 1/64; notes which tokens were asked for."""

    def __init__(self):
        self.asked = []

    def logp(self, ids, mask):
        self.asked.extend(ids[:, 1:][mask].tolist())
        return np.where(mask, -math.log(64), 0.0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.integers(2, 9), st.booleans())
def test_every_token_is_asked_for_once_after_the_ones_before_it(lengths, context, has_eos):
    rng = np.random.default_rng(0)
    texts = [rng.integers(1, 64, n) for n in lengths]
    stored = [np.append(t, 0) if has_eos else t for t in texts]
    offsets = np.concatenate([[0], np.cumsum([len(t) for t in stored])]).astype(np.int64)
    windows = cut_windows(np.concatenate(stored).astype(np.int64), offsets, context, 0)
    for index, text in enumerate(texts):
        mine = windows.document == index
        asked = windows.rows[mine][:, 1:][windows.mask[mine]]
        assert asked.tolist() == text.tolist()
        before = windows.rows[mine][:, :-1][windows.mask[mine]]
        assert before.tolist() == [0, *text.tolist()][: len(text)]
    assert windows.mask.sum() == sum(lengths)


def test_sums_per_component_count_every_token_and_byte_once():
    heldout = held_out(n=13)
    model = Uniform()
    table = evaluate(model, [heldout], context=16, eos_id=0)
    assert table.schema == SUMS
    assert sum(table["bytes"].to_pylist()) == heldout.n_bytes.sum()
    assert sum(table["tokens"].to_pylist()) == (heldout.ids != 0).sum()
    assert len(model.asked) == (heldout.ids != 0).sum()
    assert table["component"].to_pylist() == [f"c{i}" for i in range(7)]
    for row in table.to_pylist():
        assert row["nats"] == pytest.approx(row["tokens"] * math.log(64))
    total = table.to_pandas().sum(numeric_only=True)
    assert bits_per_byte(total["nats"], total["bytes"]) == pytest.approx(3.0)  # 6 bits per token of 2 bytes


def test_equals_a_document_at_a_time_by_hand():
    heldout = held_out()
    model = fit(count_rows(ToyStream(64, 16, 1).slots_tokens(0, 64), 3, 64, 0))
    want = defaultdict(float)
    for index, component in enumerate(heldout.component):
        text = heldout.ids[heldout.offsets[index] : heldout.offsets[index + 1] - 1]
        for start in range(0, len(text), 8):
            history = [0, 0] if start == 0 else [text[start - 1]]
            for token in text[start : start + 8]:
                want[component] -= math.log(model.distribution(history[-2:])[token])
                history.append(token)
    table = evaluate(model, [heldout], context=8, eos_id=0)
    got = dict(zip(table["component"].to_pylist(), table["nats"].to_pylist(), strict=True))
    assert got == pytest.approx(dict(want), rel=1e-9)


def test_a_document_in_two_populations_is_scored_once():
    kept, unfiltered = held_out(population="kept"), held_out(population="unfiltered")
    model = Uniform()
    table = evaluate(model, [kept, unfiltered], context=16, eos_id=0)
    assert len(model.asked) == (kept.ids != 0).sum()
    a, b = (table.filter([p == name for p in table["population"].to_pylist()]) for name in ("kept", "unfiltered"))
    assert a.drop(["population"]).equals(b.drop(["population"]))


def test_no_held_out_sets_give_an_empty_table():
    assert evaluate(Uniform(), [], 16, 0).num_rows == 0


@pytest.mark.parametrize("tokens", [1, 40, 200, 10**6])
def test_thin_keeps_first_documents_until_the_tokens_are_reached(tokens):
    heldout = held_out()
    part = thin(heldout, tokens)
    n = len(part.offsets) - 1
    assert len(part.ids) >= min(tokens, len(heldout.ids))
    assert n == 1 or part.offsets[n - 1] < tokens
    assert part.ids.tolist() == heldout.ids[: len(part.ids)].tolist()
    assert len(part.doc_id) == len(part.component) == len(part.n_bytes) == n
