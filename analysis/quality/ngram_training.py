"""Estimate an n-gram model with interpolated modified Kneser-Ney, for the tables of `pipelines.kernels.ngram_lm`.

Chen & Goodman 1999; continuation counts at document starts and pruning as in Heafield et al. 2013, "Scalable
modified Kneser-Ney language model estimation". n-grams are identified by 64-bit hashes of all their tokens
(two of 10^8 share one with probability 3 * 10^-4, and then `build_table` says so or their counts add up).
Everything is counted from places in one stream of tokens: the suffix of an n-gram is the shorter one at
the same place, its history the one a place before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from pipelines.kernels.ngram_lm import extend_keys, log_values

DEFAULT_DISCOUNTS: Final = (0.5, 1.0, 1.5)
"""Where a small corpus has no n-grams that occur 1, 2, 3 or 4 times."""


@dataclass
class _Level:
    """The n-grams of one order that occur, sorted by key.

    Attributes:
        keys: uint64 `[types]`.
        place: int64 `[types]`: where in the stream each occurs.
        count: int64 `[types]`: occurrences for the highest order and at document starts, else words to the left.
        kept: bool `[types]`: not pruned.
        history: int64 `[types]`: number of its history among the histories of the order.
        history_keys: uint64 `[histories]`.
    """

    keys: np.ndarray
    place: np.ndarray
    count: np.ndarray
    kept: np.ndarray
    history: np.ndarray
    history_keys: np.ndarray


@dataclass(frozen=True)
class NgramEntries:
    """What a table is made of.

    Attributes:
        keys: uint64 `[entries]`.
        log_probability: float64 `[entries]`, nats.
        log_back_off: float64 `[entries]`, nats; 0 for what is no history.
        by_order: entries of every order, from 1.
    """

    keys: np.ndarray
    log_probability: np.ndarray
    log_back_off: np.ndarray
    by_order: tuple[int, ...]


def make_stream(ids: np.ndarray, offsets: np.ndarray, order: int, eos_id: int) -> tuple[np.ndarray, np.ndarray]:
    """Put documents into one stream: order - 1 ends, the tokens, one end.

    Args:
        ids: `[total]` tokens.
        offsets: int64 `[documents + 1]`.
        order: tokens of the longest n-gram.
        eos_id: the end.

    Returns:
        int32 `[stream]` tokens; bool `[stream]`, true for those that are predicted.
    """
    documents = len(offsets) - 1
    stream = np.full(len(ids) + documents * order, eos_id, np.int32)
    predicted = np.ones(len(stream), bool)
    starts = offsets[:-1] + np.arange(documents) * order
    for back in range(order - 1):
        predicted[starts + back] = False
    of_token = np.repeat(np.arange(documents), np.diff(offsets))
    stream[np.arange(len(ids)) + of_token * order + order - 1] = ids
    return stream, predicted


def estimate(
    stream: np.ndarray, predicted: np.ndarray, order: int, vocab_size: int, prune: Sequence[int]
) -> NgramEntries:
    """Estimate a model.

    Args:
        stream: int32 `[stream]` tokens, from `make_stream`; the first is the end.
        predicted: bool `[stream]`.
        order: tokens of the longest n-gram.
        vocab_size: tokens that have a probability, seen or not.
        prune: for every order from 1: n-grams with a count of at most this go, unless a longer one that
            stays needs them; their mass goes to the back-off. The first is 0: all tokens stay.

    Raises:
        ValueError: for other than `order` limits, or a first one that is not 0.
    """
    if len(prune) != order or prune[0] != 0:
        raise ValueError(f"estimate: wrong limits to prune by: got {prune}; expected {order}, the first of them 0")
    keys = _all_keys(stream, order)
    levels = _count(keys, stream, predicted, order)
    _prune(levels, keys, prune)
    return _entries(levels, keys, vocab_size, int(stream[0]))


def discounts(count: np.ndarray) -> np.ndarray:
    """Return what counts of 1, 2 and 3 or more are lowered by (Chen & Goodman 1999, eq. 26)."""
    n1, n2, n3, n4 = (int((count == value).sum()) for value in (1, 2, 3, 4))
    if not (n1 and n2 and n3 and n4):
        return np.array(DEFAULT_DISCOUNTS)
    y = n1 / (n1 + 2 * n2)
    found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    pairs = enumerate(zip(found, DEFAULT_DISCOUNTS, strict=True), 1)
    return np.array([value if 0 < value <= number else other for number, (value, other) in pairs])


def _all_keys(stream: np.ndarray, order: int) -> list[np.ndarray]:
    """Return the keys of the n-grams that end at every place, for every order from 0 (all 0)."""
    keys = [np.zeros(len(stream), np.uint64)]
    for n in range(1, order + 1):
        keys.append(extend_keys(keys[-1], stream, n))
    return keys


def _count(keys: list[np.ndarray], stream: np.ndarray, predicted: np.ndarray, order: int) -> list[_Level]:
    """Count every order, the highest first; return them from order 1."""
    places = np.flatnonzero(predicted)
    levels: list[_Level] = []
    for n in range(order, 0, -1):
        distinct, first, count = np.unique(keys[n][places], return_index=True, return_counts=True)
        place = places[first]
        if n < order:
            longer = levels[0]
            where = np.searchsorted(distinct, keys[n][longer.place])
            types = np.bincount(where, minlength=len(distinct))
            at_start = (stream[place - n + 1] == stream[0]) & (n > 1)
            count = np.where(at_start, np.bincount(where, longer.count, len(distinct)).astype(np.int64), types)
        history_keys, history = np.unique(keys[n - 1][place - 1] if n > 1 else keys[0][place], return_inverse=True)
        levels.insert(0, _Level(distinct, place, count, np.ones(len(distinct), bool), history, history_keys))
    return levels


def _prune(levels: list[_Level], keys: list[np.ndarray], limits: Sequence[int]) -> None:
    """Mark what stays: frequent n-grams, and the suffixes and histories of what stays."""
    for n in range(len(levels), 0, -1):
        level = levels[n - 1]
        if limits[n - 1]:
            level.kept = level.count > limits[n - 1]
        if n < len(levels):
            longer = levels[n]
            place = longer.place[longer.kept]
            for needed in (keys[n][place], keys[n][place - 1]):
                at = np.minimum(np.searchsorted(level.keys, needed), len(level.keys) - 1)
                level.kept[at[level.keys[at] == needed]] = True


def _discounted(level: _Level) -> tuple[np.ndarray, np.ndarray]:
    """Return (count - discount) / total of every n-gram, and the mass set free in every history."""
    lowered = discounts(level.count)[np.minimum(level.count, 3) - 1]
    histories = len(level.history_keys)
    total = np.bincount(level.history, level.count, histories)
    free = np.bincount(level.history, np.where(level.kept, lowered, level.count), histories) / total
    return (level.count - lowered) / total[level.history], free


def _entries(levels: list[_Level], keys: list[np.ndarray], vocab_size: int, eos_id: int) -> NgramEntries:
    """Interpolate from order 1 up, and give every history its back-off weight."""
    found = [_unigrams(levels[0], vocab_size)]
    for n, level in enumerate(levels[1:], 2):
        discounted, free = _discounted(level)
        kept = np.flatnonzero(level.kept)
        needed = np.unique(level.history[kept])
        history = _positions(found[-1].keys, level.history_keys)
        missing = needed[history[needed] < 0]
        if len(missing):
            found[-1] = _with_ends(found, level.history_keys[missing], eos_id)
            history = _positions(found[-1].keys, level.history_keys)
        lower = found[-1]
        lower.weight[history[history >= 0]] = free[history >= 0]
        suffix = _positions(lower.keys, keys[n - 1][level.place[kept]])
        probability = discounted[kept] + free[level.history[kept]] * lower.probability[suffix]
        found.append(_Found(level.keys[kept], probability, np.ones(len(kept))))
    keys_, probability, weight = (np.concatenate(column) for column in zip(*found, strict=True))
    return NgramEntries(keys_, log_values(probability), log_values(weight), tuple(len(one.keys) for one in found))


class _Found(NamedTuple):
    """Finished n-grams of one order: uint64, float64, float64 `[entries]`."""

    keys: np.ndarray
    probability: np.ndarray
    weight: np.ndarray


def _unigrams(level: _Level, vocab_size: int) -> _Found:
    """Give every token of the vocabulary a probability: the mass set free is spread evenly."""
    discounted, free = _discounted(level)
    every = extend_keys(np.zeros(0, np.uint64), np.arange(vocab_size, dtype=np.int32), 1)
    probability = np.full(vocab_size, free[0] / vocab_size)
    probability[_positions(every, level.keys)] += discounted
    return _Found(every, probability, np.ones(vocab_size))


def _with_ends(found: list[_Found], missing: np.ndarray, eos_id: int) -> _Found:
    """Add the run of ends that stands before documents: a history that is never predicted itself."""
    key = np.zeros(1, np.uint64)
    ends = np.full(len(found), eos_id, np.int32)
    for n in range(1, len(found) + 1):
        shorter, key = key, extend_keys(key if n == 1 else np.repeat(key, len(ends)), ends, n)[-1:]
    if missing.tolist() != key.tolist():
        raise ValueError(f"estimate: histories that are no n-grams: got {missing}; expected none but ends, {key}")
    below = found[-2]
    at = _positions(below.keys, shorter)[0]
    probability = below.weight[at] * below.probability[at]
    return _Found(*(np.append(a, b) for a, b in zip(found[-1], (key, probability, 1.0), strict=True)))


def _positions(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return where every wanted key is, -1 for those that are not there."""
    if not len(keys):
        return np.full(len(wanted), -1)
    order = np.argsort(keys)
    at = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)]
    return np.where(keys[at] == wanted, at, -1)
