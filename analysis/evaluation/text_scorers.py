"""Models that take text: any causal model of `transformers` on disk, or a run of ours with its workspace's tokenizer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from analysis.evaluation.text_items import TextScorer
from analysis.models import Proxy, require_causal
from analysis.models.hf_import import MAX_LOGITS, NOTHING, HfLogProb, load_hf
from pipelines.contracts.errors import ConfigError, message

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def open_scorer(
    folder: Path, workspace: Path | None = None, context: int | None = None, device: str = "cpu"
) -> TextScorer:
    """Open a model for text.

    Args:
        folder: a causal model of `transformers` with its tokenizer, or a run of ours.
        workspace: where a run's tokenizer is; None takes WORKSPACE/analysis/STUDY/runs/RUN apart.
        context: predicted tokens per row; None takes the model's, up to 1024. A run has its own.
        device: where it computes.

    Raises:
        InputError: if the folder is no model, or the tokenizer is another than the run's.
        ConfigError: if the model is not causal, knows no token that starts a text, or is a run of another context.
    """
    if (folder / "run.json").exists():
        return _run_scorer(folder, workspace or workspace_of(folder), context, device)
    return hf_scorer(load_hf(folder, context, device))


def workspace_of(run: Path) -> Path:
    """Take WORKSPACE/analysis/STUDY/runs/RUN apart."""
    return run.resolve().parents[3]


def hf_scorer(model: HfLogProb) -> TextScorer:
    """Let a model of `transformers` take text.

    Raises:
        ConfigError: if it has neither BOS nor EOS: the first token of a text could not be scored.
    """
    if model.start_id == NOTHING:
        raise ConfigError(message(model.name, "no token starts a text", "neither BOS nor EOS", "a tokenizer with one"))

    def encode(text: str) -> np.ndarray:
        found = model.tokenizer(text, add_special_tokens=False, split_special_tokens=True, verbose=False)
        return np.asarray(found["input_ids"], np.int64)

    likeliest = _likeliest(
        lambda ids: model.model(input_ids=ids, use_cache=False).logits, model.vocab_size, model.model.device
    )
    return TextScorer(model, encode, model.start_id, model.context, model.name, likeliest)


def _run_scorer(run: Path, workspace: Path, context: int | None, device: str) -> TextScorer:
    """Open a run of ours."""
    from analysis.models.neural import TorchLogProb

    model, tokenizer = open_run(run, workspace, device)
    proxy = model.proxy
    require_own_context(context, proxy)
    likeliest = _likeliest(model, proxy.vocab_size, torch.device(device))
    return TextScorer(TorchLogProb(model), text_encoder(tokenizer), proxy.eos_id, proxy.context, run.name, likeliest)


def open_run(run: Path, workspace: Path, device: str) -> tuple[Any, Tokenizer]:
    """Open the model of a run of ours and its workspace's tokenizer.

    Raises:
        InputError: if the folder is no such run, or the tokenizer is another than the run's.
        ConfigError: if the model is not causal.
    """
    from analysis.models.hf_export import require_same_tokenizer
    from analysis.models.neural import load

    model = load(run)
    require_causal([model.proxy.model], str(run))
    require_same_tokenizer(run, workspace)
    tokenizer = open_tokenizer(workspace, model.proxy)
    if device == "cpu":
        torch.set_num_threads(1)  # as in training: two threads lose more than they gain at this size
    return model.to(torch.device(device)).eval(), tokenizer


def require_own_context(context: int | None, proxy: Proxy) -> None:
    """Refuse another context than that which a run was trained with.

    Raises:
        ConfigError: with both.
    """
    if context and context != proxy.context:
        raise ConfigError(message("--context", "not the run's", context, str(proxy.context)))


def open_tokenizer(workspace: Path, proxy: Proxy) -> Tokenizer:
    """Open the tokenizer of a workspace; what looks like a special token in a text is not one.

    Raises:
        InputError: if it is another than the proxy's.
    """
    from tokenizers import Tokenizer

    from analysis.models.hf_export import read_tokenizer

    tokenizer = Tokenizer.from_str(json.dumps(read_tokenizer(workspace, proxy)))
    tokenizer.encode_special_tokens = True
    return tokenizer


def text_encoder(tokenizer: Tokenizer) -> Callable[[str], np.ndarray]:
    """Return text to [tokens] int64 ids, no special tokens."""
    return lambda text: np.asarray(tokenizer.encode(text, add_special_tokens=False).ids, np.int64)


def _likeliest(
    logits: Callable[[torch.Tensor], Any], vocab_size: int, device: torch.device
) -> Callable[[np.ndarray], np.ndarray]:
    """Make the function that finds the likeliest next tokens, in batches that bound the logits."""

    def likeliest(ids: np.ndarray) -> np.ndarray:
        out = np.empty(ids.shape, np.int64)
        n_rows = max(1, MAX_LOGITS // (ids.shape[1] * vocab_size))
        with torch.inference_mode():
            for start in range(0, len(ids), n_rows):
                rows = torch.from_numpy(np.ascontiguousarray(ids[start : start + n_rows])).to(device)
                out[start : start + n_rows] = logits(rows).argmax(-1).cpu().numpy()
        return out

    return likeliest
