"""Continue texts: greedy, or drawn with temperature, top-k and top-p; for people to look at, never in a verdict.

The rules are those of `transformers`, in its order: divide by the temperature, keep the k likeliest tokens (Fan et al.
2018, arXiv:1805.04833), of these the fewest that hold p of the probability (Holtzman et al. 2019, arXiv:1904.09751).
One uniform number per token, of a generator per prompt, chooses from what is left: what a prompt becomes does not
depend on which others are asked beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pipelines.contracts.errors import ConfigError, InputError, ResourceError, message

MAX_ROWS = 64
"""Prompts that are continued at once."""

Steps = Callable[[np.ndarray], np.ndarray]
"""Reads on, [rows, new] int64 ids, and gives [rows, vocab] float64 logits of the token after the last."""


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen.

    Attributes:
        max_new_tokens: tokens after which a text ends, if it has not ended itself.
        temperature: logits are divided by it; 0 takes the likeliest token (greedy).
        top_k: tokens that may be drawn; 0 for all.
        top_p: share of the probability that they must hold; 1 for all.
        seed: of the draws.
    """

    max_new_tokens: int = 32
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        limits = (
            ("max_new_tokens", self.max_new_tokens >= 1, ">= 1"),
            ("temperature", self.temperature >= 0, ">= 0"),
            ("top_k", self.top_k >= 0, ">= 0"),
            ("top_p", 0 < self.top_p <= 1, "above 0, at most 1"),
        )
        for name, holds, expected in limits:
            if not holds:
                raise ConfigError(message(name, "cannot be sampled with", getattr(self, name), expected))
        if not self.temperature and (self.top_k or self.top_p < 1):
            got = f"temperature 0 with top_k {self.top_k}, top_p {self.top_p}"
            raise ConfigError(message("sampling", "greedy takes no top-k or top-p", got, "a temperature above 0"))

    def __str__(self) -> str:
        if not self.temperature:
            return "greedy"
        parts = [f"temperature {self.temperature:g}"]
        parts += [f"top-k {self.top_k}"] if self.top_k else []
        parts += [f"top-p {self.top_p:g}"] if self.top_p < 1 else []
        return ", ".join([*parts, f"seed {self.seed}"])


@dataclass(frozen=True)
class TextGenerator:
    """A causal model that continues texts.

    Attributes:
        name: for messages.
        encode: text to [tokens] int64 ids, no special tokens.
        decode: [tokens] ids to text.
        start_id: token before every text.
        end_ids: tokens that end a text.
        context: most tokens that the model reads, the start token among them.
        begin: starts a batch of texts; what it returns holds what was read.
    """

    name: str
    encode: Callable[[str], np.ndarray]
    decode: Callable[[np.ndarray], str]
    start_id: int
    end_ids: frozenset[int]
    context: int
    begin: Callable[[], Steps]


def truncated(logits: np.ndarray, sampling: Sampling) -> np.ndarray:
    """Return the [rows, vocab] float64 probabilities that are drawn from, of [rows, vocab] logits; temperature > 0.

    Ties with the k-th likeliest token are kept, as `transformers` keeps them.
    """
    scaled = logits.astype(np.float64) / sampling.temperature
    if 0 < sampling.top_k < scaled.shape[1]:
        least = np.partition(scaled, -sampling.top_k, axis=1)[:, -sampling.top_k, None]
        scaled = np.where(scaled < least, -np.inf, scaled)
    p = np.exp(scaled - scaled.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    if sampling.top_p < 1:
        order = np.argsort(-p, axis=1, kind="stable")
        falling = np.take_along_axis(p, order, 1)
        before = np.cumsum(falling, 1) - falling
        np.put_along_axis(p, order, np.where(before < sampling.top_p, falling, 0.0), 1)
        p /= p.sum(1, keepdims=True)
    return p


def choose(logits: np.ndarray, sampling: Sampling, uniforms: np.ndarray) -> np.ndarray:
    """Choose the next tokens.

    Args:
        logits: [rows, vocab].
        sampling: how.
        uniforms: [rows] numbers in [0, 1) that draw; greedy does not look at them.

    Returns:
        [rows] int64 ids.
    """
    if not sampling.temperature:
        return logits.argmax(1)
    below = np.cumsum(truncated(logits, sampling), 1)
    # the last sum is 1 but for rounding: a uniform above it takes the last token that can be drawn
    return np.minimum((below <= uniforms[:, None]).sum(1), (below < below[:, -1:]).sum(1))


def generate(model: TextGenerator, prompts: Sequence[str], sampling: Sampling) -> list[str]:
    """Continue texts; a prompt that is too long loses its beginning.

    Returns:
        The continuation of each prompt, without it and without the token that ended it.

    Raises:
        InputError: if so many new tokens leave no room for a prompt in the model's context.
        ResourceError: if not even one prompt fits the device; fewer at a time are tried before.
    """
    room = model.context - sampling.max_new_tokens + 1  # the last token is written and not read
    if room < 1:
        raise InputError(
            message(f"{sampling.max_new_tokens} new tokens of {model.name}", "longer than the model's context",
                    sampling.max_new_tokens, f"<= {model.context}")
        )  # fmt: skip
    rows = [np.concatenate([[model.start_id], model.encode(text)]).astype(np.int64)[-room:] for text in prompts]
    written: list[str] = [""] * len(rows)
    for length in sorted({len(row) for row in rows}):
        places = [index for index, row in enumerate(rows) if len(row) == length]
        at, most = 0, MAX_ROWS
        while at < len(places):
            some = places[at : at + most]
            draws = [np.random.default_rng([sampling.seed, index]) for index in some]
            try:
                ids = generate_ids(model, np.stack([rows[index] for index in some]), sampling, draws)
            except torch.OutOfMemoryError as error:
                most = _fewer(model, len(some), length, str(error))
                continue
            for index, one in zip(some, ids, strict=True):
                written[index] = model.decode(one)
            at += len(some)
    return written


def _fewer(model: TextGenerator, n_rows: int, length: int, fault: str) -> int:
    """Return how many prompts to continue at once on a device that is out of memory.

    Raises:
        ResourceError: if it was one.
    """
    if n_rows == 1:
        what = f"out of memory: {fault.splitlines()[0]}"
        hint = "Give fewer --max-new-tokens, or --device cpu."
        raise ResourceError(message(model.name, what, f"1 prompt of {length} tokens", "room for one prompt", hint))
    return n_rows // 2


def generate_ids(
    model: TextGenerator, ids: np.ndarray, sampling: Sampling, draws: Sequence[np.random.Generator]
) -> list[np.ndarray]:
    """Continue rows of one length.

    Args:
        model: what continues.
        ids: [rows, time] int64.
        sampling: how.
        draws: [rows] generators.

    Returns:
        [rows] arrays of new ids, cut before the token that ended the text.
    """
    steps = model.begin()
    ends = np.array(sorted(model.end_ids), np.int64)
    made = np.empty((len(ids), 0), np.int64)
    ended = np.zeros(len(ids), bool)
    new = ids
    while made.shape[1] < sampling.max_new_tokens and not ended.all():
        uniforms = np.array([generator.random() for generator in draws])
        new = choose(steps(new), sampling, uniforms)[:, None]
        made = np.concatenate([made, new], 1)
        ended |= np.isin(new[:, 0], ends)
    stops = np.where(np.isin(made, ends).any(1), np.isin(made, ends).argmax(1), made.shape[1])
    return [row[:stop] for row, stop in zip(made, stops, strict=True)]
