"""Checkpoints from which a run goes on to the same bits.

One safetensors file holds the weights, their running average, the optimiser's moments and the losses
so far; its metadata hold the step, the random state and what the run is. It is replaced atomically.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from pipelines.contracts import storage
from pipelines.contracts.errors import InputError, message


def save(
    path: Path,
    identity: str,
    step: int,
    model: nn.Module,
    average: list[torch.Tensor],
    optimizer: torch.optim.Optimizer,
    losses: torch.Tensor,
) -> None:
    """Write a checkpoint.

    Args:
        path: file to replace.
        identity: what the run is (proxy, seed, numerics, data); another run is not resumed from it.
        step: steps done.
        model: weights.
        average: running mean of the weights, in the order of `model.parameters()`.
        optimizer: an AdamW over the same parameters.
        losses: [steps] mean nats per token of each step.
    """
    tensors = {"losses": losses}
    for (name, weight), mean in zip(model.named_parameters(), average, strict=True):
        tensors[f"weight.{name}"], tensors[f"average.{name}"] = weight, mean
        for key, value in optimizer.state.get(weight, {}).items():
            tensors[f"{key}.{name}"] = value
    tensors["rng"] = torch.get_rng_state()
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{storage.TEMPORARY}{path.name}")
    save_file(tensors, temporary, metadata={"step": json.dumps(step), "identity": identity})
    temporary.replace(path)


def load(
    path: Path,
    identity: str,
    model: nn.Module,
    average: list[torch.Tensor],
    optimizer: torch.optim.Optimizer,
    losses: torch.Tensor,
) -> int:
    """Restore everything in place from a checkpoint.

    Returns:
        Steps done; 0 if there is no checkpoint.

    Raises:
        InputError: if the checkpoint belongs to another run.
    """
    if not path.exists():
        return 0
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        if metadata["identity"] != identity:
            raise InputError(
                message(
                    str(path), "checkpoint of another run", metadata["identity"], identity,
                    "Remove the run's folder, or give the run another one.",
                )
            )  # fmt: skip
        with torch.no_grad():
            losses.copy_(file.get_tensor("losses"))
            for (name, weight), mean in zip(model.named_parameters(), average, strict=True):
                weight.copy_(file.get_tensor(f"weight.{name}"))
                mean.copy_(file.get_tensor(f"average.{name}"))
                _load_moments(optimizer, weight, name, file)
        torch.set_rng_state(file.get_tensor("rng"))
    return int(json.loads(metadata["step"]))


def steps_done(path: Path) -> int:
    """Return the step of a checkpoint; 0 if there is none."""
    if not path.exists():
        return 0
    with safe_open(path, "pt") as file:
        return int(json.loads(file.metadata()["step"]))


def _load_moments(optimizer: torch.optim.Optimizer, weight: torch.Tensor, name: str, file: safe_open) -> None:
    """Restore the moments of one weight; the fused AdamW keeps its step count on the weight's device."""
    optimizer.state[weight] = {
        key: file.get_tensor(f"{key}.{name}").to(weight.device) for key in ("step", "exp_avg", "exp_avg_sq")
    }
