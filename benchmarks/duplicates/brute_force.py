"""All pairs of documents with their exact Jaccard similarity: the truth that the search is measured against.

Nothing here knows the kernels: shingles are strings that Python's `re` cuts, numbered by a dict, and common
shingles are counted by a product of sparse matrices.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from pipelines.contracts.recipe import Near

_ROWS_PER_BLOCK = 512
_WORD = re.compile(r"\w+")


def shingle_set(text: str, near: Near) -> frozenset[str]:
    """Return the distinct shingles of a text; none if it is shorter than one (then only exact copies count)."""
    words = _WORD.findall(text.lower())
    return frozenset(" ".join(words[i : i + near.ngram]) for i in range(len(words) - near.ngram + 1))


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
