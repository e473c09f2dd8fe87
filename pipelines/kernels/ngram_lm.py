"""Perplexity of texts under n-gram models that lie in a hash table, scored at memory speed.

A model holds the interpolated probability of every n-gram that it kept and the back-off weight of every
history, as ARPA files do: p(w | h) is that of the longest n-gram `h' w` in the table, times the back-off
weights of the histories between `h'` and `h`. Tokens are those of a byte-level BPE that the model carries,
so that nothing is unknown. How models are estimated: `analysis/quality/ngram_training.py`.

File: Arrow IPC, uncompressed, memory-mapped. One column `slot`, `fixed_size_list<uint64>[2]`, little-endian:
an open-addressing table of (key, log probability | log back-off << 32), both logarithms float32 in nats;
key 0 is an empty slot. The place of a key is `(key >> 32) * slots >> 32`, then the slots that follow.
Schema metadata `mixtrace_ngram_lm` (JSON) has the version and the fields of `Description`; `tokenizer` is
the `tokenizer.json`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import float64, int64, njit, uint64

from pipelines.contracts import storage
from pipelines.contracts.errors import ConfigError, message
from pipelines.kernels.arrow_strings import string_buffers
from pipelines.kernels.bpe import BytePairEncoder
from pipelines.kernels.bpe_model import load_bpe
from pipelines.kernels.compile import INLINE, KERNEL
from pipelines.kernels.hashing import mix64
from pipelines.kernels.language_output import exp_ieee, log_ieee

VERSION: Final = 1
NORMALISATION = "lower case, ASCII digits become 0"
"""What `normalise` does, in words, for model cards."""
_MARK: Final = b"mixtrace_ngram_lm"
_TOKENIZER: Final = b"tokenizer"
_FIRST: Final = np.uint64(0x9E3779B97F4A7C15)
_NEXT: Final = np.uint64(0xD6E8FEB86659FD93)
_SLOTS_PER_ENTRY: Final = 1.7
_CACHE_ROWS: Final = 1 << 17
_DIGITS: Final = np.arange(256, dtype=np.uint8)
_DIGITS[ord("0") : ord("9") + 1] = ord("0")


@dataclass(frozen=True)
class Description:
    """What is stated with a model.

    Attributes:
        lang: language of its texts.
        order: tokens of the longest n-gram.
        vocab_size: tokens that have a probability.
        eos_id: token before the start and at the end of a document.
        head_max: greatest perplexity of the bucket `head` (a tercile of the reference texts).
        middle_max: greatest perplexity of the bucket `middle`.
        entries: n-grams by order, from 1.
    """

    lang: str
    order: int
    vocab_size: int
    eos_id: int
    head_max: float
    middle_max: float
    entries: tuple[int, ...]


@njit(**INLINE)
def _unigram_key(token: int) -> int:
    return mix64((uint64(token) + uint64(1)) * _FIRST) | uint64(1)


@njit(**INLINE)
def _longer_key(key: int, older: int) -> int:
    """Return the key of an n-gram with one more token in front."""
    return mix64(key ^ ((uint64(older) + uint64(1)) * _NEXT)) | uint64(1)


@njit(**KERNEL)
def extend_keys(keys: np.ndarray, tokens: np.ndarray, order: int) -> np.ndarray:
    """Return the keys of the n-grams of `order` tokens that end at every place of a stream.

    Args:
        keys: uint64 `[tokens]`, those of one token less (ignored for order 1).
        tokens: int32 `[tokens]`.
        order: tokens of an n-gram; the first order - 1 places have none and get 0.
    """
    longer = np.zeros(len(tokens), np.uint64)
    for i in range(order - 1, len(tokens)):
        longer[i] = _unigram_key(tokens[i]) if order == 1 else _longer_key(keys[i], tokens[i - order + 1])
    return longer


@njit(**KERNEL)
def log_values(values: np.ndarray) -> np.ndarray:
    """Return the natural logarithms of positive float64 `[rows]`, the same on every processor."""
    found = np.empty(len(values))
    for row in range(len(values)):
        found[row] = log_ieee(values[row])
    return found


@njit(**INLINE)
def _place(key: int, slots: int) -> int:
    return int64(((key >> uint64(32)) * uint64(slots)) >> uint64(32))


@njit(**INLINE)
def _find(key: int, table: np.ndarray) -> int:
    """Return the slot of a key, or -1."""
    slots = table.shape[0]
    at = _place(key, slots)
    while table[at, 0] != key:
        if table[at, 0] == 0:
            return -1
        at += 1
        if at == slots:
            at = 0
    return at


@njit(**KERNEL)
def _fill(keys: np.ndarray, values: np.ndarray, table: np.ndarray) -> bool:
    """Put entries into an empty table; False if a key comes twice."""
    slots = table.shape[0]
    for i in range(len(keys)):
        at = _place(keys[i], slots)
        while table[at, 0] != 0:
            if table[at, 0] == keys[i]:
                return False
            at += 1
            if at == slots:
                at = 0
        table[at, 0], table[at, 1] = keys[i], values[i]
    return True


@njit(**KERNEL)
def _unigrams(table: np.ndarray, weights: np.ndarray, log_probability: np.ndarray, back_off: np.ndarray) -> bool:
    """Fill log probability and log back-off of every single token; False if one is missing."""
    for token in range(len(log_probability)):
        slot = _find(_unigram_key(token), table)
        if slot < 0:
            return False
        log_probability[token], back_off[token] = weights[slot, 2], weights[slot, 3]
    return True


@njit(**KERNEL)
def _score(
    tokens: np.ndarray,
    offsets: np.ndarray,
    table: np.ndarray,
    weights: np.ndarray,
    first: np.ndarray,
    first_back_off: np.ndarray,
    order: int,
    eos: int,
    nats: np.ndarray,
) -> None:
    """Fill the summed log probability of every row and of the end that follows it."""
    state, following = np.zeros(order + 1), np.zeros(order + 1)  # log back-off of the history of n tokens
    start, starts = np.zeros(order + 1), 0
    key = uint64(0)
    for n in range(1, order):  # before a document stand ends
        key = _unigram_key(eos) if n == 1 else _longer_key(key, eos)
        slot = _find(key, table)
        if slot < 0:
            break
        start[n], starts = float64(weights[slot, 3]), n
    for row in range(len(offsets) - 1):
        begin, end = offsets[row], offsets[row + 1]
        known = starts
        for n in range(1, known + 1):
            state[n] = start[n]
        total = 0.0
        for i in range(begin, end + 1):
            token = tokens[i] if i < end else eos
            best = float64(first[token])
            following[1] = float64(first_back_off[token])
            key = _unigram_key(token)
            length = 1
            while length < order and length <= known:
                older = tokens[i - length] if i - length >= begin else eos
                key = _longer_key(key, older)
                slot = _find(key, table)
                if slot < 0:
                    break
                length += 1
                best = float64(weights[slot, 2])
                following[length] = float64(weights[slot, 3])
            for n in range(length, known + 1):
                best += state[n]
            total += best
            known = min(length, order - 1)
            for n in range(1, known + 1):
                state[n] = following[n]
        nats[row] = total


@njit(**KERNEL)
def _perplexity(nats: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    found = np.empty(len(nats))
    for row in range(len(nats)):
        found[row] = exp_ieee(-nats[row] / tokens[row])
    return found


def normalise(text: pa.Array) -> pa.Array:
    """Lower the case and make every ASCII digit a 0, as training and scoring both do.

    Args:
        text: `[rows]` strings without nulls.

    Returns:
        `[rows]` large_string.
    """
    buffers = string_buffers(pc.utf8_lower(text.cast(pa.large_string())))
    data = pa.py_buffer(_DIGITS[buffers.data])
    return pa.LargeStringArray.from_buffers(buffers.rows, pa.py_buffer(buffers.offsets), data)


def build_table(keys: np.ndarray, log_probability: np.ndarray, log_back_off: np.ndarray) -> np.ndarray:
    """Make the table of a model.

    Args:
        keys: uint64 `[entries]`, distinct, from `extend_keys`.
        log_probability: float `[entries]`, nats.
        log_back_off: float `[entries]`, nats.

    Returns:
        uint64 `[slots, 2]`; the same for any order of the entries.

    Raises:
        ValueError: if two entries have the same key.
    """
    order = np.argsort(keys, kind="stable")
    packed = np.empty((len(keys), 2), np.float32)
    packed[:, 0], packed[:, 1] = log_probability[order], log_back_off[order]
    table = np.zeros((int(len(keys) * _SLOTS_PER_ENTRY) + 8, 2), np.uint64)
    if not _fill(keys[order], packed.view(np.uint64)[:, 0].copy(), table):
        raise ValueError("build_table: two n-grams with one key: expected distinct keys")
    return table


class NgramLanguageModel:
    """A model of one language; make one per process and keep it.

    Args:
        description: what is stated with it.
        tokenizer_json: its byte-level BPE.
        table: uint64 `[slots, 2]`, from `build_table`.

    Raises:
        ValueError: if a token of the vocabulary has no probability.
    """

    def __init__(self, description: Description, tokenizer_json: str, table: np.ndarray) -> None:
        self.description, self.tokenizer_json = description, tokenizer_json
        self._encoder = BytePairEncoder(load_bpe(tokenizer_json), _CACHE_ROWS)
        self.table = table.view()
        self.table.flags.writeable = False
        self._weights = self.table.view(np.float32)
        self._first = np.empty(description.vocab_size, np.float32)
        self._first_back_off = np.empty(description.vocab_size, np.float32)
        if not _unigrams(self.table, self._weights, self._first, self._first_back_off):
            raise ValueError("NgramLanguageModel: a token without a probability: expected all single tokens")

    def encode(self, text: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """Return the tokens int32 `[total]` of normalised texts, and offsets int64 `[rows + 1]`."""
        ids, offsets = self._encoder.encode(normalise(text))
        return ids.astype(np.int32), offsets

    def score(self, ids: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Return the log probability of every row, its end included.

        Args:
            ids: int32 `[total]` tokens.
            offsets: int64 `[rows + 1]`.

        Returns:
            float64 `[rows]`, nats (negative).
        """
        nats = np.empty(len(offsets) - 1)
        about = self.description
        arguments = (self.table, self._weights, self._first, self._first_back_off, about.order, about.eos_id)
        _score(ids, offsets, *arguments, nats)
        return nats

    def perplexity(self, text: pa.Array) -> np.ndarray:
        """Return exp(-log probability / tokens) of every text; the end counts as a token.

        Args:
            text: `[rows]` strings without nulls.

        Returns:
            float64 `[rows]`, at least 1.
        """
        ids, offsets = self.encode(text)
        return _perplexity(self.score(ids, offsets), (np.diff(offsets) + 1).astype(np.float64))

    def bucket(self, perplexity: np.ndarray) -> np.ndarray:
        """Return head, middle or tail for every perplexity (Wenzek et al. 2019, arXiv:1911.00359)."""
        limits = (self.description.head_max, self.description.middle_max)
        return np.array(["head", "middle", "tail"], dtype=object)[np.searchsorted(limits, perplexity, side="left")]

    def save(self, path: str) -> None:
        """Write the file of the model; equal models give equal bytes."""
        body = {"version": VERSION, **asdict(self.description)}
        metadata = {_MARK: json.dumps(body).encode(), _TOKENIZER: self.tokenizer_json.encode()}
        column = pa.FixedSizeListArray.from_arrays(pa.array(self.table.reshape(-1)), 2)
        schema = pa.schema([pa.field("slot", column.type)], metadata=metadata)
        with storage.atomic_write(path) as file, pa.ipc.new_file(file, schema) as writer:
            writer.write_batch(pa.record_batch([column], schema=schema))

    @classmethod
    def load(cls, path: str) -> NgramLanguageModel:
        """Read a model; a local file is mapped, so that processes share its pages.

        Raises:
            ConfigError: if there is no such file, or it is none of ours.
        """
        if not storage.exists(path):
            raise ConfigError(message(path, "no such file", "nothing", "an n-gram model"))
        try:
            local = storage.is_local(path)
            source = pa.memory_map(path.removeprefix("file://")) if local else pa.BufferReader(storage.read_bytes(path))
            batch = pa.ipc.open_file(source).get_batch(0)
            body: dict[str, Any] = json.loads(batch.schema.metadata[_MARK])
            tokenizer_json = batch.schema.metadata[_TOKENIZER].decode()
        except (pa.ArrowInvalid, KeyError, TypeError) as error:
            raise ConfigError(message(path, "not an n-gram model", error, "a file of `perplexity train`")) from error
        if body.pop("version") != VERSION:
            raise ConfigError(message(path, "another version of the format", body, f"version {VERSION}"))
        description = Description(**{**body, "entries": tuple(body["entries"])})
        table = batch.column(0).flatten().to_numpy(zero_copy_only=True).reshape(-1, 2)
        return cls(description, tokenizer_json, table)
