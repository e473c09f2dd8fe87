"""Read the file of a fastText model (`.bin`, `.ftz`; versions 11 and 12) into its parts, checking every length.

fastText: Joulin et al. 2016 (arXiv:1607.01759); the quantised form: arXiv:1612.03651. A file is arguments,
dictionary, input matrix, output matrix, little-endian. A quantised matrix holds codes of a product quantiser
(Jégou et al. 2011, doi:10.1109/TPAMI.2010.57) and is expanded here.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass

import numpy as np

from pipelines.contracts import storage
from pipelines.contracts.errors import ConfigError, message

_MAGIC, _VERSION, _OLD_VERSION = 793712314, 12, 11
_SUPERVISED = 3
LOSSES = {1: "hs", 2: "ns", 3: "softmax", 4: "ova"}
_CENTROIDS = 256
_MAX_BUCKETS = 1 << 27


@dataclass(frozen=True)
class Arguments:
    """What decides how a text becomes rows of the input matrix, and how its scores become a label.

    Attributes:
        dim: length of the vectors.
        word_ngrams: longest n-gram of words.
        loss: hs (hierarchical softmax), ns (negative sampling), softmax or ova (one against all).
        buckets: rows of the input matrix for hashed n-grams, before pruning.
        min_n: shortest n-gram of characters.
        max_n: longest n-gram of characters; 0 for none.
    """

    dim: int
    word_ngrams: int
    loss: str
    buckets: int
    min_n: int
    max_n: int


@dataclass(frozen=True)
class Dictionary:
    """Words and labels.

    Attributes:
        words: words by number.
        labels: labels by number, with their prefix.
        label_counts: how often each label occurred in training.
        pruned: [kept n-grams, 2] int32 (bucket, row after the words), or None if every bucket has a row.
    """

    words: list[bytes]
    labels: list[bytes]
    label_counts: list[int]
    pruned: np.ndarray | None


@dataclass(frozen=True)
class Matrix:
    """A matrix, expanded if it was quantised.

    Attributes:
        rows: [height, width] float32.
        norms: [height] float32 that the rows are to be multiplied with (all 1 without quantised norms).
    """

    rows: np.ndarray
    norms: np.ndarray


class _Cursor:
    """Read little-endian values and say where a file ends too early."""

    def __init__(self, data: bytes | mmap.mmap, name: str) -> None:
        self.data, self.name, self.at = data, name, 0

    def fail(self, found: object, expected: str) -> ConfigError:
        """Make the error of a file that contradicts itself."""
        return ConfigError(message(f"{self.name} at byte {self.at}", "broken fastText model", found, expected))

    def _need(self, size: int) -> None:
        if size < 0 or self.at + size > len(self.data):
            found = f"{len(self.data)} bytes"
            raise ConfigError(message(self.name, "truncated fastText model", found, f"{self.at + size} or more"))

    def values(self, layout: str) -> tuple:
        """Read values by a `struct` layout."""
        size = struct.calcsize("<" + layout)
        self._need(size)
        found = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += size
        return found

    def array(self, dtype: type, count: int) -> np.ndarray:
        """Copy an array out of the file."""
        self._need(count * np.dtype(dtype).itemsize)
        found = np.frombuffer(self.data, dtype, count, self.at).copy()
        self.at += found.nbytes
        return found

    def word(self) -> bytes:
        """Read bytes up to a NUL."""
        end = self.data.find(b"\0", self.at)
        if end < 0:
            self._need(len(self.data) + 1)
        found, self.at = self.data[self.at : end], end + 1
        return found


def read_model_file(path: str) -> tuple[Arguments, Dictionary, Matrix, Matrix, bytes | mmap.mmap]:
    """Read a model file; a local one is mapped, so that only what is kept takes memory.

    Returns:
        (arguments, dictionary, input matrix, output matrix, all bytes).

    Raises:
        ConfigError: if it is absent, no fastText model, truncated, of a newer version or not supervised.
    """
    if not storage.exists(path):
        raise ConfigError(message("language.model", "no such file", path, "a fastText model (.bin or .ftz)"))
    data = _bytes_of(path)
    cursor = _Cursor(data, path)
    if len(data) < 8 or cursor.values("i")[0] != _MAGIC:
        raise ConfigError(message(path, "not a fastText model", data[:4].hex() or "nothing", "its magic number"))
    (version,) = cursor.values("i")
    if version not in (_OLD_VERSION, _VERSION):
        expected = f"version {_OLD_VERSION} or {_VERSION}"
        raise ConfigError(message(path, "fastText model of an unknown version", version, expected))
    arguments = _read_arguments(cursor, old=version == _OLD_VERSION)
    dictionary = _read_dictionary(cursor, arguments)
    (quantised,) = cursor.values("?")
    if dictionary.pruned is not None and not quantised:
        raise cursor.fail("a pruned dictionary", "a quantised input matrix with it")
    n_ngrams = arguments.buckets if dictionary.pruned is None else len(dictionary.pruned)
    rows = _read_matrix(cursor, (len(dictionary.words) + n_ngrams, arguments.dim), quantised=quantised)
    (quantised_output,) = cursor.values("?")
    outputs = len(dictionary.labels)
    output = _read_matrix(cursor, (outputs, arguments.dim), quantised=quantised and quantised_output)
    return arguments, dictionary, rows, output, data


def _bytes_of(path: str) -> bytes | mmap.mmap:
    if not storage.is_local(path) or storage.size_bytes(path) == 0:
        return storage.read_bytes(path)
    with storage.open_read(path) as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _read_arguments(cursor: _Cursor, *, old: bool) -> Arguments:
    dim, _, _, _, _, word_ngrams, loss, model, buckets, min_n, max_n, _, _ = cursor.values("iiiiiiiiiiiid")
    if model != _SUPERVISED:
        kind = {1: "cbow", 2: "skipgram"}.get(model, model)
        raise ConfigError(message(cursor.name, "not a model of labels", kind, "a supervised fastText model"))
    if loss not in LOSSES:
        raise cursor.fail(f"loss {loss}", f"one of {LOSSES}")
    if not (1 <= dim <= 1 << 16 and 0 <= buckets <= _MAX_BUCKETS and max_n <= 1 << 10):
        raise cursor.fail(f"dim {dim}, {buckets} buckets, maxn {max_n}", f"at most {_MAX_BUCKETS} buckets")
    max_n = 0 if old else max_n  # supervised models of version 11 had no n-grams of characters
    if buckets == 0 and (max_n > 0 or word_ngrams > 1):
        raise cursor.fail("0 buckets", "buckets for its n-grams")
    return Arguments(dim, word_ngrams, LOSSES[loss], buckets, min_n, max(max_n, 0))


def _read_dictionary(cursor: _Cursor, arguments: Arguments) -> Dictionary:
    size, n_words, n_labels = cursor.values("iii")
    _, pruned_size = cursor.values("qq")
    if size != n_words + n_labels or min(n_words, n_labels - 1) < 0:
        raise cursor.fail(f"{size} entries, {n_words} words, {n_labels} labels", "a sum of words and labels")
    entries: list[bytes] = []
    counts: list[int] = []
    for number in range(size):
        entries.append(cursor.word())
        count, kind = cursor.values("qb")
        counts.append(count)
        if kind != (number >= n_words):
            raise cursor.fail(f"entry {number} of kind {kind}", "words (0), then labels (1)")
    pruned = cursor.array(np.int32, 2 * pruned_size).reshape(-1, 2) if pruned_size >= 0 else None
    if pruned is not None and pruned_size and not _within(pruned, arguments.buckets):
        raise cursor.fail("a kept n-gram outside of the buckets", f"numbers below {arguments.buckets}")
    return Dictionary(entries[:n_words], entries[n_words:], counts[n_words:], pruned)


def _within(pruned: np.ndarray, buckets: int) -> bool:
    """Say whether kept n-grams name buckets and rows that exist."""
    return bool((pruned >= 0).all() and pruned[:, 0].max() < buckets and pruned[:, 1].max() < len(pruned))


def _read_matrix(cursor: _Cursor, expected: tuple[int, int], *, quantised: bool) -> Matrix:
    normed = quantised and cursor.values("?")[0]
    shape = cursor.values("qq")
    if shape != expected:
        raise cursor.fail(f"a matrix of {shape}", f"one of {expected}")
    height, width = shape
    rows = _read_codes(cursor, height, width) if quantised else cursor.array(np.float32, height * width)
    rows = rows.reshape(height, width)
    norms = np.ones(height, np.float32)
    if normed:
        codes = cursor.array(np.uint8, height)
        norms = _read_quantiser(cursor, 1)[1][codes]
    if not (np.isfinite(rows.sum(dtype=np.float64)) and np.isfinite(norms).all()):
        raise ConfigError(message(cursor.name, "broken fastText model", "NaN or infinite weights", "numbers"))
    return Matrix(rows, norms)


def _read_codes(cursor: _Cursor, height: int, width: int) -> np.ndarray:
    """Expand a product-quantised matrix."""
    (code_size,) = cursor.values("i")
    codes = cursor.array(np.uint8, code_size)
    (subspaces, step, last), centroids = _read_quantiser(cursor, width)
    if code_size != height * subspaces:
        raise cursor.fail(f"{code_size} codes", f"{height} x {subspaces}")
    codes = codes.reshape(height, subspaces)
    matrix = np.empty((height, width), np.float32)
    for index in range(subspaces):
        size = last if index == subspaces - 1 else step
        start = index * _CENTROIDS * step
        book = centroids[start : start + _CENTROIDS * size].reshape(_CENTROIDS, size)
        matrix[:, index * step : index * step + size] = book[codes[:, index]]
    return matrix


def _read_quantiser(cursor: _Cursor, expected: int) -> tuple[tuple[int, int, int], np.ndarray]:
    width, subspaces, step, last = cursor.values("iiii")
    if width != expected or min(subspaces, step, last) < 1 or (subspaces - 1) * step + last != width:
        raise cursor.fail(f"a quantiser of {(width, subspaces, step, last)}", f"subspaces that sum to {expected}")
    return (subspaces, step, last), cursor.array(np.float32, width * _CENTROIDS)
