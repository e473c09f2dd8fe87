"""Blocks of a labelled page -> which of them belong to its true text."""

from __future__ import annotations

import difflib

import numpy as np

from benchmarks.extraction.pages import LabelledPage, tokens
from pipelines.ops.pages.blocks import Page

_LEAST_MATCH = 3  # tokens in a row; shorter matches count only if they are a whole block


def block_labels(page: Page, labelled: LabelledPage) -> tuple[np.ndarray, np.ndarray]:
    """Align the tokens of a page with those of its true text (Ratcliff, Obershelp 1988).

    Returns:
        bool [blocks], true where most tokens of the block are found in order in the truth; and int64 [blocks] tokens.
    """
    words: list[str] = []
    owner: list[int] = []
    keep = np.zeros(len(page.blocks), dtype=bool)
    for block in range(len(page.blocks)):
        keep[:] = False
        keep[block] = True
        found = tokens(page.text(keep))
        words += found
        owner += [block] * len(found)
    size = np.bincount(np.array(owner, dtype=np.int64), minlength=len(page.blocks))
    hits = np.zeros(len(page.blocks))
    matcher = difflib.SequenceMatcher(None, words, tokens(labelled.truth), autojunk=False)
    for at, _, length in matcher.get_matching_blocks():
        for place in range(at, at + length):
            if length >= _LEAST_MATCH or size[owner[place]] <= length:
                hits[owner[place]] += 1
    return hits > 0.5 * np.maximum(size, 1), size
