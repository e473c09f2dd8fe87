from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.influence.documents import extremes
from analysis.influence.tracing import Text, most_traced, spell, trace, trace_rows
from analysis.influence.units import group_atoms, group_tokens
from analysis.mixtures import leave_out, normalised, swap

HOME = {"code/en": "code", "web/en": "web", "web/de": "web", "web/en/dropped": "web"}


def planned() -> dict[str, dict[str, float]]:
    full = normalised({"code/en": 0.4, "web/en": 0.4, "web/de": 0.2})
    cells = {
        "full": full,
        "without_web": leave_out(full, ["web/en", "web/de"]),
        "reject_swap": swap(full, [("web/en", "web/en/dropped")], 0.25),
    }
    return {name: {atom: 1000 * weight for atom, weight in mixture.weights.items()} for name, mixture in cells.items()}


def test_atoms_are_one_unit_as_long_as_every_cell_scales_them_alike() -> None:
    tokens = planned()
    both = {name: tokens[name] for name in ("full", "without_web")}
    assert [(g.name, g.atoms) for g in group_atoms(both, HOME)] == [
        ("code", ("code/en",)),
        ("web", ("web/de", "web/en")),
    ]
    split = group_atoms(tokens, HOME)
    assert [(g.name, g.slice, g.atoms) for g in split] == [
        ("code", "code", ("code/en",)), ("web", "web", ("web/de",)), ("web (2)", "web", ("web/en",)),
        ("web (3)", "web", ("web/en/dropped",)),
    ]  # fmt: skip
    drawn = group_tokens(split, tokens)
    np.testing.assert_allclose(drawn["reject_swap"], [400, 200, 300, 100])
    np.testing.assert_allclose(drawn["without_web"], [1000, 0, 0, 0])


class Fixed:
    """A model that gives every token one log-probability, but some tokens another."""

    def __init__(self, level: float, special: dict[int, float]) -> None:
        self.level, self.special = level, special

    def logp(self, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Return [rows, time] nats, 0 where the mask is False."""
        out = np.full(mask.shape, self.level)
        for token, value in self.special.items():
            out[ids[:, 1:] == token] = value
        return np.where(mask, out, 0.0)


def test_a_trace_says_what_the_slice_raised_block_by_block() -> None:
    text = Text("doc", "web", np.array([5, 7, 5, 9, 7]))
    full = [Fixed(-2.0, {7: -1.0}), Fixed(-2.0, {7: -1.2})]
    without = {"web": [Fixed(-2.0, {7: -3.0})] * 2, "code": [Fixed(-2.0, {7: -1.0}), Fixed(-2.0, {7: -1.2})]}
    deltas = trace(full, without, text, context=3, eos_id=0)
    np.testing.assert_allclose(deltas["web"], [[0, 2, 0, 0, 2], [0, 1.8, 0, 0, 1.8]])
    np.testing.assert_allclose(deltas["code"], 0)
    rows = [row for row in trace_rows(text, deltas, list("abcde")) if row["slice"] == "web"]
    assert [row["token"] for row in rows] == list("abcde")
    assert rows[1]["delta_nats"] == pytest.approx(1.9)
    assert rows[1]["se"] == pytest.approx(0.1)
    assert most_traced([{"web": np.zeros((2, 3))}, deltas]) == 1


@given(st.text(max_size=40))
@settings(max_examples=60, deadline=None)
def test_tokens_spell_their_text_however_it_is_cut(text: str) -> None:
    vocabulary = [bytes([value]) for value in range(256)]
    pieces = spell(np.array(list(text.encode("utf-8", "ignore")), np.int64), vocabulary)
    assert "".join(pieces) == text


def test_bytes_that_are_no_character_are_shown_and_the_rest_survives() -> None:
    assert spell(np.array([0, 1, 2]), [b"a", b"\xff", b"b"]) == ["a", "�", "b"]


@given(st.lists(st.floats(-5, 5), max_size=12), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_extremes_are_the_largest_and_the_smallest_of_their_sign(values: list[float], k: int) -> None:
    array = np.array(values)
    found = extremes(array, k)
    assert len(found) == min(k, int((array > 0).sum())) + min(k, int((array < 0).sum()))
    for place, at in found:
        better = (array > array[at]).sum() if place > 0 else (array < array[at]).sum()
        assert better < abs(place)
