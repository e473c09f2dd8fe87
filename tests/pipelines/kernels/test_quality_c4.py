r"""C4's line rules: cases computed by hand from the code that made C4, and a slow restatement on made-up pages.

Source of the cases for `C4_TFDS`: tensorflow_datasets, text/c4_utils.py, `clean_page` with its constants
_MIN_WORDS_PER_LINE = 5, _MIN_NUM_SENTENCES = 3, _MAX_WORD_LENGTH = 1000, _END_MARKS = . ? ! ", _ELLIPSIS = ...
"""

from __future__ import annotations

import random
import re
import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.punctuation import SENTENCE_ENDS
from pipelines.kernels.quality_c4 import C4_DATATROVE, C4_TFDS, COLUMNS, C4Variant, c4_statistics
from pipelines.kernels.unicode_tables import marks

CITATIONS = re.compile(r"\[\d*]|\[edit]|\[citation needed]")
WORDS = re.compile(rf"\w(?:[\w{marks()}]|[.'@&](?=\w))*|([^\w\s])\1*")
POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")


def sentences(line: str) -> int:
    """spaCy's sentencizer over our words."""
    count, ended = 1, False
    for match in WORDS.finditer(line):
        word = match.group()
        is_end = word[0] in SENTENCE_ENDS and (len(word) == 1 or word[0] != ".")
        if ended and not is_end and not all(unicodedata.category(c).startswith("P") for c in word):
            count, ended = count + 1, False
        elif is_end:
            ended = True
    return count


def reference(text: str, variant: C4Variant) -> dict[str, int]:
    found = dict.fromkeys(COLUMNS, 0)
    for raw in text.splitlines():
        found["lines"] += 1
        raw = raw.strip()
        line = CITATIONS.sub("", raw)
        words = (line if variant.words_after_citations else raw).split()
        lower = line.lower()
        if any(len(word) > 1000 for word in raw.split()):
            where = "long_word_lines"
        elif not line.endswith(tuple(variant.end_marks)) or line.endswith("..."):
            where = "open_lines"
        elif len(words) < variant.min_words:
            where = "few_words_lines"
        elif "lorem ipsum" in lower:
            where = "lorem_ipsum_lines"
        elif "javascript" in lower:
            where = "javascript_lines"
        elif "{" in line:
            where = "curly_bracket_lines"
        elif any(policy in lower for policy in POLICIES):
            where = "policy_lines"
        else:
            where = "kept_lines"
            found["kept_chars"] += len(line)
            found["sentences"] += sentences(line)
        found[where] += 1
    return found


def measured(text: str, variant: C4Variant = C4_TFDS) -> dict[str, int]:
    return {name: value for name, value in c4_statistics(pa.array([text]), variant).to_pylist()[0].items() if value}


GOOD = "This line has enough words."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GOOD, {"lines": 1, "kept_lines": 1, "kept_chars": 27, "sentences": 1}),
        ('She said "it is so!" Then he went. "Why?"', {"lines": 1, "kept_lines": 1, "kept_chars": 41, "sentences": 3}),
        ("This line has no end mark", {"lines": 1, "open_lines": 1}),
        ("This line trails off into dots...", {"lines": 1, "open_lines": 1}),
        ("It ends in an apostrophe'", {"lines": 1, "open_lines": 1}),
        ("Only four words here.", {"lines": 1, "few_words_lines": 1}),
        ("Four words are here. [1]", {"lines": 1, "open_lines": 1}),  # the blank before the mark stays
        ("Four words are here [1].", {"lines": 1, "kept_lines": 1, "kept_chars": 21, "sentences": 1}),  # five: "here ."
        ("Four words are here[1].", {"lines": 1, "few_words_lines": 1}),
        ("One two three four five[12].", {"lines": 1, "kept_lines": 1, "kept_chars": 24, "sentences": 1}),
        ("a" * 1001 + " and four more words here.", {"lines": 1, "long_word_lines": 1}),
        ("a" * 1000 + " and four more words here.", {"lines": 1, "kept_lines": 1, "kept_chars": 1026, "sentences": 1}),
        ("Here is Lorem Ipsum text again.", {"lines": 1, "lorem_ipsum_lines": 1}),
        ("Please enable JavaScript in your browser.", {"lines": 1, "javascript_lines": 1}),
        ("This { is a curly bracket.", {"lines": 1, "curly_bracket_lines": 1}),
        ("Please read our Privacy Policy now.", {"lines": 1, "policy_lines": 1}),
        ("This page uses cookie\u212as? No, coo\u212aie policy.", {"lines": 1, "policy_lines": 1}),
        (
            f"  {GOOD}\r\n\u2028{GOOD} ",
            {"lines": 3, "open_lines": 1, "kept_lines": 2, "kept_chars": 54, "sentences": 2},
        ),
        ("", {}),
    ],
)
def test_hand_computed_cases_of_the_code_that_made_c4(text: str, expected: dict[str, int]) -> None:
    assert measured(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is so'", {"lines": 1, "kept_lines": 1, "kept_chars": 9, "sentences": 1}),
        ("Just three words.", {"lines": 1, "kept_lines": 1, "kept_chars": 17, "sentences": 1}),
        ("Two words.", {"lines": 1, "few_words_lines": 1}),
        ("Two [1] words.", {"lines": 1, "kept_lines": 1, "kept_chars": 11, "sentences": 1}),  # counted with the mark
    ],
)
def test_what_datatrove_does_otherwise(text: str, expected: dict[str, int]) -> None:
    assert measured(text, C4_DATATROVE) == expected


PIECES = [
    "This", "is", "a line.", "It is so!", 'He said "no".', "why?", "...", "…", "[1]", "[edit]", "[citation needed]", "[x]", "[٣]",
    "lorem ipsum", "LOREM IPSUM", "JavaScript", "{", "}", "terms of use", "use cookies", "Cook\u0130es", "\u212a", "é", "中文。",
    "?!", "!!", ". .", "\n", "\n", "\r\n", "\x85", "\u2028", "\x1c", " ", "\u3000", "'", "U.S.", "e.g. this", "--",
]  # fmt: skip


def compare(texts: list[str]) -> None:
    for variant in (C4_TFDS, C4_DATATROVE):
        rows = c4_statistics(pa.array(texts, pa.string()), variant).to_pylist()
        for text, row in zip(texts, rows, strict=True):
            assert row == reference(text, variant), repr(text)


def test_made_up_pages_equal_the_restated_rules() -> None:
    rng = random.Random(3)
    compare([rng.choice(["", " "]).join(rng.choices(PIECES, k=rng.randint(0, 80))) for _ in range(600)])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(st.sampled_from([*PIECES, "a", " ", "[", "]", "1"]), max_size=40).map("".join), max_size=3))
def test_any_page_equals_the_restated_rules(texts: list[str]) -> None:
    compare(texts)
