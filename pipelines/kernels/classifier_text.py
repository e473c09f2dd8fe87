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
_CONTROL_WORD = re.compile(r"(?<![^ ])(?:__label__[^ ]*|</s>)(?![^ ])")
_MAY_HOLD_CONTROL_WORD = "__label__|</s>"


def one_line(text: pa.Array) -> pa.Array:
    """Make every text one line that fastText reads as words only.

    fastText ends a line at the word `</s>` and takes words that begin with `__label__` for labels.

    Args:
        text: `[rows]` strings without nulls.

    Returns:
        `[rows]` large_string.
    """
    lines = pc.replace_substring_regex(text.cast(pa.large_string()), _SPACE, " ")
    suspicious = pc.match_substring_regex(lines, _MAY_HOLD_CONTROL_WORD)
    if not pc.any(suspicious).as_py():
        return lines
    cleaned = [_CONTROL_WORD.sub("", line) for line in lines.filter(suspicious).to_pylist()]
    return pc.replace_with_mask(lines, suspicious, pa.array(cleaned, pa.large_string()))
