"""Our models in lm-eval (the Language Model Evaluation Harness, Gao et al.), and our items as its local tasks.

    python -m analysis.evaluation.lm_eval_adapter run --model mixtrace --model_args folder=RUN --include_path TASKS --tasks T

is lm-eval's own command line with `mixtrace` among its models. Numbers are those of `text_items`: both split tokens the
same way, and `acc_bytes` is our `acc_per_byte`. A text starts after EOS or BOS, which lm-eval's own `hf` model does
with `add_bos_token=True` only. Models are asked for probabilities; generation is refused.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from analysis.evaluation.text_items import (
    Continuation,
    TextItem,
    TextScorer,
    continuation_nats,
    encode_continuation,
    greedy,
)
from analysis.evaluation.text_scorers import open_scorer
from pipelines.contracts import storage
from pipelines.contracts.errors import ConfigError, message


@register_model("mixtrace")
class MixtraceLM(LM):
    """A causal model for lm-eval.

    Args:
        folder: a run of ours, or a model of `transformers`.
        workspace: where a run's tokenizer is, if the run was moved.
        context: predicted tokens per row of a model of `transformers`.
        device: where it computes; lm-eval's command passes `cuda` unless told otherwise, so that it means the CPU
            where there is no GPU.
        scorer: an open model instead of a folder.

    Raises:
        ConfigError: if there is neither or both, or the model cannot tell its likeliest token (lm-eval asks for it).
    """

    def __init__(
        self,
        folder: str | None = None,
        workspace: str | None = None,
        context: int | None = None,
        device: str | None = None,
        scorer: TextScorer | None = None,
        **ignored: Any,
    ) -> None:
        super().__init__()
        if (folder is None) == (scorer is None):
            raise ConfigError(message("--model_args", "no model", f"folder={folder}", "folder=RUN_OR_MODEL"))
        unknown = sorted(set(ignored) - {"batch_size", "max_batch_size"})  # lm-eval always passes these two
        if unknown:
            expected = "folder, workspace, context, device"
            raise ConfigError(message("--model_args", "unknown arguments", ", ".join(unknown), expected))
        if device is None or not torch.cuda.is_available():
            device = "cpu"
        if scorer is None:
            scorer = open_scorer(Path(str(folder)), Path(workspace) if workspace else None, context, device)
        self.scorer = scorer
        greedy(scorer, [])  # refuses models that cannot tell

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Return log-probability, and whether it is the greedy continuation, of each (context, continuation)."""
        found = [encode_continuation(self.scorer, *request.args) for request in requests]
        nats, written = continuation_nats(self.scorer, found), greedy(self.scorer, found)
        return [(-float(n), bool(w)) for n, w in zip(nats, written, strict=True)]

    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> list[float]:
        """Return the log-probability of each (text,), in lm-eval's windows."""
        parts, owner = [], []
        for index, request in enumerate(requests):
            tokens = self.scorer.encode(request.args[0]).tolist()
            windows = get_rolling_token_windows(tokens, self.scorer.start_id, self.scorer.context, 1)
            for before, asked in map(make_disjoint_window, windows):
                parts.append(Continuation(np.array([*before, *asked], np.int64), len(asked)))
                owner.append(index)
        nats = continuation_nats(self.scorer, parts)
        return (-np.bincount(np.array(owner, np.int64), nats, len(requests))).tolist()

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        """Refuse.

        Raises:
            ConfigError: always.
        """
        expected = "tasks of output_type multiple_choice, loglikelihood or loglikelihood_rolling"
        raise ConfigError(message("--model mixtrace", "does not generate", "generate_until", expected))


def write_task(items: Sequence[TextItem], folder: Path) -> Path:
    """Write items of one task, with choices, as a local task of lm-eval: `TASK.yaml` and `TASK.jsonl`.

    Args:
        items: of one task and one separator, each with two or more choices.
        folder: where to write; `--include_path` of lm-eval.

    Returns:
        Path of the YAML file.

    Raises:
        ConfigError: if items are of several tasks or separators, or one has no other choice.
    """
    kinds = {(item.task, item.separator) for item in items}
    if len(kinds) != 1 or any(len(item.choices) < 2 for item in items):
        got = f"{len(items)} items of {len(kinds)} kinds"
        raise ConfigError(message("task of lm-eval", "not one multiple-choice task", got, "items of one, with choices"))
    task, separator = kinds.pop()
    folder.mkdir(parents=True, exist_ok=True)
    data, config = folder / f"{task}.jsonl", folder / f"{task}.yaml"
    lines = [
        json.dumps({"context": i.context, "choices": i.choices, "gold": i.gold}, ensure_ascii=False) for i in items
    ]
    body = {
        "task": task,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data.resolve())}, "cache_dir": str(folder.resolve() / "cache")},
        "output_type": "multiple_choice",
        "test_split": "test",
        "doc_to_text": "{{context}}",
        "doc_to_choice": "choices",
        "doc_to_target": "gold",
        "target_delimiter": separator,
        "metric_list": [{"metric": "acc"}, {"metric": "acc_bytes"}],
    }
    for path, text in ((data, "\n".join(lines) + "\n"), (config, json.dumps(body, indent=1, ensure_ascii=False))):
        with storage.atomic_write(str(path)) as file:  # JSON is YAML
            file.write(text.encode())
    return config


if __name__ == "__main__":
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()
