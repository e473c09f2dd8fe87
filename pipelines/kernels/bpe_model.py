"""Read a byte-level BPE `tokenizer.json` (Hugging Face `tokenizers`) into plain arrays.

Byte-pair encoding: Sennrich, Haddow, Birch 2016, arXiv:1508.07909; over bytes: Radford et al. 2019. Pre-tokenizers
are those of `pretokenizers`. Whatever would change an id beyond that (another normalizer than NFC, dropout,
prefixes ...) is refused by name, so that a caller can use `tokenizers` itself.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numba import int64, njit, uint64

from pipelines.kernels.arrow_strings import PAD_BYTES
from pipelines.kernels.compile import INLINE, KERNEL
from pipelines.kernels.hashing import load_u64, mix64
from pipelines.kernels.pretokenizer_model import Machine, find_machine

NO_PAIR: Final = np.uint64(0xFFFFFFFFFFFFFFFF)
"""Marks an empty slot of the merge table."""
NO_RANK: Final = 0x7FFFFFFF
"""Rank of two neighbours that do not merge."""
NO_MERGE: Final = np.uint64(NO_RANK << 32)
"""What the tables say of two neighbours that do not merge."""
MOST_MERGES: Final = 1 << 25
"""A rank and a position below 64 fit into one positive int32."""
PAIR_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)
_MOST_IDS: Final = 1 << 31
# All bytes have a token, so an unknown token and fusing them never act and are no reason to refuse.
_SWITCHES: Final = (
    "dropout",
    "byte_fallback",
    "continuing_subword_prefix",
    "end_of_word_suffix",
)


class UnsupportedTokenizer(ValueError):
    """A tokenizer that the kernel does not cover. `args[0]` is the reason."""


class Merges(NamedTuple):
    """What the merge loop reads.

    Attributes:
        byte_id: `int32 [256]`, token id of every byte.
        table: `uint64 [slots, 2]`, open addressing: `left id << 32 | right id` (or NO_PAIR) and
            `rank << 32 | token id of the merged pair`; lower ranks go first.
        of_bytes: `uint64 [65536]`, the second column for two neighbouring bytes (`first << 8 | second`), or NO_MERGE.
    """

    byte_id: np.ndarray
    table: np.ndarray
    of_bytes: np.ndarray


class WholeTokens(NamedTuple):
    """Tokens that a pre-token equal to them becomes without merging (`ignore_merges`).

    Attributes:
        slot: `int32 [slots]`, open addressing by `hash_bytes`: row of `start`, or -1. One slot: no such tokens.
        start: `int64 [tokens + 1]`, where each token starts in `data`.
        data: `uint8 [bytes + padding]`.
        token_id: `int32 [tokens]`.
    """

    slot: np.ndarray
    start: np.ndarray
    data: np.ndarray
    token_id: np.ndarray


@dataclass(frozen=True)
class BpeModel:
    """A byte-level BPE.

    Attributes:
        merges: merge table.
        whole: tokens that need no merges.
        machine: pre-tokenizer.
        compose: whether texts are brought into Unicode NFC first.
        id_type: uint16 if all ids are below 65,536, else uint32.
        token_bytes: bytes of every token id; empty for ids without a token.
    """

    merges: Merges
    whole: WholeTokens
    machine: Machine
    compose: bool
    id_type: type[np.uint16] | type[np.uint32]
    token_bytes: tuple[bytes, ...]


@functools.cache
def byte_alphabet() -> tuple[str, ...]:
    """Return GPT-2's printable stand-in for each of the 256 bytes."""
    kept = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return tuple(chr(byte if byte in kept else next(others)) for byte in range(256))


def token_to_bytes(token: str) -> bytes:
    """Return the bytes that a token stands for; those of its own text if it is not of the byte alphabet."""
    byte_of = _byte_of()
    if all(character in byte_of for character in token):
        return bytes(byte_of[character] for character in token)
    return token.encode()


