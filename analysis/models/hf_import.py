"""Any causal language model of `transformers` on disk as a `LogProb`, with its own tokenizer.

Nothing is fetched and no code from the folder runs. A document starts after the model's BOS, or after its EOS
where there is no BOS; where it has neither, the first token of a document cannot be scored, and its bytes are
not counted either. Texts are encoded as text: what looks like a special token is not one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch.nn import functional

from analysis.models.neural import check_rows
from pipelines.contracts.errors import ConfigError, InputError, ResourceError, message

DEFAULT_CONTEXT = 1024
NOTHING = -1
"""Stands before a document where a model knows no token for that."""
MAX_LOGITS = 1 << 26
"""Numbers in the logits of a batch (256 MB in fp32)."""
LENGTH_FIELDS = ("max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length", "max_seq_len")


@dataclass(frozen=True)
class EncodedTexts:
    """Texts as tokens of a model.

    Attributes:
        ids: [tokens] int64, one text after another, no special tokens.
        offsets: [texts + 1] int64.
        n_bytes: [texts] UTF-8 bytes of what is scored.
        lossless: [texts] whether decoding gives the text back; if not, its bits per byte say too little.
    """

    ids: np.ndarray
    offsets: np.ndarray
    n_bytes: np.ndarray
    lossless: np.ndarray


class HfLogProb:
    """Score rows with a causal model of `transformers` (see `LogProb`).

    A row that starts with NOTHING starts a document of a model without BOS and EOS: its first token gets 0 nats.

    Args:
        model: an `AutoModelForCausalLM`.
        tokenizer: its `AutoTokenizer`.
        name: of the folder, for messages.
        context: predicted tokens per row, at most the model's positions.
    """

    likelihood = "causal"

    def __init__(self, model: Any, tokenizer: Any, name: str, context: int) -> None:
        self.model, self.tokenizer, self.name, self.context = model, tokenizer, name, context
        self.vocab_size = int(model.config.get_text_config().vocab_size)
        start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        self.start_id = NOTHING if start is None else int(start)

    def encode(self, texts: Sequence[str]) -> EncodedTexts:
        """Encode texts.

        Raises:
            InputError: if the tokenizer makes ids that the model has no embedding for.
        """
        pieces, n_bytes, lossless = [], [], []
        for text in texts:
            found = self.tokenizer(
                text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True, verbose=False
            )
            ids = np.asarray(found["input_ids"], np.int64)
            lossless.append(self.tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text)
            unscored = 0
            if self.start_id == NOTHING and len(ids):
                unscored = len(text[: found["offset_mapping"][0][1]].encode("utf-8"))
            pieces.append(ids)
            n_bytes.append(len(text.encode("utf-8")) - unscored)
        ids = np.concatenate([*pieces, np.empty(0, np.int64)])
        check_rows(ids[None], max(self.context, len(ids)), self.vocab_size, self.name)
        offsets = np.cumsum([0, *(len(piece) for piece in pieces)], dtype=np.int64)
        return EncodedTexts(ids, offsets, np.array(n_bytes, np.int64), np.array(lossless, bool))

    def logp(self, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Return [rows, time] float64 nats of ids[:, 1:], 0 where the mask is False.

        Raises:
            InputError: if rows are longer than the context or hold ids outside the vocabulary.
            ResourceError: if not even one row fits the device; fewer rows at a time are tried before.
        """
        bare = ids[:, 0] == NOTHING
        if bare.any():
            ids, mask = ids.copy(), mask.copy()
            ids[bare, :-1], ids[bare, -1] = ids[bare, 1:], 0
            mask[bare, :-1], mask[bare, -1] = mask[bare, 1:], False
            ids[ids == NOTHING] = 0  # padding
        check_rows(ids, self.context, self.vocab_size, self.name)
        out = np.zeros(mask.shape, np.float64)
        ends = np.where(mask.any(1), mask.shape[1] - mask[:, ::-1].argmax(1), 0)  # tokens up to the last one asked for
        order = np.argsort(-ends, kind="stable")
        order = order[ends[order] > 0]
        at, most = 0, len(order)
        while at < len(order):
            width = int(ends[order[at]])
            rows = order[at : at + max(1, min(most, MAX_LOGITS // (width * self.vocab_size)))]
            try:
                out[rows, :width] = self._logp(ids[rows, : width + 1])
            except torch.OutOfMemoryError as error:
                most = self._fewer(rows, width, str(error))
                continue
            at += len(rows)
        out = np.where(mask, out, 0.0)
        out[bare, 1:], out[bare, 0] = out[bare, :-1].copy(), 0.0
        return out

    def _fewer(self, rows: np.ndarray, width: int, fault: str) -> int:
        """Return how many rows to try next on a device that is out of memory.

        Raises:
            ResourceError: if it was one.
        """
        if len(rows) == 1:
            got = f"1 row of {width} tokens, vocabulary {self.vocab_size}"
            where = f"{self.name} on {self.model.device}"
            what = f"out of memory: {fault.splitlines()[0]}"
            raise ResourceError(
                message(where, what, got, "room for one row", "Give a smaller --context, or --device cpu.")
            )
        return len(rows) // 2

    def _logp(self, rows: np.ndarray) -> np.ndarray:
        """[batch, width + 1] ids to [batch, width] nats; what stands right of a token plays no part."""
        tokens = torch.from_numpy(np.ascontiguousarray(rows)).to(self.model.device)
        with torch.inference_mode():
            logits = self.model(input_ids=tokens[:, :-1], use_cache=False).logits.float()
            nats = functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
        return -nats.view(len(rows), -1).double().cpu().numpy()


def load_hf(folder: Path, context: int | None = None, device: str = "cpu") -> HfLogProb:
    """Open a causal model and its tokenizer from disk, in fp32.

    Args:
        folder: with `config.json`, weights and tokenizer.
        context: predicted tokens per row; None takes the model's, up to 1024.
        device: where it computes.

    Raises:
        InputError: if the folder is no such model, or its weights do not fit its config.
        ConfigError: if it is not causal, or the context is beyond its positions.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    config = _causal_config(folder)
    limit = next((config[name] for name in LENGTH_FIELDS if isinstance(config.get(name), int)), None)
    if context and limit and context > limit:
        raise ConfigError(message("--context", "longer than the model's context", context, f"<= {limit} of {folder}"))
    logging.disable_progress_bar()
    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, output_loading_info=True
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise InputError(message(str(folder), "not a model that transformers can open", error, "its files")) from error
    missing = sorted(report["missing_keys"]) + [str(key[0]) for key in report["mismatched_keys"]]
    if missing:
        raise InputError(
            message(str(folder), "weights do not fit config.json", f"no {', '.join(missing[:3])}", "all of its weights")
        )
    context = context or min(limit or DEFAULT_CONTEXT, DEFAULT_CONTEXT)
    found = HfLogProb(model.eval().to(device), tokenizer, folder.name, context)
    if len(tokenizer) > found.vocab_size:
        raise InputError(
            message(str(folder), "the tokenizer is not the model's", f"{len(tokenizer)} tokens",
                    f"<= {found.vocab_size} embeddings")
        )  # fmt: skip
    _require_causal_behaviour(found)
    return found


def _causal_config(folder: Path) -> dict[str, Any]:
    """Read `config.json`; refuse models that are not trained to predict the next token."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    path = folder / "config.json"
    try:
        config = json.loads(path.read_text("utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(
            message(str(path), "no model", error, "a folder with config.json, weights, tokenizer")
        ) from error
    named = config.get("architectures") or ["no architectures"]
    if not set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()) & set(named):
        raise ConfigError(_not_causal(folder, ", ".join(named)))
    return config


def _require_causal_behaviour(found: HfLogProb) -> None:
    """Refuse a model in which a token sees what comes after it (an encoder under a causal name)."""
    ids = torch.arange(8, device=found.model.device)[None] % found.vocab_size
    changed = ids.clone()
    changed[0, -1] = found.vocab_size - 1
    with torch.inference_mode():
        before, after = (found.model(input_ids=x, use_cache=False).logits[:, :-1].float() for x in (ids, changed))
    if not torch.allclose(before, after, atol=1e-4):
        raise ConfigError(_not_causal(Path(found.name), "logits that depend on later tokens"))


def _not_causal(folder: Path, got: str) -> str:
    return message(
        str(folder / "config.json"), "not a causal language model", got, "an architecture like LlamaForCausalLM",
        "A masked model has no probability of a text; it is never compared with causal ones.",
    )  # fmt: skip
