"""Features of the blocks of a page: what they hold, where they lie, and what lies around them."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit, uint64

from pipelines.kernels.compile import KERNEL
from pipelines.kernels.html_scan import E_DEPTH, E_PARENT, E_TAG
from pipelines.kernels.html_statistics import (
    S_BOLD,
    S_BREAKS,
    S_CHARS,
    S_CODE,
    S_COMMAS,
    S_DIGITS,
    S_ENDS_COLON,
    S_ENDS_TERMINAL,
    S_HIDDEN,
    S_LINK,
    S_LINKS,
    S_SENTENCES,
    S_STARTS_UPPER,
    S_SYMBOLS,
    S_UPPER,
    S_WORDS,
)
from pipelines.kernels.html_tags import CODE_OF, HINTS

A_CHARS, A_LINK, A_P_CHARS, A_SENTENCES, A_COMMAS, A_BLOCKS, A_SCORE = range(7)  # per element, over its subtree

_P, _LI, _TD, _PRE_TAG = CODE_OF["p"], CODE_OF["li"], CODE_OF["td"], CODE_OF["pre"]
_ANCESTOR_NAMES: Final = (
    *("nav", "header", "footer", "aside", "article", "main", "section", "form", "table", "ul", "ol", "figure"),
    *("blockquote", "dl", "figcaption"),
)
_ANCESTORS: Final = np.array([CODE_OF[name] for name in _ANCESTOR_NAMES], dtype=np.int32)
_BLOCK_NAMES: Final = (
    *("p", "li", "h1", "h2", "h3", "h4", "h5", "h6", "td", "th", "div", "pre", "blockquote", "figcaption", "dt", "dd"),
    *("section", "article"),
)
_BLOCK_TAGS: Final = np.array([CODE_OF[name] for name in _BLOCK_NAMES], dtype=np.int32)


@njit(**KERNEL)
def element_sums(elements: np.ndarray, blocks: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Sum over subtrees, and score every element by the running text that its children hold.

    The score is that of Readability (arc90, 2010): paragraphs count for their parent and half for their grandparent.

    Returns:
        float64 [elements, 7]; see `A_CHARS` and the names after it.
    """
    sums = np.zeros((elements.shape[0], 7))
    for b in range(blocks.shape[0]):
        e, row = blocks[b], counts[b]
        sums[e, A_CHARS] += row[S_CHARS]
        sums[e, A_LINK] += row[S_LINK]
        sums[e, A_SENTENCES] += row[S_SENTENCES]
        sums[e, A_COMMAS] += row[S_COMMAS]
        sums[e, A_BLOCKS] += 1
        if elements[e, E_TAG] == _P:
            sums[e, A_P_CHARS] += row[S_CHARS]
        running = row[S_CHARS] - row[S_LINK]
        if running >= 25:
            score = 1.0 + row[S_COMMAS] + min(running / 100.0, 3.0)
            parent = elements[e, E_PARENT] if elements[e, E_TAG] == _P else e
            sums[parent, A_SCORE] += score
            sums[elements[parent, E_PARENT], A_SCORE] += score / 2
    for e in range(elements.shape[0] - 1, 0, -1):
        parent = elements[e, E_PARENT]
        for column in range(A_SCORE):
            sums[parent, column] += sums[e, column]
    return sums


@njit(**KERNEL)
def _best_element(sums: np.ndarray) -> int:
    best, top = 0, -1.0
    for e in range(sums.shape[0]):
        score = sums[e, A_SCORE] * (1.0 - sums[e, A_LINK] / max(sums[e, A_CHARS], 1.0))
        if score > top:
            best, top = e, score
    return best


@njit(**KERNEL)
def _container(element: int, elements: np.ndarray, sums: np.ndarray, ratio: float) -> int:
    """Return the nearest ancestor that holds at least `ratio` times the text of an element."""
    wanted = sums[element, A_CHARS] * ratio
    while element > 0 and sums[element, A_CHARS] < wanted:
        element = elements[element, E_PARENT]
    return element


