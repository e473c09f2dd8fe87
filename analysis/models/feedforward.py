"""The feed-forward language model of Bengio et al. 2003, "A neural probabilistic language model".

The embeddings of the last `window` tokens, side by side, go through one tanh layer and, beside it, through
direct connections; both meet in a vector that is compared with the embedding of every next token.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from analysis.models import Proxy
from analysis.models.neural import next_token_nats


class FeedForwardLM(nn.Module):
    """The proxy: `forward(ids [batch, time]) -> logits [batch, time, vocab]`."""

    EMBEDDINGS: ClassVar[tuple[str, ...]] = ("embed_tokens.weight",)
    RESIDUAL: ClassVar[tuple[str, ...]] = ()

    def __init__(self, proxy: Proxy) -> None:
        super().__init__()
        self.proxy = proxy
        wide = proxy.window * proxy.d_model
        self.embed_tokens = nn.Embedding(proxy.vocab_size, proxy.d_model)
        self.hidden = nn.Linear(wide, proxy.d_ff)
        self.output = nn.Linear(proxy.d_ff, proxy.d_model, bias=False)
        self.direct = nn.Linear(wide, proxy.d_model, bias=False)
        self.lm_head = nn.Linear(proxy.d_model, proxy.vocab_size)
        if proxy.tied:
            self.lm_head.weight = self.embed_tokens.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return logits, [batch, time] int64 to [batch, time, vocab]; EOS stands before the row."""
        proxy = self.proxy
        padded = functional.pad(ids, (proxy.window - 1, 0), value=proxy.eos_id)
        x = functional.dropout(self.embed_tokens(padded), proxy.dropout, self.training)
        time = ids.shape[1]
        wide = torch.cat([x[:, back : back + time] for back in range(proxy.window)], -1)  # [batch, time, window d]
        hidden = functional.dropout(self.hidden(wide).tanh(), proxy.dropout, self.training)
        return self.lm_head(self.output(hidden) + self.direct(wide))

    def nats(self, rows: torch.Tensor) -> torch.Tensor:
        """Negative log-probability of each token but the first, [batch, time + 1] to [batch, time] float32."""
        return next_token_nats(self(rows[:, :-1]), rows)

    def loss(self, rows: torch.Tensor) -> torch.Tensor:
        """Mean nats per token, [batch, time + 1] int64 to a scalar."""
        return self.nats(rows).mean()

    def set_vectors(self) -> None:
        """All vectors are biases: 0."""

    def config(self) -> dict[str, object]:
        """Return the name only: `transformers` has no such model."""
        return {"model_type": "mixtrace-feedforward"}
