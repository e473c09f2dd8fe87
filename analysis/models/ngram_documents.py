"""Exact leave-one-document-out of an n-gram with literal discounts.

Leaving a document out changes its own n-grams, the continuation counts below those that disappear, and the
totals of their histories: a handful of table rows per order. With discounts that do not depend on the counts
of counts, nothing else moves, so a held-out text is scored again by looking up those rows anew. Every number
that enters is the integer that counting without the document would give, and the same expressions are
evaluated on it: the log-probabilities are those of retraining, bit for bit.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from analysis.models.ngram import (
    Level,
    NgramCounts,
    NgramModel,
    count_keys,
    discount,
    free_mass,
    interpolate,
    token_histories,
    whole_grams,
)
from analysis.models.ngram_keys import Packing, find


def count_documents(
    ids: np.ndarray, offsets: np.ndarray, order: int, vocab_size: int, eos_id: int
) -> tuple[NgramCounts, list[NgramCounts]]:
    """Count whole documents, all together and each alone; their counts add up exactly.

    Args:
        ids: [tokens] ids of all documents, each ended by EOS.
        offsets: [documents + 1] where each starts.
        order: tokens of an n-gram.
        vocab_size: fixed vocabulary.
        eos_id: token that ends documents; it also stands before the first.

    Raises:
        ValueError: if a document does not end with EOS.
    """
    ids = np.asarray(ids, np.int64)
    if (ids[offsets[1:] - 1] != eos_id).any():
        raise ValueError(f"documents: one does not end: got another last token; expected {eos_id}")
    keys = whole_grams(np.concatenate([[eos_id], ids])[None], order, vocab_size, eos_id)
    alone = [count_keys(keys[a:b], order, vocab_size, eos_id) for a, b in itertools.pairwise(offsets)]
    return count_keys(keys, order, vocab_size, eos_id), alone


@dataclass(frozen=True)
class _Change:
    """What a document's absence does to one level: new values of its n-grams, new rows of their histories."""

    keys: np.ndarray
    values: np.ndarray  # 0 where an n-gram is gone
    histories: np.ndarray
    totals: np.ndarray  # 0 where nothing follows any more
    kinds: np.ndarray


class Scored:
    """A held-out text under a model, ready to be scored again without one document after another.

    Args:
        model: fitted with literal discounts.
        ids: [rows, time + 1] token ids.
        mask: [rows, time] which of ids[:, 1:] are scored.

    Raises:
        ValueError: if the discounts were estimated: then every document changes every row.
    """

    def __init__(self, model: NgramModel, ids: np.ndarray, mask: np.ndarray) -> None:
        if len({level.discounts for level in model.levels}) > 1 or not model.literal:
            raise ValueError("n-gram: discounts depend on all documents: got estimated ones; expected literals")
        self.model, self.shape = model, mask.shape
        self._packing = Packing(model.vocab_size)
        history = token_histories(np.asarray(ids, np.int64), model.order, model.eos_id)[mask]
        token = np.asarray(ids, np.int64)[:, 1:][mask]
        self._discounted, self._backoff, self._known = model.terms(history, token)
        self._grams, self._histories = [], []
        for depth in range(model.order):
            tail = np.maximum(history[:, model.order - 1 - depth :], 0)
            self._grams.append(_Lookup(self._packing.pack(np.concatenate([tail, token[:, None]], 1))))
            self._histories.append(_Lookup(self._packing.pack(tail)))

    def logp(self) -> np.ndarray:
        """[scored] nats with all documents."""
        return np.log(interpolate(self._discounted, self._backoff, self._known, self.model.vocab_size))

    def logp_without(self, document: NgramCounts) -> np.ndarray:
        """[scored] nats without one document (its counts, from `count_documents`), in the order of the mask.

        Raises:
            ValueError: if the document was not counted in the model.
        """
        discounted, backoff = self._discounted.copy(), self._backoff.copy()
        for depth, change in _changes(self.model, document, self._packing):
            level = self.model.levels[depth]
            self._rescore(depth, level, change, discounted[depth], backoff[depth])
        return np.log(interpolate(discounted, backoff, self._known, self.model.vocab_size))

    def _rescore(self, depth: int, level: Level, change: _Change, discounted: np.ndarray, backoff: np.ndarray) -> None:
        """Look up the positions again whose history has changed, in place."""
        places, which = self._histories[depth].where(change.histories)
        if not len(places):
            return
        totals, kinds = change.totals[which], change.kinds[which]
        gone = totals == 0  # the history was never seen: the lower order answers alone
        safe = np.where(gone, 1, totals)
        backoff[places] = np.where(gone, 1.0, free_mass(kinds, safe, level.discounts))
        wanted = self._grams[depth].keys[places]
        at, found = find(level.keys, wanted)
        values = np.where(found, level.values[at], 0)
        at, found = find(change.keys, wanted)
        values = np.where(found, change.values[at], values)
        seen = values > 0
        discounted[places] = np.where(seen, discount(np.where(seen, values, 1), safe, level.discounts), 0.0)


