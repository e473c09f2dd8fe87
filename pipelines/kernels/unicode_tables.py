"""What kernels know about a code point: one table lookup each, built in milliseconds without a loop.

Tables have 2^21 entries, more than Unicode has code points, because that is how far the bits of a
four-byte sequence reach: no bytes, valid UTF-8 or not, lead a kernel out of a table.

Word characters, lower case, spaces and letters are this Python's (`str.isalnum`, `str.lower` ...), so that
kernels equal plain Python; letters and numbers of the pre-tokenizer are those of `tokenizers`, whose regex
engine has another Unicode version (tokenizers 0.23.3 knows 17,144 letters fewer than `regex` 2026.11).
"""

from __future__ import annotations

import functools
import unicodedata
from typing import Final

import numpy as np
from numba import njit, uint8, uint32

from pipelines.kernels.compile import INLINE

TABLE_SIZE: Final = 1 << 21
_CODE_POINTS: Final = 0x110000

WORD: Final = 1
"""Class bit: `\\w` of Python's `re` (letter, number or underscore)."""
SPACE: Final = 2
"""Class bit: `str.isspace`."""
ALPHA: Final = 4
"""Class bit: `str.isalpha`."""
PUNCT: Final = 8
"""Class bit: in the caller's set of punctuation."""
TERM: Final = 16
"""Class bit: in the caller's set of characters that end a sentence or line."""
DIGIT: Final = 32
"""Class bit: `\\d` of Python's `re` (`str.isdecimal`)."""

MARK: Final = 64
"""Class bit: a combining mark (Unicode M*), or a zero-width (non-)joiner: inside of a word, it belongs to it."""

SINGLE, JOINED = 2, 3
"""Kinds of `unit_table` besides 1 for letters of words: a unit of its own; what belongs to the unit before it."""

UNSPACED: Final = (
    (0x0E01, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19FF),  # Tai Le, New Tai Lue, Khmer symbols
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x1B00, 0x1B7F),  # Balinese
    (0x3005, 0x3007),  # marks of repetition and zero of Chinese and Japanese
    (0x3021, 0x3029),  # Hangzhou numerals
    (0x3038, 0x303C),
    (0x3041, 0x312F),  # Hiragana, Katakana, Bopomofo
    (0x3190, 0x31FF),  # annotations, Bopomofo and Katakana extensions
    (0x3400, 0x4DBF),  # Chinese characters, extension A
    (0x4E00, 0x9FFF),  # Chinese characters
    (0xA980, 0xA9FF),  # Javanese, Myanmar extended B
    (0xAA60, 0xAADF),  # Myanmar extended A, Tai Viet
    (0xF900, 0xFAFF),  # Chinese compatibility characters
    (0xFF66, 0xFF9F),  # half-width Katakana
    (0x16FE0, 0x18CFF),  # marks of repetition, Tangut, Khitan
    (0x1AFF0, 0x1B2FF),  # Kana and Nushu supplements
    (0x20000, 0x3FFFF),  # Chinese characters, other extensions
)
"""Code points of scripts without spaces between words. Tibetan is not one of them: its mark between syllables
makes words of them; nor is Hangul, which has spaces."""

LETTER, NUMBER, WHITE_SPACE = 1, 2, 3
"""Classes of the pre-tokenizer: `\\p{L}`, `\\p{N}`, `\\s`; 0 is everything else."""
COMBINING, PUNCTUATION, SYMBOL = 4, 5, 6
"""Classes that DeepSeek's pre-tokenizer tells apart besides: `\\p{M}`, `\\p{P}`, `\\p{S}`."""
CJK: Final = 16
"""Bit beside these classes: in one of the ranges that DeepSeek's pre-tokenizer splits off."""
_CJK_RANGES: Final = ((0x4E00, 0x9FA5), (0x3040, 0x30FF))

CONTEXT_LOWER: Final = (0x130, 0x3A3)
"""What only `str.lower` can lower-case: İ becomes two code points; Σ is ς at the end of a word, else σ."""


