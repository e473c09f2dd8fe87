"""Interpolated modified Kneser-Ney over token ids, with exact leave-one-out.

Chen & Goodman 1999, "An empirical study of smoothing techniques for language modeling". Only raw counts
of the highest order are stored, per atom. Everything else - continuation counts, counts of counts,
discounts - is derived from them by one function, `fit`, so a model without an atom (its raw counts
subtracted, then `fit`) *equals* the model counted without it, bit for bit. Subtracting Kneser-Ney tables
instead is wrong: they count types (26 % off in the effect on held-out loss).

Documents are delimited: after EOS the history is EOS only, as often as the order needs, so n-grams never
cross documents. The vocabulary is fixed and nothing is pruned.

Discounts come from the counts of counts, or are literals of the proxy. With literals a document touches only
the n-grams that it holds: `analysis.models.ngram_documents` leaves out one document at a time, exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from analysis.models.ngram_keys import Packing, find
from pipelines.contracts import storage

Discounts = tuple[float, float, float]
"""What is taken from counts of 1, of 2, and of 3 and more."""


@dataclass(frozen=True)
class NgramCounts:
    """Raw counts of n-grams of the highest order, sorted by key (see `Packing`)."""

    order: int
    vocab_size: int
    eos_id: int
    keys: np.ndarray  # [types] uint64 or bytes, ascending, unique
    counts: np.ndarray  # [types] int64, >= 1

    @property
    def packing(self) -> Packing:
        """How tokens are packed into keys."""
        return Packing(self.vocab_size)


@dataclass(frozen=True)
class Level:
    """One order of the interpolation: p(w | h) = discounted(hw) + backoff(h) p_lower(w | shorter h)."""

    keys: np.ndarray  # [types] keys of n-grams
    values: np.ndarray  # [types] int64 >= 1: counts of the highest order, continuation counts below
    histories: np.ndarray  # [histories] keys of one token less
    totals: np.ndarray  # [histories] int64: values of the n-grams that begin so
    kinds: np.ndarray  # [histories, 3] int64: how many of them have the value 1, 2, and 3 or more
    discounts: Discounts
    discounted: np.ndarray  # [types] float64: (value - discount) / total of the history
    backoff: np.ndarray  # [histories] float64: mass that the discounts set free


@dataclass(frozen=True)
class NgramModel:
    """A fitted model; `logp` is the `LogProb` of an n-gram."""

    order: int
    vocab_size: int
    eos_id: int
    levels: tuple[Level, ...]  # by order, 1 first
    literal: bool = False  # whether the discounts are literals

    def logp(self, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Return [rows, time] float64 nats of ids[:, 1:], 0 where the mask is False.

        Where a row holds fewer tokens before than the order needs, the lower order answers.
        """
        history = token_histories(ids, self.order, self.eos_id)  # [rows, time, order - 1], -1 = unknown
        probability = self._probability(history.reshape(mask.size, self.order - 1), ids[:, 1:].reshape(-1))
        return np.where(mask, np.log(probability).reshape(mask.shape), 0.0)

    def distribution(self, history: Sequence[int]) -> np.ndarray:
        """Return [vocab] float64 probabilities of the next token after up to order - 1 tokens."""
        tail = np.full(self.order - 1, -1, np.int64)
        recent = list(history)[-(self.order - 1) :] if self.order > 1 else []
        tail[self.order - 1 - len(recent) :] = recent
        return self._probability(np.tile(tail, (self.vocab_size, 1)), np.arange(self.vocab_size))

    def _probability(self, history: np.ndarray, token: np.ndarray) -> np.ndarray:
        """Interpolate from the lowest order up; history [n, order - 1] (-1 = unknown), token [n]."""
        terms = self.terms(history, token)
        return interpolate(*terms, self.vocab_size)

    def terms(self, history: np.ndarray, token: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Look up what interpolation needs.

        Args:
            history: [n, order - 1] tokens before, oldest first; -1 where unknown.
            token: [n] tokens.

        Returns:
            [order, n] discounted, [order, n] backoff, [order, n] whether the history of that order is known.
        """
        packing = Packing(self.vocab_size)
        discounted = np.zeros((self.order, len(token)))
        backoff = np.ones((self.order, len(token)))
        known = np.ones((self.order, len(token)), bool)
        for depth, level in enumerate(self.levels):  # depth = tokens of history
            tail = history[:, self.order - 1 - depth :]
            known[depth] = (tail >= 0).all(1)
            gram = np.concatenate([np.maximum(tail, 0), token[:, None]], 1)
            at, found = find(level.keys, packing.pack(gram))
            discounted[depth] = np.where(found, level.discounted[at] if len(level.keys) else 0.0, 0.0)
            at, found = find(level.histories, packing.pack(gram[:, :-1]))
            backoff[depth] = np.where(found, level.backoff[at] if len(level.histories) else 1.0, 1.0)
        return discounted, backoff, known


def interpolate(discounted: np.ndarray, backoff: np.ndarray, known: np.ndarray, vocab_size: int) -> np.ndarray:
    """Return [n] probabilities from [order, n] terms; below the lowest order is the uniform distribution."""
    probability = np.full(discounted.shape[1], 1.0 / vocab_size)
    for mine, free, here in zip(discounted, backoff, known, strict=True):
        probability = np.where(here, mine + free * probability, probability)
    return probability


@dataclass(frozen=True)
class NgramTrainer:
    """What `MODELS["ngram"]` builds: counts rows and fits."""

    order: int
    vocab_size: int
    eos_id: int
    discounts: Discounts | None = None

    def train(self, rows: np.ndarray) -> NgramModel:
        """Fit on [rows, context + 1] token ids."""
        return fit(count_rows(rows, self.order, self.vocab_size, self.eos_id), self.discounts)


def count_rows(rows: np.ndarray, order: int, vocab_size: int, eos_id: int) -> NgramCounts:
    """Count the n-grams of rows of a token stream.

    The first token of a row is history only, as for a Transformer; so are those whose history would
    begin before the row (order - 2 more), unless an EOS in the row shows where their document starts.

    Args:
        rows: [rows, context + 1] token ids below vocab_size.
        order: tokens of an n-gram, itself included.
        vocab_size: fixed vocabulary.
        eos_id: token that ends documents.
    """
    ids = np.asarray(rows, np.int64)
    keys = whole_grams(ids, order, vocab_size, eos_id)
    return count_keys(keys, order, vocab_size, eos_id)


def count_atoms(
    rows: np.ndarray, atom_of_row: np.ndarray, order: int, vocab_size: int, eos_id: int
) -> dict[str, NgramCounts]:
    """Count the rows of each atom apart; `atom_of_row` is [rows] of names."""
    names = np.asarray(atom_of_row)
    return {str(name): count_rows(rows[names == name], order, vocab_size, eos_id) for name in np.unique(names)}


def add(parts: Sequence[NgramCounts]) -> NgramCounts:
    """Add up counts of the same shape."""
    keys, where = np.unique(np.concatenate([p.keys for p in parts]), return_inverse=True)
    counts = np.zeros(len(keys), np.int64)
    np.add.at(counts, where, np.concatenate([p.counts for p in parts]))
    return NgramCounts(parts[0].order, parts[0].vocab_size, parts[0].eos_id, keys, counts)


def subtract(total: NgramCounts, part: NgramCounts) -> NgramCounts:
    """Take the raw counts of a part away; n-grams left with none disappear.

    Raises:
        ValueError: if the part is not contained in the total.
    """
    at = np.searchsorted(total.keys, part.keys)
    inside = at < len(total.keys)
    if not inside.all() or (total.keys[at] != part.keys).any():
        raise ValueError("n-gram counts: not a part of the total: got other n-grams; expected a subset")
    counts = total.counts.copy()
    counts[at] -= part.counts
    if (counts < 0).any():
        raise ValueError("n-gram counts: not a part of the total: got larger counts; expected a subset")
    left = counts > 0
    return NgramCounts(total.order, total.vocab_size, total.eos_id, total.keys[left], counts[left])


def leave_out(atoms: Mapping[str, NgramCounts], names: Sequence[str], discounts: Discounts | None = None) -> NgramModel:
    """Fit without some atoms (fill = none): their counts are subtracted from the total of all."""
    return fit(subtract(add(list(atoms.values())), add([atoms[name] for name in names])), discounts)


def fit(counts: NgramCounts, discounts: Discounts | None = None) -> NgramModel:
    """Derive all tables from raw counts: the one training code path.

    Args:
        counts: of the highest order.
        discounts: literals for every order; None estimates them from the counts of counts of each.
    """
    levels = []
    keys, values = counts.keys, counts.counts
    for order in range(counts.order, 0, -1):
        levels.append(_fit_level(keys, values, order, counts.packing, discounts))
        if order > 1:
            keys, values = _continuations(keys, values, order, counts)
    return NgramModel(counts.order, counts.vocab_size, counts.eos_id, tuple(reversed(levels)), discounts is not None)


def save(counts: NgramCounts, path: Path) -> None:
    """Write raw counts as safetensors (`keys`, `counts`); `fit` gives the model again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {name: str(getattr(counts, name)) for name in ("order", "vocab_size", "eos_id")}
    temporary = path.with_name(f"{storage.TEMPORARY}{path.name}")
    keys = counts.keys if counts.keys.dtype == np.uint64 else counts.keys.view(np.uint8).reshape(len(counts.keys), -1)
    save_file({"keys": keys, "counts": counts.counts}, temporary, metadata=metadata)
    temporary.replace(path)


def load(path: Path) -> NgramCounts:
    """Read raw counts back."""
    with safe_open(path, "np") as file:
        metadata = {name: int(value) for name, value in file.metadata().items()}
        keys, counts = file.get_tensor("keys"), file.get_tensor("counts")
    if keys.dtype != np.uint64:
        keys = np.ascontiguousarray(keys).view(f"V{keys.shape[1]}").reshape(-1)
    return NgramCounts(keys=keys, counts=counts, **metadata)


def token_histories(ids: np.ndarray, order: int, eos_id: int) -> np.ndarray:
    """Return [rows, time, order - 1] tokens before ids[:, 1:], oldest first.

    Before the first token of a document stand EOS; before the start of a row is -1 (unknown).
    """
    rows, width = ids.shape
    position = np.arange(width)
    # Position of the last EOS before each token, -1 if the row holds none.
    last = np.maximum.accumulate(np.where(ids == eos_id, position, -1), axis=1)[:, :-1]
    out = np.empty((rows, width - 1, order - 1), np.int64)
    for back in range(1, order):
        at = np.broadcast_to(position[1:] - back, (rows, width - 1))
        token = np.take_along_axis(ids, np.maximum(at, 0), axis=1)
        token = np.where(at >= 0, token, -1)
        out[:, :, order - 1 - back] = np.where((last >= 0) & (at <= last), eos_id, token)
    return out


def whole_grams(ids: np.ndarray, order: int, vocab_size: int, eos_id: int) -> np.ndarray:
    """Keys of the n-grams of [rows, context + 1] ids whose history is known, in reading order."""
    history = token_histories(ids, order, eos_id)
    whole = (history >= 0).all(-1)
    return Packing(vocab_size).pack(np.concatenate([history[whole], ids[:, 1:][whole][:, None]], 1))


def count_keys(keys: np.ndarray, order: int, vocab_size: int, eos_id: int) -> NgramCounts:
    """Count n-grams given by their keys, [n]."""
    unique, counts = np.unique(keys, return_counts=True)
    return NgramCounts(order, vocab_size, eos_id, unique, counts.astype(np.int64))


def _continuations(
    keys: np.ndarray, values: np.ndarray, order: int, counts: NgramCounts
) -> tuple[np.ndarray, np.ndarray]:
    """Return the n-grams one token shorter, each with the number of types that extend it to the left.

    What starts a document is extended by EOS only; there the counts themselves go down (Heafield et al.
    2013, "Scalable modified Kneser-Ney", adjusted counts).
    """
    shorter, where = np.unique(counts.packing.suffixes(keys, order), return_inverse=True)
    types = np.bincount(where, minlength=len(shorter)).astype(np.int64)
    if order == 2:
        return shorter, types
    tokens = np.zeros(len(shorter), np.int64)
    np.add.at(tokens, where, values)
    starts = counts.packing.first(shorter, order - 1) == counts.eos_id
    return shorter, np.where(starts, tokens, types)


def _fit_level(keys: np.ndarray, values: np.ndarray, order: int, packing: Packing, literal: Discounts | None) -> Level:
    """Discount the counts of one order."""
    histories, where = np.unique(packing.histories(keys, order), return_inverse=True)
    totals = np.zeros(len(histories), np.int64)
    np.add.at(totals, where, values)
    discounts = literal or _discounts(values)
    kind = np.minimum(values, 3) - 1  # 0, 1, 2: counts of one, two, three and more
    kinds = np.bincount(where * 3 + kind, minlength=3 * len(histories)).reshape(-1, 3).astype(np.int64)
    return Level(
        keys, values, histories, totals, kinds, discounts,
        discount(values, totals[where], discounts), free_mass(kinds, totals, discounts),
    )  # fmt: skip


def discount(values: np.ndarray, totals: np.ndarray, discounts: Discounts) -> np.ndarray:
    """(value - discount) / total, [n] values >= 1 and [n] totals of their histories."""
    return (values - np.array(discounts)[np.minimum(values, 3) - 1]) / totals


def free_mass(kinds: np.ndarray, totals: np.ndarray, discounts: Discounts) -> np.ndarray:
    """Share of each history's mass that its discounts set free: [n, 3] kinds, [n] totals to [n].

    Written out: the rounding of a matrix product depends on the number of rows.
    """
    return (kinds[:, 0] * discounts[0] + kinds[:, 1] * discounts[1] + kinds[:, 2] * discounts[2]) / totals


def _discounts(values: np.ndarray) -> Discounts:
    """Discounts of counts 1, 2 and 3+ (Chen & Goodman 1999, eq. 26); .5, 1, 1.5 where a small corpus has no such counts."""
    n1, n2, n3, n4 = (int((values == count).sum()) for count in (1, 2, 3, 4))
    if not (n1 and n2 and n3 and n4):
        return (0.5, 1.0, 1.5)
    y = n1 / (n1 + 2 * n2)
    found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    default = (0.5, 1.0, 1.5)
    first, second, third = (
        value if 0 < value <= count else other
        for count, (value, other) in enumerate(zip(found, default, strict=True), start=1)
    )
    return (first, second, third)
