"""Decisions, thresholds, duplication: doses, pools, what comes back, and what is refused."""

from __future__ import annotations

from itertools import pairwise

import pyarrow.compute as pc
import pydantic
import pytest

from analysis.data import pool_tokens
from analysis.designs.base import full_mixture
from analysis.designs.controls import changed_share
from analysis.designs.pools import pool_share
from analysis.designs.rejects import groups
from pipelines.contracts.errors import ConfigError
from tests.analysis.designs.made import SLICES, design_of, documents, estimate, spec_of, weight_of

DECISIONS = {"first": ["a"], "second": ["b"]}


def decisions(**changes: object):
    section = {"decisions": DECISIONS, "min_pool_tokens": 100, "off": True, **changes}
    return spec_of("decisions", decisions=section)


def test_what_comes_back_fails_no_other_rule_and_keeps_source_and_language() -> None:
    design, atoms = design_of(decisions())
    full, swap = (design.cell(name).mixture.weights for name in ("full", "swap_first"))
    source = atoms.sources()
    rejects = set(atoms.atoms_of("first"))
    assert set(swap) - set(full) <= rejects
    only = atoms.table.filter(atoms.table["in_first"])
    made = {row["doc_id"]: row["failed_rules"] for row in documents().to_pylist()}
    assert {tuple(made[doc]) for doc in only["doc_id"].to_pylist()} == {("a",)}
    for place in {(source[atom], atom.split("/")[1]) for atom in full}:
        before = sum(w for atom, w in full.items() if (source[atom], atom.split("/")[1]) == place)
        mine = {atom: w for atom, w in swap.items() if (source[atom], atom.split("/")[1]) == place}
        assert sum(mine.values()) == pytest.approx(before)
        assert sum(w for atom, w in mine.items() if atom in rejects) == pytest.approx(0.25 * before)


def test_off_adds_the_natural_dose_and_the_overlap_is_told() -> None:
    design, atoms = design_of(decisions())
    tokens = atoms.tokens_by_atom()
    back = sum(w for atom, w in design.cell("off_first").mixture.weights.items() if atom in atoms.atoms_of("first"))
    found = groups(design.spec, atoms, design.cell("full").mixture, "first")
    assert 0.1 < back < 0.4
    assert sum(g.weight * g.natural for g in found) == pytest.approx(back, abs=0.05)  # weighted by language, not exact
    for name in SLICES:
        assert weight_of(design, atoms, "off_first", name) == pytest.approx(weight_of(design, atoms, "full", name))
    train = atoms.table.filter(pc.equal(atoms.table["split"], "train"))
    both = pc.sum(train["tokens"].filter(pc.and_(train["in_first_or_more"], train["in_second_or_more"]))).as_py()
    alone = sum(tokens[atom] for atom in atoms.atoms_of("first"))
    assert f"{alone:,} of them no other rule, {both:,} also fail second" in design.notes[0]
    assert {one.population for one in design.contrasts if one.family == "decisions"} == {"unfiltered"}


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"decisions": {"first": ["a"]}, "min_pool_tokens": 10**9}, "no source and language has enough rejects"),
        ({"decisions": {"x": ["no_such_rule"]}}, "no source and language has enough rejects: got 0 tokens"),
    ],
)
def test_a_decision_without_rejects_is_refused(section: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        design_of(spec_of("decisions", decisions=section))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"decisions": {"decisions": {"d": ["near_duplicate"]}}}, "meets no pair of copies"),
        ({"factorial": {"factors": {"d": ["exact_duplicate"]}}}, "meets no pair of copies"),
        ({"decisions": {"decisions": {"web": ["a"]}}}, "not called like slices"),
        ({"thresholds": {"signal": "score", "min": [0.5]}}, "two or more thresholds"),
        ({"thresholds": {"signal": "score", "min": [0.1, 0.5], "max": [0.1, 0.2]}}, "two or more thresholds in one"),
        ({"thresholds": {"min": [0.1, 0.5]}}, "a signal for min or max"),
        ({"thresholds": {"jaccard": [0.8, 0.9]}}, "the one slice"),
        ({"duplication": {"slices": ["web"], "epochs": [2, 1]}}, "rising numbers"),
        ({"duplication": {"slices": ["wep"]}}, "Did you mean 'web'"),
    ],
)
def test_a_section_that_makes_no_sense_is_refused_in_the_file(changes: dict, said: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=said):
        spec_of("demo", **changes)


def test_thresholds_are_nested_and_keep_the_weights_of_slices() -> None:
    design, atoms = design_of(
        spec_of("thresholds", thresholds={"signal": "score", "min": [0.6, 0.2, 0.4], "rules": ["a"]})
    )
    cells = ["score_0.2", "score_0.4", "score_0.6"]
    for cell in cells:
        for name in SLICES:
            assert weight_of(design, atoms, cell, name) == pytest.approx(0.5)
    passing = [set(atoms.table["doc_id"].filter(atoms.table[f"in_passes_{i}"]).to_pylist()) for i in range(3)]
    assert passing[0] > passing[1] > passing[2]
    failed = {row["doc_id"]: row["failed_rules"] for row in documents().to_pylist()}
    assert {tuple(failed[doc]) for doc in passing[0]} == {(), ("a",)}
    loss = {"score_0.2": 3.3, "score_0.4": 3.2, "score_0.6": 3.1}  # stricter is better
    assert estimate(design, "score 0.2 to 0.4 on web", loss) == pytest.approx(0.1)
    assert estimate(design, "score 0.2 to 0.6, fitted on web", loss) == pytest.approx(0.2)


def test_upper_thresholds_run_the_other_way() -> None:
    design, _ = design_of(spec_of("thresholds", thresholds={"signal": "score", "max": [0.3, 0.9]}))
    loss = {"score_0.9": 3.3, "score_0.3": 3.1}
    assert estimate(design, "score 0.9 to 0.3 on web", loss) == pytest.approx(0.2)
    assert estimate(design, "score 0.9 to 0.3, fitted on web", loss) == pytest.approx(0.2)


def test_a_threshold_that_is_the_recipe_needs_no_cell_of_its_own() -> None:
    design, _ = design_of(spec_of("thresholds", thresholds={"signal": "score", "min": [0.0, 0.5]}))
    assert [cell.name for cell in design.cells if cell.role in ("base", "treatment")] == ["full", "score_0.5"]
    assert estimate(design, "score 0 to 0.5 on web", {"full": 3.2, "score_0.5": 3.1}) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"signal": "score", "min": [0.5, 0.500001]}, "a step that changes almost nothing"),
        ({"signal": "score", "min": [0.5, 2.0]}, "nothing passes"),
        ({"jaccard": [0.8, 1.0], "slices": ["web"], "min_duplicate_tokens": 10**6}, "too few duplicate tokens"),
    ],
)
def test_thresholds_that_show_nothing_are_refused(section: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        design_of(spec_of("thresholds", thresholds=section))


def test_a_laxer_jaccard_brings_more_copies_into_one_pool() -> None:
    section = {"jaccard": [0.8, 0.9, 1.0], "slices": ["web"], "min_duplicate_tokens": 100}
    design, atoms = design_of(spec_of("thresholds", thresholds=section))
    copies = set(atoms.atoms_of("jaccard_0"))
    shares = []
    for cell in ("jaccard_base", "jaccard_0.9", "jaccard_1"):
        mixture = design.cell(cell).mixture
        shares.append(sum(weight for atom, weight in mixture.weights.items() if atom in copies))
        assert design.cell(cell).baseline == "jaccard_base"
        assert weight_of(design, atoms, cell, "web") == pytest.approx(0.5)
        assert len(set(mixture.pools.values())) == 1
    assert shares[0] == 0 < shares[1] < shares[2]
    coef = next(one.coef for one in design.contrasts if one.name == "near_duplicates 1 to 0.9 on web")
    assert coef == {"jaccard_1": 1.0, "jaccard_0.9": -1.0}


def test_pools_are_nested_and_read_as_often_as_they_say() -> None:
    section = {"slices": ["web"], "epochs": [1, 2, 4, 8], "min_duplicate_tokens": 500}
    design, atoms = design_of(spec_of("duplication", duplication=section, max_epochs=12))
    pools = []
    for epochs in section["epochs"]:
        cell = design.cell(f"epochs_{epochs}")
        mine = {atom: cell.mixture.pools[atom] for atom in cell.mixture.weights if atom in cell.mixture.pools}
        held = sum(pool_tokens(atoms, mine).values())
        assert 4096 / held == pytest.approx(epochs, rel=0.25)
        assert weight_of(design, atoms, cell.name, "web") == pytest.approx(0.5)
        assert f"{4096 - held if epochs > 1 else 0:,} repeated tokens" in cell.description or epochs == 1
        pools.append(set(mine.values()).pop())
    assert all(more > less for more, less in pairwise(pools))
    sham = design.cell("sham")
    assert sham.share == pytest.approx(0.5)  # another pool is other text: the whole slice changes
    loss = {f"epochs_{n}": 3 + 0.1 * i for i, n in enumerate(section["epochs"])}
    assert estimate(design, "epochs 2 to 4 on web", loss) == pytest.approx(0.1)
    assert estimate(design, "epochs 1 to 8, fitted on web", loss) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("section", "tokens", "said"),
    [
        ({"slices": ["web"], "epochs": [1, 2], "min_duplicate_tokens": 10**6}, 8192, "too few duplicate tokens"),
        ({"slices": ["web"], "epochs": [1, 512]}, 8192, "cannot be read 512 times"),
        ({"slices": ["web"], "epochs": [1, 2]}, 10**7, "cannot be read 1 times"),
    ],
)
def test_repetition_that_cannot_be_made_is_refused(section: dict, tokens: int, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        design_of(spec_of("duplication", duplication=section, tokens=tokens))


def test_a_pool_holds_what_was_asked_for() -> None:
    spec = spec_of("duplication", duplication={"slices": ["web"], "epochs": [1, 2], "min_duplicate_tokens": 1})
    design, atoms = design_of(spec)
    names = atoms.atoms_of("web", kept=True)
    everything = sum(pool_tokens(atoms, dict.fromkeys(names, 1.0)).values())
    for wanted in (1, 500, 3000, everything):
        held = sum(pool_tokens(atoms, dict.fromkeys(names, pool_share(atoms, names, wanted))).values())
        assert wanted <= held <= wanted + 400
    assert pool_share(atoms, names, everything + 1) == 1.0
    full = full_mixture(spec, atoms)
    assert changed_share(full, full) == 0
    assert changed_share(design.cell("epochs_2").mixture, design.cell("epochs_1").mixture) == pytest.approx(0.5)
