"""Proxy models: small language models whose losses stand in for a large one's.

A proxy is described by `Proxy` (frozen, hashed into the design) and built through `MODELS`. Whatever
its kind, a trained proxy is scored through one method, `LogProb.logp`.

| name | file | what it is | likelihood |
|---|---|---|---|
| `ngram` | `ngram.py` | interpolated modified Kneser-Ney; leave-one-out by subtraction is exact | causal |
| `feedforward` | `feedforward.py` | a window of embeddings, one hidden layer (Bengio et al. 2003) | causal |
| `lstm` | `lstm.py` | LSTM | causal |
| `llama` | `llama.py` | Transformer, Llama shape, HF names | causal |
| `bert` | `bert.py` | masked Transformer, BERT shape, HF names | pseudo |

A pseudo-likelihood (each token given those on both sides) is another quantity than the probability of a
text: it is shown, never ranked beside causal ones. `require_causal` is the one gate; what ranks, judges or
validates calls it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from analysis.models.sizes import SIZES, Size
from pipelines.contracts.errors import ConfigError, message
from pipelines.contracts.ids import canonical_json, fingerprint

ModelName = Literal["llama", "ngram", "feedforward", "lstm", "bert"]
Likelihood = Literal["causal", "pseudo"]


class Proxy(BaseModel):
    """A small language model and how it is trained; every field bears identity.

    The defaults are the demo proxy (.37 M parameters): typical seed sd .018 bits per byte against .035
    of a naive configuration of the same size.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: ModelName = "llama"
    vocab_size: int = Field(ge=2)
    eos_id: int = Field(default=0, ge=0)
    """Token that ends every document; it also stands before the first token (there is no BOS)."""
    context: int = Field(default=64, ge=2)
    """Predicted tokens of a row; a row has one token more."""
    batch: int = Field(default=8, ge=1)

    d_model: int = Field(default=64, ge=2)
    layers: int = Field(default=2, ge=1)
    heads: int = Field(default=2, ge=1)
    tied: bool = True
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5
    embedding_std: float = Field(default=0.1, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the activations of embeddings and of each layer's output that training sets to 0."""
    window: int = Field(default=8, ge=1)
    """Tokens of history that a feed-forward model sees."""
    mask_share: float = Field(default=0.15, gt=0, lt=1)
    """Share of each row's tokens that a masked model is asked for in training (Devlin et al. 2019)."""
    pseudo_stride: int = Field(default=8, ge=1)
    """A masked model is scored with every such token masked at a time; >= context + 1 masks one at a time."""

    accumulate: int = Field(default=1, ge=1)
    """Parts into which each batch is cut to save memory; their gradients add up to that of the whole batch."""
    lr: float = Field(default=6e-3, gt=0)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_frac: float = Field(default=0.1, ge=0, le=1)
    final_lr_frac: float = Field(default=0.1, ge=0, le=1)
    weight_decay: float = Field(default=0.1, ge=0)
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.95, ge=0, lt=1)
    clip: float = Field(default=1.0, gt=0)
    average_frac: float = Field(default=0.2, ge=0, le=1)
    """Weights are averaged over the last part of the steps before they are evaluated."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: Literal["auto", "on", "off"] = "auto"

    order: int = Field(default=3, ge=1)
    """Order of the n-gram; unused by neural models."""
    discounts: tuple[float, float, float] | None = None
    """Literal discounts of the n-gram's counts of 1, 2, and 3 or more; None estimates them."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.eos_id >= self.vocab_size:
            raise ValueError(f"eos_id: not in the vocabulary: got {self.eos_id}; expected < {self.vocab_size}")
        if self.compile == "on" and not MODELS[self.model].compiles:
            raise ValueError(f'compile: got "on"; expected "off" or "auto": {self.model} cannot be compiled')
        if self.discounts and not all(0 < d <= n for n, d in enumerate(self.discounts, start=1)):
            raise ValueError(
                f"discounts: no discounts of counts of 1, 2, 3 and more: got {self.discounts}; "
                "expected three numbers above 0 and up to 1, 2 and 3"
            )
        if self.batch % self.accumulate:
            raise ValueError(
                f"accumulate: parts of unequal size: got {self.batch} / {self.accumulate} rows; expected a divisor of batch"
            )
        if self.model == "bert" and self.d_model % self.heads:
            raise ValueError(f"d_model: heads of unequal width: got {self.d_model} / {self.heads}; expected a multiple")
        if self.model == "bert" and not self.tied:
            raise ValueError("tied: got false; expected true: the head of a BERT is its embedding")
        if self.model == "llama" and self.d_model % (2 * self.heads):
            raise ValueError(
                f"d_model: heads of odd width: got {self.d_model} / {self.heads}; "
                "expected a multiple of 2 × heads (rotary embeddings turn pairs)"
            )
        return self

    @property
    def d_ff(self) -> int:
        """Width of the SwiGLU layer: 8/3 d, rounded to a multiple of 16 (Touvron et al. 2023, arXiv:2302.13971)."""
        return max(16, (8 * self.d_model // 3 + 15) // 16 * 16)

    @property
    def size(self) -> Size | None:
        """Parameters and FLOPs per token, by formula; None for models that count instead of computing."""
        return SIZES[self.model](self) if self.model in SIZES else None

    @property
    def flops_per_token(self) -> int:
        """Floating-point operations of forward and backward per training token; 0 for an n-gram."""
        return self.size.flops_per_token if self.size else 0

    @property
    def likelihood(self) -> Likelihood:
        """Whether `logp` is that of the text (causal) or of each token given both sides (pseudo)."""
        return MODELS[self.model].likelihood

    @property
    def canonical(self) -> str:
        """The fields as canonical JSON: the text that is hashed."""
        return canonical_json(self.model_dump(mode="json"))

    @property
    def proxy_id(self) -> str:
        """First 16 hex digits of the hash of the fields."""
        return fingerprint(self.model_dump(mode="json"))


class LogProb(Protocol):
    """Anything that gives log-probabilities of tokens: our models, an n-gram, any HF model."""

    def logp(self, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Log-probabilities of the tokens of each row given those before them in the row.

        Args:
            ids: [rows, time + 1] int64 token ids.
            mask: [rows, time] bool; `mask[r, t]` asks for token `ids[r, t + 1]`.

        Returns:
            [rows, time] float64 nats, 0 where the mask is False.
        """
        ...


def require_causal(models: Iterable[str], where: str) -> None:
    """Refuse to rank, judge or compare what is not the probability of a text.

    Args:
        models: names of `MODELS`.
        where: what is about to compare them, for the message.

    Raises:
        ConfigError: if one of them is a pseudo-likelihood.
    """
    pseudo = sorted({name for name in models if MODELS[name].likelihood == "pseudo"})
    if pseudo:
        raise ConfigError(
            message(
                where, "pseudo-perplexity cannot be ranked beside perplexity", ", ".join(pseudo),
                "causal models (" + ", ".join(name for name, kind in MODELS.items() if kind.likelihood == "causal") + ")",
            )
        )  # fmt: skip


@dataclass(frozen=True)
class ModelKind:
    """What is known about a model without building it.

    Attributes:
        build: makes it from a proxy; heavy imports happen inside.
        neural: whether it is a torch module (`analysis.models.neural.NeuralModel`).
        likelihood: what its `logp` is the logarithm of.
        compiles: whether torch.compile sees into it; an LSTM is one call that it breaks off at.
    """

    build: Callable[[Proxy], Any]
    neural: bool = True
    likelihood: Likelihood = "causal"
    compiles: bool = True


def _llama(proxy: Proxy) -> Any:
    from analysis.models.llama import Llama

    return Llama(proxy)


def _ngram(proxy: Proxy) -> Any:
    from analysis.models.ngram import NgramTrainer

    return NgramTrainer(proxy.order, proxy.vocab_size, proxy.eos_id, proxy.discounts)


def _feedforward(proxy: Proxy) -> Any:
    from analysis.models.feedforward import FeedForwardLM

    return FeedForwardLM(proxy)


def _lstm(proxy: Proxy) -> Any:
    from analysis.models.lstm import LstmLM

    return LstmLM(proxy)


def _bert(proxy: Proxy) -> Any:
    from analysis.models.bert import Bert

    return Bert(proxy)


MODELS: dict[str, ModelKind] = {
    "ngram": ModelKind(_ngram, neural=False, compiles=False),
    "feedforward": ModelKind(_feedforward),
    "lstm": ModelKind(_lstm, compiles=False),
    "llama": ModelKind(_llama),
    "bert": ModelKind(_bert, likelihood="pseudo"),
}
"""Name of a model to what it is, the cheapest first."""
