"""A masked Transformer of BERT shape with the parameter names of Hugging Face's `BertForMaskedLM`.

Devlin et al. 2019, arXiv:1810.04805: norms after each sublayer, learned positions, GELU. Training masks a
fixed number of random tokens per row (80 % by the mask token, 10 % by a random one, 10 % left). The mask
token is the one after the vocabulary.

Scores are pseudo-log-likelihoods (Salazar et al. 2020, arXiv:1910.14659): every token given those on both
sides. With `pseudo_stride` s, every s-th token is masked at once, so a row costs s passes instead of one per
token. This is not the probability of a text: `MODELS["bert"].likelihood` is "pseudo".
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from analysis.models import Proxy
from analysis.models.sizes import masked_tokens

NORM_EPS = 1e-12
MASKED, REPLACED = 0.8, 0.1


class SelfAttention(nn.Module):
    """Attention to all tokens of a row, before its output matrix."""

    def __init__(self, proxy: Proxy) -> None:
        super().__init__()
        self.heads = proxy.heads
        self.query = nn.Linear(proxy.d_model, proxy.d_model)
        self.key = nn.Linear(proxy.d_model, proxy.d_model)
        self.value = nn.Linear(proxy.d_model, proxy.d_model)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mix the tokens of each row, [batch, time, d] to [batch, time, d]."""
        batch, time, d = x.shape
        weight = torch.cat([self.query.weight, self.key.weight, self.value.weight])
        bias = torch.cat([self.query.bias, self.key.bias, self.value.bias])
        qkv = functional.linear(x, weight, bias).view(batch, time, 3, self.heads, d // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each [batch, heads, time, d / heads]
        scores = (q @ k.transpose(-1, -2)) * (d // self.heads) ** -0.5
        mixed = scores.softmax(-1).to(v.dtype) @ v
        return mixed.transpose(1, 2).reshape(batch, time, d)


class Output(nn.Module):
    """A matrix whose result is added to what came in, then normalised."""

    def __init__(self, proxy: Proxy, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, proxy.d_model)
        self.LayerNorm = nn.LayerNorm(proxy.d_model, eps=NORM_EPS)
        self.dropout = proxy.dropout

    def forward(self, made: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Return norm(x + dense(made)); made [batch, time, width], x [batch, time, d]."""
        return self.LayerNorm(x + functional.dropout(self.dense(made), self.dropout, self.training))


class Layer(nn.Module):
    """Attention and feed-forward of width 4 d."""

    def __init__(self, proxy: Proxy) -> None:
        super().__init__()
        wide = 4 * proxy.d_model
        self.attention = nn.ModuleDict({"self": SelfAttention(proxy), "output": Output(proxy, proxy.d_model)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(proxy.d_model, wide)})
        self.output = Output(proxy, wide)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layer, [batch, time, d] to [batch, time, d]."""
        x = self.attention["output"](self.attention["self"](x), x)
        return self.output(functional.gelu(self.intermediate["dense"](x)), x)


class Embeddings(nn.Module):
    """Tokens, positions and the one token type, added and normalised."""

    def __init__(self, proxy: Proxy) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(proxy.vocab_size + 1, proxy.d_model)
        self.position_embeddings = nn.Embedding(proxy.context + 1, proxy.d_model)
        self.token_type_embeddings = nn.Embedding(1, proxy.d_model)
        self.LayerNorm = nn.LayerNorm(proxy.d_model, eps=NORM_EPS)
        self.dropout = proxy.dropout

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """[batch, time] int64 to [batch, time, d]."""
        x = self.word_embeddings(ids) + self.token_type_embeddings.weight[0]
        x = x + self.position_embeddings.weight[: ids.shape[1]]
        return functional.dropout(self.LayerNorm(x), self.dropout, self.training)


class Predictions(nn.Module):
    """The head: one more layer, then a comparison with the embedding of every token."""

    def __init__(self, proxy: Proxy, embedding: nn.Parameter) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(proxy.vocab_size + 1))
        self.transform = nn.ModuleDict(
            {
                "dense": nn.Linear(proxy.d_model, proxy.d_model),
                "LayerNorm": nn.LayerNorm(proxy.d_model, eps=NORM_EPS),
            }
        )
        self.decoder = nn.Linear(proxy.d_model, proxy.vocab_size + 1)
        self.decoder.bias, self.decoder.weight = self.bias, embedding

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., d] to logits [..., vocab + 1]."""
        return self.decoder(self.transform["LayerNorm"](functional.gelu(self.transform["dense"](x))))


class Bert(nn.Module):
    """The proxy: `forward(ids [batch, time]) -> logits [batch, time, vocab + 1]`, time <= context + 1."""

    EMBEDDINGS: ClassVar[tuple[str, ...]] = ("_embeddings.weight",)
    RESIDUAL: ClassVar[tuple[str, ...]] = ("output.dense.weight",)

    def __init__(self, proxy: Proxy) -> None:
        super().__init__()
        self.proxy = proxy
        encoder = nn.ModuleDict({"layer": nn.ModuleList(Layer(proxy) for _ in range(proxy.layers))})
        embeddings = Embeddings(proxy)
        self.bert = nn.ModuleDict({"embeddings": embeddings, "encoder": encoder})
        self.cls = nn.ModuleDict({"predictions": Predictions(proxy, embeddings.word_embeddings.weight)})

    @property
    def mask_id(self) -> int:
        """Id of the mask token."""
        return self.proxy.vocab_size

    def states(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the last hidden states, [batch, time] int64 to [batch, time, d]."""
        x = self.bert["embeddings"](ids)
        for layer in self.bert["encoder"]["layer"]:
            x = layer(x)
        return x

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return logits, [batch, time] int64 to [batch, time, vocab + 1]."""
        return self.cls["predictions"](self.states(ids))

    def loss(self, rows: torch.Tensor) -> torch.Tensor:
        """Mean nats per masked token, [batch, context + 1] int64 to a scalar; the first token is never masked."""
        batch, width = rows.shape
        asked = torch.rand(batch, width - 1, device=rows.device).topk(masked_tokens(self.proxy), -1).indices + 1
        gold = rows.gather(1, asked)
        how = torch.rand(asked.shape, device=rows.device)
        other = (torch.rand(asked.shape, device=rows.device) * self.proxy.vocab_size).long()
        shown = torch.where(how < MASKED, self.mask_id, torch.where(how < MASKED + REPLACED, other, gold))
        hidden = self.states(rows.scatter(1, asked, shown))
        hidden = hidden.gather(1, asked[..., None].expand(-1, -1, hidden.shape[-1]))
        return functional.cross_entropy(self.cls["predictions"](hidden).float().flatten(0, 1), gold.flatten())

    def nats(self, rows: torch.Tensor) -> torch.Tensor:
        """Negative pseudo-log-likelihood of each token but the first, [batch, time + 1] to [batch, time] float32."""
        batch, width = rows.shape
        stride = min(self.proxy.pseudo_stride, width)
        place = torch.arange(width, device=rows.device)
        turn = place % stride == torch.arange(stride, device=rows.device)[:, None]  # [stride, width]
        turn = turn & (place > 0)  # the first token is given
        shown = torch.where(turn, self.mask_id, rows[:, None, :])  # [batch, stride, width]
        hidden = self.states(shown.flatten(0, 1)).view(batch, stride, width, -1)
        hidden = hidden[:, place % stride, place][:, 1:]  # each token where it is masked
        logits = self.cls["predictions"](hidden).float()
        loss = functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].reshape(-1), reduction="none")
        return loss.view(batch, width - 1)

    def set_vectors(self) -> None:
        """All vectors are scales or biases: 1 or 0."""

    def config(self) -> dict[str, object]:
        """Return the `config.json` with which `transformers` rebuilds the model."""
        proxy = self.proxy
        return {
            "architectures": ["BertForMaskedLM"],
            "model_type": "bert",
            "vocab_size": proxy.vocab_size + 1,
            "hidden_size": proxy.d_model,
            "intermediate_size": 4 * proxy.d_model,
            "num_hidden_layers": proxy.layers,
            "num_attention_heads": proxy.heads,
            "max_position_embeddings": proxy.context + 1,
            "type_vocab_size": 1,
            "layer_norm_eps": NORM_EPS,
            "hidden_act": "gelu",
            "hidden_dropout_prob": proxy.dropout,
            "attention_probs_dropout_prob": 0.0,
            "tie_word_embeddings": True,
            "pad_token_id": None,
            "bos_token_id": proxy.eos_id,
            "eos_token_id": proxy.eos_id,
            "dtype": "float32",
        }
