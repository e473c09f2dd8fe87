"""Minimal pairs: two sentences that differ in one point of grammar, made by templates.

In the manner of BLiMP (Warstadt et al. 2020, arXiv:1912.00582) and, for Chinese, CLiMP (Xiang et al. 2021,
arXiv:2101.11131) and SLING (Song et al. 2022, arXiv:2210.11689). Templates and words are data: `words/*.yaml`. They
are ours and simple, so that a model of a few million tokens knows the words; no model chose them.

Most phenomena are mirrored: what is good in one sentence is bad in the next, with the same words, so that a model that
knows how frequent words are, and nothing else, is at chance. Pairs are scored by the total log-probability of each
sentence; the margin decides, accuracy is for display.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from analysis.evaluation.metrics import PAIRS_PREFIX
from analysis.evaluation.text_items import TextItem
from pipelines.contracts.errors import ConfigError, message
from pipelines.contracts.ids import key64
from pipelines.contracts.yaml_model import StrictModel, load_yaml_model

WORDS = Path(__file__).parent / "words"
LANGUAGES = {"en": WORDS / "english.yaml", "zh": WORDS / "chinese.yaml"}
MAX_DRAWS_PER_PAIR = 50
"""Draws after which words are held to be too few for the pairs that are wanted."""

_CONTRAST = re.compile(r"\[([^\]|]*)\|([^\]|]*)\]")
_SLOT = re.compile(r"\{([a-z_]+)(\d+)\.([a-z]+)\}")


class WordList(StrictModel):
    """Words with their forms; a row holds one word's, in the order of `forms`.

    A row with one form may hold spaces.
    """

    forms: tuple[str, ...] = Field(min_length=1)
    rows: tuple[str, ...] = Field(min_length=1)


class Phenomenon(StrictModel):
    """A point of grammar and the sentences that show it."""

    says: str
    templates: tuple[str, ...] = Field(min_length=1)
    mirrored: bool = True
    """Whether good and bad sentences of a draw hold the same words, each as often."""


class Grammar(StrictModel):
    """The words and phenomena of a language."""

    language: str
    words: dict[str, WordList]
    phenomena: dict[str, Phenomenon]


@dataclass(frozen=True)
class MinimalPair:
    """Two sentences.

    Attributes:
        phenomenon: what they differ in.
        pair_id: phenomenon, draw and template.
        draw: phenomenon and draw; pairs of one draw share their words.
        good: the grammatical one.
        bad: the other.
    """

    phenomenon: str
    pair_id: str
    draw: str
    good: str
    bad: str


def load_grammar(language: str) -> Grammar:
    """Read the templates of a language: `en` or `zh`.

    Raises:
        ConfigError: if there are none.
    """
    if language not in LANGUAGES:
        raise ConfigError(message("minimal pairs", "no such language", language, ", ".join(LANGUAGES)))
    return load_yaml_model(str(LANGUAGES[language]), Grammar)


def minimal_pairs(grammar: Grammar, per_phenomenon: int, seed: int = 0) -> list[MinimalPair]:
    """Make pairs, by hash alone: the same grammar and seed give the same pairs, and more begin with fewer.

    Args:
        grammar: words and templates.
        per_phenomenon: draws of words are made until there are so many different pairs of each; the last
            draw is kept whole, so that mirrored sentences stay balanced.
        seed: salt of the hashes.

    Returns:
        Pairs, phenomenon by phenomenon.

    Raises:
        ConfigError: if a template names no word, shows no contrast, or the words are too few.
    """
    return [pair for name in grammar.phenomena for pair in _pairs(grammar, name, per_phenomenon, seed)]


def pair_items(language: str, per_phenomenon: int, seed: int = 0) -> list[TextItem]:
    """Make the pairs of a language as items of the task `pairs_LANGUAGE`; parts are the phenomena, components the draws of words."""
    pairs = minimal_pairs(load_grammar(language), per_phenomenon, seed)
    return [
        TextItem(
            f"{PAIRS_PREFIX}{language}",
            pair.pair_id,
            pair.draw,
            pair.phenomenon,
            "",
            (pair.good, pair.bad),
            0,
            separator="",
        )
        for pair in pairs
    ]


def _pairs(grammar: Grammar, name: str, wanted: int, seed: int) -> list[MinimalPair]:
    """Make the pairs of one phenomenon; a draw that gives a pair again is left out."""
    found: list[MinimalPair] = []
    seen: set[tuple[str, str]] = set()
    for draw in range(wanted * MAX_DRAWS_PER_PAIR):
        if len(found) >= wanted:
            return found
        drawn: dict[str, dict[str, str]] = {}
        made = []
        for index, template in enumerate(grammar.phenomena[name].templates):
            good, bad = (_CONTRAST.sub(rf"\{side}", template) for side in (1, 2))
            good, bad = (_fill(grammar, name, text, f"{seed}\0{name}\0{draw}", drawn) for text in (good, bad))
            if good == bad:
                raise ConfigError(message(f"template of {name}", "no contrast", template, "[good|bad]"))
            made.append(MinimalPair(name, f"{name}:{draw}:{index}", f"{name}:{draw}", good, bad))
        if not seen & {(pair.good, pair.bad) for pair in made}:
            seen |= {(pair.good, pair.bad) for pair in made}
            found += made
    raise ConfigError(message(f"words of {name}", "too few for the pairs wanted", f"{len(found)} pairs", f"{wanted}"))


def _fill(grammar: Grammar, name: str, text: str, key: str, drawn: dict[str, dict[str, str]]) -> str:
    """Put words into the slots of a sentence; `drawn` holds those of the draw so far."""

    def word(slot: re.Match[str]) -> str:
        kind, number, form = slot.groups()
        if kind not in grammar.words or form not in grammar.words[kind].forms:
            expected = ", ".join(f"{k}.{f}" for k, words in grammar.words.items() for f in words.forms)
            raise ConfigError(message(f"template of {name}", "no such word", slot.group(), expected))
        if kind + number not in drawn:
            taken = [forms for other, forms in drawn.items() if other.rstrip("0123456789") == kind]
            drawn[kind + number] = _draw(grammar.words[kind], f"{key}\0{kind}{number}", taken)
        return drawn[kind + number][form]

    return _SLOT.sub(word, text)


def _draw(words: WordList, key: str, taken: list[dict[str, str]]) -> dict[str, str]:
    """Choose a word by hash that shares no form with those taken."""
    used = {form for forms in taken for form in forms.values()}
    rows = [row.split(" ") if len(words.forms) > 1 else [row] for row in words.rows]
    free = [row for row in rows if not used & set(row)]
    if not free:
        raise ConfigError(message("words", "too few for a sentence", f"{len(rows)} words", "one that is not used yet"))
    return dict(zip(words.forms, free[key64(key) % len(free)], strict=True))
