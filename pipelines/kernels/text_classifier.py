"""The probability that a fastText classifier gives a label, as a kernel over Arrow strings.

It reads every supervised model that the language kernel reads; fastText itself is needed for training only.
Probabilities equal fastText's to 2e-5 (it adds 1e-5 to each; what exceeds 1 thereby is 1 here).
"""

from __future__ import annotations

import threading

import numpy as np
import pyarrow as pa
from numba import njit

from pipelines.contracts import storage
from pipelines.contracts.errors import ConfigError, did_you_mean, message
from pipelines.kernels.arrow_strings import string_buffers
from pipelines.kernels.classifier_text import without_control_words
from pipelines.kernels.compile import KERNEL
from pipelines.kernels.language_model import load_model
from pipelines.kernels.language_output import label_probability, make_scratch, output_arrays, path_to_label
from pipelines.kernels.language_words import make_cache, text_vector, word_arrays


@njit(**KERNEL)
def _probabilities(
    data: np.ndarray,
    offsets: np.ndarray,
    has_end: bool,
    words: tuple,
    cache: tuple,
    output: tuple,
    scratch: tuple,
    label: int,
    path: np.ndarray,
    of_word: tuple,
    hashes: np.ndarray,
    hidden: np.ndarray,
    found: np.ndarray,
) -> None:
    """Fill the probability of a label for every text; NaN where the model has no row for a text at all."""
    for text in range(offsets.shape[0] - 1):
        known = text_vector(data, offsets[text], offsets[text + 1], words, cache, of_word, hashes, hidden)
        found[text] = np.nan
        if known > 0 or has_end:
            found[text] = min(label_probability(hidden, output, scratch, label, path), 1.0)


class TextClassifier:
    """A loaded classifier and its cache of word vectors; make one per process and keep it. Threads take turns.

    Args:
        path: model file (`.bin`, `.ftz`), local or not.
        cache_rows: rows of the cache, a power of two; by default what fits in 48 MB.

    Raises:
        ConfigError: if there is no such file, or it is no classifier.
    """

    def __init__(self, path: str, cache_rows: int | None = None) -> None:
        if not storage.exists(path):
            raise ConfigError(message(path, "no such file", "nothing", "a fastText classifier"))
        self._model = load_model(path, prefix="")
        self._path = path
        self.labels = self._model.labels
        self._words = word_arrays(self._model)
        self._cache = make_cache(self._model, cache_rows)
        self._output, self._scratch = output_arrays(self._model), make_scratch(self._model)
        self._turn = threading.Lock()

    def number_of(self, label: str) -> int:
        """Return the number of a label, which is written with its prefix.

        Raises:
            ConfigError: naming the nearest label.
        """
        if label not in self.labels:
            hint = did_you_mean(label, self.labels)
            raise ConfigError(message(self._path, "unknown label", label, "a label of the model", hint))
        return self.labels.index(label)

    def probability(self, text: pa.Array, label: str) -> np.ndarray:
        """Return the probability of a label for every text.

        Args:
            text: `[rows]` strings without nulls.
            label: with its prefix.

        Returns:
            float64 `[rows]`; NaN where the model has no row for anything in a text, and none for its end.

        Raises:
            ConfigError: if the model has no such label.
        """
        number = self.number_of(label)
        buffers = string_buffers(without_control_words(text))
        found = np.empty(buffers.rows)
        longest, dim = buffers.longest_bytes, self._model.rows.shape[1]
        arguments = (
            self._words,
            self._cache,
            self._output,
            self._scratch,
            number,
            path_to_label(self._model, number),
            (np.zeros(dim, np.float32), np.empty(longest + 2, np.uint8)),
            np.empty(longest // 2 + 3 if self._model.word_ngrams > 1 else 1, np.int64),
            np.zeros(dim, np.float32),
            found,
        )
        with self._turn:
            _probabilities(buffers.data, buffers.offsets, self._model.end_of_sentence >= 0, *arguments)
        return found
