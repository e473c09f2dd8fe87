"""Features of the blocks of a page: what they hold, where they lie, and what lies around them.

Nothing depends on a language: no words are looked up in the text, and East Asian characters, which carry about
twice as much, count twice.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit, uint64

from pipelines.kernels.compile import KERNEL
from pipelines.kernels.html_scan import E_DEPTH, E_PARENT, E_STATE, E_TAG, R_BEGIN, R_BLOCK, R_ELEMENT, R_END
from pipelines.kernels.html_tags import BOLD, CODE, CODE_OF, HIDDEN, HINTS, LINK, PRE

# Statistics per block.
(
    S_CHARS,
    S_WORDS,
    S_LINK,
    S_BOLD,
    S_CODE,
    S_HIDDEN,
    S_UPPER,
    S_DIGITS,
    S_COMMAS,
    S_SENTENCES,
    S_SYMBOLS,
    S_BREAKS,
    S_LINKS,
    S_STARTS_UPPER,
    S_ENDS_TERMINAL,
    S_ENDS_COLON,
) = range(16)
_N_STATISTICS: Final = 16
A_CHARS, A_LINK, A_P_CHARS, A_SENTENCES, A_COMMAS, A_BLOCKS, A_SCORE = range(7)  # per element, over its subtree

_P, _LI, _TD, _PRE_TAG = CODE_OF["p"], CODE_OF["li"], CODE_OF["td"], CODE_OF["pre"]
_ANCESTORS: Final = np.array(
    [
        CODE_OF[name]
        for name in [
            "nav",
            "header",
            "footer",
            "aside",
            "article",
            "main",
            "section",
            "form",
            "table",
            "ul",
            "ol",
            "figure",
            "blockquote",
            "dl",
            "figcaption",
        ]
    ],
    dtype=np.int32,
)
_BLOCK_TAGS: Final = np.array(
    [
        CODE_OF[name]
        for name in [
            "p",
            "li",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "td",
            "th",
            "div",
            "pre",
            "blockquote",
            "figcaption",
            "dt",
            "dd",
            "section",
            "article",
        ]
    ],
    dtype=np.int32,
)


@njit(**KERNEL)
def _decode(data: np.ndarray, at: int, end: int) -> tuple[int, int]:
    """Return (code point, place after it); an entity is one character."""
    byte = np.int64(data[at])
    if byte == 38:  # "&"
        k = at + 1
        while k < end and k < at + 8:
            if data[k] == 59:
                return (160 if data[at + 1] == 110 else np.int64(data[at + 1])), k + 1
            k += 1
        return byte, at + 1
    if byte < 0x80:
        return byte, at + 1
    if byte < 0xE0:
        return ((byte & 0x1F) << 6) | (np.int64(data[min(at + 1, end - 1)]) & 0x3F), at + 2
    if byte < 0xF0:
        high = ((byte & 0x0F) << 12) | ((np.int64(data[min(at + 1, end - 1)]) & 0x3F) << 6)
        return high | (np.int64(data[min(at + 2, end - 1)]) & 0x3F), at + 3
    return 0x10000, at + 4


@njit(**KERNEL)
def _is_terminal(point: int) -> bool:
    return (
        point == 46 or point == 33 or point == 63 or point == 0x3002 or point == 0xFF01 or point == 0xFF1F
        or point == 0x2026 or point == 0x0964 or point == 0x061F or point == 0x06D4
    )  # fmt: skip


@njit(**KERNEL)
def _is_closing(point: int) -> bool:
    return point == 34 or point == 39 or point == 41 or point == 0x201D or point == 0x2019 or point == 0xBB


@njit(**KERNEL)
def _is_symbol(point: int) -> bool:
    return (
        point == 124 or point == 0xBB or point == 0x203A or point == 0x2022 or point == 0xB7 or point == 0xA9
        or point == 0x2192 or point == 62
    )  # fmt: skip


@njit(**KERNEL)
def block_statistics(
    data: np.ndarray, elements: np.ndarray, runs: np.ndarray, n_blocks: int
) -> tuple[np.ndarray, np.ndarray]:
    """Count what the blocks hold.

    Returns:
        float64 [blocks, 16], and uint64 [blocks] hash of the text (white space left out).
    """
    counts = np.zeros((n_blocks, _N_STATISTICS))
    hashes = np.full(n_blocks, uint64(0xCBF29CE484222325))
    block, in_word, first, last, before, link = -1, False, True, 0, 0, -1
    for r in range(runs.shape[0]):
        if runs[r, R_BLOCK] != block:
            if block >= 0:
                counts[block, S_ENDS_TERMINAL] = _is_terminal(last) or (_is_closing(last) and _is_terminal(before))
                counts[block, S_ENDS_COLON] = last == 58 or last == 0xFF1A
            block, in_word, first, last, before, link = runs[r, R_BLOCK], False, True, 0, 0, -1
        row = counts[block]
        at, end = runs[r, R_BEGIN], runs[r, R_END]
        state = elements[runs[r, R_ELEMENT], E_STATE]
        if at == end:
            row[S_BREAKS] += 1
            in_word = False
        if state & LINK and runs[r, R_ELEMENT] != link:
            link = runs[r, R_ELEMENT]
            row[S_LINKS] += 1
        while at < end:
            point, at = _decode(data, at, end)
            if point == 32 or (point >= 9 and point <= 13) or point == 160:
                in_word = False
                continue
            hashes[block] = (hashes[block] ^ uint64(point)) * uint64(0x100000001B3)
            wide = point >= 0x2E80 and point < 0xFFE0
            weight = 2.0 if wide else 1.0
            row[S_CHARS] += weight
            row[S_WORDS] += 0.5 if wide else (0.0 if in_word else 1.0)
            in_word = not wide
            if state & LINK:
                row[S_LINK] += weight
            if state & BOLD:
                row[S_BOLD] += weight
            if state & (CODE | PRE):
                row[S_CODE] += weight
            if state & HIDDEN:
                row[S_HIDDEN] += weight
            upper = point >= 65 and point <= 90
            row[S_UPPER] += upper
            row[S_DIGITS] += point >= 48 and point <= 57
            row[S_COMMAS] += point == 44 or point == 0x3001 or point == 0xFF0C or point == 0x060C
            row[S_SENTENCES] += _is_terminal(point)
            row[S_SYMBOLS] += _is_symbol(point)
            if first:
                row[S_STARTS_UPPER] = upper
                first = False
            before, last = last, point
    if block >= 0:
        counts[block, S_ENDS_TERMINAL] = _is_terminal(last) or (_is_closing(last) and _is_terminal(before))
        counts[block, S_ENDS_COLON] = last == 58 or last == 0xFF1A
    return counts, hashes


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
    *(
        f"in_{name}"
        for name in [
            "nav",
            "header",
            "footer",
            "aside",
            "article",
            "main",
            "section",
            "form",
            "table",
            "ul",
            "ol",
            "figure",
            "blockquote",
            "dl",
            "figcaption",
        ]
    ),
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
    best = _best_element(sums)
    order = np.argsort(hashes, kind="mergesort")
    repeats = np.zeros(n)
    for k in range(1, n):
        if hashes[order[k]] == hashes[order[k - 1]]:
            repeats[order[k]] = repeats[order[k - 1]] = 1.0
    total, before = sums[0, A_CHARS], 0.0
    for b in range(n):
        e, row = blocks[b], out[b]
        tag = _tag_number(elements[e, E_TAG])
        _own(counts[b], tag, repeats[b], row)
        at = 20
        row[at] = total
        row[at + 1] = n
        row[at + 2] = _frac(sums[0, A_LINK], total)
        row[at + 3] = _frac(sums[0, A_P_CHARS], total)
        row[at + 4] = b / n
        row[at + 5] = _frac(before, total)
        before += counts[b, S_CHARS]
        at += 6
        tags = row[at + 5 : at + 5 + _ANCESTORS.shape[0]]
        far_at = _N_FEATURES - _HINT_COUNT
        inside, steps = _ancestry(e, best, elements, hints, row[far_at - _HINT_COUNT : far_at], row[far_at:], tags)
        row[at] = elements[e, E_DEPTH]
        row[at + 1] = inside
        row[at + 2] = steps
        row[at + 3] = _frac(sums[best, A_CHARS], total)
        row[at + 4] = tags.sum()
        at += 5 + _ANCESTORS.shape[0]
        for offset in _AROUND:
            other = b + offset
            if other >= 0 and other < n:
                o = blocks[other]
                row[at] = counts[other, S_CHARS]
                row[at + 1] = _frac(counts[other, S_LINK], counts[other, S_CHARS])
                row[at + 2] = elements[o, E_PARENT] == elements[e, E_PARENT]
                row[at + 3] = _tag_number(elements[o, E_TAG])
                row[at + 4] = counts[other, S_ENDS_TERMINAL]
                row[at + 5] = elements[o, E_TAG] == elements[e, E_TAG]
            else:
                row[at] = -1.0
            at += 6
        holder = elements[e, E_PARENT]
        for _ in range(3):
            row[at] = sums[holder, A_CHARS]
            row[at + 1] = _frac(sums[holder, A_LINK], sums[holder, A_CHARS])
            row[at + 2] = _frac(sums[holder, A_P_CHARS], sums[holder, A_CHARS])
            row[at + 3] = _frac(sums[holder, A_CHARS], total)
            row[at + 4] = _frac(sums[holder, A_SENTENCES], sums[holder, A_BLOCKS])
            at += 5
            holder = _container(elements[holder, E_PARENT], elements, sums, 1.5) if holder > 0 else 0
    return out
