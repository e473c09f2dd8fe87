"""An LSTM language model (Hochreiter & Schmidhuber 1997; Zaremba et al. 2014, arXiv:1409.2329).

The state is carried along a row and starts at 0 in each: rows are read in any order.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from analysis.models import Proxy
from analysis.models.neural import next_token_nats


class LstmLM(nn.Module):
    """The proxy: `forward(ids [batch, time]) -> logits [batch, time, vocab]`."""

    EMBEDDINGS: ClassVar[tuple[str, ...]] = ("embed_tokens.weight",)
    RESIDUAL: ClassVar[tuple[str, ...]] = ()

    def __init__(self, proxy: Proxy) -> None:
        super().__init__()
        self.proxy = proxy
        d = proxy.d_model
        self.embed_tokens = nn.Embedding(proxy.vocab_size, d)
        between = proxy.dropout if proxy.layers > 1 else 0.0
        self.lstm = nn.LSTM(d, d, proxy.layers, batch_first=True, dropout=between)
        self.lm_head = nn.Linear(d, proxy.vocab_size)
        if proxy.tied:
            self.lm_head.weight = self.embed_tokens.weight

    def states(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the last hidden states, [batch, time] int64 to [batch, time, d]."""
        x = functional.dropout(self.embed_tokens(ids), self.proxy.dropout, self.training)
        hidden, _ = self.lstm(x)
        return functional.dropout(hidden, self.proxy.dropout, self.training)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return logits, [batch, time] int64 to [batch, time, vocab]."""
        return self.lm_head(self.states(ids))

    def nats(self, rows: torch.Tensor) -> torch.Tensor:
        """Negative log-probability of each token but the first, [batch, time + 1] to [batch, time] float32."""
        return next_token_nats(self(rows[:, :-1]), rows)

    def loss(self, rows: torch.Tensor) -> torch.Tensor:
        """Mean nats per token, [batch, time + 1] int64 to a scalar."""
        return self.nats(rows).mean()

    def set_vectors(self) -> None:
        """Forget gates start open: bias 1 (Jozefowicz et al. 2015)."""
        d = self.proxy.d_model
        for layer in range(self.proxy.layers):
            getattr(self.lstm, f"bias_ih_l{layer}")[d : 2 * d] = 1.0  # gates: input, forget, cell, output

    def config(self) -> dict[str, object]:
        """Return the name only: `transformers` has no such model."""
        return {"model_type": "mixtrace-lstm"}
