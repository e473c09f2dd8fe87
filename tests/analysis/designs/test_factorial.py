"""Factorials: orthogonal columns, aliases as the algebra of words has them, effects that were planted are found."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.design_kinds import Factorial
from analysis.designs.factorial import check_aliases, fraction_of
from pipelines.contracts.errors import ConfigError
from tests.analysis.designs.made import design_of, estimate, spec_of, weight_of

NAMES = "abcdef"


def words(generators: dict[str, tuple[str, ...]]) -> set[frozenset[str]]:
    """Return the defining relation by algebra: all products (symmetric differences) of the generators' words."""
    group = {frozenset()}
    for name, sources in generators.items():
        group |= {word ^ frozenset((name, *sources)) for word in group}
    return group - {frozenset()}


@st.composite
def fractions(draw: st.DrawFn) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    count = draw(st.integers(3, 6))
    free = draw(st.integers(2, count))
    base = NAMES[:free]
    made = {}
    for name in NAMES[free:count]:
        made[name] = tuple(draw(st.lists(st.sampled_from(base), min_size=2, max_size=free, unique=True)))
    return tuple(NAMES[:count]), made


@settings(max_examples=60, deadline=None)
@given(fractions())
def test_aliases_are_those_of_the_defining_relation(drawn: tuple[tuple[str, ...], dict[str, tuple[str, ...]]]) -> None:
    factors, generators = drawn
    fraction = fraction_of(factors, generators)
    assert len(fraction.levels) == 2 ** (len(factors) - len(generators))
    relation = words(generators)
    effects = [frozenset(one) for size in (1, 2) for one in combinations(factors, size)]
    for effect in fraction.effects():
        expected = {other for other in effects if other != frozenset(effect) and other ^ frozenset(effect) in relation}
        assert {frozenset(one) for one in fraction.aliases(effect)} == expected
        constant = abs(fraction.column(effect).sum()) == len(fraction.levels)
        assert constant == (frozenset(effect) in relation)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"generators": {"c": ["a", "b"]}}, "effect a: aliased: got the same cells as b:c"),
        ({"generators": {"d": ["a", "b", "c"]}, "interactions": [["a", "b"]]}, "effect a:b: aliased: got the same cells as c:d"),
    ],
)  # fmt: skip
def test_an_aliased_effect_is_refused(section: dict, said: str) -> None:
    factors = {name: ["a"] for name in ("abcd" if "d" in section["generators"] else "abc")}
    parsed = Factorial.model_validate({"factors": factors, **section})
    with pytest.raises(ConfigError, match=said):
        check_aliases(parsed, fraction_of(tuple(factors), parsed.generators))


def test_what_is_named_negligible_is_told_apart() -> None:
    factors = {name: ["a"] for name in "abcd"}
    section = {"generators": {"d": ["a", "b", "c"]}, "interactions": [["b", "a"]], "negligible": [["d", "c"]]}
    parsed = Factorial.model_validate({"factors": factors, **section})
    fraction = fraction_of(tuple(factors), parsed.generators)
    assert check_aliases(parsed, fraction) == [("a",), ("b",), ("c",), ("d",), ("a", "b")]


def test_planted_effects_are_found_and_orthogonal() -> None:
    section = {"factors": {"first": ["a"], "second": ["b"]}, "share": 0.2, "min_pool_tokens": 100,
               "interactions": [["first", "second"]]}  # fmt: skip
    design, atoms = design_of(spec_of("factorial", factorial=section))
    names = [cell.name for cell in design.cells if cell.role in ("base", "treatment")]
    assert names == ["full", "back_second", "back_first", "back_first_and_second"]
    assert weight_of(design, atoms, "back_first_and_second", "first") == pytest.approx(0.2)
    assert weight_of(design, atoms, "back_first_and_second", "second") == pytest.approx(0.2)
    loss = {"full": 3.0, "back_first": 3.1, "back_second": 3.3, "back_first_and_second": 3.6}
    assert estimate(design, "first on web", loss) == pytest.approx(0.2)
    assert estimate(design, "second on web", loss) == pytest.approx(0.4)
    assert estimate(design, "first:second on web", loss) == pytest.approx(0.1)  # half of (.3 - .1)
    coef = [
        [next(one.coef for one in design.contrasts if one.name == f"{label} on web")[name] for name in names]
        for label in ("first", "second", "first:second")
    ]
    assert np.allclose(np.array(coef) @ np.array(coef).T, np.eye(3))
    assert "factorial 2^(2-0): 4 cells" in design.notes[0]
    assert "dose of first: 20.0% of the slots" in design.notes[1]


def test_a_fraction_without_the_curated_cell_has_it_as_the_baseline_only() -> None:
    section = {"factors": {"first": ["a"], "second": ["b"], "third": ["a", "b"]}, "share": 0.1, "min_pool_tokens": 100,
               "generators": {"third": ["first", "second"]},
               "negligible": [["first", "second"], ["first", "third"], ["second", "third"]]}  # fmt: skip
    design, _ = design_of(spec_of("factorial", factorial=section))
    names = [cell.name for cell in design.cells if cell.role in ("base", "treatment")]
    assert names == ["full", "back_third", "back_second", "back_first", "back_first_and_second_and_third"]
    assert all("full" not in one.coef for one in design.contrasts if one.family == "decisions")
    assert "third = first x second" in design.notes[0]
    assert "aliased: first = second:third" in design.notes