class _Lookup:
    """Places of each key among many."""

    def __init__(self, keys: np.ndarray) -> None:
        self.keys = keys
        self._order = np.argsort(keys, kind="stable")
        self._sorted = keys[self._order]

    def where(self, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return ([n] places that hold one of the wanted keys, [n] which of them)."""
        start, stop = np.searchsorted(self._sorted, wanted, "left"), np.searchsorted(self._sorted, wanted, "right")
        counts = stop - start
        which = np.repeat(np.arange(len(wanted)), counts)
        within = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
        return self._order[start[which] + within], which


def _changes(model: NgramModel, document: NgramCounts, packing: Packing) -> Iterator[tuple[int, _Change]]:
    """Go down the orders: which rows of each level are others without the document."""
    keys, lost = document.keys, document.counts
    for order in range(model.order, 0, -1):
        level = model.levels[order - 1]
        at, found = find(level.keys, keys)
        before = level.values[at] if len(level.keys) else np.zeros(len(keys), np.int64)
        after = before - lost
        if not found.all() or (after < 0).any():
            raise ValueError("n-gram counts: not a part of the total: got other n-grams; expected a counted document")
        yield order - 1, _change(level, keys, before, after, packing.histories(keys, order))
        if order > 1:
            keys, lost = _lost_below(keys, before, after, order, model, packing)


def _change(level: Level, keys: np.ndarray, before: np.ndarray, after: np.ndarray, histories: np.ndarray) -> _Change:
    """Account for new values of some n-grams in the rows of their histories."""
    names, where = np.unique(histories, return_inverse=True)
    at, _ = find(level.histories, names)
    totals, kinds = level.totals[at].copy(), level.kinds[at].copy()
    np.add.at(totals, where, after - before)
    np.add.at(kinds, (where, np.minimum(before, 3) - 1), -1)
    left = after > 0
    np.add.at(kinds, (where[left], np.minimum(after[left], 3) - 1), 1)
    return _Change(keys, after, names, totals, kinds)


def _lost_below(
    keys: np.ndarray, before: np.ndarray, after: np.ndarray, order: int, model: NgramModel, packing: Packing
) -> tuple[np.ndarray, np.ndarray]:
    """Return the n-grams one token shorter whose value falls, and by how much (see `ngram._continuations`)."""
    shorter, where = np.unique(packing.suffixes(keys, order), return_inverse=True)
    lost = np.bincount(where[after == 0], minlength=len(shorter)).astype(np.int64)
    if order > 2:
        tokens = np.zeros(len(shorter), np.int64)
        np.add.at(tokens, where, before - after)
        lost = np.where(packing.first(shorter, order - 1) == model.eos_id, tokens, lost)
    falls = lost > 0
    return shorter[falls], lost[falls]