@njit(**INLINE)
def decode_utf8(data: np.ndarray, start: int) -> tuple[int, int]:
    """Decode one code point.

    Args:
        data: UTF-8, `uint8 [bytes]`, with at least 3 bytes to read behind the last character.
        start: Index of the first byte of a character.

    Returns:
        The code point (below TABLE_SIZE whatever the bytes are) and its length in bytes.
    """
    b0 = uint32(data[start])
    if b0 < 0x80:
        return b0, 1
    b1 = uint32(data[start + 1]) & uint32(0x3F)
    if b0 < 0xE0:
        return ((b0 & uint32(0x1F)) << uint32(6)) | b1, 2
    b2 = uint32(data[start + 2]) & uint32(0x3F)
    if b0 < 0xF0:
        return ((b0 & uint32(0x0F)) << uint32(12)) | (b1 << uint32(6)) | b2, 3
    b3 = uint32(data[start + 3]) & uint32(0x3F)
    return ((b0 & uint32(7)) << uint32(18)) | (b1 << uint32(12)) | (b2 << uint32(6)) | b3, 4


@njit(**INLINE)
def put_utf8(point: int, out: np.ndarray, end: int) -> int:
    """Write a code point as UTF-8 at `out[end:]` (uint8); return the new end."""
    if point < 0x80:
        out[end] = uint8(point)
        return end + 1
    if point < 0x800:
        out[end] = uint8(0xC0 | (point >> 6))
        out[end + 1] = uint8(0x80 | (point & 0x3F))
        return end + 2
    if point < 0x10000:
        out[end] = uint8(0xE0 | (point >> 12))
        out[end + 1] = uint8(0x80 | ((point >> 6) & 0x3F))
        out[end + 2] = uint8(0x80 | (point & 0x3F))
        return end + 3
    out[end] = uint8(0xF0 | (point >> 18))
    out[end + 1] = uint8(0x80 | ((point >> 12) & 0x3F))
    out[end + 2] = uint8(0x80 | ((point >> 6) & 0x3F))
    out[end + 3] = uint8(0x80 | (point & 0x3F))
    return end + 4


def _characters() -> np.ndarray:
    """Return every code point as a one-character string, `<U1 [0x110000]`."""
    return np.arange(_CODE_POINTS, dtype="<u4").view("<U1")


def _word_characters() -> np.ndarray:
    r"""Return what `\w` matches, bool `[0x110000]`; `re` defines it as isalnum or "_"."""
    is_word = np.strings.isalnum(_characters())
    is_word[ord("_")] = True
    return is_word


def _lower() -> np.ndarray:
    """Return the lower case of every code point, uint32 `[0x110000]`; those of CONTEXT_LOWER map to a space."""
    points = np.arange(_CODE_POINTS, dtype="<u4")
    points[list(CONTEXT_LOWER)] = ord(" ")
    # One call over all code points: none of the others changes length or looks at its neighbours.
    text = points.tobytes().decode("utf-32-le", "surrogatepass").lower()
    if len(text) != _CODE_POINTS:
        raise RuntimeError(
            f"unicode_tables: this Python's str.lower changes the length of code points: got {len(text)} for "
            f"{_CODE_POINTS}; expected only U+0130 to do so. Add the new one to CONTEXT_LOWER."
        )
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


@functools.cache
def word_table() -> np.ndarray:
    r"""Return the table that lower-cases and finds words, as `re.findall(r"\w+", text.lower())` does.

    Returns:
        `uint32 [TABLE_SIZE]`, read-only: the low 24 bits are the lower-cased code point, or 32 (a space) for
        what is no word character; bit 24 says whether it is one. Apply `str.lower` first to texts with a
        character of CONTEXT_LOWER; here they are no word characters.
    """
    lower = _lower()
    is_word = _word_characters()[lower]
    table = np.full(TABLE_SIZE, ord(" "), np.uint32)
    table[:_CODE_POINTS][is_word] = lower[is_word] | np.uint32(1 << 24)
    table.flags.writeable = False
    return table


