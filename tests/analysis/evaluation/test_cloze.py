"""Cloze items: words at the ends of sentences, in scripts with and without spaces, against words of others."""

import re

import numpy as np
import pytest

from analysis.data import HeldOut
from analysis.evaluation.cloze import MIN_CONTEXT, PER_DOCUMENT, cloze_items
from analysis.evaluation.tasks import task_items
from analysis.heldout import MAX_DOCUMENT_TOKENS
from pipelines.contracts.errors import ConfigError

NOUNS = [
    "house",
    "tree",
    "river",
    "stone",
    "bread",
    "table",
    "window",
    "garden",
    "letter",
    "winter",
    "summer",
    "market",
]
HAN = ["学校", "图书", "火车", "天气", "孩子", "质量", "朋友", "电影", "苹果", "老师", "时间", "城市"]


def english(index):
    first, second = NOUNS[index % 12], NOUNS[(index + 5) % 12]
    return (
        f"Nobody in the old town could remember the {first}. When it rained they went back to the {second}!\nThe end."
    )


def chinese(index):
    return "我们昨天下午和很多人一起慢慢地走到了河的那一边，然后大家都在那里讨论" * 2 + f"{HAN[index % 12]}。他很喜欢"


def heldout(texts, components=None, tokens=10):
    """A set whose ids play no part, but for their number."""
    n = len(texts)
    names = np.array(components or [f"c{index}" for index in range(n)])
    offsets = np.arange(n + 1, dtype=np.int64) * tokens
    return HeldOut("mine", "kept", np.zeros(0), offsets, np.zeros(n), names, np.array([f"d{i}" for i in range(n)]))


def ask(texts, limit=100, **changes):
    return cloze_items(heldout(texts, **changes), texts, limit)


def test_english_words_end_sentences_and_their_space_is_the_separator():
    texts = [english(index) for index in range(12)]
    items = ask(texts)
    assert len(items) > 20
    for item in items:
        document, start = item.item_id.split(":")
        text, start = texts[int(document[1:])], int(start)
        gold = item.choices[item.gold]
        assert item.separator == " "
        assert text[:start] == item.context + " "
        assert re.match(rf"{gold}[.!\n]", text[start:])
        assert item.task == "cloze_mine"
        assert start >= MIN_CONTEXT
        assert len(set(map(str.casefold, item.choices))) == 4
        assert all(choice.isalpha() for choice in item.choices)


def test_chinese_words_are_two_characters_before_the_mark():
    texts = [chinese(index) for index in range(12)]
    items = ask(texts)
    marks = [item for item in items if item.choices[0] in HAN]
    ends = [item for item in items if item.choices[0] == "喜欢"]  # the end of the text
    assert len(marks) + len(ends) == len(items)
    assert len(marks) == 12
    assert len(ends) == 12
    for item in items:
        assert item.separator == ""
        assert texts[int(item.component[1:])].startswith(item.context + item.choices[0])
        assert all(len(choice) == 2 for choice in item.choices)


def test_others_are_words_of_other_components_and_the_same_script():
    texts = [english(i) for i in range(6)] + [chinese(i) for i in range(6)]
    components = list("aabcdeabcdef")
    by_text = dict(zip((f"d{i}" for i in range(12)), components, strict=True))
    items = ask(texts, components=components)
    assert {item.separator for item in items} == {"", " "}
    for item in items:
        assert item.component == by_text[item.item_id.split(":")[0]]
        assert len({choice.isascii() for choice in item.choices}) == 1
        for other in item.choices[1:]:
            assert any(other in text and c != item.component for text, c in zip(texts, components, strict=True))


def test_others_are_of_the_nearest_length():
    padding = "There was once a king who had everything but one, and it was called the "
    lengths = [3, 3, 3, 3, 9, 9, 9, 9]
    texts = [padding + "abcdefgh"[index] * size + "." for index, size in enumerate(lengths)]
    for item in ask(texts):
        assert len({len(choice) for choice in item.choices}) == 1


def test_items_depend_on_the_texts_and_the_seed_only_and_more_begin_with_fewer():
    texts = [english(index) for index in range(12)]
    assert ask(texts) == ask(texts)
    assert ask(texts, 7) == ask(texts)[:7]
    assert cloze_items(heldout(texts), texts, 50, seed=1) != ask(texts, 50)


def test_no_document_fills_the_task_and_a_text_that_was_cut_has_no_end():
    long = " ".join(english(index) for index in range(40))
    items = ask([long, *(english(index) for index in range(6))])
    assert sum(item.item_id.startswith("d0:") for item in items) == PER_DOCUMENT
    padding = "There was once a king who had everything but one, and it was called the "
    whole = [padding + noun for noun in NOUNS]
    assert len(ask(whole)) == len(NOUNS)
    assert ask(whole, tokens=MAX_DOCUMENT_TOKENS) == []


def test_names_with_digits_and_words_within_a_clause_are_not_asked_for():
    texts = [
        "When the war was over they lived for many years in a small " + end for end in ("x2.", "3.", "go,", "a1b.")
    ]
    assert ask([*texts, *(english(index) for index in range(4))]) == ask([*texts, *map(english, range(4))])
    assert not any(
        item.item_id.split(":")[0] in ("d0", "d1", "d2", "d3") for item in ask([*texts, *map(english, range(4))])
    )


def test_without_held_out_text_there_are_no_items():
    with pytest.raises(ConfigError, match="no held-out text to ask about: got 0 held-out sets"):
        task_items("cloze", 5)
    texts = [english(index) for index in range(8)]
    assert task_items("cloze", 5, [(heldout(texts), texts)]) == ask(texts, 5)