@functools.cache
def _byte_of() -> dict[str, int]:
    return {character: byte for byte, character in enumerate(byte_alphabet())}


def token_bytes(body: dict[str, Any]) -> tuple[bytes, ...]:
    """Return the bytes of every id of a parsed `tokenizer.json` with a byte-level decoder.

    Added tokens are text, not byte-level; ids without a token are empty.
    """
    table = {number: token_to_bytes(token) for token, number in body["model"]["vocab"].items()}
    table |= {added["id"]: added["content"].encode() for added in body.get("added_tokens", [])}
    return tuple(table.get(number, b"") for number in range(max(table) + 1))


def load_bpe(tokenizer_json: str) -> BpeModel:
    """Read a byte-level BPE.

    Args:
        tokenizer_json: text of a `tokenizer.json`.

    Raises:
        UnsupportedTokenizer: The kernel would not give this tokenizer's ids.
    """
    body = json.loads(tokenizer_json)
    machine = _check(body)
    vocab = plain_vocab(body)
    missing = [byte for byte, character in enumerate(byte_alphabet()) if character not in vocab]
    if missing:
        raise UnsupportedTokenizer(f"vocabulary without the bytes {missing[:8]}")
    tokens = token_bytes(body)
    if len(tokens) > _MOST_IDS or len(body["model"]["merges"]) > MOST_MERGES:
        raise UnsupportedTokenizer(f"{len(tokens)} token ids, {len(body['model']['merges'])} merges")
    byte_id = np.array([vocab[character] for character in byte_alphabet()], np.int32)
    merges = Merges(byte_id, *_merge_tables(body["model"]["merges"], vocab, byte_id))
    whole = _whole_tokens(vocab if body["model"].get("ignore_merges") else {})
    for array in (*merges, *whole):
        array.flags.writeable = False
    compose = _normalizers(body) == ["NFC"]
    return BpeModel(merges, whole, machine, compose, np.uint16 if len(tokens) <= 1 << 16 else np.uint32, tokens)


