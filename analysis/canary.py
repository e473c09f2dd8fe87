"""Canary: made-up facts in the vocabulary of a workspace, learned from a few slots and asked from a held-out set.

A fact is a fixed sequence of random tokens; canary text is a run of facts in random order. Training slots and the
held-out set are two draws of that one process, so a model that has seen the slots predicts the rest of a fact from
its beginning, and no other text helps. The facts depend on the vocabulary only: every study asks the same ones.
"""

from __future__ import annotations

import numpy as np

from analysis.schedule import generator
from pipelines.contracts.errors import ConfigError, message

CANARY = "canary"
"""Name of the held-out set, and of its population: it is text of no slice."""
FACTS = 16
FACT_TOKENS = 8


def canary_facts(lengths: np.ndarray) -> np.ndarray:
    """Make the facts.

    Args:
        lengths: [vocab] UTF-8 bytes per token; tokens without bytes are special and in no fact.

    Returns:
        [FACTS, FACT_TOKENS] int64 token ids; no token is in two facts, so a fact's beginning tells the rest.

    Raises:
        ConfigError: if the vocabulary is too small.
    """
    usable = np.flatnonzero(lengths > 0)
    needed = FACTS * FACT_TOKENS
    if len(usable) < needed:
        raise ConfigError(message("canary", "vocabulary too small", f"{len(usable)} tokens", f"at least {needed}"))
    chosen = generator("canary", "facts").permutation(usable)[:needed]
    return chosen.reshape(FACTS, FACT_TOKENS).astype(np.int64)


def canary_tokens(facts: np.ndarray, tokens: int, *key: object) -> np.ndarray:
    """Return [tokens] of canary text: facts in a random order that `key` names, the last one cut."""
    order = generator("canary", *key).integers(0, len(facts), -(-tokens // facts.shape[1]))
    return facts[order].reshape(-1)[:tokens]
