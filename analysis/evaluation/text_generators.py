"""Models that continue texts: a run of ours, or any causal model of `transformers` on disk; both keep what they read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from analysis.evaluation.generation import Steps, TextGenerator
from analysis.evaluation.text_scorers import hf_scorer, open_run, require_own_context, text_encoder, workspace_of
from analysis.models.hf_import import HfLogProb, load_hf
from analysis.models.llama import Llama, Past


def open_generator(
    folder: Path, workspace: Path | None = None, context: int | None = None, device: str = "cpu"
) -> TextGenerator:
    """Open a model that continues texts.

    Args:
        folder: a causal model of `transformers` with its tokenizer, or a run of ours.
        workspace: where a run's tokenizer is; None takes WORKSPACE/analysis/STUDY/runs/RUN apart.
        context: most tokens that a model of `transformers` reads; None takes the model's, up to 1024.
        device: where it computes.

    Raises:
        InputError: if the folder is no model, or the tokenizer is another than the run's.
        ConfigError: if the model is not causal, or knows no token that starts a text.
    """
    if not (folder / "run.json").exists():
        return hf_generator(load_hf(folder, context, device))
    model, tokenizer = open_run(folder, workspace or workspace_of(folder), device)
    proxy = model.proxy
    require_own_context(context, proxy)
    return TextGenerator(
        folder.name,
        text_encoder(tokenizer),
        lambda ids: tokenizer.decode(ids.tolist(), skip_special_tokens=False),
        proxy.eos_id,
        frozenset([proxy.eos_id]),
        proxy.context,
        lambda: cached_steps(model) if isinstance(model, Llama) else whole_steps(model),
    )


def hf_generator(model: HfLogProb) -> TextGenerator:
    """Let a model of `transformers` continue texts.

    Raises:
        ConfigError: if it has neither BOS nor EOS: nothing would start a text.
    """
    scorer = hf_scorer(model)
    named = model.model.generation_config.eos_token_id
    ends = {model.tokenizer.eos_token_id, *(named if isinstance(named, list) else [named])} - {None}
    return TextGenerator(
        model.name,
        scorer.encode,
        lambda ids: model.tokenizer.decode(ids.tolist(), clean_up_tokenization_spaces=False),
        scorer.start_id,
        frozenset(int(end) for end in ends),
        model.context,
        lambda: _hf_steps(model.model),
    )


def cached_steps(model: Llama) -> Steps:
    """Read on with keys and values kept."""
    past = [Past() for _ in range(model.proxy.layers)]
    device = model.lm_head.weight.device

    def steps(ids: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model.next_logits(torch.from_numpy(ids).to(device), past).double().cpu().numpy()

    return steps


def whole_steps(model: Any) -> Steps:
    """Read everything again for each token, for models without a cache (LSTM, feed-forward)."""
    device = next(iter(model.parameters())).device
    read: list[np.ndarray] = []

    def steps(ids: np.ndarray) -> np.ndarray:
        read.append(ids)
        with torch.inference_mode():
            logits = model(torch.from_numpy(np.concatenate(read, 1)).to(device))[:, -1]
        return logits.double().cpu().numpy()

    return steps


def _hf_steps(model: Any) -> Steps:
    """Read on with the cache of `transformers`."""
    cache: Any = None

    def steps(ids: np.ndarray) -> np.ndarray:
        nonlocal cache
        with torch.inference_mode():
            found = model(
                input_ids=torch.from_numpy(ids).to(model.device), past_key_values=cache, use_cache=True,
                logits_to_keep=1,
            )  # fmt: skip
        cache = found.past_key_values
        return found.logits[:, -1].double().cpu().numpy()

    return steps
