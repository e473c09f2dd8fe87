"""The one form of a text that quality classifiers are trained on and asked about: one line, no control words."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

NORMALISATION = (
    "ASCII white space and NUL become one space each; words that begin with __label__ and the word </s> go; "
    "case and everything else stay"
)
"""What `one_line` does, in words, for model cards."""

_SPACE = "[\t-\r\0]"
_CONTROL_WORD = re.compile("(?<![^ \t-\r\0])(?:__label__[^ \t-\r\0]*|</s>)(?![^ \t-\r\0])")
_MAY_HOLD_CONTROL_WORD = "__label__|</s>"


def one_line(text: pa.Array) -> pa.Array:
    """Make every text one line that fastText reads as words only.

    fastText ends a line at the word `</s>` and takes words that begin with `__label__` for labels.

    Args:
        text: `[rows]` strings without nulls.

    Returns:
        `[rows]` large_string.
    """
    return without_control_words(pc.replace_substring_regex(text.cast(pa.large_string()), _SPACE, " "))


def without_control_words(text: pa.Array) -> pa.Array:
    """Drop the words that fastText takes for labels or for the end of a line; nothing else changes for a word splitter.

    Args:
        text: `[rows]` strings without nulls.

    Returns:
        `[rows]`, of the same type.
    """
    suspicious = pc.match_substring_regex(text, _MAY_HOLD_CONTROL_WORD)
    if not pc.any(suspicious).as_py():
        return text
    cleaned = [_CONTROL_WORD.sub("", line) for line in text.filter(suspicious).to_pylist()]
    return pc.replace_with_mask(text, suspicious, pa.array(cleaned, text.type))
