"""Continuation choice: which of four continuations follows a held-out text?

The true continuation stands against three of the same slice and (token) length from documents of
*other* components, so that knowing the slice does not help. Score: log-probability per UTF-8 byte
(lm-eval's `acc_bytes`). The margin, gold minus best other in bits per byte, decides; accuracy is for
display: 300 items resolve no less than 7 points of it.

Distractors are made here, by hash, from held-out text; no model chose them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import orjson
import pyarrow as pa

from analysis.models import LogProb
from pipelines.contracts.errors import InputError, message
from pipelines.contracts.ids import key64

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.data import HeldOut

PREFIX_TOKENS = 32
CONTINUATION_TOKENS = 24
MAX_CONTINUATION_TOKENS = 31
"""A continuation is lengthened to the next character boundary, up to this; prefix + it fit a context of 64."""
DISTRACTORS = 3

ITEM_SCORES = pa.schema(
    [
        ("target", pa.string()),
        ("item_id", pa.string()),
        ("component", pa.string()),
        ("gold_nats", pa.float64()),
        ("gold_bytes", pa.int64()),
        ("margin_bpb", pa.float64()),
        ("correct", pa.bool_()),
    ]
)
"""Columns of the scores: one row per item."""


@dataclass(frozen=True)
class ChoiceItem:
    """One question; the first continuation is the true one."""

    target: str
    item_id: str
    component: str
    prefix: np.ndarray  # [PREFIX_TOKENS] int64
    continuations: tuple[np.ndarray, ...]  # 1 + DISTRACTORS of [tokens] int64
    n_bytes: tuple[int, ...]  # UTF-8 bytes of each continuation


@dataclass(frozen=True)
class _Span:
    """A continuation in a document: tokens start..stop, both on character boundaries."""

    document: int
    start: int
    stop: int


def vocabulary_bytes(tokenizer: Path) -> list[bytes]:
    """Return the bytes of every token of a byte-level `tokenizer.json`; empty for special tokens.

    Raises:
        InputError: if a token is not written in the byte-level alphabet.
    """
    spec = orjson.loads(tokenizer.read_bytes())
    special = {token["id"] for token in spec.get("added_tokens", []) if token["special"]}
    vocabulary = {index: text for text, index in spec["model"]["vocab"].items()}
    vocabulary |= {token["id"]: token["content"] for token in spec.get("added_tokens", [])}
    alphabet = _byte_alphabet()
    try:
        return [
            b"" if index in special else bytes(alphabet[c] for c in vocabulary[index])
            for index in range(max(vocabulary) + 1)
        ]
    except KeyError as error:
        text = message(str(tokenizer), "not a byte-level vocabulary", error, "characters of the byte-level alphabet")
        raise InputError(text) from error


def build_choice_items(heldout: HeldOut, n_items: int, seed: int, token_bytes: Sequence[bytes]) -> list[ChoiceItem]:
    """Build questions from a held-out set, by hash alone: the same set gives the same items.

    Args:
        heldout: a set, usually of population "kept".
        n_items: items wanted; fewer are made when documents are short or components few.
        seed: salt of the hashes.
        token_bytes: [vocab] bytes of each token, from `vocabulary_bytes`.

    Returns:
        Items in hash order, at most one per document.
    """
    starts_character = np.array([bool(b) and (b[0] & 0xC0) != 0x80 for b in token_bytes])
    n_token_bytes = np.array([len(b) for b in token_bytes], np.int64)
    spans = [
        span
        for index in range(len(heldout.offsets) - 1)
        if (span := _find_span(_text(heldout, index), index, _hash(seed, heldout.doc_id[index]), starts_character))
    ]
    spans.sort(key=lambda span: _hash(seed, "order", heldout.doc_id[span.document]))
    items = []
    for span in spans:
        if len(items) == n_items:
            break
        others = _distractors(heldout, spans, span, seed)
        if others:
            items.append(_item(heldout, [span, *others], n_token_bytes))
    return items


def score_items(model: LogProb, items: Sequence[ChoiceItem], context: int, eos_id: int) -> pa.Table:
    """Ask the questions.

    Args:
        model: a trained proxy.
        items: questions of any targets.
        context: predicted tokens per row; at least prefix + longest continuation - 1.
        eos_id: padding.

    Returns:
        Table of schema `ITEM_SCORES`.

    Raises:
        InputError: if an item is longer than a row.
    """
    longest = max((len(item.prefix) + len(c) for item in items for c in item.continuations), default=0)
    if longest > context + 1:
        raise InputError(message("choice items", "longer than the context", longest, f"<= {context + 1} tokens"))
    n_choices = 1 + DISTRACTORS
    rows = np.full((len(items) * n_choices, context + 1), eos_id, np.int64)
    mask = np.zeros((len(items) * n_choices, context), bool)
    for index, item in enumerate(items):
        for choice, continuation in enumerate(item.continuations):
            text = np.concatenate([item.prefix, continuation])
            rows[index * n_choices + choice, : len(text)] = text
            mask[index * n_choices + choice, len(item.prefix) - 1 : len(text) - 1] = True
    nats = -model.logp(rows, mask).sum(1).reshape(-1, n_choices)
    n_bytes = np.array([item.n_bytes for item in items], np.int64).reshape(-1, n_choices)
    bpb = nats / n_bytes / math.log(2)  # [items, choices]
    margin = bpb[:, 1:].min(1, initial=np.inf) - bpb[:, 0] if len(items) else np.empty(0)
    columns = [
        [item.target for item in items],
        [item.item_id for item in items],
        [item.component for item in items],
        nats[:, 0],
        n_bytes[:, 0],
        margin,
        margin > 0,
    ]
    return pa.table(columns, schema=ITEM_SCORES)


def _item(heldout: HeldOut, spans: list[_Span], n_token_bytes: np.ndarray) -> ChoiceItem:
    """Assemble an item; the first span is the gold one."""
    gold = spans[0]
    continuations = tuple(_text(heldout, s.document)[s.start : s.stop] for s in spans)
    return ChoiceItem(
        heldout.target,
        f"{heldout.doc_id[gold.document]}:{gold.start}",
        str(heldout.component[gold.document]),
        _text(heldout, gold.document)[gold.start - PREFIX_TOKENS : gold.start],
        continuations,
        tuple(int(n_token_bytes[c].sum()) for c in continuations),
    )


def _find_span(text: np.ndarray, document: int, key: int, starts_character: np.ndarray) -> _Span | None:
    """Place a continuation in a document by hash, on character boundaries; None if it is too short."""
    last = len(text) - MAX_CONTINUATION_TOKENS - 1
    if last < PREFIX_TOKENS:
        return None
    start = PREFIX_TOKENS + key % (last - PREFIX_TOKENS + 1)
    boundaries = np.flatnonzero(starts_character[text])
    after = boundaries[boundaries >= start]
    if not len(after):
        return None
    start = int(after[0])
    ends = after[after >= start + CONTINUATION_TOKENS]
    if not len(ends) or ends[0] - start > MAX_CONTINUATION_TOKENS:
        return None
    return _Span(document, start, int(ends[0]))


def _distractors(heldout: HeldOut, spans: list[_Span], gold: _Span, seed: int) -> list[_Span]:
    """Choose three continuations of other components, nearest in length, ties by hash; empty if there are fewer."""
    used = {heldout.component[gold.document]}
    length = gold.stop - gold.start
    gold_id = heldout.doc_id[gold.document]
    order = sorted(
        spans,
        key=lambda s: (abs(s.stop - s.start - length), _hash(seed, gold_id, heldout.doc_id[s.document])),
    )
    chosen = []
    for span in order:
        component = heldout.component[span.document]
        if component not in used and len(chosen) < DISTRACTORS:
            used.add(component)
            chosen.append(span)
    return chosen if len(chosen) == DISTRACTORS else []


def _text(heldout: HeldOut, index: int) -> np.ndarray:
    """Return the tokens of one document, int64."""
    return np.asarray(heldout.ids[heldout.offsets[index] : heldout.offsets[index + 1]], np.int64)


def _hash(*parts: object) -> int:
    """Hash parts to 64 bits."""
    return key64("\0".join(str(part) for part in parts))


def _byte_alphabet() -> dict[str, int]:
    """Return the byte that each character of the byte-level alphabet stands for (Radford et al. 2019, GPT-2)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    return {chr(b): b for b in printable} | {chr(256 + i): b for i, b in enumerate(others)}
