"""A Transformer of Llama shape with the parameter names of Hugging Face's `LlamaForCausalLM`.

RMSNorm, rotary positions, SwiGLU, no biases (Touvron et al. 2023, arXiv:2302.13971). Attention is
written out: the backward of scaled_dot_product_attention on CPU takes 31 % of a step at this size.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from analysis.models import Proxy
from pipelines.contracts import storage


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

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Mix the tokens of each row.

        Args:
            x: [batch, time, d] inputs.
            cos: [time, d / heads] cosines of the rotary angles.
            sin: [time, d / heads] sines.
            mask: [time, time] 0 where attention is allowed, -inf elsewhere.
        """
        batch, time, d = x.shape
        # One product instead of three: 64 x 192 fills the core, 64 x 64 does not.
        weight = torch.cat([self.q_proj.weight, self.k_proj.weight, self.v_proj.weight])
        qkv = functional.linear(x, weight).view(batch, time, 3, self.heads, d // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each [batch, heads, time, d / heads]
        q, k = _rotate(q, cos, sin), _rotate(k, cos, sin)
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

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Apply the layer, [batch, time, d] to [batch, time, d]."""
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask)
        return x + self.mlp(self.post_attention_layernorm(x))


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
        width = proxy.d_model // proxy.heads
        rate = proxy.rope_theta ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
        angle = torch.arange(proxy.context)[:, None] * rate  # [time, width / 2]
        angle = torch.cat([angle, angle], -1)
        self.register_buffer("cos", angle.cos().float(), persistent=False)
        self.register_buffer("sin", angle.sin().float(), persistent=False)
        mask = torch.full((proxy.context, proxy.context), float("-inf")).triu(1)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the last hidden states, [batch, time] to [batch, time, d]."""
        time = ids.shape[1]
        x = self.embed_tokens(ids)
        for layer in self.layers:
            x = layer(x, self.cos[:time], self.sin[:time], self.mask[:time, :time])
        return self.norm(x)


class Llama(nn.Module):
    """The proxy: `forward(ids [batch, time]) -> logits [batch, time, vocab]`, time <= context."""

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

    def nats(self, rows: torch.Tensor) -> torch.Tensor:
        """Negative log-probability of each token but the first.

        Args:
            rows: [batch, time + 1] int64.

        Returns:
            [batch, time] float32 nats.
        """
        logits = self(rows[:, :-1]).float()
        target = rows[:, 1:]
        loss = functional.cross_entropy(logits.flatten(0, 1), target.reshape(-1), reduction="none")
        return loss.view(target.shape)


class LlamaLogProb:
    """Score rows with a Llama (see `LogProb`), in batches of one static shape.

    Args:
        model: the proxy.
        rows_nats: [batch, context + 1] int64 to [batch, context] nats; `model.nats` or its compiled form.
    """

    def __init__(self, model: Llama, rows_nats: object = None) -> None:
        self._nats = rows_nats or model.nats
        self._proxy = model.proxy
        self._device = model.lm_head.weight.device

    def logp(self, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Return [rows, context] float64 nats, 0 where the mask is False; ids are [rows, context + 1]."""
        batch = self._proxy.batch
        out = np.zeros(mask.shape, np.float64)
        with torch.no_grad():
            for start in range(0, len(ids), batch):
                rows = ids[start : start + batch]
                padded = np.full((batch, ids.shape[1]), self._proxy.eos_id, np.int64)
                padded[: len(rows)] = rows
                nats = self._nats(torch.from_numpy(padded).to(self._device))
                out[start : start + batch] = -nats[: len(rows)].double().cpu().numpy()
        return np.where(mask, out, 0.0)


def initialise(model: Llama, seed: int) -> None:
    """Draw all weights anew, in place: embedding N(0, embedding_std), matrices N(0, 1/d), outputs / √(2L).

    The numbers come from a CPU generator, so that a seed means the same weights on every device.
    """
    proxy = model.proxy
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 1:
                weight.fill_(1.0)
                continue
            std = proxy.d_model**-0.5
            if name.endswith("embed_tokens.weight"):
                std = proxy.embedding_std
            elif name.endswith(("o_proj.weight", "down_proj.weight")):
                std *= (2 * proxy.layers) ** -0.5
            weight.copy_(torch.empty(weight.shape).normal_(0.0, std, generator=generator))


def hf_config(proxy: Proxy) -> dict[str, object]:
    """Return the `config.json` with which `transformers` rebuilds the model."""
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


def weights(model: Llama) -> dict[str, torch.Tensor]:
    """Return the parameters by HF name (a tied head is left out), on the CPU."""
    return {name: value.detach().cpu().contiguous() for name, value in model.named_parameters()}


def export(model: Llama, folder: Path) -> None:
    """Write `model.safetensors` and `config.json`; `AutoModelForCausalLM.from_pretrained(folder)` loads them."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{storage.TEMPORARY}model.safetensors"
    save_file(weights(model), temporary, metadata={"format": "pt"})
    temporary.replace(folder / "model.safetensors")
    with storage.atomic_write(str(folder / "config.json")) as file:
        file.write(json.dumps(hf_config(model.proxy), indent=1).encode())


def load(folder: Path, proxy: Proxy) -> Llama:
    """Read a proxy back from an exported folder."""
    model = Llama(proxy)
    missing, unexpected = model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    expected = ["lm_head.weight"] if proxy.tied else []
    if missing != expected or unexpected:
        raise ValueError(f"{folder}: weights of another shape of model: got {missing}, {unexpected}; expected none")
    return model


def _rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn pairs (i, i + width/2) of [batch, heads, time, width] by their angles (Su et al. 2021, arXiv:2104.09864)."""
    half = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin
