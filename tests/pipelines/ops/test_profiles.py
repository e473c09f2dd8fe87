"""Every rule of every profile: one text that fails it, one that passes it, and its bound to the last bit."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest

from pipelines.contracts import schemas
from pipelines.contracts.recipe import Recipe, Rule, Source
from pipelines.ops.profiles import PROFILES, SOURCES
from pipelines.ops.rules import evaluate_rules
from pipelines.ops.signals import SignalInput, measure_groups

RULES = {f"{profile}/{name}": rule for profile, rules in PROFILES.items() for name, rule in rules.items()}


def prose(sentences: int = 30, seed: int = 0) -> str:
    """Make English-looking prose without repeated n-grams: a paragraph of two sentences per line."""
    rng = random.Random(seed)
    stems = [
        "".join(rng.choice("bdfklmnprst") + rng.choice("aeiou") for _ in range(rng.randint(2, 3))) for _ in range(400)
    ]
    made = []
    for _ in range(sentences):
        words = rng.sample(stems, 9)
        words[2:2], words[5:5] = [rng.choice(["the", "of", "to"])], [rng.choice(["and", "that", "with"])]
        made.append(" ".join(words).capitalize() + ".")
    return "\n".join(" ".join(made[i : i + 2]) for i in range(0, sentences, 2))


GOOD = prose()
LINES = GOOD.split("\n")
WORDS = GOOD.replace(".", "").replace("\n", " ").lower().split()


def repeated(n: int, distinct: int = 6, times: int = 8) -> str:
    """Make a text whose word n-grams repeat: some phrases of n words, each several times, in mixed order."""
    phrases = [" ".join(WORDS[i * n : (i + 1) * n]) for i in range(distinct)]
    order = [i for _ in range(times) for i in range(distinct)]
    random.Random(n).shuffle(order)
    return ". ".join(phrases[i] for i in order) + "."


def commonest(n: int) -> str:
    """Make a text with one very common n-gram."""
    phrase = " ".join(WORDS[:n])
    return " ".join(f"{phrase} {word}" for word in WORDS[20:80]) + "."


SHORT = "Just the few words and that is all of it."
BAD: dict[str, str] = {
    "word_count": SHORT,
    "word_length": " ".join("abcdefghijklmnopqrstuvwxyz"[: 24 + i % 3] for i in range(100)),
    "hashes": GOOD + " #tag" * 80,
    "symbols": GOOD + " #tag" * 80,
    "ellipses": GOOD + " and…" * 100,
    "bullet_lines": "\n".join("- " + line for line in LINES),
    "ellipsis_lines": "\n".join(line.rstrip(".") + "…" for line in LINES),
    "alpha_words": GOOD + " 1 2 3 4 5 6 7 8 9" * 30,
    "stop_words": " ".join(w for w in WORDS if w not in ("the", "of", "to", "and", "that", "with")),
    "dup_lines": "\n".join([*LINES, *LINES]),
    "dup_line_chars": "\n".join([*LINES, *LINES]),
    "dup_paragraphs": "\n\n".join([*LINES, *LINES]),
    "dup_paragraph_chars": "\n\n".join([*LINES, *LINES]),
    **{f"top_{n}gram": commonest(n) for n in range(2, 5)},
    **{f"dup_{n}gram": repeated(n) for n in range(5, 11)},
    "terminal_lines": GOOD.replace(".\n", "\n").rstrip("."),
    "short_lines": "\n".join(f"{word} and the." for word in WORDS[:90]),
    "newlines": "\n".join(WORDS),
    "lorem_ipsum": GOOD + "\nThis line has lorem ipsum in it.",
    "curly_bracket": GOOD + "\nThis line has a { in it here.",
    "sentences": LINES[0].split(".")[0] + ".",
    "length": GOOD * 300,
}


def measured(texts: list[str], scores: list[float] | None = None) -> pa.Table:
    recipe = Recipe(name="t", sources=(Source(name="a", path=("x",), format="text"),))
    score = pa.array(scores or [0.95] * len(texts), pa.float32())
    given = SignalInput(pa.array(texts), pa.array(["en"] * len(texts)), score, recipe)
    columns = [column for fields in schemas.SIGNAL_GROUPS.values() for column in fields]
    return pa.table(measure_groups(given, list(schemas.SIGNAL_GROUPS)), schema=pa.schema(columns))


def failures(table: pa.Table, rules: dict[str, Rule]) -> np.ndarray:
    return evaluate_rules(table, pa.array(["a"] * table.num_rows), rules)


def kind_of(name: str) -> str:
    """Return the key of BAD for a rule: its name without profile and prefix."""
    rule = name.split("/")[1]
    for prefix in ("gopher_", "dolma_", "c4_tfds_", "c4_datatrove_", "fineweb2_", "fineweb_", "mixtrace_"):
        if rule.startswith(prefix):
            return rule.removeprefix(prefix)
    raise AssertionError(rule)


@pytest.fixture(scope="module")
def bad() -> pa.Table:
    return measured(list(BAD.values()))


def test_good_prose_passes_every_rule_of_every_profile() -> None:
    failed = failures(measured([GOOD, prose(seed=1)]), RULES)
    assert [name for name, column in zip(RULES, failed.T, strict=True) if column.any()] == []


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_bad_text_fails_its_rule(name: str, bad: pa.Table) -> None:
    kind = kind_of(name)
    if kind == "language_score":
        table = measured([GOOD], [0.2])
        assert failures(table, {name: RULES[name]}).tolist() == [[True]]
        return
    row = list(BAD).index(kind)
    assert failures(bad.slice(row, 1), {name: RULES[name]}).tolist() == [[True]]


@pytest.mark.parametrize("name", sorted(RULES))
def test_the_bound_itself_passes_and_the_next_number_fails(name: str) -> None:
    rule = RULES[name]
    least, greatest = (
        rule.min_by_language.get("en", rule.min),
        rule.max_by_language.get("en", rule.max),
    )
    assert least is not None or greatest is not None
    for bound, beyond in ((least, -np.inf), (greatest, np.inf)):
        if bound is not None:
            values = [bound, np.nextafter(bound, beyond)]
            table = pa.table({"lang": ["en", "en"], rule.signal: pa.array(values, pa.float64())})
            assert failures(table, {name: rule})[:, 0].tolist() == [False, True]


def test_bounds_by_language_take_the_place_of_the_common_one() -> None:
    rule = Rule(signal="lang_score", min=0.5, min_by_language={"de": 0.8}, max_by_language={"fr": 0.6})
    lang = ["de", "de", "fr", "fr", "xx", "xx"]
    table = pa.table({"lang": lang, "lang_score": [0.7, 0.9, 0.5, 0.7, 0.4, 0.99]})
    assert failures(table, {"r": rule})[:, 0].tolist() == [True, False, False, True, True, False]


def test_fineweb2_says_nothing_about_languages_without_thresholds() -> None:
    table = measured([SHORT]).set_column(0, "lang", pa.array(["xx"]))
    assert not failures(table, PROFILES["fineweb2"]).any()
    assert failures(table, PROFILES["mixtrace"]).any()


def test_every_profile_names_its_source() -> None:
    assert list(SOURCES) == list(PROFILES)
