"""Read a byte-level BPE `tokenizer.json` (Hugging Face `tokenizers`) into plain arrays.

Byte-pair encoding: Sennrich, Haddow, Birch 2016, arXiv:1508.07909; over bytes with the GPT-2 pre-tokenizer:
Radford et al. 2019. Whatever would change an id beyond that (a normalizer, dropout, prefixes ...) is
refused by name, so that a caller can use `tokenizers` itself.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

NO_PAIR: Final = np.uint64(0xFFFFFFFFFFFFFFFF)
"""Marks an empty slot of the merge table."""
NO_RANK: Final = 0x7FFFFFFF
"""Rank of two neighbours that do not merge."""
PAIR_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)
_MOST_IDS: Final = 1 << 31
# All bytes have a token, so an unknown token and fusing them never act and are no reason to refuse.
_SWITCHES: Final = (
    "dropout",
    "byte_fallback",
    "ignore_merges",
    "continuing_subword_prefix",
    "end_of_word_suffix",
)


class UnsupportedTokenizer(ValueError):
    """A tokenizer that the kernel does not cover. `args[0]` is the reason."""


class Merges(NamedTuple):
    """What the merge loop reads.

    Attributes:
        byte_id: `int32 [256]`, token id of every byte.
        pair: `uint64 [slots]`, open addressing: `left id << 32 | right id`, or NO_PAIR.
        rank: `int32 [slots]`, order of the merge; lower goes first.
        merged: `int32 [slots]`, token id of the merged pair.
    """

    byte_id: np.ndarray
    pair: np.ndarray
    rank: np.ndarray
    merged: np.ndarray


@dataclass(frozen=True)
class BpeModel:
    """A byte-level BPE.

    Attributes:
        merges: merge table.
        id_type: uint16 if all ids are below 65,536, else uint32.
        token_bytes: bytes of every token id; empty for ids without a token.
    """

    merges: Merges
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
    _check(body)
    vocab = body["model"]["vocab"]
    missing = [byte for byte, character in enumerate(byte_alphabet()) if character not in vocab]
    if missing:
        raise UnsupportedTokenizer(f"vocabulary without the bytes {missing[:8]}")
    tokens = token_bytes(body)
    if len(tokens) > _MOST_IDS:
        raise UnsupportedTokenizer(f"{len(tokens)} token ids")
    byte_id = np.array([vocab[character] for character in byte_alphabet()], np.int32)
    merges = Merges(byte_id, *_merge_table(body["model"]["merges"], vocab))
    for array in merges:
        array.flags.writeable = False
    return BpeModel(merges, np.uint16 if len(tokens) <= 1 << 16 else np.uint32, tokens)


def _check(body: dict[str, Any]) -> None:
    """Raise for everything that the kernel does not do."""
    model = body["model"]
    if model.get("type", "BPE") != "BPE" or not isinstance(model.get("merges"), list):
        raise UnsupportedTokenizer(f"model {model.get('type')}")
    for switch in _SWITCHES:
        if model.get(switch):
            raise UnsupportedTokenizer(f"model.{switch} = {model[switch]!r}")
    if body.get("normalizer"):
        raise UnsupportedTokenizer(f"normalizer {body['normalizer'].get('type')}")
    before = body.get("pre_tokenizer") or {}
    if before.get("type") != "ByteLevel" or not before.get("use_regex", True) or before.get("add_prefix_space", True):
        raise UnsupportedTokenizer(f"pre-tokenizer {before}")
    if not is_byte_level(body):
        raise UnsupportedTokenizer(f"decoder {body.get('decoder')}")


def is_byte_level(body: dict[str, Any]) -> bool:
    """Say whether a parsed `tokenizer.json` decodes tokens as bytes."""
    return (body.get("decoder") or {}).get("type") == "ByteLevel"


def _merge_table(merges: list[Any], vocab: dict[str, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Build the open-addressing table; of a repeated merge the last counts, as in `tokenizers`."""
    found: dict[int, tuple[int, int]] = {}
    for rank, merge in enumerate(merges):
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        found[(vocab[left] << 32) | vocab[right]] = (rank, vocab[left + right])
    slots = 1 << max(4, (4 * len(found)).bit_length())
    pair = np.full(slots, NO_PAIR, np.uint64)
    rank_of = np.full(slots, NO_RANK, np.int32)
    merged = np.full(slots, -1, np.int32)
    multiplier = int(PAIR_MULTIPLIER)
    for key, (rank, number) in found.items():
        at = ((key * multiplier & 0xFFFFFFFFFFFFFFFF) >> 32) & (slots - 1)
        while pair[at] != NO_PAIR:
            at = (at + 1) & (slots - 1)
        pair[at], rank_of[at], merged[at] = key, rank, number
    return pair, rank_of, merged
