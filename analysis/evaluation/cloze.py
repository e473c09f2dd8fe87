"""Cloze: the last word of a sentence of held-out text, against the last words of other documents.

A word is what stands between spaces and ends a sentence or a line, letters only. Where no spaces are written (Han,
kana, Thai, Lao, Khmer, Burmese) it is the two characters before the mark that ends the sentence or before the end of
the line: two characters are about a word (decision 24), and no segmenter decides what is asked.

The three others are last words of the same target and script, from documents of other components, of the same length
in bytes or nearest to it; no model chose them. As in LAMBADA (Paperno et al. 2016, arXiv:1606.06031) the context is
given and the word is asked for, but nobody has checked that people can tell it: compare runs with runs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.data import HeldOut
from analysis.evaluation.text_items import TextItem
from analysis.heldout import MAX_DOCUMENT_TOKENS
from pipelines.contracts.ids import key64

TASK = "cloze"
"""Tasks are called `cloze_TARGET`."""
PER_DOCUMENT = 8
DISTRACTORS = 3
MIN_CONTEXT, MAX_CONTEXT = 30, 400
"""Characters before the word; a context starts in the middle of a text, if need be."""

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff"
_SENTENCE_END = r"[.!?…。！？]"
_WORD = re.compile(
    rf"(?<=[^\s] )(?P<word>[^\W\d_{_UNSPACED}]{{2,}})(?={_SENTENCE_END}+[\"'”’)\]]*(?:\s|\Z)|,?\n|\Z)"
    rf"|(?<=[{_UNSPACED}])(?P<pair>[{_UNSPACED}]{{2}})(?={_SENTENCE_END}|\n|\Z)"
)


@dataclass(frozen=True)
class _Place:
    """A word at the end of a sentence."""

    document: int
    start: int
    word: str
    spaced: bool


def cloze_items(heldout: HeldOut, texts: Sequence[str], limit: int, seed: int = 0) -> list[TextItem]:
    """Make questions from the held-out documents of a target, by hash alone: the same set gives the same items.

    Args:
        heldout: the documents.
        texts: their texts.
        limit: items wanted; fewer are made where sentences or components are few.
        seed: salt of the hashes.

    Returns:
        Items of the task `cloze_TARGET`, the right word first, at most `PER_DOCUMENT` of one document.
    """
    places = []
    for index, text in enumerate(texts):
        whole = heldout.offsets[index + 1] - heldout.offsets[index] < MAX_DOCUMENT_TOKENS
        found = _places(index, text if whole else text + "\0")  # a text that was cut does not end where it ends
        places += sorted(found, key=lambda place: _hash(seed, heldout, place))[:PER_DOCUMENT]
    places.sort(key=lambda place: _hash(seed, heldout, place))
    items: list[TextItem] = []
    for place in places:
        if len(items) == limit:
            break
        others = _distractors(heldout, places, place, seed)
        if len(others) == DISTRACTORS:
            items.append(_item(heldout, texts[place.document], place, others))
    return items


def _places(document: int, text: str) -> list[_Place]:
    """Find the last words of sentences with enough text before them."""
    found = []
    for match in _WORD.finditer(text):
        spaced = match["word"] is not None
        if match.start() >= MIN_CONTEXT:
            found.append(_Place(document, match.start(), match.group(), spaced))
    return found


def _distractors(heldout: HeldOut, places: Sequence[_Place], gold: _Place, seed: int) -> list[str]:
    """Choose words of other components, nearest in length, ties by hash."""
    size = len(gold.word.encode("utf-8"))
    salt = heldout.doc_id[gold.document]
    order = sorted(
        (place for place in places if place.spaced == gold.spaced),
        key=lambda place: (
            abs(len(place.word.encode("utf-8")) - size),
            key64(f"{seed}\0{salt}\0{gold.start}\0{place.word}"),
        ),
    )
    used, words = {str(heldout.component[gold.document])}, {gold.word.casefold()}
    chosen: list[str] = []
    for place in order:
        component = str(heldout.component[place.document])
        if component not in used and place.word.casefold() not in words and len(chosen) < DISTRACTORS:
            used.add(component)
            words.add(place.word.casefold())
            chosen.append(place.word)
    return chosen


def _item(heldout: HeldOut, text: str, place: _Place, others: Sequence[str]) -> TextItem:
    """Assemble an item; the space before a word is the separator."""
    task = f"{TASK}_{heldout.target}"
    context = text[max(0, place.start - MAX_CONTEXT) : place.start - place.spaced]
    return TextItem(
        task,
        f"{heldout.doc_id[place.document]}:{place.start}",
        str(heldout.component[place.document]),
        task,
        context,
        (place.word, *others),
        0,
        separator=" " if place.spaced else "",
    )


def _hash(seed: int, heldout: HeldOut, place: _Place) -> int:
    return key64(f"{seed}\0{heldout.doc_id[place.document]}\0{place.start}")
