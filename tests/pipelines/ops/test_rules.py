"""Rules: every bound, every condition, order and errors."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipelines.contracts import schemas
from pipelines.contracts.errors import ConfigError
from pipelines.contracts.recipe import ProfileUse, Recipe, Rule, Source
from pipelines.ops.profiles import PROFILES
from pipelines.ops.rules import evaluate_rules, recipe_rules, signal_groups


def signals(**columns: list) -> pa.Table:
    rows = len(next(iter(columns.values())))
    filled = {name: columns.get(name, [0] * rows) for name in schemas.SIGNALS.names}
    filled["lang"] = filled["lang_label"] = columns.get("lang", ["en"] * rows)
    return pa.table({n: pa.array(v, schemas.SIGNALS.field(n).type) for n, v in filled.items()}, schema=schemas.SIGNALS)


def failed(rule: Rule, table: pa.Table, sources: list[str] | None = None) -> list[bool]:
    named = pa.array(sources or ["a"] * table.num_rows)
    return evaluate_rules(table, named, {"r": rule})[:, 0].tolist()


WORDS = signals(gopher_words=[49, 50, 51, 100])


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule(signal="gopher_words", min=50), [True, False, False, False]),
        (Rule(signal="gopher_words", max=50), [False, False, True, True]),
        (Rule(signal="gopher_words", above=50), [True, True, False, False]),
        (Rule(signal="gopher_words", below=50), [False, True, True, True]),
        (Rule(signal="gopher_words", min=50, max=51), [True, False, False, True]),
    ],
)
def test_bounds(rule: Rule, expected: list[bool]) -> None:
    assert failed(rule, WORDS) == expected


def test_language_bounds_and_conditions() -> None:
    table = signals(lang=["en", "de", "zh"], gopher_stop_words=[0, 0, 5])
    assert failed(Rule(signal="lang", equals_any=("en", "zh")), table) == [False, True, False]
    assert failed(Rule(signal="gopher_stop_words", min=2, languages=("en",)), table) == [True, False, False]
    in_sources = Rule(signal="gopher_stop_words", min=2, sources=("a",))
    assert failed(in_sources, table, ["a", "b", "a"]) == [True, False, False]
    not_in = Rule(signal="gopher_stop_words", min=2, not_sources=("a",))
    assert failed(not_in, table, ["a", "b", "a"]) == [False, True, False]


def recipe(**changes: object) -> Recipe:
    return Recipe(name="t", sources=(Source(name="a", path=("x",), format="text"),), **changes)


def test_profiles_come_first_and_single_rules_win_by_name() -> None:
    made = recipe(
        profiles=(ProfileUse(name="gopher-quality@datatrove", languages=("en",)),),
        rules={"gopher_word_count": Rule(signal="gopher_words", min=10)},
    )
    rules = recipe_rules(made)
    assert next(iter(rules)) == "gopher_word_count"
    assert rules["gopher_word_count"].min == 10
    assert rules["gopher_stop_words"].languages == ("en",)


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_every_profile_reads_signals_that_exist(name: str) -> None:
    assert list(recipe_rules(recipe(profiles=(ProfileUse(name=name),)))) == list(PROFILES[name])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"profiles": (ProfileUse(name="gofer@datatrove"),)}, "Did you mean 'gopher@datatrove'"),
        ({"rules": {"r": Rule(signal="gopher_word", min=1)}}, "Did you mean 'gopher_words'"),
        ({"rules": {"r": Rule(signal="lang", min=1)}}, "expected equals_any"),
        ({"rules": {"r": Rule(signal="gopher_words", equals_any=("1",))}}, "expected min, max"),
    ],
)
def test_unknown_names_are_errors_before_any_work(changes: dict, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        recipe_rules(recipe(**changes))


def test_a_recipe_measures_the_groups_of_its_rules_and_those_it_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = (schemas.field("extra_words", schemas.pa.float64(), "words of another kind"),)
    monkeypatch.setitem(schemas.SIGNAL_GROUPS, "extra", columns)
    assert signal_groups(recipe()) == ("base",)
    assert signal_groups(recipe(rules={"r": Rule(signal="extra_words", min=1)})) == ("base", "extra")
    asked = signal_groups(recipe(signals=("extra",)))
    assert asked == ("base", "extra")
    assert schemas.signals(asked).names == [*schemas.SIGNALS.names, "extra_words"]


def test_an_unknown_group_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'base'"):
        signal_groups(recipe(signals=("bass",)))
    with pytest.raises(KeyError, match="bass"):
        schemas.signals(["bass"])


def test_a_rule_on_a_list_that_is_not_given_is_refused() -> None:
    def recipe(**lists: object) -> Recipe:
        return Recipe.model_validate(
            {
                "name": "t",
                "sources": [{"name": "a", "path": "x", "format": "text"}],
                "rules": {"blocked": {"signal": "url_listed", "equals_any": ["no", "allowed"]}},
                "lists": lists,
            }
        )

    with pytest.raises(ConfigError, match=r"not given: got url_listed; expected a list file in lists\.url_block"):
        signal_groups(recipe(url_allow=["a.txt"]))
    assert signal_groups(recipe(url_block=["a.txt"])) == ("base", "lists")