_AROUND: Final = (-3, -2, -1, 1, 2, 3)
_HINT_COUNT: Final = len(HINTS)
_MAX_LEVELS: Final = 64  # of ancestors that are looked at: hostile pages nest hundreds
FEATURES: Final[tuple[str, ...]] = (
    *(
        f"own_{name}"
        for name in ("chars", "words", "word_length", "link_frac", "bold_frac", "code_frac", "hidden_frac")
    ),
    *(f"own_{name}" for name in ("upper_frac", "digit_frac", "comma_frac", "sentences", "sentence_frac", "symbols")),
    *(f"own_{name}" for name in ("breaks", "links", "starts_upper", "ends_terminal", "ends_colon", "repeats", "tag")),
    *(f"page_{name}" for name in ("chars", "blocks", "link_frac", "p_frac", "place", "chars_before_frac")),
    "depth",
    "in_best",
    "steps_to_best",
    "best_chars_frac",
    "ancestor_tags",
    *(f"in_{name}" for name in _ANCESTOR_NAMES),
    *(
        f"around{offset:+d}_{name}"
        for offset in _AROUND
        for name in ("chars", "link_frac", "same_parent", "tag", "ends_terminal", "same_tag")
    ),
    *(
        f"container{number}_{name}"
        for number in (1, 2, 3)
        for name in ("chars", "link_frac", "p_frac", "page_frac", "sentences_per_block")
    ),
    *(f"hint_near_{number}" for number in range(_HINT_COUNT)),
    *(f"hint_far_{number}" for number in range(_HINT_COUNT)),
)
_N_FEATURES: Final = len(FEATURES)
_PAGE: Final = FEATURES.index("page_chars")
_DEPTH: Final = FEATURES.index("depth")
_ABOVE: Final = FEATURES.index("in_nav")


