"""The blocks of a page and which of them are its content.

A page is parsed once by an HTML5 parser (lexbor, through resiliparse) and written out again; kernels cut what it
wrote into blocks, measure them, and two sums of small trees decide: the first sees a block and what lies around it,
the second also what the first thinks of its neighbours. Trained by `python -m benchmarks.extraction.train`.
"""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.kernels.html_attributes import ATTRIBUTE_WORDS
from pipelines.kernels.html_context import close_gaps, context, uncertainty
from pipelines.kernels.html_features import features
from pipelines.kernels.html_render import render
from pipelines.kernels.html_scan import scan
from pipelines.kernels.html_statistics import S_CHARS, S_LINK, block_statistics
from pipelines.kernels.html_tags import CLASSES, HINT_FOUND, HINT_STEPS, TAG_TABLE
from pipelines.kernels.trees import Forest

MODEL_FILE = Path(__file__).with_name("block_model.json")


@dataclass(frozen=True)
class Page:
    """A page cut into blocks; see `html_scan.scan` for the arrays.

    Attributes:
        data: uint8 [bytes], the page as its parser wrote it out.
        elements: int32 [elements, 5].
        hints: uint64 [elements].
        runs: int32 [runs, 4].
        blocks: int32 [blocks].
        counts: float64 [blocks, statistics].
        hashes: uint64 [blocks] of the texts.
    """

    data: np.ndarray
    elements: np.ndarray
    hints: np.ndarray
    runs: np.ndarray
    blocks: np.ndarray
    counts: np.ndarray
    hashes: np.ndarray

    @property
    def chars(self) -> np.ndarray:
        """Characters of the blocks, float64 [blocks]; East Asian ones count twice."""
        return self.counts[:, S_CHARS]

    @property
    def running_chars(self) -> np.ndarray:
        """Characters outside of links, float64 [blocks]."""
        return self.counts[:, S_CHARS] - self.counts[:, S_LINK]

    def features(self) -> np.ndarray:
        """What the first model sees, float64 [blocks, features]."""
        return features(self.elements, self.hints, self.blocks, self.counts, self.hashes)

    def text(self, keep: np.ndarray, *, markdown: bool = False) -> str:
        """Write the blocks that are kept (bool [blocks])."""
        written = render(self.data, self.elements, self.runs, self.blocks, self.chars, keep, markdown)
        return written.tobytes().decode("utf-8", "replace")


@dataclass(frozen=True)
class BlockModel:
    """Which blocks are content.

    Attributes:
        first: trees over the features of a block.
        second: trees over these and over the context that the first gives.
        threshold: least score of a block that is kept.
        unsure: uncertainty of a page from which on a second opinion is asked.
    """

    first: Forest
    second: Forest
    threshold: float
    unsure: float

    def scores(self, page: Page) -> np.ndarray:
        """Score the blocks of a page, float64 [blocks]; greater is more likely content."""
        seen = page.features()
        around = context(self.first.score(seen), np.ascontiguousarray(page.chars))
        return self.second.score(np.concatenate([seen, around], axis=1))

    def keep(self, page: Page, scores: np.ndarray) -> np.ndarray:
        """Say which blocks are content, bool [blocks]."""
        return close_gaps(page.elements, page.blocks, scores >= self.threshold)

    def uncertainty(self, page: Page, scores: np.ndarray) -> float:
        """How unsure the model is of a page, from 0 to 1."""
        return float(uncertainty(scores, np.ascontiguousarray(page.chars)))


def cut_page(written: str) -> Page:
    """Cut a page into blocks; `written` is what `str(HTMLTree)` gives."""
    data = np.frombuffer(written.encode("utf-8", "replace"), np.uint8)
    elements, hints, runs, blocks = scan(data, TAG_TABLE, CLASSES, HINT_STEPS, HINT_FOUND, ATTRIBUTE_WORDS)
    counts, hashes = block_statistics(data, elements, runs, len(blocks))
    return Page(data, elements, hints, runs, blocks, counts, hashes)


@functools.cache
def block_model() -> BlockModel:
    """Load the model that comes with the package."""
    read = json.loads(MODEL_FILE.read_bytes())
    forests = [
        Forest(**{name: np.array(read[stage][name], kind) for name, kind in _KINDS.items()}) for stage in _STAGES
    ]
    return BlockModel(*forests, read["threshold"], read["unsure"])


@functools.cache
def model_digest() -> str:
    """Hash the model's file; the hash enters the fingerprint of extraction, so that a new model extracts anew."""
    return hashlib.sha256(MODEL_FILE.read_bytes()).hexdigest()[:16]


_STAGES = ("first", "second")
_KINDS = {
    "roots": np.int32,
    "feature": np.int32,
    "threshold": np.float64,
    "left": np.int32,
    "right": np.int32,
    "leaves": np.float64,
}
