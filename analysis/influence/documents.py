"""From scores of rows to scores of the documents that lie in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.data import TokenStream
from analysis.shards import open_shard


@dataclass(frozen=True)
class DocumentScores:
    """Documents of some slots of a run.

    Attributes:
        doc_id: [documents].
        atom: [documents] names.
        tokens: [documents] training tokens in these slots.
        scores: [documents, queries] nats per token of the query if these tokens are removed, fill = none.
    """

    doc_id: list[str]
    atom: list[str]
    tokens: np.ndarray
    scores: np.ndarray


def slot_documents(stream: TokenStream, slot: int) -> list[tuple[int, int]]:
    """Return (place in the atom's documents, tokens) of what a slot predicts, in the order of reading."""
    atom = stream.slots.names[stream.slots.atom[slot]]
    order, starts = stream.chunks[atom], stream.starts[atom]
    start = int(order[int(stream.slots.position[slot]) % len(order)]) * stream.context
    places = (start + 1 + np.arange(stream.context)) % starts[-1]
    documents, counts = np.unique(np.searchsorted(starts, places, side="right") - 1, return_counts=True)
    return [(int(document), int(count)) for document, count in zip(documents, counts, strict=True)]


def document_scores(stream: TokenStream, slots: np.ndarray, scores: np.ndarray) -> DocumentScores:
    """Share the score of each row among its documents, by tokens, and add up.

    Args:
        stream: the run.
        slots: [rows] slots.
        scores: [rows, queries].
    """
    found: dict[tuple[str, int], int] = {}
    tokens: list[int] = []
    sums: list[np.ndarray] = []
    for slot, score in zip(slots, scores, strict=True):
        atom = stream.slots.names[stream.slots.atom[slot]]
        for document, count in slot_documents(stream, int(slot)):
            at = found.setdefault((atom, document), len(tokens))
            if at == len(tokens):
                tokens.append(0)
                sums.append(np.zeros(scores.shape[1]))
            tokens[at] += count
            sums[at] = sums[at] + score * count / stream.context
    names = [_doc_id(stream, atom, document) for atom, document in found]
    stacked = np.stack(sums) if sums else np.zeros((0, scores.shape[1]))
    return DocumentScores(names, [atom for atom, _ in found], np.array(tokens, np.int64), stacked)


def _doc_id(stream: TokenStream, atom: str, document: int) -> str:
    shard, row = (int(column[document]) for column in stream.documents[atom][:2])
    return open_shard(stream.workspace, stream.shards[shard])["doc_id"][row].as_py()


def extremes(values: np.ndarray, k: int) -> list[tuple[int, int]]:
    """Return (place, index) of the k largest positive values (1, 2, ...) and the k smallest negative (-1, -2, ...).

    >>> extremes(np.array([0.5, -1.0, 2.0, 0.0]), 2)
    [(1, 2), (2, 0), (-1, 1)]
    """
    order = np.argsort(-values, kind="stable")
    top = [(place, int(at)) for place, at in enumerate(order[:k], start=1) if values[at] > 0]
    bottom = [(-place, int(at)) for place, at in enumerate(order[::-1][:k], start=1) if values[at] < 0]
    return top + bottom