@njit(**KERNEL)
def _frac(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


@njit(**KERNEL)
def _own(row: np.ndarray, tag: int, repeats: float, out: np.ndarray) -> None:
    chars = row[S_CHARS]
    out[0] = chars
    out[1] = row[S_WORDS]
    out[2] = _frac(chars, row[S_WORDS])
    out[3] = _frac(row[S_LINK], chars)
    out[4] = _frac(row[S_BOLD], chars)
    out[5] = _frac(row[S_CODE], chars)
    out[6] = _frac(row[S_HIDDEN], chars)
    out[7] = _frac(row[S_UPPER], chars)
    out[8] = _frac(row[S_DIGITS], chars)
    out[9] = _frac(row[S_COMMAS], chars)
    out[10] = row[S_SENTENCES]
    out[11] = _frac(row[S_SENTENCES], chars)
    out[12] = row[S_SYMBOLS]
    out[13] = row[S_BREAKS]
    out[14] = row[S_LINKS]
    out[15] = row[S_STARTS_UPPER]
    out[16] = row[S_ENDS_TERMINAL]
    out[17] = row[S_ENDS_COLON]
    out[18] = repeats
    out[19] = tag


@njit(**KERNEL)
def _tag_number(code: int) -> int:
    for k in range(_BLOCK_TAGS.shape[0]):
        if _BLOCK_TAGS[k] == code:
            return k + 1
    return 0


@njit(**KERNEL)
def _ancestry(
    element: int,
    best: int,
    elements: np.ndarray,
    hints: np.ndarray,
    near: np.ndarray,
    far: np.ndarray,
    tags: np.ndarray,
) -> tuple[bool, int]:
    """Walk up from a block: words of class names, tags above, and where the best element is."""
    inside, steps, level = False, 0, 0
    while element > 0 and level < _MAX_LEVELS:
        found = hints[element]
        if found:
            for k in range(_HINT_COUNT):
                if (found >> uint64(k)) & uint64(1):
                    if level < 3:
                        near[k] = max(near[k], 3.0 - level)
                    else:
                        far[k] += 1.0
        for k in range(_ANCESTORS.shape[0]):
            if elements[element, E_TAG] == _ANCESTORS[k]:
                tags[k] += 1.0
        inside = inside or element == best
        steps += not inside
        level += 1
        element = elements[element, E_PARENT]
    return inside, steps


@njit(**KERNEL)
def _repeats(hashes: np.ndarray) -> np.ndarray:
    """Say which texts are there more than once, float64 [blocks]."""
    order = np.argsort(hashes, kind="mergesort")
    repeats = np.zeros(hashes.shape[0])
    for k in range(1, hashes.shape[0]):
        if hashes[order[k]] == hashes[order[k - 1]]:
            repeats[order[k]] = repeats[order[k - 1]] = 1.0
    return repeats


@njit(**KERNEL)
def _neighbour(element: int, other: int, tag: int, counts: np.ndarray, elements: np.ndarray, out: np.ndarray) -> None:
    """What a neighbour, whose element is `other`, holds, and whether it is alike."""
    out[0] = counts[S_CHARS]
    out[1] = _frac(counts[S_LINK], counts[S_CHARS])
    out[2] = elements[other, E_PARENT] == elements[element, E_PARENT]
    out[3] = tag
    out[4] = counts[S_ENDS_TERMINAL]
    out[5] = elements[other, E_TAG] == elements[element, E_TAG]


@njit(**KERNEL)
def _containers(element: int, elements: np.ndarray, sums: np.ndarray, out: np.ndarray) -> None:
    """What the parent holds, and the two next elements that hold half as much again."""
    holder = elements[element, E_PARENT]
    for level in range(3):
        at = 5 * level
        out[at] = sums[holder, A_CHARS]
        out[at + 1] = _frac(sums[holder, A_LINK], sums[holder, A_CHARS])
        out[at + 2] = _frac(sums[holder, A_P_CHARS], sums[holder, A_CHARS])
        out[at + 3] = _frac(sums[holder, A_CHARS], sums[0, A_CHARS])
        out[at + 4] = _frac(sums[holder, A_SENTENCES], sums[holder, A_BLOCKS])
        holder = _container(elements[holder, E_PARENT], elements, sums, 1.5) if holder > 0 else 0


@njit(**KERNEL)
def features(
    elements: np.ndarray, hints: np.ndarray, blocks: np.ndarray, counts: np.ndarray, hashes: np.ndarray
) -> np.ndarray:
    """Compute the features of all blocks of a page.

    Args:
        elements: int32 [elements, 5] of `html_scan.scan`.
        hints: uint64 [elements].
        blocks: int32 [blocks].
        counts: float64 [blocks, 16].
        hashes: uint64 [blocks].

    Returns:
        float64 [blocks, FEATURES].
    """
    n = blocks.shape[0]
    out = np.zeros((n, _N_FEATURES))
    sums = element_sums(elements, blocks, counts)
    best, repeats = _best_element(sums), _repeats(hashes)
    total, before = sums[0, A_CHARS], 0.0
    page = np.array([total, n, _frac(sums[0, A_LINK], total), _frac(sums[0, A_P_CHARS], total)])
    far = _N_FEATURES - _HINT_COUNT
    near = far - _HINT_COUNT
    containers = near - 15
    for b in range(n):
        e, row = blocks[b], out[b]
        _own(counts[b], _tag_number(elements[e, E_TAG]), repeats[b], row)
        row[_PAGE : _PAGE + 4] = page
        row[_PAGE + 4] = b / n
        row[_PAGE + 5] = _frac(before, total)
        before += counts[b, S_CHARS]
        tags = row[_ABOVE : _ABOVE + _ANCESTORS.shape[0]]
        inside, steps = _ancestry(e, best, elements, hints, row[near:far], row[far:], tags)
        row[_DEPTH] = elements[e, E_DEPTH]
        row[_DEPTH + 1] = inside
        row[_DEPTH + 2] = steps
        row[_DEPTH + 3] = _frac(sums[best, A_CHARS], total)
        row[_DEPTH + 4] = tags.sum()
        at = _ABOVE + _ANCESTORS.shape[0]
        for offset in _AROUND:
            other = b + offset
            if other >= 0 and other < n:
                tag = _tag_number(elements[blocks[other], E_TAG])
                _neighbour(e, blocks[other], tag, counts[other], elements, row[at : at + 6])
            else:
                row[at] = -1.0
            at += 6
        _containers(e, elements, sums, row[containers:near])
    return out
