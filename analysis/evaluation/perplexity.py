"""Loss on held-out documents, as sums per component: nats, tokens and UTF-8 bytes.

Sums, not means, are stored: nats per token, bits per byte (nats / ln 2 / bytes) and perplexity are
ratios of sums, and a bootstrap over components needs the parts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from analysis.models import LogProb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.data import HeldOut

SUMS = pa.schema(
    [
        ("target", pa.string()),
        ("population", pa.string()),
        ("component", pa.string()),
        ("nats", pa.float64()),
        ("tokens", pa.int64()),
        ("bytes", pa.int64()),
    ]
)
"""Columns of the sums: one row per held-out set and component, in order of first appearance."""


@dataclass(frozen=True)
class Windows:
    """Documents cut into rows for scoring; every token is asked for once."""

    rows: np.ndarray  # [windows, context + 1] int64; padded with EOS
    mask: np.ndarray  # [windows, context] bool: which of rows[:, 1:] are tokens of the document
    document: np.ndarray  # [windows] int64 index of the document


def cut_windows(ids: np.ndarray, offsets: np.ndarray, context: int, eos_id: int) -> Windows:
    """Cut documents into rows of `context` predicted tokens, each row with the token before them.

    A document starts after EOS, as in training. EOS itself is not scored: it holds no bytes of text.

    Args:
        ids: [tokens] token ids of all documents, one after another; a last EOS per document is ignored.
        offsets: [documents + 1] where each document starts.
        context: predicted tokens per row.
        eos_id: token between documents.

    >>> windows = cut_windows(np.array([5, 6, 7, 0]), np.array([0, 4]), context=2, eos_id=0)
    >>> windows.rows.tolist(), windows.mask.tolist()
    ([[0, 5, 6], [6, 7, 0]], [[True, True], [True, False]])
    """
    rows, masks, documents = [], [], []
    for index in range(len(offsets) - 1):
        text = np.asarray(ids[offsets[index] : offsets[index + 1]], np.int64)
        text = text[:-1] if len(text) and text[-1] == eos_id else text
        n_rows = -(-len(text) // context)
        padded = np.full(n_rows * context + 1, eos_id, np.int64)
        padded[1 : len(text) + 1] = text
        starts = np.arange(n_rows)[:, None] * context
        rows.append(padded[starts + np.arange(context + 1)])
        masks.append((starts + np.arange(context)) < len(text))
        documents.append(np.full(n_rows, index, np.int64))
    if not rows:
        return Windows(np.empty((0, context + 1), np.int64), np.empty((0, context), bool), np.empty(0, np.int64))
    return Windows(np.concatenate(rows), np.concatenate(masks), np.concatenate(documents))


def document_nats(model: LogProb, windows: Windows, n_documents: int) -> tuple[np.ndarray, np.ndarray]:
    """Score documents.

    Returns:
        [documents] float64 nats and [documents] int64 tokens scored.
    """
    nats = -model.logp(windows.rows, windows.mask).sum(1)
    return (
        np.bincount(windows.document, nats, n_documents),
        np.bincount(windows.document, windows.mask.sum(1), n_documents).astype(np.int64),
    )


def evaluate(model: LogProb, heldouts: Sequence[HeldOut], context: int, eos_id: int) -> pa.Table:
    """Score held-out sets; a document in several sets (kept and unfiltered) is scored once.

    Args:
        model: a trained proxy.
        heldouts: the sets.
        context: predicted tokens per row.
        eos_id: token between documents.

    Returns:
        Table of schema `SUMS`.
    """
    first: dict[tuple[str, bytes], int] = {}
    texts, places = [], []
    for heldout in heldouts:
        place = []
        for index, doc_id in enumerate(heldout.doc_id):
            text = np.asarray(heldout.ids[heldout.offsets[index] : heldout.offsets[index + 1]], np.int64)
            key = (str(doc_id), text.tobytes())
            if key not in first:
                first[key] = len(texts)
                texts.append(text)
            place.append(first[key])
        places.append(np.array(place, np.int64))
    offsets = np.concatenate([[0], np.cumsum([len(text) for text in texts], dtype=np.int64)])
    ids = np.concatenate(texts) if texts else np.empty(0, np.int64)
    nats, tokens = document_nats(model, cut_windows(ids, offsets, context, eos_id), len(texts))
    tables = [
        _sum_components(heldout, nats[place], tokens[place]) for heldout, place in zip(heldouts, places, strict=True)
    ]
    return pa.concat_tables(tables) if tables else SUMS.empty_table()


def _sum_components(heldout: HeldOut, nats: np.ndarray, tokens: np.ndarray) -> pa.Table:
    """Add up the documents of each component, in document order (float sums depend on it)."""
    names = [str(component) for component in heldout.component]
    rank = {name: index for index, name in enumerate(dict.fromkeys(names))}
    group = np.array([rank[name] for name in names], np.int64)
    n_bytes = np.asarray(heldout.n_bytes, np.int64)
    columns = [
        [heldout.target] * len(rank),
        [heldout.population] * len(rank),
        list(rank),
        np.bincount(group, nats, len(rank)),
        np.bincount(group, tokens, len(rank)).astype(np.int64),
        np.bincount(group, n_bytes, len(rank)).astype(np.int64),
    ]
    return pa.table(columns, schema=SUMS)


def thin(heldout: HeldOut, tokens: int) -> HeldOut:
    """Return the first documents of a held-out set, until they hold the given tokens (at least one document)."""
    n_documents = int(np.searchsorted(heldout.offsets[1:], tokens)) + 1
    n_documents = min(n_documents, len(heldout.offsets) - 1)
    return replace(
        heldout,
        ids=heldout.ids[: heldout.offsets[n_documents]],
        offsets=heldout.offsets[: n_documents + 1],
        n_bytes=heldout.n_bytes[:n_documents],
        component=heldout.component[:n_documents],
        doc_id=heldout.doc_id[:n_documents],
    )


def bits_per_byte(nats: float, n_bytes: int) -> float:
    """Convert a sum of nats over a text of so many UTF-8 bytes.

    >>> round(bits_per_byte(math.log(2) * 24, 8), 6)
    3.0
    """
    return nats / math.log(2) / n_bytes
