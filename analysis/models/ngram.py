"""Interpolated modified Kneser-Ney over token ids, with exact leave-one-out.

Chen & Goodman 1999, "An empirical study of smoothing techniques for language modeling". Only raw counts
of the highest order are stored, per atom. Everything else - continuation counts, counts of counts,
discounts - is derived from them by one function, `fit`, so a model without an atom (its raw counts
subtracted, then `fit`) *equals* the model counted without it, bit for bit. Subtracting Kneser-Ney tables
instead is wrong: they count types (26 % off in the effect on held-out loss).

Documents are delimited: after EOS the history is EOS only, as often as the order needs, so n-grams never
cross documents. The vocabulary is fixed and nothing is pruned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from pipelines.contracts import storage
from pipelines.contracts.errors import ConfigError, message


@dataclass(frozen=True)
class NgramCounts:
    """Raw counts of n-grams of the highest order, sorted by key.

    A key packs the tokens, the oldest in the highest bits, `bits` each.
    """

    order: int
    vocab_size: int
    eos_id: int
    keys: np.ndarray  # [types] uint64, ascending, unique
    counts: np.ndarray  # [types] int64, >= 1

    @property
    def bits(self) -> int:
        """Bits of a token in a key."""
        return token_bits(self.vocab_size)


@dataclass(frozen=True)
class _Level:
    """One order of the interpolation: p(w | h) = discounted(hw) + backoff(h) p_lower(w | shorter h)."""

    keys: np.ndarray  # [types] uint64
    discounted: np.ndarray  # [types] float64: (count - discount) / total of the history
    histories: np.ndarray  # [histories] uint64
    backoff: np.ndarray  # [histories] float64: mass that the discounts set free
    discounts: tuple[float, float, float]


@dataclass(frozen=True)
class NgramModel:
    """A fitted model; `logp` is the `LogProb` of an n-gram."""

    order: int
    vocab_size: int
    eos_id: int
    levels: tuple[_Level, ...]  # by order, 1 first

    def logp(self, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Return [rows, time] float64 nats of ids[:, 1:], 0 where the mask is False.

        Where a row holds fewer tokens before than the order needs, the lower order answers.
        """
        history = _histories(ids, self.order, self.eos_id)  # [rows, time, order - 1], -1 = unknown
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
        bits = np.uint64(token_bits(self.vocab_size))
        probability = np.full(len(token), 1.0 / self.vocab_size)
        key_history = np.zeros(len(token), np.uint64)
        known = np.ones(len(token), bool)
        for depth, level in enumerate(self.levels):  # depth = tokens of history
            if depth:
                column = history[:, self.order - 1 - depth]
                known &= column >= 0
                older = np.where(known, column, 0).astype(np.uint64)
                key_history |= older << (bits * np.uint64(depth - 1))
            key = (key_history << bits) | token.astype(np.uint64)
            backoff = _look_up(level.histories, level.backoff, key_history, 1.0)
            higher = _look_up(level.keys, level.discounted, key, 0.0) + backoff * probability
            probability = np.where(known, higher, probability)
        return probability


@dataclass(frozen=True)
class NgramTrainer:
    """What `MODELS["ngram"]` builds: counts rows and fits."""

    order: int
    vocab_size: int
    eos_id: int

    def train(self, rows: np.ndarray) -> NgramModel:
        """Fit on [rows, context + 1] token ids."""
        return fit(count_rows(rows, self.order, self.vocab_size, self.eos_id))


def token_bits(vocab_size: int) -> int:
    """Bits that hold a token id.

    >>> token_bits(4096), token_bits(4097)
    (12, 13)
    """
    return max(1, (vocab_size - 1).bit_length())


