"""All pairs of documents with their exact Jaccard similarity: the truth that the search is measured against.

Nothing here knows the kernels: shingles are strings that Python's `re` cuts by the names of Unicode's characters,
numbered by a dict, and common shingles are counted by a product of sparse matrices.
"""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from pipelines.contracts.dedup import Near

_ROWS_PER_BLOCK = 512
_UNSPACED = re.compile(
    "CJK (UNIFIED|COMPAT)|(HALFWIDTH )?KATAKANA|HIRAGANA|BOPOMOFO|IDEOGRAPHIC (?!TALLY)|OLD CHINESE|VERTICAL IDEO|HANGZHOU|MASU"
    "|HENTAIGANA|THAI|LAO|MYANMAR|KHMER|(NEW )?TAI |JAVANESE|BALINESE|TANGUT|NUSHU|KHITAN"
)
"""Names of the characters of scripts that write no spaces between words."""
_TANGUT = range(0x17000, 0x187F8)  # they have no names in Python


@functools.cache
def _unit_pattern(unit: str) -> re.Pattern[str]:
    """Return the expression of one unit of a lower-cased text; its first group is a character that is one alone."""
    if unit == "words":
        return re.compile(r"()\w+")
    every = range(sys.maxunicode + 1)
    marks = _character_class([p for p in every if unicodedata.category(chr(p))[0] == "M" or p in (0x200C, 0x200D)])
    alone = r"\w"
    if unit == "auto":
        named = [p for p in every if _UNSPACED.match(unicodedata.name(chr(p), "")) or p in _TANGUT]
        alone = _character_class([p for p in named if chr(p).isalnum()])
    return re.compile(rf"([{alone}])[{marks}]*|(?![{alone}])\w(?:(?![{alone}])[\w{marks}])*")


def _character_class(points: list[int]) -> str:
    """Return the inside of a character class with some code points, as ranges (`re` is slow without)."""
    text, start = "", 0
    for i, point in enumerate(points):
        if i + 1 == len(points) or points[i + 1] != point + 1:
            text += f"{chr(points[start])}-{chr(point)}"
            start = i + 1
    return text


def units(text: str, unit: str) -> list[tuple[str, int]]:
    """Cut a text into the units of shingles, each with its weight: 1 for a character, 2 for a word."""
    return [(found[0], 1 if found[1] else 2) for found in _unit_pattern(unit).finditer(text.lower())]


def shingle_set(text: str, near: Near) -> frozenset[str]:
    """Return the distinct shingles of a text; none if it is shorter than one (then only exact copies count).

    A shingle is the shortest run of units that counts `ngram` words, two characters as one word; with the unit
    `characters`, it is `ngram` characters.
    """
    cut = units(text, near.unit)
    needed = near.ngram * (1 if near.unit == "characters" else 2)
    ends = np.cumsum([weight for _, weight in cut]) if cut else np.zeros(0, np.int64)
    starts = np.concatenate([[0], ends[:-1]]) if cut else ends
    last = np.searchsorted(ends, starts + needed).tolist()
    names = [name for name, _ in cut]
    return frozenset(" ".join(names[i : end + 1]) for i, end in enumerate(last) if end < len(cut))


def jaccard(a: AbstractSet[str], b: AbstractSet[str]) -> float:
    """Return |A & B| / |A | B|, 0 where both are empty."""
    return len(a & b) / len(a | b) if a or b else 0.0


@dataclass(frozen=True)
class Pairs:
    """Unordered pairs of documents.

    Attributes:
        left: int64 `[pairs]`, the lesser document.
        right: int64 `[pairs]`.
        similarity: float64 `[pairs]`, exact Jaccard similarity.
    """

    left: np.ndarray
    right: np.ndarray
    similarity: np.ndarray

    def __len__(self) -> int:
        return len(self.left)

    def keep(self, mask: np.ndarray) -> Pairs:
        """Return the pairs for which a bool `[pairs]` is true."""
        return Pairs(self.left[mask], self.right[mask], self.similarity[mask])


def similar_pairs(sets: Sequence[AbstractSet[str]], least: float = 0.3) -> Pairs:
    """Find all pairs with a Jaccard similarity of at least `least` > 0 by comparing everything.

    Args:
        sets: `[documents]` shingle sets; an empty one is like nothing.
        least: least similarity.

    Returns:
        Pairs, sorted by (left, right).
    """
    sizes = np.array([len(each) for each in sets], np.int64)
    matrix = _membership(sets)
    transposed = matrix.T.tocsr()
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for start in range(0, len(sets), _ROWS_PER_BLOCK):
        common = (matrix[start : start + _ROWS_PER_BLOCK] @ transposed).tocoo()
        left, right = common.row.astype(np.int64) + start, common.col.astype(np.int64)
        similarity = common.data / (sizes[left] + sizes[right] - common.data)
        wanted = (left < right) & (similarity >= least)
        found.append((left[wanted], right[wanted], similarity[wanted]))
    left, right, similarity = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.lexsort((right, left))
    return Pairs(left[order], right[order], similarity[order])


def _membership(sets: Sequence[AbstractSet[str]]) -> csr_matrix:
    """Return the int32 matrix `[documents, shingles]` with a one for each shingle of a document."""
    numbers: dict[str, int] = {}
    columns = [numbers.setdefault(shingle, len(numbers)) for each in sets for shingle in each]
    starts = np.concatenate([[0], np.cumsum([len(each) for each in sets])])
    shape = (len(sets), max(len(numbers), 1))
    return csr_matrix((np.ones(len(columns), np.int32), np.array(columns, np.int64), starts), shape=shape)
