"""Language identification: fastText models as a kernel over Arrow strings.

Labels equal fastText's, probabilities to 2e-5.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from numba import njit

from pipelines.kernels.arrow_strings import string_buffers
from pipelines.kernels.compile import KERNEL, read_only
from pipelines.kernels.language_model import LABEL_PREFIX, FastTextModel, load_model
from pipelines.kernels.language_output import best_label, make_scratch, output_arrays
from pipelines.kernels.language_words import make_cache, text_vector, word_arrays

UNKNOWN: Final = "und"


@njit(**KERNEL)
def _predict(
    data: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    longest: int,
    words: tuple,
    cache: tuple,
    output: tuple,
    scratch: tuple,
    found: np.ndarray,
    probability: np.ndarray,
) -> None:
    """Identify every text; label -1 where nothing is known."""
    dim, word_ngrams = words[0].shape[1], words[9]
    hidden = np.zeros(dim, np.float32)
    of_word = (np.zeros(dim, np.float32), np.empty(longest + 2, np.uint8))
    hashes = np.empty(longest // 2 + 3 if word_ngrams > 1 else 1, np.int64)
    for text in range(starts.shape[0]):
        known = text_vector(data, starts[text], ends[text], words, cache, of_word, hashes, hidden)
        found[text], probability[text] = -1, 0
        if known > 0:
            label, score = best_label(hidden, output, scratch)
            found[text], probability[text] = label, np.float32(score)


class LanguageIdentifier:
    """A loaded model and its cache of word vectors; make one per process and keep it.

    Args:
        model: the model.
        cache_rows: rows of the cache, a power of two (20 bytes and the vector each); by default what fits in 48 MB.
    """

    def __init__(self, model: FastTextModel, cache_rows: int | None = None) -> None:
        self.labels = pa.array([*model.labels, UNKNOWN], pa.string())
        self._words = word_arrays(model)
        self._cache = make_cache(model, cache_rows)
        self._output, self._scratch = output_arrays(model), make_scratch(model)

    @classmethod
    def load(cls, path: str | Path | None = None, prefix: str = LABEL_PREFIX) -> LanguageIdentifier:
        """Load a model file; lid.176.ftz by default.

        Raises:
            ConfigError: if the file is not a readable model.
        """
        return cls(load_model(path, prefix))

    def predict(self, text: pa.Array) -> tuple[pa.Array, np.ndarray]:
        """Identify the language of every text.

        Line ends count as spaces; fastText itself refuses them.

        Args:
            text: [rows] strings without nulls.

        Returns:
            (labels [rows] string, "und" for a text in which nothing is known: no word of the dictionary and no
            n-gram of characters that the model has a row for; probabilities [rows] float32, then 0).
        """
        buffers = string_buffers(text)
        found, probability = self.predict_spans(buffers.data, buffers.offsets[:-1], buffers.offsets[1:])
        return self.labels.take(pa.array(np.where(found < 0, len(self.labels) - 1, found))), probability

    def predict_spans(self, data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Identify the language of stretches of text.

        Args:
            data: bytes as of `string_buffers`.
            starts: [spans] int64 first byte of each.
            ends: [spans] int64 byte after its last.

        Returns:
            (numbers of labels [spans] int64, -1 where nothing is known; probabilities [spans] float32).
        """
        starts, ends = read_only(starts, np.int64), read_only(ends, np.int64)
        found = np.empty(len(starts), np.int64)
        probability = np.empty(len(starts), np.float32)
        longest = int((ends - starts).max(initial=0))
        _predict(data, starts, ends, longest, self._words, self._cache, self._output, self._scratch, found, probability)
        return found, probability
