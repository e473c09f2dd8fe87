"""How many different stop words of its own language each text has."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numba import njit

from pipelines.kernels.arrow_strings import string_buffers
from pipelines.kernels.compile import KERNEL
from pipelines.kernels.quality_lines import hash_segment
from pipelines.kernels.quality_words import split_words
from pipelines.kernels.unicode_tables import class_bits

MAX_WORDS = 64
"""Words of a list: each is one bit."""


@njit(**KERNEL)
def _hash_all(data: np.ndarray, offsets: np.ndarray, out: np.ndarray) -> None:
    """Fill the hash of every string."""
    for i in range(out.shape[0]):
        out[i], _ = hash_segment(data, offsets[i], offsets[i + 1])


@njit(**KERNEL)
def _find(data: np.ndarray, start: int, end: int, keys: np.ndarray) -> int:
    """Return the place of `data[start:end]` in the keys, or -1."""
    key, _ = hash_segment(data, start, end)
    for i in range(keys.shape[0]):
        if keys[i] == key:
            return i
    return -1


@njit(**KERNEL)
def _distinct(
    data: np.ndarray,
    offsets: np.ndarray,
    given: np.ndarray,
    given_offsets: np.ndarray,
    first_word: np.ndarray,
    lists: np.ndarray,
    keys: np.ndarray,
    bounds: np.ndarray,
    bits: np.ndarray,
    longest: int,
    out: np.ndarray,
) -> None:
    """Fill `out` [rows]; a row that has given words uses these."""
    starts, ends = np.empty(longest + 1, np.int64), np.empty(longest + 1, np.int64)
    found = np.zeros(MAX_WORDS, np.bool_)
    for row in range(out.shape[0]):
        if lists[row] < 0:
            continue
        of_list = keys[bounds[lists[row]] : bounds[lists[row] + 1]]
        found[:] = False
        if first_word[row + 1] > first_word[row]:
            for i in range(first_word[row], first_word[row + 1]):
                place = _find(given, given_offsets[i], given_offsets[i + 1], of_list)
                if place >= 0:
                    found[place] = True
        else:
            words = split_words(data, offsets[row], offsets[row + 1], bits, starts, ends)
            for i in range(words):
                place = _find(data, starts[i], ends[i], of_list)
                if place >= 0:
                    found[place] = True
        out[row] = found.sum()


def distinct_stop_words(
    text: pa.Array, lang: pa.Array, lists: dict[str, list[str]], words: pa.ListArray | None = None
) -> np.ndarray:
    """Count the different stop words that occur in each text, as written (no lower-casing, as the peers do).

    Args:
        text: [rows] strings without nulls.
        lang: [rows] language of each text.
        lists: stop words per language, at most MAX_WORDS each.
        words: [rows] words of each text from another splitter; an empty list means that the text is split here.

    Returns:
        int64 [rows]; 0 for languages without a list.

    Raises:
        ValueError: for a list that is too long.
    """
    names = sorted(lists)
    too_long = [name for name in names if len(lists[name]) > MAX_WORDS]
    if too_long:
        raise ValueError(f"stop words: list too long: got {too_long}; expected at most {MAX_WORDS} words each")
    buffers = string_buffers(text)
    entries = string_buffers(pa.array([word for name in names for word in lists[name]], pa.string()))
    keys = np.zeros(entries.rows, np.uint64)
    _hash_all(entries.data, entries.offsets, keys)
    bounds = np.cumsum([0, *(len(lists[name]) for name in names)])
    place = {name: i for i, name in enumerate(names)}
    of_row = np.array([place.get(name, -1) for name in lang.to_pylist()], np.int64)
    first_word = np.zeros(buffers.rows + 1, np.int64)
    given = string_buffers(pa.array([], pa.string()))
    if words is not None:
        given = string_buffers(words.flatten())
        np.cumsum(words.value_lengths().to_numpy(zero_copy_only=False), out=first_word[1:])
    out = np.zeros(buffers.rows, np.int64)
    _distinct(
        buffers.data, buffers.offsets, given.data, given.offsets, first_word, of_row, keys, bounds, class_bits(),
        buffers.longest_bytes, out,
    )  # fmt: skip
    return out
