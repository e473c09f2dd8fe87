"""Bad-word lists of the user: words and phrases, counted in texts of their language.

Words are those of `pipelines.kernels.ngrams`: an entry matches whole words, whatever their case, and in
scripts without spaces any place.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from pipelines.contracts.errors import ConfigError, message
from pipelines.kernels.ngrams import NgramIndex, count_words, find_ngrams, make_index, ngram_keys
from pipelines.ops.list_files import read_list

ANY_LANGUAGE = "any"
_MAX_WORDS = 20


@functools.cache
def load_phrases(paths: tuple[str, ...]) -> NgramIndex:
    """Index the entries of list files, once per process.

    Raises:
        ConfigError: from `read_list`, or for an entry without words or with more than 20.
    """
    entries = [entry for path in paths for entry in read_list(path)]
    sizes = count_words(pa.array(entries))
    for entry, size in zip(entries, sizes.tolist(), strict=True):
        if not 1 <= size <= _MAX_WORDS:
            where = f"lists.bad_words: {', '.join(paths)}"
            raise ConfigError(message(where, "entry cannot match", repr(entry), f"1 to {_MAX_WORDS} words"))
    lengths = tuple(int(n) for n in np.unique(sizes))
    keys = [ngram_keys(pa.array([e for e, s in zip(entries, sizes, strict=True) if s == n]), n)[0] for n in lengths]
    return make_index(np.concatenate(keys), lengths)


def count_bad_words(
    text: pa.Array, lang: pa.Array, lists: Mapping[str, tuple[str, ...]]
) -> tuple[np.ndarray, np.ndarray]:
    """Count listed words and phrases.

    Args:
        text: [rows] texts.
        lang: [rows] their languages.
        lists: list files by language; those of `any` are for all.

    Returns:
        (occurrences, occurrences per word), float64 [rows].
    """
    languages = np.array(lang.to_pylist(), dtype=object)
    found = np.zeros(len(text))
    for language, paths in lists.items():
        rows = np.arange(len(text)) if language == ANY_LANGUAGE else np.flatnonzero(languages == language)
        if len(rows):
            hits = find_ngrams(text.take(pa.array(rows)), load_phrases(paths))
            found[rows] += np.bincount(hits.row, minlength=len(rows))
    return found, found / np.maximum(count_words(text), 1)
