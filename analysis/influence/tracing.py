"""Token tracing: which slice raised which tokens of a text.

For each slice, log p of every token by the proxy that saw all slices, less log p by the proxy that did without this
one, in the same block (same weights at the start, same order); averaged over blocks. No gradient enters: these are
differences of models that were trained. Positive: the slice raised the token's probability.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.evaluation.perplexity import cut_windows
from analysis.models import LogProb


@dataclass(frozen=True)
class Text:
    """A text to trace.

    Attributes:
        doc_id: id of the document, or a name.
        target: held-out slice that it is from; "" for a text that was given.
        ids: [tokens] int64, without the end-of-text token.
    """

    doc_id: str
    target: str
    ids: np.ndarray


def token_logp(model: LogProb, ids: np.ndarray, context: int, eos_id: int) -> np.ndarray:
    """Return [tokens] nats of a text, each token after those of its row before it; the text starts after EOS."""
    windows = cut_windows(ids, np.array([0, len(ids)]), context, eos_id)
    return model.logp(windows.rows, windows.mask)[windows.mask]


def trace(
    full: Sequence[LogProb], without: Mapping[str, Sequence[LogProb]], text: Text, context: int, eos_id: int
) -> dict[str, np.ndarray]:
    """Trace a text.

    Args:
        full: a model of all slices per block.
        without: slice to its ablated models, of the same blocks in the same order.
        text: the text.
        context: predicted tokens per row.
        eos_id: token between documents.

    Returns:
        Slice to [blocks, tokens] nats by which it raised each token.
    """
    before = np.stack([token_logp(model, text.ids, context, eos_id) for model in full])
    return {
        slice_: before - np.stack([token_logp(model, text.ids, context, eos_id) for model in models])
        for slice_, models in without.items()
    }


def trace_rows(text: Text, deltas: Mapping[str, np.ndarray], tokens: Sequence[str]) -> list[dict]:
    """Lay a trace out as rows of the table `token_traces`, without the design.

    Args:
        text: the text.
        deltas: from `trace`.
        tokens: what each token spells.
    """
    rows = []
    for slice_, values in deltas.items():
        n = len(values)
        mean = values.mean(0)
        errors = values.std(0, ddof=1) / math.sqrt(n) if n > 1 else [None] * len(mean)
        for position, (token, delta, se) in enumerate(zip(tokens, mean, errors, strict=True)):
            rows.append(
                {
                    "doc_id": text.doc_id, "target": text.target, "position": position, "token": token, "slice": slice_,
                    "delta_nats": float(delta), "se": None if se is None else float(se), "n_blocks": n,
                }
            )  # fmt: skip
    return rows


def spell(ids: np.ndarray, vocabulary: Sequence[bytes]) -> list[str]:
    r"""Return the text of each token: a character that is split over tokens belongs to the token that ends it.

    >>> spell(np.array([0, 1, 2]), [b"a", "\u00e9".encode()[:1], "\u00e9".encode()[1:]])
    ['a', '', '\u00e9']
    """
    pieces: list[str] = []
    open_bytes = b""
    for token in ids:
        open_bytes += vocabulary[int(token)]
        try:
            pieces.append(open_bytes.decode("utf-8"))
            open_bytes = b""
        except UnicodeDecodeError as error:
            whole = open_bytes[: error.start].decode("utf-8")
            rest = open_bytes[error.start :]
            if error.reason == "unexpected end of data":
                open_bytes = rest
                pieces.append(whole)
            else:  # no character begins like this: shown as such
                pieces.append(open_bytes.decode("utf-8", "replace"))
                open_bytes = b""
    return pieces


def most_traced(deltas: Sequence[Mapping[str, np.ndarray]]) -> int:
    """Return the index of the text whose tokens moved most: mean over tokens of the largest |mean over blocks|."""
    sizes = [np.max([np.abs(values.mean(0)) for values in one.values()], axis=0).mean() for one in deltas]
    return int(np.argmax(sizes))
