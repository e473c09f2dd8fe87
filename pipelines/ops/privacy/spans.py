"""Spans of personal data, and how spans that overlap become one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pipelines.contracts.recipe import PII_KINDS


class Span(NamedTuple):
    """A stretch of a text.

    Attributes:
        start: first character.
        end: one past the last character.
        kind: one of PII_KINDS.
    """

    start: int
    end: int
    kind: str


def merge_spans(spans: Iterable[Span]) -> list[Span]:
    """Join overlapping spans, so that no piece of a value stays; the kind is the first of them in PII_KINDS.

    >>> merge_spans([Span(4, 9, "phone"), Span(0, 6, "card"), Span(12, 14, "email")])
    [Span(start=0, end=9, kind='card'), Span(start=12, end=14, kind='email')]
    """
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and span.start < merged[-1].end:
            last = merged[-1]
            kind = min(last.kind, span.kind, key=PII_KINDS.index)
            merged[-1] = Span(last.start, max(last.end, span.end), kind)
        else:
            merged.append(span)
    return merged
