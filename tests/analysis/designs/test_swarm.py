"""The swarm: draws of one distribution within limits, the same every time, each run once; what cannot work is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.commands import open_design
from analysis.design_file import SwarmSpec, load_design
from analysis.designs.swarm import draw_mixtures
from analysis.mixtures import slice_weight
from analysis.plan import make_plan
from pipelines.contracts.errors import ConfigError
from tests.analysis.laws.studies import DESIGN, SLICES, write_design_file
from tests.reports.workspace_builder import build_curated

NATURAL = np.array([0.5, 0.3, 0.15, 0.05])
FREE = (np.zeros(4), np.ones(4))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_curated(tmp_path_factory.mktemp("swarm"))


def changed(workspace: Path, *changes: tuple[str, str]) -> Path:
    text = DESIGN
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return write_design_file(workspace, text, "changed")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.05, 0.2), st.floats(0.5, 0.9))
def test_draws_stay_within_limits(seed: int, floor: float, cap: float) -> None:
    lower, upper = np.array([floor, 0, 0, 0]), np.array([1, cap, 1, 0.4])
    drawn = draw_mixtures(SwarmSpec(runs=20), NATURAL, lower, upper, seed)
    np.testing.assert_allclose(drawn.sum(1), 1)
    assert ((drawn >= lower) & (drawn <= upper)).all()


def test_a_longer_swarm_begins_with_the_shorter_one() -> None:
    short, long = (draw_mixtures(SwarmSpec(runs=n), NATURAL, *FREE, 7) for n in (20, 30))
    np.testing.assert_array_equal(long[:20], short)
    assert not np.isin(draw_mixtures(SwarmSpec(runs=20), NATURAL, *FREE, 8), short).any()


def test_draws_have_the_mean_and_the_spread_of_the_dirichlet() -> None:
    """At one strength s the mean is the prior p and the variance p (1 - p) / (s + 1)."""
    drawn = draw_mixtures(SwarmSpec(runs=4000, temperature=1, strength=(5, 5)), NATURAL, *FREE, 0)
    np.testing.assert_allclose(drawn.mean(0), NATURAL, atol=0.015)
    np.testing.assert_allclose(drawn.var(0), NATURAL * (1 - NATURAL) / 6, rtol=0.12)
    flat = draw_mixtures(SwarmSpec(runs=4000, temperature=0, strength=(5, 5)), NATURAL, *FREE, 0)
    np.testing.assert_allclose(flat.mean(0), 0.25, atol=0.015)


def test_limits_without_room_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"0 of 10000 draws within weights from .*Raise a cap or max_epochs"):
        draw_mixtures(SwarmSpec(runs=20), NATURAL, np.zeros(4), np.array([0.1, 0.1, 0.1, 0.1]), 0)


def test_a_swarm_has_its_cells_and_runs(workspace: Path) -> None:
    design, atoms = open_design(workspace, changed(workspace, ("canary: 0\n", "")))
    names = [cell.name for cell in design.cells]
    controls = ["sham", "shuffle", "canary_sham", "canary"]
    assert names[:8] == ["full", "without_web", "without_wiki", "without_code", *controls]
    assert names[8:32] == [f"swarm_{number:03d}" for number in range(24)]
    assert names[32:] == ["only_web", "only_wiki", "only_code"]
    runs = [(cell.name, block) for cell, block in design.runs()]
    assert len(runs) == len(set(runs)) == 8 * 3 + 24 + 3 == make_plan(design, atoms, 1).runs
    assert ("full", 2) in runs
    assert ("swarm_003", 1) not in runs
    tokens = atoms.tokens_by_atom()
    held = {name: sum(tokens[atom] for atom in atoms.atoms_of(name, kept=True)) for name in SLICES}
    for cell in design.cells:
        weights = {name: slice_weight(cell.mixture, atoms.atoms_of(name, kept=True)) for name in SLICES}
        assert sum(weights.values()) == pytest.approx(1)
        if cell.name.startswith("swarm_"):
            assert weights["web"] >= 0.05
            assert weights["code"] <= 0.7
        if cell.name == "full":  # natural: the tokens that there are
            assert weights == pytest.approx({name: held[name] / sum(held.values()) for name in SLICES})
        for name in SLICES:  # inside a slice, atoms stay in proportion
            for atom in atoms.atoms_of(name, kept=True):
                share = cell.mixture.weights.get(atom, 0.0)
                assert share == pytest.approx(weights[name] * tokens[atom] / held[name], abs=1e-12)


def test_stated_weights_are_natural(workspace: Path) -> None:
    path = changed(workspace, ("leave_out", "weights: {web: 0.6, wiki: 0.3, code: 0.1}\nleave_out"))
    design, atoms = open_design(workspace, path)
    assert slice_weight(design.cell("full").mixture, atoms.atoms_of("web", kept=True)) == pytest.approx(0.6)


@pytest.mark.parametrize(("change", "words"), [
    (("swarm: {runs: 24", "swarm: {runs: 9"), "greater than or equal to 20"),
    (("caps: {code: 0.7}", "caps: {cods: 0.7}"), "Did you mean 'code'"),
    (("swarm: {runs: 24, caps: {code: 0.7}, floors: {web: 0.05}, single_slices: true}", ""), "no section `swarm`"),
    (("floors: {web: 0.05}", "floors: {web: 0.6, wiki: 0.6}"), r"least weights that sum to 1\.2000"),
    (("max_epochs: 40", "max_epochs: 0.1"), "most weights that sum to"),
    (("floors: {web: 0.05}", "floors: {web: 0.33333, wiki: 0.33333, code: 0.33333}"), "0 of 10000 draws within"),
    (("max_runs: 60", "max_runs: 30"), "more runs than the budget"),
])  # fmt: skip
def test_what_cannot_work_is_refused_before_training(workspace: Path, change: tuple[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make_plan(*open_design(workspace, changed(workspace, change)), 1)


def test_the_shipped_swarm_is_valid() -> None:
    spec = load_design("designs/swarm.yaml")
    assert spec.swarm is not None
    assert spec.blocks >= 5
    assert set(spec.leave_out) == set(spec.slices)
