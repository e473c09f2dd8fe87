"""A Transformer of Llama shape with the parameter names of Hugging Face's `LlamaForCausalLM`.

RMSNorm, rotary positions, SwiGLU, no biases (Touvron et al. 2023, arXiv:2302.13971). Attention is
written out: the backward of scaled_dot_product_attention on CPU takes 31 % of a step at this size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from analysis.models import Proxy
from analysis.models.neural import next_token_nats


class Past:
    """Keys and values of the tokens that a layer has read, kept so that a text grows without reading it again."""

    def __init__(self) -> None:
        self._keys: torch.Tensor | None = None
        self._values: torch.Tensor | None = None

    @property
    def length(self) -> int:
        """Tokens read so far."""
        return 0 if self._keys is None else self._keys.shape[2]

    def extend(self, k: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Append [batch, heads, new, width] keys (turned) and values; return those of all tokens."""
        self._keys = k if self._keys is None else torch.cat([self._keys, k], 2)
        self._values = v if self._values is None else torch.cat([self._values, v], 2)
        return self._keys, self._values


class Attention(nn.Module):
    """Causal self-attention with rotary positions."""

    def __init__(self, proxy: Proxy) -> None:
        super().__init__()
        d = proxy.d_model
        self.heads = proxy.heads
        self.q_proj = nn.Linear(d, d, bias=False)
        self.k_proj = nn.Linear(d, d, bias=False)
        self.v_proj = nn.Linear(d, d, bias=False)
        self.o_proj = nn.Linear(d, d, bias=False)

    def forward(
        self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, mask: torch.Tensor, past: Past | None = None
    ) -> torch.Tensor:
        """Mix the tokens of each row.

        Args:
            x: [batch, time, d] inputs.
            cos: [time, d / heads] cosines of the rotary angles.
            sin: [time, d / heads] sines.
            mask: [time, tokens read + time] 0 where attention is allowed, -inf elsewhere.
            past: what the tokens before x left; None if there are none and none will follow.
        """
        batch, time, d = x.shape
        # One product instead of three: 64 x 192 fills the core, 64 x 64 does not.
        weight = torch.cat([self.q_proj.weight, self.k_proj.weight, self.v_proj.weight])
        qkv = functional.linear(x, weight).view(batch, time, 3, self.heads, d // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each [batch, heads, time, d / heads]
        q, k = _rotate(q, cos, sin), _rotate(k, cos, sin)
        if past is not None:
            k, v = past.extend(k, v)
        scores = (q @ k.transpose(-1, -2)) * (d // self.heads) ** -0.5 + mask
        mixed = scores.softmax(-1).to(v.dtype) @ v
        return self.o_proj(mixed.transpose(1, 2).reshape(batch, time, d))


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, proxy: Proxy) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(proxy.d_model, proxy.d_ff, bias=False)
        self.up_proj = nn.Linear(proxy.d_model, proxy.d_ff, bias=False)
        self.down_proj = nn.Linear(proxy.d_ff, proxy.d_model, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Transform each token alone, [batch, time, d] to [batch, time, d]."""
        return self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """Attention and feed-forward, each normalised before and added to the stream."""

    def __init__(self, proxy: Proxy) -> None:
        super().__init__()
        self.self_attn = Attention(proxy)
        self.mlp = FeedForward(proxy)
        self.input_layernorm = nn.RMSNorm(proxy.d_model, eps=proxy.norm_eps)
        self.post_attention_layernorm = nn.RMSNorm(proxy.d_model, eps=proxy.norm_eps)
        self.dropout = proxy.dropout

    def forward(
        self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, mask: torch.Tensor, past: Past | None = None
    ) -> torch.Tensor:
        """Apply the layer, [batch, time, d] to [batch, time, d]."""
        mixed = self.self_attn(self.input_layernorm(x), cos, sin, mask, past)
        x = x + functional.dropout(mixed, self.dropout, self.training)
        made = self.mlp(self.post_attention_layernorm(x))
        return x + functional.dropout(made, self.dropout, self.training)


class Decoder(nn.Module):
    """Embedding, layers and last norm."""

    cos: torch.Tensor
    sin: torch.Tensor
    mask: torch.Tensor

    def __init__(self, proxy: Proxy) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(proxy.vocab_size, proxy.d_model)
        self.layers = nn.ModuleList(Layer(proxy) for _ in range(proxy.layers))
        self.norm = nn.RMSNorm(proxy.d_model, eps=proxy.norm_eps)
        self.dropout = proxy.dropout
        width = proxy.d_model // proxy.heads
        rate = proxy.rope_theta ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
        angle = torch.arange(proxy.context)[:, None] * rate  # [time, width / 2]
        angle = torch.cat([angle, angle], -1)
        self.register_buffer("cos", angle.cos().float(), persistent=False)
        self.register_buffer("sin", angle.sin().float(), persistent=False)
        mask = torch.full((proxy.context, proxy.context), float("-inf")).triu(1)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, ids: torch.Tensor, past: Sequence[Past] = ()) -> torch.Tensor:
        """Return the last hidden states, [batch, time] to [batch, time, d]; `past` is one per layer, or nothing."""
        start = past[0].length if past else 0
        stop = start + ids.shape[1]
        x = functional.dropout(self.embed_tokens(ids), self.dropout, self.training)
        for index, layer in enumerate(self.layers):
            one = past[index] if past else None
            x = layer(x, self.cos[start:stop], self.sin[start:stop], self.mask[start:stop, :stop], one)
        return self.norm(x)


class Llama(nn.Module):
    """The proxy: `forward(ids [batch, time]) -> logits [batch, time, vocab]`, time <= context."""

    EMBEDDINGS: ClassVar[tuple[str, ...]] = ("embed_tokens.weight",)
    RESIDUAL: ClassVar[tuple[str, ...]] = ("o_proj.weight", "down_proj.weight")

    def __init__(self, proxy: Proxy) -> None:
        super().__init__()
        self.proxy = proxy
        self.model = Decoder(proxy)
        self.lm_head = nn.Linear(proxy.d_model, proxy.vocab_size, bias=False)
        if proxy.tied:
            self.lm_head.weight = self.model.embed_tokens.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return logits, [batch, time] int64 to [batch, time, vocab]."""
        return self.lm_head(self.model(ids))

    def states(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the last hidden states, [batch, time] int64 to [batch, time, d]."""
        return self.model(ids)

    def next_logits(self, ids: torch.Tensor, past: Sequence[Past]) -> torch.Tensor:
        """Read on, [batch, new] int64, and return the logits of the token after the last, [batch, vocab]."""
        return self.lm_head(self.model(ids, past)[:, -1])

    def nats(self, rows: torch.Tensor) -> torch.Tensor:
        """Negative log-probability of each token but the first, [batch, time + 1] to [batch, time] float32."""
        return next_token_nats(self(rows[:, :-1]), rows)

    def loss(self, rows: torch.Tensor) -> torch.Tensor:
        """Mean nats per token, [batch, time + 1] int64 to a scalar."""
        return self.nats(rows).mean()

    def set_vectors(self) -> None:
        """All vectors are scales: 1."""

    def config(self) -> dict[str, object]:
        """Return the `config.json` with which `transformers` rebuilds the model."""
        proxy = self.proxy
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": proxy.vocab_size,
            "hidden_size": proxy.d_model,
            "intermediate_size": proxy.d_ff,
            "num_hidden_layers": proxy.layers,
            "num_attention_heads": proxy.heads,
            "num_key_value_heads": proxy.heads,
            "max_position_embeddings": proxy.context,
            "rms_norm_eps": proxy.norm_eps,
            "rope_theta": proxy.rope_theta,
            "hidden_act": "silu",
            "attention_bias": False,
            "mlp_bias": False,
            "tie_word_embeddings": proxy.tied,
            "bos_token_id": proxy.eos_id,
            "eos_token_id": proxy.eos_id,
            "dtype": "float32",
        }


def _rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn pairs (i, i + width/2) of [batch, heads, time, width] by their angles (Su et al. 2021, arXiv:2104.09864)."""
    half = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin
