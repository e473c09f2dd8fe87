"""The tokenizer's part of a recipe."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipelines.contracts.yaml_model import StrictModel

Share = Annotated[float, Field(gt=0.0, le=1.0)]


class Tokenizer(StrictModel):
    """Train a byte-level BPE on a deterministic sample, or load a `tokenizer.json`.

    Attributes:
        path: `tokenizer.json` to load; None trains one.
        vocab_size: token ids, the 256 bytes and the special tokens among them.
        pre_tokenizer: how text is cut before merges, named after models that do so.
        sample_mb: text to train on. Documents are drawn by hash of their id.
        source_shares: share of the sample from these sources; the others divide the rest as below.
        language_shares: share of the sample in these languages; the others divide the rest as below.
        smoothing: without shares, a source's language weighs as its bytes to this power: 1 as they are, 0 all alike.
        end_of_text: token that ends every document.
        special_tokens: further tokens that are never parsed from text; their ids follow that of end_of_text.
        fertility_mb: text per language on which tokens per word and bytes per token are measured.
    """

    path: str | None = None
    vocab_size: Annotated[int, Field(ge=260, le=1 << 20)] = 4096
    pre_tokenizer: Literal["gpt2", "llama3", "qwen", "deepseek"] = "gpt2"
    sample_mb: Annotated[float, Field(gt=0)] = 16.0
    source_shares: dict[str, Share] = Field(default_factory=dict)
    language_shares: dict[str, Share] = Field(default_factory=dict)
    smoothing: Annotated[float, Field(ge=0.0, le=1.0)] = 1.0
    end_of_text: Annotated[str, Field(min_length=1)] = "<|endoftext|>"
    special_tokens: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    fertility_mb: Annotated[float, Field(gt=0)] = 0.5

    @model_validator(mode="after")
    def _agrees(self) -> Tokenizer:
        for name in ("source_shares", "language_shares"):
            if sum(getattr(self, name).values()) > 1 + 1e-9:
                raise ValueError(f"{name} of at most 1 together, not {sum(getattr(self, name).values()):g}")
        tokens = (self.end_of_text, *self.special_tokens)
        if len(set(tokens)) < len(tokens):
            raise ValueError(f"every special token once, not {list(tokens)}")
        if self.path is None and self.vocab_size < 256 + len(tokens):
            raise ValueError(f"vocab_size of at least {256 + len(tokens)}: the bytes and the special tokens")
        if self.path is not None and self.special_tokens:
            raise ValueError("no special_tokens with path: a tokenizer.json has its own")
        return self
