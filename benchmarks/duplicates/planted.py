"""Planted near-duplicates in seven scripts: pairs whose exact Jaccard similarity is known from how they were made.

A document is a row of distinct words without meaning, made of the letters of its script. Its copy has 1 to 20 % of
the words replaced, in one run or in several, by words that nothing else has. So the shingles that touch no edit are
common, the others are not, and counting places gives the similarity.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.duplicates.brute_force import units
from pipelines.contracts.dedup import Near

_HANGUL, _HAN = 0xAC00, 0x4E00
SYLLABLES: dict[str, list[str]] = {
    "Latin": [c + v for c in "bdfgklmnprstvz" for v in ("a", "e", "i", "o", "u", "é", "ö")],
    "Cyrillic": [c + v for c in "бвгдзклмнпрстш" for v in "аеиоуыя"],
    "Arabic": [c + v for c in "بتجحدرسشعفقكلمنه" for v in ("ا", "و", "ي", "")],
    "Devanagari": [c + v for c in "कखगचजटडतदनपबमरलवसह" for v in ("ा", "ि", "े", "ो", "")],
    "Thai": [c + v for c in "กขคจชดตทนบปพมยรลวสห" for v in ("า", "ี", "ุ", "ะ", "ำ")],
    "Hangul": [chr(_HANGUL + 28 * i) for i in range(399)],
    "Han": [chr(_HAN + 5 * i) for i in range(3000)],
}
UNSPACED = ("Han", "Thai")
_WORDS_PER_DOCUMENT = (60, 400)
_SHARES = (0.01, 0.02, 0.05, 0.1, 0.2)


@dataclass(frozen=True)
class PlantedPair:
    """A document and its edited copy.

    Attributes:
        script: name of the script, a key of SYLLABLES.
        share: share of the words that was replaced.
        original: text of the document.
        edited: text of the copy.
        similarity: their exact Jaccard similarity.
    """

    script: str
    share: float
    original: str
    edited: str
    similarity: float


def planted_pairs(script: str, count: int, near: Near, seed: int = 0) -> Iterator[PlantedPair]:
    """Make pairs of one script; the shares of replaced words take turns."""
    rng = random.Random(f"{script} {seed}")
    lexicon = _lexicon(script, rng)
    for number in range(count):
        yield _pair(script, _SHARES[number % len(_SHARES)], lexicon, near, rng)


def _lexicon(script: str, rng: random.Random) -> list[str]:
    """Return 6,000 distinct words of one or two (Han), or two to four syllables."""
    syllables, lengths = SYLLABLES[script], (1, 2) if script == "Han" else (2, 3, 4)
    words: dict[str, None] = {}
    while len(words) < 6000:
        words["".join(rng.choices(syllables, k=rng.choice(lengths)))] = None
    return list(words)


def _pair(script: str, share: float, lexicon: list[str], near: Near, rng: random.Random) -> PlantedPair:
    """Draw pairs until their shingles are all distinct, so that the similarity is what the edits say."""
    while True:
        count = rng.randint(*_WORDS_PER_DOCUMENT)
        edits = max(1, round(share * count))
        words = rng.sample(lexicon, count + 3 * edits + 20)
        original, spare = words[:count], words[count:]
        replaced = _positions(count, edits, rng)
        edited = [_other_word(word, spare) if i in replaced else word for i, word in enumerate(original)]
        similarity = _similarity_of(original, edited, near)
        if similarity is not None:
            return PlantedPair(script, share, _text(original, script), _text(edited, script), similarity)


def _other_word(word: str, spare: list[str]) -> str:
    """Take a spare word that begins and ends unlike another (else a character would seem to be left as it was)."""
    return spare.pop(next(i for i, new in enumerate(spare) if new[0] != word[0] and new[-1] != word[-1]))


def _positions(count: int, edits: int, rng: random.Random) -> set[int]:
    """Choose the words to replace: in a few runs (a new sentence), or every one on its own (other names)."""
    runs = rng.choice([1, 2, 3, edits])
    chosen: set[int] = set()
    while len(chosen) < edits:
        start = rng.randrange(count)
        chosen.update(range(start, min(count, start + max(1, edits // runs), start + edits - len(chosen))))
    return chosen


def _text(words: list[str], script: str) -> str:
    """Write words as the script does, with a full stop after every dozen."""
    space, stop = ("", "。" if script == "Han" else " ") if script in UNSPACED else (" ", ". ")
    return stop.join(space.join(words[i : i + 12]) for i in range(0, len(words), 12))


def _similarity_of(original: list[str], edited: list[str], near: Near) -> float | None:
    """Count the common shingles from the places of the edits; None if some shingle is there twice by chance."""
    touched = [old != new for old, new in zip(original, edited, strict=True)]
    own, other = _shingles(original, touched, near), _shingles(edited, touched, near)
    common = {shingle for shingle, is_touched in own if not is_touched}
    distinct, theirs = {shingle for shingle, _ in own}, {shingle for shingle, _ in other}
    if len(distinct) < len(own) or len(theirs) < len(other) or distinct & theirs != common:
        return None
    return len(common) / (len(own) + len(other) - len(common))


def _shingles(words: list[str], touched: list[bool], near: Near) -> list[tuple[str, bool]]:
    """Return the shingles of a row of words, each with whether it touches an edit."""
    cut = [(*unit, edit) for word, edit in zip(words, touched, strict=True) for unit in units(word, near.unit)]
    found = []
    for start in range(len(cut)):
        weight, end = 0, start
        while weight < 2 * near.ngram and end < len(cut):
            weight += cut[end][1]
            end += 1
        if weight >= 2 * near.ngram:
            run = cut[start:end]
            found.append((" ".join(unit for unit, _, _ in run), any(edit for _, _, edit in run)))
    return found