@functools.cache
def unit_table(unit: str) -> np.ndarray:
    """Return the table that lower-cases and finds the units of shingles.

    Args:
        unit: `words` (that is `word_table`), `auto` or `characters`.

    Returns:
        `uint32 [TABLE_SIZE]`, read-only: the low 24 bits as in `word_table`; the upper 8 bits are 0 for what
        is in no unit, 1 for letters of words, SINGLE or JOINED.
    """
    if unit == "words":
        return word_table()
    table = word_table().copy()
    point = table & np.uint32(0xFFFFFF)
    is_single = table > 0xFFFFFF
    if unit == "auto":
        unspaced = np.zeros(TABLE_SIZE, bool)
        for first, last in UNSPACED:
            unspaced[first : last + 1] = True
        is_single &= unspaced
    table[is_single] = point[is_single] | np.uint32(SINGLE << 24)
    joined = np.array([ord(mark) for mark in marks()], np.int64)
    joined = joined[table[joined] < 1 << 24]  # a mark that `re` takes for a letter stays one
    table[joined] = _lower()[joined] | np.uint32(JOINED << 24)
    table.flags.writeable = False
    return table


@functools.cache
def marks() -> str:
    """Return the characters of MARK; marks lie in the three ranges that are asked about (checked by a test)."""
    asked = map(chr, (*range(0x300, 0x1F000), *range(0xE0100, 0xE01F0)))
    return "\u200c\u200d" + "".join(c for c in asked if unicodedata.category(c)[0] == "M")


@functools.cache
def class_bits(punctuation: str = "", terminators: str = "") -> np.ndarray:
    """Return the class bits WORD, SPACE, ALPHA, DIGIT, MARK, PUNCT and TERM of every code point.

    Args:
        punctuation: Characters that get PUNCT.
        terminators: Characters that get TERM.

    Returns:
        `uint8 [TABLE_SIZE]`, read-only.
    """
    characters = _characters()
    table = np.zeros(TABLE_SIZE, np.uint8)
    bits = table[:_CODE_POINTS]
    bits[_word_characters()] |= WORD
    bits[np.strings.isspace(characters)] |= SPACE
    bits[np.strings.isalpha(characters)] |= ALPHA
    bits[np.strings.isdecimal(characters)] |= DIGIT
    bits[[ord(mark) for mark in marks()]] |= MARK
    for text, bit in ((punctuation, PUNCT), (terminators, TERM)):
        for character in text:
            bits[ord(character)] |= bit
    table.flags.writeable = False
    return table


@functools.cache
def pretokenizer_categories() -> np.ndarray:
    r"""Return the class and the bit CJK of every code point, as the regex engine of `tokenizers` has them.

    Planes 4 to 13 (unassigned) and 15, 16 (private use) are not asked about; that saves 3/4 of the time.

    Returns:
        `uint8 [TABLE_SIZE]`, read-only: LETTER, NUMBER, WHITE_SPACE, COMBINING, PUNCTUATION, SYMBOL or 0, and CJK.
    """
    from tokenizers import Regex, pre_tokenizers

    def runs(pattern: str, text: str) -> list[tuple[str, tuple[int, int]]]:
        return pre_tokenizers.Split(Regex(pattern), "removed", invert=True).pre_tokenize_str(text)

    patterns = {
        r"\p{L}": LETTER,
        r"\p{N}": NUMBER,
        r"\s": WHITE_SPACE,
        r"\p{M}": COMBINING,
        r"\p{P}": PUNCTUATION,
        r"\p{S}": SYMBOL,
    }
    asked = [
        *range(0xD800),
        *range(0xE000, 0x40000),
        *range(0xE0000, 0xF0000),
    ]  # surrogates are no characters
    points = np.array(asked)
    matched = runs("+|".join(patterns) + "+", "".join(map(chr, asked)))
    first_characters = "".join(run[0] for run, _ in matched)
    table = np.zeros(TABLE_SIZE, np.uint8)
    for pattern, value in patterns.items():
        for _, (index, _) in runs(pattern, first_characters):
            start, end = matched[index][1]
            table[points[start:end]] = value
    for first, last in _CJK_RANGES:
        table[first : last + 1] |= CJK
    table.flags.writeable = False
    return table


@functools.cache
def pretokenizer_classes() -> np.ndarray:
    """Return LETTER, NUMBER, WHITE_SPACE or 0 of every code point, `uint8 [TABLE_SIZE]`, read-only."""
    kinds = pretokenizer_categories() & np.uint8(CJK - 1)
    table = np.where(kinds <= WHITE_SPACE, kinds, np.uint8(0))
    table.flags.writeable = False
    return table