def plain_vocab(body: dict[str, Any]) -> dict[str, int]:
    """Return the vocabulary of a parsed `tokenizer.json` without added tokens that no merge makes.

    With `ignore_merges`, text that reads like such a token would become it.
    """
    model = body["model"]
    merges = (merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"])
    added = {token["content"] for token in body.get("added_tokens", [])} - {"".join(merge) for merge in merges}
    return {token: number for token, number in model["vocab"].items() if token not in added or len(token) == 1}


def _normalizers(body: dict[str, Any]) -> list[str]:
    """Return the types of all normalizers, in their order."""
    normalizer = body.get("normalizer")
    if not normalizer:
        return []
    if normalizer["type"] == "Sequence":
        return [step["type"] for step in normalizer["normalizers"]]
    return [normalizer["type"]]


def _check(body: dict[str, Any]) -> Machine:
    """Return the pre-tokenizer; raise for everything that the kernel does not do."""
    model = body["model"]
    if model.get("type", "BPE") != "BPE" or not isinstance(model.get("merges"), list):
        raise UnsupportedTokenizer(f"model {model.get('type')}")
    for switch in _SWITCHES:
        if model.get(switch):
            raise UnsupportedTokenizer(f"model.{switch} = {model[switch]!r}")
    if _normalizers(body) not in ([], ["NFC"]):
        raise UnsupportedTokenizer(f"normalizer {' + '.join(_normalizers(body))}")
    machine = find_machine(body.get("pre_tokenizer"))
    if machine is None:
        raise UnsupportedTokenizer(f"pre-tokenizer {body.get('pre_tokenizer')}")
    if not is_byte_level(body):
        raise UnsupportedTokenizer(f"decoder {body.get('decoder')}")
    return machine


def is_byte_level(body: dict[str, Any]) -> bool:
    """Say whether a parsed `tokenizer.json` decodes tokens as bytes."""
    return (body.get("decoder") or {}).get("type") == "ByteLevel"


def _merge_tables(merges: list[Any], vocab: dict[str, int], byte_id: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Build `table` and `of_bytes` of Merges; of a repeated merge the last counts, as in `tokenizers`."""
    found: dict[int, int] = {}
    for rank, merge in enumerate(merges):
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        found[(vocab[left] << 32) | vocab[right]] = (rank << 32) | vocab[left + right]
    table = np.empty((1 << max(4, (2 * len(found)).bit_length()), 2), np.uint64)
    table[:] = NO_PAIR, NO_MERGE
    _fill_table(np.fromiter(found, np.uint64, len(found)), np.fromiter(found.values(), np.uint64, len(found)), table)
    ids = byte_id.tolist()
    no_merge = int(NO_MERGE)
    pairs = (found.get((left << 32) | right, no_merge) for left in ids for right in ids)
    return table, np.fromiter(pairs, np.uint64, 1 << 16)


@njit(**INLINE)
def merge_slot(key: int, table: np.ndarray) -> int:
    """Return the slot of a pair in `Merges.table`, or the empty slot where it would go."""
    mask = table.shape[0] - 1
    at = int64((key * PAIR_MULTIPLIER) >> uint64(32)) & mask
    while table[at, 0] != key and table[at, 0] != NO_PAIR:
        at = (at + 1) & mask
    return at


@njit(**KERNEL)
def _fill_table(keys: np.ndarray, values: np.ndarray, table: np.ndarray) -> None:
    for i in range(keys.shape[0]):
        at = merge_slot(keys[i], table)
        table[at, 0], table[at, 1] = keys[i], values[i]


@njit(**INLINE)
def low_bytes(value: int, count: int) -> int:
    """Keep the low `count` (0 to 8) bytes."""
    if count >= 8:
        return value
    return value & ((uint64(1) << uint64(8 * count)) - uint64(1))


@njit(**KERNEL)
def _hash_bytes(data: np.ndarray, start: int, end: int) -> int:
    value = mix64(uint64(end - start))
    at = start
    while at < end:
        value = mix64(value ^ low_bytes(load_u64(data, at), end - at))
        at += 8
    return value


@njit(**KERNEL)
def _fill_slots(whole: WholeTokens) -> None:
    mask = whole.slot.shape[0] - 1
    for row in range(whole.token_id.shape[0]):
        at = int64(_hash_bytes(whole.data, whole.start[row], whole.start[row + 1])) & mask
        while whole.slot[at] >= 0:
            at = (at + 1) & mask
        whole.slot[at] = row


@njit(**KERNEL)
def find_whole(data: np.ndarray, start: int, end: int, whole: WholeTokens) -> int:
    """Return the id of the token whose bytes are exactly `data[start:end]`, or -1."""
    mask = whole.slot.shape[0] - 1
    if mask == 0:
        return -1
    at = int64(_hash_bytes(data, start, end)) & mask
    while whole.slot[at] >= 0:
        row = whole.slot[at]
        first = whole.start[row]
        size = whole.start[row + 1] - first
        same = 0
        if size == end - start:
            while same < size and whole.data[first + same] == data[start + same]:
                same += 1
            if same == size:
                return whole.token_id[row]
        at = (at + 1) & mask
    return -1


def _whole_tokens(vocab: dict[str, int]) -> WholeTokens:
    """Build the table of tokens that need no merges; tokens outside of the byte alphabet are never met."""
    byte_of = _byte_of()
    spelled = {token: number for token, number in vocab.items() if token and all(c in byte_of for c in token)}
    texts = [token_to_bytes(token) for token in spelled]
    start = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=start[1:])
    data = np.frombuffer(b"".join(texts) + bytes(PAD_BYTES), np.uint8).copy()
    slots = 1 << (4 * len(texts)).bit_length() if texts else 1
    whole = WholeTokens(np.full(slots, -1, np.int32), start, data, np.fromiter(spelled.values(), np.int32, len(texts)))
    _fill_slots(whole)
    return whole
