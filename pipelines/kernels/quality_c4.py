r"""C4's line rules as integers, in the two forms in which they are in use.

Raffel et al. 2020 (arXiv:1910.10683). `C4_TFDS` is the code that made C4 (tensorflow_datasets, text/c4_utils.py,
`clean_page`), `C4_DATATROVE` is datatrove 0.10.1's C4QualityFilter, which has the two limits the other way round
and counts the words of a line before it removes citations. Lines are those of str.splitlines, stripped.

Sentences: both peers ask a library (NLTK punkt, spaCy). Here a sentence ends as in spaCy's sentencizer: after a
word that is one sentence end (or a run of the same one other than "."), when a word follows that is no punctuation.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from numba import njit, uint8

from pipelines.kernels.arrow_strings import PAD_BYTES, string_buffers
from pipelines.kernels.compile import KERNEL
from pipelines.kernels.punctuation import SENTENCE_ENDS, unicode_punctuation
from pipelines.kernels.quality_lines import last_character, line_break, strip_left, strip_right
from pipelines.kernels.quality_words import split_words
from pipelines.kernels.unicode_tables import DIGIT, PUNCT, SPACE, TERM, class_bits, decode_utf8


class C4Variant(NamedTuple):
    """What differs between the two.

    Attributes:
        end_marks: ASCII characters of which a line must end in one.
        min_words: least words of a line.
        words_after_citations: count the words of a line without its citation marks.
    """

    end_marks: str
    min_words: int
    words_after_citations: bool


C4_TFDS: Final = C4Variant('.?!"', 5, True)
C4_DATATROVE: Final = C4Variant(".?!\"'", 3, False)
MAX_WORD_CHARS: Final = 1000

COLUMNS: Final = (
    "lines", "long_word_lines", "open_lines", "few_words_lines", "lorem_ipsum_lines", "javascript_lines",
    "curly_bracket_lines", "policy_lines", "kept_lines", "kept_chars", "sentences",
)  # fmt: skip
_PHRASES: Final = (
    b"lorem ipsum", b"javascript", b"{",
    b"terms of use", b"privacy policy", b"cookie policy", b"uses cookies", b"use of cookies", b"use cookies",
)  # fmt: skip
_NEEDLES: Final = np.frombuffer(b"".join(_PHRASES), np.uint8)
_NEEDLE_ENDS: Final = np.cumsum([0, *map(len, _PHRASES)])
_EDIT: Final = np.frombuffer(b"edit]", np.uint8)
_CITATION_NEEDED: Final = np.frombuffer(b"citation needed]", np.uint8)


@njit(**KERNEL)
def _starts_with(data: np.ndarray, at: int, end: int, needle: np.ndarray) -> bool:
    """Say whether `data[at:end]` starts with `needle`."""
    if end - at < needle.shape[0]:
        return False
    same = 0
    while same < needle.shape[0] and data[at + same] == needle[same]:
        same += 1
    return same == needle.shape[0]


@njit(**KERNEL)
def _citation_bytes(data: np.ndarray, start: int, end: int, bits: np.ndarray) -> int:
    r"""Return the bytes that `\[\d*]|\[edit]|\[citation needed]` matches at a "[", or 0."""
    at = start + 1
    while at < end:
        point, length = decode_utf8(data, at)
        if point == 93:
            return at + 1 - start
        if not bits[point] & DIGIT:
            break
        at += length
    if _starts_with(data, start + 1, end, _EDIT):
        return 1 + _EDIT.shape[0]
    if _starts_with(data, start + 1, end, _CITATION_NEEDED):
        return 1 + _CITATION_NEEDED.shape[0]
    return 0


@njit(**KERNEL)
def _without_citations(data: np.ndarray, start: int, end: int, bits: np.ndarray, line: np.ndarray) -> int:
    """Copy a line without its citation marks; returns its bytes."""
    size = 0
    at = start
    while at < end:
        length = _citation_bytes(data, at, end, bits) if data[at] == 91 else 0
        if length:
            at += length
            continue
        line[size] = data[at]
        size += 1
        at += 1
    return size


@njit(**KERNEL)
def _words(data: np.ndarray, start: int, end: int, bits: np.ndarray) -> tuple[int, int, int]:
    """Return words between white space, characters of the longest one, and all characters."""
    words = longest = chars = inside = 0
    at = start
    while at < end:
        point, length = decode_utf8(data, at)
        chars += 1
        if bits[point] & SPACE:
            inside = 0
        else:
            words += inside == 0
            inside += 1
            longest = max(longest, inside)
        at += length
    return words, longest, chars


@njit(**KERNEL)
def _lower(line: np.ndarray, size: int, lower: np.ndarray) -> int:
    """Write str.lower of a line as one byte per character, 255 for what is not ASCII; returns its characters.

    Only two other characters become ASCII letters: the Kelvin sign a k, and İ an i with a dot that follows it.
    """
    chars = at = 0
    while at < size:
        point, length = decode_utf8(line, at)
        at += length
        if point < 128:
            lower[chars] = uint8(point + 32 if 65 <= point <= 90 else point)
        elif point == 0x212A:
            lower[chars] = uint8(107)
        elif point == 0x130:
            lower[chars] = uint8(105)
            chars += 1
            lower[chars] = uint8(255)
        else:
            lower[chars] = uint8(255)
        chars += 1
    return chars


@njit(**KERNEL)
def _has_phrase(lower: np.ndarray, chars: int, first: int, last: int) -> bool:
    """Say whether one of the phrases `first` to `last` (without it) occurs."""
    for phrase in range(first, last):
        needle = _NEEDLES[_NEEDLE_ENDS[phrase] : _NEEDLE_ENDS[phrase + 1]]
        for at in range(chars - needle.shape[0] + 1):
            if lower[at] == needle[0] and _starts_with(lower, at, chars, needle):
                return True
    return False


@njit(**KERNEL)
def _sentences(line: np.ndarray, size: int, bits: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> int:
    """Count the sentences of a line that is not empty."""
    words = split_words(line, 0, size, bits, starts, ends)
    sentences = 1
    ended = False
    for i in range(words):
        point, length = decode_utf8(line, starts[i])
        one = ends[i] - starts[i] == length
        is_end = (bits[point] & TERM) != 0 and (one or point != 46)
        is_punctuation = True
        at = starts[i]
        while at < ends[i] and is_punctuation:
            inner, step = decode_utf8(line, at)
            is_punctuation = (bits[inner] & PUNCT) != 0
            at += step
        if ended and not is_punctuation and not is_end:
            sentences += 1
            ended = False
        elif is_end:
            ended = True
    return sentences


@njit(**KERNEL)
def _is_open(line: np.ndarray, size: int, end_marks: np.ndarray) -> bool:
    """Say whether a line ends in none of the marks, or in three dots."""
    if size == 0:
        return True
    if size >= 3 and line[size - 1] == 46 and line[size - 2] == 46 and line[size - 3] == 46:
        return True
    _, last = last_character(line, 0, size)
    closed = False
    for mark in end_marks:
        closed |= mark == last
    return not closed


@njit(**KERNEL)
def _line(
    data: np.ndarray,
    start: int,
    end: int,
    bits: np.ndarray,
    variant: tuple[np.ndarray, int, bool],
    line: np.ndarray,
    lower: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    out: np.ndarray,
) -> None:
    """Add one stripped line to the counts: it is counted where the first of the rules stops it."""
    end_marks, min_words, words_after_citations = variant
    out[0] += 1
    words, longest, _ = _words(data, start, end, bits)
    if longest > MAX_WORD_CHARS:
        out[1] += 1
        return
    size = _without_citations(data, start, end, bits, line)
    if _is_open(line, size, end_marks):
        out[2] += 1
        return
    cleaned_words, _, chars = _words(line, 0, size, bits)
    if (cleaned_words if words_after_citations else words) < min_words:
        out[3] += 1
        return
    lowered = _lower(line, size, lower)
    if _has_phrase(lower, lowered, 0, 1):
        out[4] += 1
    elif _has_phrase(lower, lowered, 1, 2):
        out[5] += 1
    elif _has_phrase(lower, lowered, 2, 3):
        out[6] += 1
    elif _has_phrase(lower, lowered, 3, _NEEDLE_ENDS.shape[0] - 1):
        out[7] += 1
    else:
        out[8] += 1
        out[9] += chars
        out[10] += _sentences(line, size, bits, starts, ends)


@njit(**KERNEL)
def _statistics(
    data: np.ndarray,
    offsets: np.ndarray,
    bits: np.ndarray,
    variant: tuple[np.ndarray, int, bool],
    longest: int,
    out: np.ndarray,
) -> None:
    """Fill `out` [rows, columns]."""
    line, lower = np.empty(longest + PAD_BYTES, np.uint8), np.empty(longest + PAD_BYTES, np.uint8)
    starts, ends = np.empty(longest + 1, np.int64), np.empty(longest + 1, np.int64)
    for row in range(offsets.shape[0] - 1):
        at, end = offsets[row], offsets[row + 1]
        while at < end:
            stop, size = at, 0
            while stop < end:
                size = line_break(data, stop, end)
                if size:
                    break
                stop += 1
            inner = strip_left(data, at, stop, bits)
            right = strip_right(data, inner, stop, bits)
            _line(data, inner, right, bits, variant, line, lower, starts, ends, out[row])
            at = stop + size


def c4_statistics(text: pa.Array, variant: C4Variant) -> pa.RecordBatch:
    """Count what C4's line rules do to each text.

    Args:
        text: [rows] strings without nulls.
        variant: C4_TFDS or C4_DATATROVE.

    Returns:
        [rows] int64 columns named COLUMNS; every line is in one of the counts from `long_word_lines` to `kept_lines`.
    """
    buffers = string_buffers(text)
    out = np.zeros((buffers.rows, len(COLUMNS)), np.int64)
    bits = class_bits(unicode_punctuation(), SENTENCE_ENDS)
    marks = (np.frombuffer(variant.end_marks.encode(), np.uint8), variant.min_words, variant.words_after_citations)
    _statistics(buffers.data, buffers.offsets, bits, marks, buffers.longest_bytes, out)
    return pa.record_batch([pa.array(out[:, i].copy()) for i in range(len(COLUMNS))], names=list(COLUMNS))
