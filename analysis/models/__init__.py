"""Proxy models: small language models whose losses stand in for a large one's.

A proxy is described by `Proxy` (frozen, hashed into the design) and built through `MODELS`. Whatever
its kind, a trained proxy is scored through one method, `LogProb.logp`.

| name | file | what it is | what a contrast on it answers |
|---|---|---|---|
| `llama` | `llama.py` | Transformer, Llama shape, HF names | any fill, retrained |
| `ngram` | `ngram.py` | interpolated modified Kneser-Ney | any fill; leave-one-out by subtraction is exact |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Protocol, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipelines.contracts.ids import canonical_json, fingerprint

if TYPE_CHECKING:
    from analysis.models.llama import Llama
    from analysis.models.ngram import NgramTrainer


class Proxy(BaseModel):
    """A small language model and how it is trained; every field bears identity.

    The defaults are the demo proxy (.37 M parameters): typical seed sd .018 bits per byte against .035
    of a naive configuration of the same size.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Literal["llama", "ngram"] = "llama"
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

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.eos_id >= self.vocab_size:
            raise ValueError(f"eos_id: not in the vocabulary: got {self.eos_id}; expected < {self.vocab_size}")
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
    def flops_per_token(self) -> int:
        """Floating-point operations of forward and backward per token (6 per weight; causal attention half)."""
        body = self.layers * (4 * self.d_model**2 + 3 * self.d_model * self.d_ff)
        attention = 6 * self.layers * self.context * self.d_model
        return 6 * (body + self.vocab_size * self.d_model) + attention

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


def _llama(proxy: Proxy) -> Llama:
    from analysis.models.llama import Llama

    return Llama(proxy)


def _ngram(proxy: Proxy) -> NgramTrainer:
    from analysis.models.ngram import NgramTrainer

    return NgramTrainer(proxy.order, proxy.vocab_size, proxy.eos_id)


MODELS: dict[str, Callable[[Proxy], Llama | NgramTrainer]] = {"llama": _llama, "ngram": _ngram}
"""Name of a model to the function that builds it (heavy imports happen inside)."""
