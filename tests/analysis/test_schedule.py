"""Schedules: shares, coupling between cells, sham and shuffle."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.mixtures import Mixture, leave_out, normalised, swap
from analysis.schedule import CONTROL_SHARE, schedule
from pipelines.contracts.errors import ConfigError

WEIGHTS = st.dictionaries(st.sampled_from("abcdef"), st.floats(0.05, 1), min_size=2, max_size=6).map(normalised)


def named(slots) -> np.ndarray:
    return np.array(slots.names)[slots.atom]


def test_shares_follow_the_weights() -> None:
    mixture = normalised({"a": 5, "b": 3, "c": 2})
    won = named(schedule(mixture, mixture, 20_000, "0/0"))
    for atom, weight in mixture.weights.items():
        assert (won == atom).mean() == pytest.approx(weight, abs=0.015)


@settings(max_examples=40, deadline=None)
@given(WEIGHTS, st.integers(0, 5))
def test_leaving_an_atom_out_changes_only_the_slots_that_it_had(full: Mixture, block: int) -> None:
    gone = sorted(full.weights)[0]
    base = schedule(full, full, 300, f"0/{block}")
    without = schedule(leave_out(full, [gone]), full, 300, f"0/{block}")
    stays = named(base) != gone
    assert np.array_equal(named(base)[stays], named(without)[stays])
    assert np.array_equal(base.position[stays], without.position[stays])
    for atom in without.names:
        positions = np.sort(without.position[named(without) == atom])
        assert np.array_equal(positions, np.arange(len(positions)))  # fill comes after, nothing is read twice


def test_a_swap_leaves_the_other_atoms_alone() -> None:
    full = normalised({"a": 0.5, "b": 0.5})
    swapped = swap(full, [("a", "a_rejected")], 0.25)
    assert swapped.weights["a_rejected"] == pytest.approx(0.125)
    base, changed = schedule(full, full, 4000, "0/0"), schedule(swapped, full, 4000, "0/0")
    b = named(base) == "b"
    assert np.array_equal(named(changed)[b], named(base)[b])
    assert np.array_equal(changed.position[b], base.position[b])


def test_the_sham_redraws_its_share_with_fresh_content() -> None:
    mixture = normalised({"a": 1, "b": 1})
    base, sham = schedule(mixture, mixture, 5000, "0/1"), schedule(mixture, mixture, 5000, "0/1", "sham")
    same = (named(base) == named(sham)) & (base.position == sham.position)
    assert 1 - same.mean() == pytest.approx(CONTROL_SHARE, abs=0.02)
    for atom in "ab":
        before = base.position[named(base) == atom].max()
        fresh = sham.position[(named(sham) == atom) & ~same]
        assert fresh.min() > before
        assert len(set(fresh.tolist())) == len(fresh)


def test_the_shuffle_marks_a_fifth_and_changes_nothing_else() -> None:
    mixture = normalised({"a": 1, "b": 1})
    base, shuffled = schedule(mixture, mixture, 5000, "0/1"), schedule(mixture, mixture, 5000, "0/1", "shuffle")
    assert np.array_equal(base.position, shuffled.position)
    assert shuffled.shuffled.mean() == pytest.approx(0.2, abs=0.02)
    assert not base.shuffled.any()


@settings(max_examples=25, deadline=None)
@given(WEIGHTS, st.integers(0, 5))
def test_an_omission_is_the_same_run_less_the_slots_of_the_atom(full: Mixture, block: int) -> None:
    gone = sorted(full.weights)[0]
    base = schedule(full, full, 900, f"0/{block}")
    stays = named(base) != gone
    count = int(stays.sum()) // 2
    omitted = schedule(leave_out(full, [gone]), full, count, f"0/{block}", "omit")
    assert np.array_equal(named(omitted), named(base)[stays][:count])
    assert np.array_equal(omitted.position, base.position[stays][:count])
    longer = schedule(leave_out(full, [gone]), full, 1000, f"0/{block}", "omit")
    assert len(longer.atom) == 1000
    assert np.array_equal(named(longer)[:count], named(omitted))


def test_nothing_foreign_can_be_kept_by_an_omission() -> None:
    with pytest.raises(ConfigError, match="not in the baseline: got c"):
        schedule(normalised({"a": 1, "c": 1}), normalised({"a": 1, "b": 1}), 10, "0/0", "omit")


def test_a_sham_has_the_dose_that_its_cell_names() -> None:
    mixture = normalised({"a": 1, "b": 1})
    base, sham = (schedule(mixture, mixture, 5000, "0/1", t, 0.05) for t in ("none", "sham"))
    assert (base.position != sham.position).mean() == pytest.approx(0.05, abs=0.01)


def test_another_process_draws_the_same() -> None:
    code = (
        "from analysis.mixtures import normalised; from analysis.schedule import schedule\n"
        "m = normalised({'a': 1, 'b': 2}); s = schedule(m, m, 50, '0/3'); print(s.atom.tolist(), s.position.tolist())"
    )
    mixture = normalised({"a": 1, "b": 2})
    here = schedule(mixture, mixture, 50, "0/3")
    there = subprocess.check_output([sys.executable, "-c", code], cwd=Path(__file__).parents[2], text=True)
    assert there.strip() == f"{here.atom.tolist()} {here.position.tolist()}"


def test_mixtures_are_checked() -> None:
    with pytest.raises(ConfigError, match="not a mixture"):
        Mixture({"a": 0.5})
    with pytest.raises(ConfigError, match="nothing left"):
        leave_out(normalised({"a": 1}), ["a"])
    with pytest.raises(ConfigError, match="unknown fill"):
        leave_out(normalised({"a": 1, "b": 1}), ["a"], fill="none")
    named_fill = leave_out(normalised({"a": 1, "b": 1, "c": 2}), ["a"], fill="named", to=["b"])
    assert dict(named_fill.weights) == {"b": 0.5, "c": 0.5}


@settings(max_examples=15, deadline=None)
@given(WEIGHTS, WEIGHTS)
def test_coupled_mixtures_keep_their_own_shares(mixture: Mixture, reference: Mixture) -> None:
    won = named(schedule(mixture, reference, 8000, "0/0"))
    for atom, weight in mixture.weights.items():
        assert (won == atom).mean() == pytest.approx(weight, abs=0.025)
    base = named(schedule(reference, reference, 8000, "0/0"))
    overlap = sum(min(weight, reference.weights.get(atom, 0)) for atom, weight in mixture.weights.items())
    assert (won == base).mean() >= overlap - 0.03  # no coupling can agree more often
