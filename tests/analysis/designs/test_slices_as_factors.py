"""Leave-one-out, reweighting, single slices and random halves: shares, fills, signs."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.designs.halves import draw_halves, units_of
from analysis.schedule import schedule
from pipelines.contracts.errors import ConfigError
from tests.analysis.designs.made import SLICES, atoms_of, design_of, estimate, spec_of, weight_of

THREE = {**SLICES, "guide": {"where": "source = 'guide'"}, "web": {"where": "source = 'help'"}}


def test_every_fill_has_its_cell_its_budget_and_its_contrasts() -> None:
    spec = spec_of(
        "leave_one_out", slices=THREE, leave_out=["web"], fill=["proportional", "none", "named"], swap={"web": "books"}
    )
    design, atoms = design_of(spec)
    full = {name: weight_of(design, atoms, "full", name) for name in THREE}
    assert full == pytest.approx(dict.fromkeys(THREE, 1 / 3))
    assert weight_of(design, atoms, "without_web", "books") == pytest.approx(1 / 2)
    assert weight_of(design, atoms, "web_to_books", "books") == pytest.approx(2 / 3)
    assert weight_of(design, atoms, "web_to_books", "guide") == pytest.approx(1 / 3)
    omitted = design.cell("omit_web")
    assert omitted.transform == "omit"
    assert design.tokens(omitted) == round(8192 * 2 / 3)
    slots = schedule(omitted.mixture, design.cell("full").mixture, 512, "0/0", "omit")
    assert not {slots.names[i] for i in slots.atom} & set(atoms.atoms_of("web"))
    fills = {one.name: (one.fill, one.family, one.expected_sign) for one in design.contrasts if one.metric == "bpb"}
    assert fills["without_web on web"] == ("proportional", "own-slice", 1)
    assert fills["omit_web on guide"] == ("none", "cross-slice", 0)
    assert fills["web_to_books on books"] == ("named", "own-slice", -1)  # it has twice its own text
    assert fills["web_to_books on guide"] == ("named", "cross-slice", 0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "nothing is left out"),
        ({"leave_out": ["web"], "fill": ["named"]}, "no entry in `swap`"),
    ],
)
def test_a_leave_out_that_cannot_be_filled_is_refused(changes: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        design_of(spec_of("leave_one_out", **changes))


def test_a_factor_is_exact_and_the_slope_is_per_halving() -> None:
    spec = spec_of("reweight", slices=THREE, reweight={"slices": ["web"], "factors": [2, 0.5]})
    design, atoms = design_of(spec)
    assert weight_of(design, atoms, "web_x2", "web") == pytest.approx(2 / 3)
    assert weight_of(design, atoms, "web_x0.5", "web") == pytest.approx(1 / 6)
    rest = weight_of(design, atoms, "web_x2", "books") / weight_of(design, atoms, "web_x2", "guide")
    assert rest == pytest.approx(1.0)
    loss = {"full": 3.0, "web_x2": 2.9, "web_x0.5": 3.1}  # less of it is worse, by .1 per halving
    assert estimate(design, "web_x2 on books", loss) == pytest.approx(0.1)
    assert estimate(design, "web_x0.5 on books", loss) == pytest.approx(0.1)
    assert estimate(design, "web per halving on books", loss) == pytest.approx(0.1)


def test_a_weight_that_cannot_be_reached_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"a weight that cannot be reached: got a weight of 2 x 0\.500"):
        design_of(spec_of("reweight", reweight={"slices": ["web"], "factors": [2]}))


def test_single_slices_are_compared_with_the_others_alone() -> None:
    design, atoms = design_of(spec_of("single_slice", slices=THREE, single=list(THREE)))
    assert weight_of(design, atoms, "only_web", "web") == pytest.approx(1.0)
    loss = {"full": 3.0, "only_web": 3.4, "only_books": 3.5, "only_guide": 3.2}
    assert estimate(design, "all but web on web", loss) == pytest.approx(0.4)
    assert estimate(design, "guide alone on web", loss) == pytest.approx(0.3)  # better than books alone: it helps
    assert {one.target for one in design.contrasts if one.slice == "all_but_web"} == {"web"}
    with pytest.raises(ConfigError, match="no slice is trained alone"):
        design_of(spec_of("single_slice"))


def test_halves_come_with_their_complements() -> None:
    drawn = draw_halves(9, 5, 0)
    assert drawn.shape == (10, 9)
    assert (drawn.sum(0) == 5).all()
    assert (drawn[::2] ^ drawn[1::2]).all()
    assert not np.array_equal(drawn, draw_halves(9, 5, 1))


def test_units_are_a_partition_and_their_contrasts_find_what_was_planted() -> None:
    spec = spec_of("halves", halves={"groups": 3, "pairs": 8})
    design, atoms = design_of(spec)
    full = design.cell("full").mixture
    units = units_of(spec, atoms, full)
    assert len(units) == 3 * 3
    assert sorted(atom for mine in units.values() for atom in mine) == sorted(full.weights)
    gain = dict(zip(units, np.linspace(-0.2, 0.2, len(units)), strict=True))
    halves = [cell for cell in design.cells if cell.name.startswith("half_")]
    inside = {cell.name: {name for name, mine in units.items() if mine[0] in cell.mixture.weights} for cell in halves}
    loss = {cell: 3 - sum(gain[name] for name in names) for cell, names in inside.items()}
    found = [estimate(design, f"unit {name} on books", loss) for name in units]
    count = {name: sum(name in names for names in inside.values()) for name in units}
    assert set(count.values()) == {8}
    matrix = np.array([[(name in inside[cell.name]) - 0.5 for name in units] for cell in halves])
    expected = -matrix.T @ np.array([loss[cell.name] for cell in halves]) / 8 * 2
    assert found == pytest.approx(expected.tolist())
    for cell in halves:
        assert design.tokens(cell) == round(8192 * sum(full.weights[atom] for atom in cell.mixture.weights))


def test_too_few_units_are_refused() -> None:
    one = {"books": {"where": "source = 'books'"}}
    with pytest.raises(ConfigError, match="too few units: got 1"):
        design_of(spec_of("halves", slices=one, halves={"groups": 1, "pairs": 2}))


@pytest.mark.parametrize(
    ("kind", "section"),
    [("reweight", "reweight"), ("decisions", "decisions"), ("thresholds", "thresholds"),
     ("duplication", "duplication"), ("factorial", "factorial"), ("halves", "halves")],
)  # fmt: skip
def test_a_kind_without_its_section_says_which(kind: str, section: str) -> None:
    with pytest.raises(ConfigError, match=f"no section `{section}`"):
        design_of(spec_of(kind))


def test_made_atoms_are_disjoint() -> None:
    atoms = atoms_of(spec_of("leave_one_out", leave_out=["web"]))
    assert len(set(atoms.table["doc_id"].to_pylist())) == atoms.table.num_rows == 900
