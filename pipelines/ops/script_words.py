"""Words by script: our own splitter where words stand between spaces, dictionary segmentation elsewhere.

ICU's dictionaries (through icu4py, Unicode's UAX 29 with dictionaries for Chinese, Japanese, Thai, Khmer, Lao and
Burmese) do not need a model file. Punctuation is a word, as in the splitters of the peers; white space is none.
"""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.kernels.quality import quality_statistics, quality_statistics_of_words
from pipelines.kernels.stop_words import distinct_stop_words

SEGMENTED_LANGUAGES = ("zh", "yue", "wuu", "ja", "th", "km", "lo", "my")
"""lid.176 labels of languages that write no spaces between words."""


@functools.cache
def languages() -> dict[str, dict[str, Any]]:
    """Return thresholds and stop words per language (languages.json; see docs/decisions)."""
    return json.loads(resources.files("pipelines.ops").joinpath("languages.json").read_text("utf-8"))


@functools.cache
def stop_words() -> dict[str, list[str]]:
    """Return the stop words per language."""
    return {lang: entry["stop_words"] for lang, entry in languages().items()}


def segment(text: str, lang: str) -> list[str]:
    """Split a text of one of SEGMENTED_LANGUAGES into words with ICU's dictionaries.

    >>> segment("我喜欢自然语言。", "zh")
    ['我', '喜欢', '自然', '语言', '。']
    """
    from icu4py.breakers import WordBreaker

    return [word for piece in WordBreaker(text, lang) if (word := piece.strip())]


def script_statistics(text: pa.Array, lang: pa.Array) -> tuple[pa.RecordBatch, np.ndarray]:
    """Count what the quality rules look at, with words as the script of each text has them.

    Args:
        text: [rows] strings without nulls.
        lang: [rows] lid.176 labels.

    Returns:
        [rows] columns of `pipelines.kernels.quality.COLUMNS`, and [rows] distinct stop words of the language.
    """
    labels = lang.to_pylist()
    segmented = np.array([label in SEGMENTED_LANGUAGES for label in labels], bool)
    rows = [segment(t, label) if s else [] for t, label, s in zip(text.to_pylist(), labels, segmented, strict=True)]
    words = pa.array(rows, pa.list_(pa.string()))
    stops = distinct_stop_words(text, lang, stop_words(), words)
    if not segmented.any():
        return quality_statistics(text), stops
    order = np.concatenate([np.flatnonzero(~segmented), np.flatnonzero(segmented)])
    spaced, dense = pa.array(np.flatnonzero(~segmented)), pa.array(np.flatnonzero(segmented))
    parts = [quality_statistics(text.take(spaced)), quality_statistics_of_words(text.take(dense), words.take(dense))]
    joined = pa.Table.from_batches(parts).take(pa.array(np.argsort(order))).combine_chunks()
    return joined.to_batches()[0], stops
