"""Parameters and arithmetic of each torch model, by formula; imports no torch.

FLOPs count a product of an m x k and a k x n matrix as 2 m k n, the backward as twice the forward, and
nothing that is not a product: 6 per weight and token, as usual (Kaplan et al. 2020, arXiv:2001.08361, §2.1),
plus the two products of attention, which no weight counts. The looking up of embeddings costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.models import Proxy


@dataclass(frozen=True)
class Size:
    """How large a model is.

    Attributes:
        parameters: trained numbers; a tied head counts once.
        body_parameters: those without embeddings and head, the number that laws of scale speak of.
        flops_per_token: forward and backward, per training token.
    """

    parameters: int
    body_parameters: int
    flops_per_token: int


def llama_size(proxy: Proxy) -> Size:
    """Transformer of Llama shape: no biases; causal attention needs half of its T x T products."""
    matrices = proxy.layers * (4 * proxy.d_model**2 + 3 * proxy.d_model * proxy.d_ff)
    scales = (2 * proxy.layers + 1) * proxy.d_model
    head = proxy.vocab_size * proxy.d_model
    attention = 6 * proxy.layers * proxy.context * proxy.d_model
    embeddings = head if proxy.tied else 2 * head
    return Size(embeddings + matrices + scales, matrices + scales, 6 * (matrices + head) + attention)


def feedforward_size(proxy: Proxy) -> Size:
    """Window of embeddings, a tanh layer, direct connections, bias of the vocabulary."""
    wide = proxy.window * proxy.d_model
    matrices = wide * proxy.d_ff + proxy.d_ff * proxy.d_model + wide * proxy.d_model
    head = proxy.vocab_size * proxy.d_model
    embeddings = (head if proxy.tied else 2 * head) + proxy.vocab_size
    body = matrices + proxy.d_ff
    return Size(embeddings + body, body, 6 * (matrices + head))


def lstm_size(proxy: Proxy) -> Size:
    """Four gates of two matrices each; two bias vectors per layer, as in cuDNN."""
    matrices = proxy.layers * 8 * proxy.d_model**2
    body = matrices + proxy.layers * 8 * proxy.d_model
    head = proxy.vocab_size * proxy.d_model
    embeddings = (head if proxy.tied else 2 * head) + proxy.vocab_size
    return Size(embeddings + body, body, 6 * (matrices + head))


def bert_size(proxy: Proxy) -> Size:
    """Transformer of BERT shape: rows of context + 1 tokens; the head sees the masked tokens only."""
    d, vocab = proxy.d_model, proxy.vocab_size + 1  # and the mask token
    time, asked = proxy.context + 1, masked_tokens(proxy)
    matrices = proxy.layers * 12 * d * d
    transform = d * d
    vectors = proxy.layers * (4 * d + 4 * d + d + 4 * d) + 2 * d + 3 * d  # biases and norms; embedding norm; transform
    positions = time * d + d  # and the token type
    embeddings = vocab * d + vocab + positions
    attention = 12 * proxy.layers * time * time * d
    per_row = 6 * (time * matrices + asked * (transform + vocab * d)) + attention
    body = matrices + transform + vectors
    return Size(embeddings + body, body, round(per_row / proxy.context))


def masked_tokens(proxy: Proxy) -> int:
    """Tokens per row that a masked model is asked for: a fixed number, so that shapes are static."""
    return max(1, math.floor(proxy.mask_share * proxy.context + 0.5))


SIZES: dict[str, Callable[[Proxy], Size]] = {
    "llama": llama_size,
    "feedforward": feedforward_size,
    "lstm": lstm_size,
    "bert": bert_size,
}
"""Name of a torch model to its formula."""
