"""Snapshots: a few states of the weights along a run, kept for methods that look back at the training.

A checkpoint (`checkpoint.py`) is for going on and is removed; a snapshot stays, holds no more than weights and
Adam's second moments, and is written only when a run asks for it. The steps of a run are cut into as many equal
segments as there are snapshots, each taken in the middle of its segment, for which it stands.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, safe_open, save_file
from torch import nn

from analysis.models import Proxy
from analysis.training.optimizer import learning_rate
from pipelines.contracts import storage
from pipelines.contracts.errors import InputError, message

FOLDER = "snapshots"


@dataclass(frozen=True)
class Snapshot:
    """The state of a run at one step.

    Attributes:
        step: steps done.
        weights: by name.
        second_moments: Adam's second moments by name, corrected for their start at 0.
        lr_sum: sum of the learning rates of the segment's steps.
    """

    step: int
    weights: dict[str, torch.Tensor]
    second_moments: dict[str, torch.Tensor]
    lr_sum: float


def segments(n_steps: int, count: int) -> list[tuple[int, int, int]]:
    """Return (first step, step of the snapshot, step after the last) of each segment.

    >>> segments(100, 4)
    [(0, 12, 25), (25, 37, 50), (50, 62, 75), (75, 87, 100)]
    """
    bounds = [round(n_steps * i / count) for i in range(count + 1)]
    pairs = itertools.pairwise(bounds)
    return [(a, max(1, (a + b) // 2), b) for a, b in pairs if b > a]


def save(folder: Path, proxy: Proxy, n_steps: int, count: int, step: int, model: nn.Module,
         optimizer: torch.optim.Optimizer) -> None:  # fmt: skip
    """Write the snapshot of a step into the folder of a run.

    Args:
        folder: of the run.
        proxy: what is trained.
        n_steps: steps of the run.
        count: snapshots of the run.
        step: steps done; one of `segments`.
        model: weights.
        optimizer: an AdamW over the same parameters.
    """
    start, _, stop = next(segment for segment in segments(n_steps, count) if segment[1] == step)
    tensors = {}
    for name, weight in model.named_parameters():
        tensors[f"weight.{name}"] = weight.detach().cpu().contiguous()
        corrected = optimizer.state[weight]["exp_avg_sq"] / (1 - proxy.beta2**step)
        tensors[f"second_moment.{name}"] = corrected.cpu().contiguous()
    lr_sum = sum(learning_rate(proxy, at, n_steps) for at in range(start, stop))
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    path = folder / FOLDER / f"{step:08d}.safetensors"
    temporary = path.with_name(f"{storage.TEMPORARY}{path.name}")
    save_file(tensors, temporary, metadata={"mixtrace": json.dumps({"step": step, "lr_sum": lr_sum})})
    temporary.replace(path)


def load(folder: Path) -> list[Snapshot]:
    """Read the snapshots of a run, in the order of their steps; empty if it kept none.

    Raises:
        InputError: if a file is damaged.
    """
    return [_read(path) for path in sorted((folder / FOLDER).glob("*.safetensors"))]


def _read(path: Path) -> Snapshot:
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads((file.metadata() or {})["mixtrace"])
        tensors = load_file(path)
    except (SafetensorError, KeyError, ValueError) as error:
        got = f"{type(error).__name__}: {error}"
        hint = "Remove the run's folder and train it again."
        raise InputError(message(str(path), "damaged snapshot", got, "a whole safetensors file", hint)) from error
    weights = {name.removeprefix("weight."): v for name, v in tensors.items() if name.startswith("weight.")}
    second = {name.removeprefix("second_moment."): v for name, v in tensors.items() if name.startswith("second")}
    return Snapshot(facts["step"], weights, second, facts["lr_sum"])
