"""Items written as text: a context, choices, and which of them is right; scored by any causal model.

Four numbers per item decide nothing by themselves but give every metric (`analysis.evaluation.metrics`): nats and
bytes of the right choice, and its margin over the best other, in total nats and in bits per byte. Bytes are those of
the choice without the space before it, as in lm-eval's `acc_bytes`; its `acc_norm` divides by characters instead.
A tie is not right; lm-eval takes the first of equal choices.

Tokens are split as lm-eval splits them: context and choice are encoded together, and what is beyond the tokens of the
context alone belongs to the choice. Every text starts after the token that starts a document in training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from analysis.models import LogProb
from pipelines.contracts.errors import ConfigError, InputError, message

BLOCK_ROWS = 256
"""Rows per call of the model; sorted by length, so that padding is little."""

ITEM_COLUMNS = pa.schema(
    [
        ("task", pa.string()),
        ("item_id", pa.string()),
        ("component", pa.string()),
        ("part", pa.string()),
        ("choices", pa.int64()),
        ("gold_nats", pa.float64()),
        ("gold_bytes", pa.int64()),
        ("margin_nats", pa.float64()),
        ("margin_bpb", pa.float64()),
        ("correct", pa.bool_()),
        ("correct_per_byte", pa.bool_()),
    ]
)
"""Columns of the scores: one row per item. With one choice there are no margins, and `correct` says whether the
model would write it taking the likeliest token each time (null where it cannot tell), as lm-eval scores LAMBADA."""


@dataclass(frozen=True)
class TextItem:
    """One question.

    Attributes:
        task: name of the task.
        item_id: unique in the task.
        component: items of one component share words or a source; intervals are taken over components.
        part: part of the task that is shown apart (a phenomenon), or the task.
        context: what is given; may be empty.
        choices: what may follow; one choice (a cloze) gives bits per byte only.
        gold: index of the right one.
        separator: between context and choice; it is scored and its bytes are not counted.
    """

    task: str
    item_id: str
    component: str
    part: str
    context: str
    choices: tuple[str, ...]
    gold: int
    separator: str = " "


class Encoder(Protocol):
    """What turns text into rows of a model: a `TextScorer`, or a `TextEncoder` where there is no model yet."""

    @property
    def encode(self) -> Callable[[str], np.ndarray]:
        """Text to [tokens] int64 ids, no special tokens."""
        ...

    @property
    def start_id(self) -> int:
        """Token before every text."""
        ...

    @property
    def context(self) -> int:
        """Predicted tokens per row."""
        ...

    @property
    def name(self) -> str:
        """For messages."""
        ...


@dataclass(frozen=True)
class TextEncoder:
    """An `Encoder` alone."""

    encode: Callable[[str], np.ndarray]
    start_id: int
    context: int
    name: str = "model"


@dataclass(frozen=True)
class TextScorer:
    """A causal model that takes text.

    Attributes:
        model: gives log-probabilities of tokens.
        encode: text to [tokens] int64 ids, no special tokens.
        start_id: token before every text.
        context: predicted tokens per row.
        name: for messages.
        likeliest: [rows, time] int64 ids to the [rows, time] tokens that are likeliest to follow each; None where
            a model cannot tell (a `LogProb` alone does not).
    """

    model: LogProb
    encode: Callable[[str], np.ndarray]
    start_id: int
    context: int
    name: str = "model"
    likeliest: Callable[[np.ndarray], np.ndarray] | None = None


@dataclass(frozen=True)
class Continuation:
    """A continuation in its context, as the last tokens of a row."""

    row: np.ndarray  # [tokens] int64; a context that is too long has lost its beginning
    n_tokens: int  # of the continuation

    def fits(self, encoder: Encoder) -> bool:
        """Whether the model can be asked for all of it."""
        return 1 <= self.n_tokens <= encoder.context


@dataclass(frozen=True)
class EncodedItem:
    """A question as rows of tokens, without its texts.

    Attributes:
        task: as of the item, like item_id, component, part and gold.
        n_bytes: UTF-8 bytes of each choice.
        continuations: each choice in the context.
    """

    task: str
    item_id: str
    component: str
    part: str
    gold: int
    n_bytes: tuple[int, ...]
    continuations: tuple[Continuation, ...]


def encode_continuation(encoder: Encoder, context: str, continuation: str) -> Continuation:
    """Split tokens as lm-eval does; spaces that end a context count as the continuation's."""
    text = encoder.encode(context + continuation)
    n_tokens = len(text) - len(encoder.encode(context.rstrip()))
    return Continuation(np.concatenate([[encoder.start_id], text])[-(encoder.context + 1) :], n_tokens)


def encode_items(encoder: Encoder, items: Sequence[TextItem]) -> list[EncodedItem]:
    """Encode items; those of which a choice is longer than the model's context are left out."""
    encoded = []
    for item in items:
        found = tuple(encode_continuation(encoder, item.context, item.separator + choice) for choice in item.choices)
        if all(one.fits(encoder) for one in found):
            n_bytes = tuple(len(choice.encode("utf-8")) for choice in item.choices)
            encoded.append(EncodedItem(item.task, item.item_id, item.component, item.part, item.gold, n_bytes, found))
    return encoded


def continuation_nats(scorer: TextScorer, continuations: Sequence[Continuation]) -> np.ndarray:
    """Score continuations given their contexts.

    Returns:
        [continuations] float64 negative log-probabilities.

    Raises:
        InputError: if one has no tokens of its own, or more than the model's context.
    """
    for one in continuations:
        if not one.fits(scorer):
            expected = f"1 to {scorer.context} tokens, the model's context"
            raise InputError(message("continuation", f"cannot be scored by {scorer.name}", one.n_tokens, expected))
    nats = np.zeros(len(continuations), np.float64)
    for block, ids, mask in _blocks(scorer, continuations):
        nats[block] = -scorer.model.logp(ids, mask).sum(1)
    return nats


def greedy(scorer: TextScorer, continuations: Sequence[Continuation]) -> np.ndarray:
    """Say which continuations a model would write that always takes the likeliest token.

    Returns:
        [continuations] bool.

    Raises:
        ConfigError: if the model cannot tell its likeliest token.
    """
    if scorer.likeliest is None:
        raise ConfigError(message(scorer.name, "cannot tell its likeliest token", "a LogProb", "a torch model"))
    found = np.zeros(len(continuations), bool)
    for block, ids, mask in _blocks(scorer, continuations):
        found[block] = ((scorer.likeliest(ids[:, :-1]) == ids[:, 1:]) | ~mask).all(1)
    return found


def _blocks(
    scorer: TextScorer, continuations: Sequence[Continuation]
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield places of continuations, their rows padded to one length, and which of rows[:, 1:] are asked for."""
    lengths = np.array([len(one.row) for one in continuations], np.int64)
    order = np.argsort(-lengths, kind="stable")
    for start in range(0, len(order), BLOCK_ROWS):
        block = order[start : start + BLOCK_ROWS]
        ids = np.full((len(block), lengths[block[0]]), scorer.start_id, np.int64)
        mask = np.zeros((len(block), lengths[block[0]] - 1), bool)
        for place, index in enumerate(block):
            ids[place, : lengths[index]] = continuations[index].row
            mask[place, lengths[index] - 1 - continuations[index].n_tokens : lengths[index] - 1] = True
        yield block, ids, mask


def score_text_items(scorer: TextScorer, items: Sequence[TextItem]) -> pa.Table:
    """Ask the questions.

    Args:
        scorer: the model.
        items: questions of any tasks.

    Returns:
        Table of schema `ITEM_COLUMNS`, in the order of the items, without those of which a choice is longer than
        the model's context: scores of models with different contexts compare over the items that both have.
    """
    return score_encoded(scorer, encode_items(scorer, items))


def score_encoded(scorer: TextScorer, items: Sequence[EncodedItem]) -> pa.Table:
    """Ask encoded questions.

    Args:
        scorer: the model; its `encode` is not called.
        items: encoded for its tokenizer and context.

    Returns:
        Table of schema `ITEM_COLUMNS`, in the order of the items.
    """
    continuations = [one for item in items for one in item.continuations]
    nats = continuation_nats(scorer, continuations)
    clozes = np.array([len(item.n_bytes) == 1 for item in items for _ in item.n_bytes], bool)
    written = _greedy_clozes(scorer, continuations, clozes)
    rows, at = [], 0
    for item in items:
        n_bytes = np.array(item.n_bytes, np.int64)
        row = _item_row(item, nats[at : at + len(n_bytes)], n_bytes)
        rows.append(row if len(n_bytes) > 1 else row | {"correct": written[at]})
        at += len(n_bytes)
    return pa.Table.from_pylist(rows, schema=ITEM_COLUMNS)


def _greedy_clozes(scorer: TextScorer, continuations: list[Continuation], clozes: np.ndarray) -> list[bool | None]:
    """Ask for the likeliest tokens where `clozes` says so; None elsewhere, or where the model cannot tell."""
    written: list[bool | None] = [None] * len(continuations)
    places = np.flatnonzero(clozes)
    if scorer.likeliest is not None and len(places):
        for place, hit in zip(places, greedy(scorer, [continuations[i] for i in places]), strict=True):
            written[place] = bool(hit)
    return written


def _item_row(item: EncodedItem, nats: np.ndarray, n_bytes: np.ndarray) -> dict[str, object]:
    """Make the row of an item from [choices] nats and bytes."""
    row: dict[str, object] = {
        "task": item.task,
        "item_id": item.item_id,
        "component": item.component,
        "part": item.part,
        "choices": len(nats),
        "gold_nats": float(nats[item.gold]),
        "gold_bytes": int(n_bytes[item.gold]),
    }
    if len(nats) > 1:
        bpb = nats / n_bytes / math.log(2)
        margin_nats, margin_bpb = (float(np.delete(x, item.gold).min() - x[item.gold]) for x in (nats, bpb))
        row |= {"margin_nats": margin_nats, "margin_bpb": margin_bpb}
        row |= {"correct": margin_nats > 0, "correct_per_byte": margin_bpb > 0}
    return row


def label_items(scored: pa.Table, design_id: str | None, model: str) -> pa.Table:
    """Say whose scores they are: the columns of the table `task_item_scores`."""
    for name, value in (("model", model), ("design_id", design_id)):
        scored = scored.add_column(0, name, pa.array([value] * len(scored), pa.string()))
    return scored