def count_rows(rows: np.ndarray, order: int, vocab_size: int, eos_id: int) -> NgramCounts:
    """Count the n-grams of rows of a token stream.

    The first token of a row is history only, as for a Transformer; so are those whose history would
    begin before the row (order - 2 more), unless an EOS in the row shows where their document starts.

    Args:
        rows: [rows, context + 1] token ids below vocab_size.
        order: tokens of an n-gram, itself included.
        vocab_size: fixed vocabulary.
        eos_id: token that ends documents.

    Raises:
        ConfigError: if an n-gram does not fit 64 bits.
    """
    bits = token_bits(vocab_size)
    if bits * order > 64:
        raise ConfigError(
            message("proxy.order", "n-grams do not fit 64 bits", f"{order} × {bits} bits", f"<= {64 // bits}")
        )
    ids = np.asarray(rows, np.int64)
    history = _histories(ids, order, eos_id)
    whole = (history >= 0).all(-1)
    key = np.zeros(int(whole.sum()), np.uint64)
    for position in range(order - 1):
        key = (key << np.uint64(bits)) | history[whole][:, position].astype(np.uint64)
    key = (key << np.uint64(bits)) | ids[:, 1:][whole].astype(np.uint64)
    keys, counts = np.unique(key, return_counts=True)
    return NgramCounts(order, vocab_size, eos_id, keys, counts.astype(np.int64))


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


def leave_out(atoms: Mapping[str, NgramCounts], names: Sequence[str]) -> NgramModel:
    """Fit without some atoms (fill = none): their counts are subtracted from the total of all."""
    return fit(subtract(add(list(atoms.values())), add([atoms[name] for name in names])))


def fit(counts: NgramCounts) -> NgramModel:
    """Derive all tables from raw counts: the one training code path."""
    levels = []
    keys, values = counts.keys, counts.counts
    for order in range(counts.order, 0, -1):
        levels.append(_fit_level(keys, values, counts.bits))
        if order > 1:
            keys, values = _continuations(keys, values, order, counts)
    return NgramModel(counts.order, counts.vocab_size, counts.eos_id, tuple(reversed(levels)))


def save(counts: NgramCounts, path: Path) -> None:
    """Write raw counts as safetensors (`keys`, `counts`); `fit` gives the model again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {name: str(getattr(counts, name)) for name in ("order", "vocab_size", "eos_id")}
    temporary = path.with_name(f"{storage.TEMPORARY}{path.name}")
    save_file({"keys": counts.keys, "counts": counts.counts}, temporary, metadata=metadata)
    temporary.replace(path)


def _histories(ids: np.ndarray, order: int, eos_id: int) -> np.ndarray:
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


def _continuations(
    keys: np.ndarray, values: np.ndarray, order: int, counts: NgramCounts
) -> tuple[np.ndarray, np.ndarray]:
    """Return the n-grams one token shorter, each with the number of types that extend it to the left.

    What starts a document is extended by EOS only; there the counts themselves go down (Heafield et al.
    2013, "Scalable modified Kneser-Ney", adjusted counts).
    """
    suffix = keys & np.uint64((1 << (counts.bits * (order - 1))) - 1)
    shorter, where = np.unique(suffix, return_inverse=True)
    types = np.bincount(where, minlength=len(shorter)).astype(np.int64)
    if order == 2:
        return shorter, types
    tokens = np.zeros(len(shorter), np.int64)
    np.add.at(tokens, where, values)
    starts = (shorter >> np.uint64(counts.bits * (order - 2))) == np.uint64(counts.eos_id)
    return shorter, np.where(starts, tokens, types)


def _fit_level(keys: np.ndarray, values: np.ndarray, bits: int) -> _Level:
    """Discount the counts of one order."""
    histories, where = np.unique(keys >> np.uint64(bits), return_inverse=True)
    total = np.zeros(len(histories), np.int64)
    np.add.at(total, where, values)
    discounts = _discounts(values)
    kind = np.minimum(values, 3) - 1  # 0, 1, 2: counts of one, two, three and more
    number = np.bincount(where * 3 + kind, minlength=3 * len(histories)).reshape(-1, 3)
    discounted = (values - np.array(discounts)[kind]) / total[where]
    backoff = (number @ np.array(discounts)) / total
    return _Level(keys, discounted, histories, backoff, discounts)


def _discounts(values: np.ndarray) -> tuple[float, float, float]:
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


def _look_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray, default: float) -> np.ndarray:
    """Return the value of each wanted key in a sorted table, or the default."""
    if not len(keys):
        return np.full(len(wanted), default)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], default)
