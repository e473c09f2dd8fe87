"""Checkpoints from which a run goes on to the same bits.

One safetensors file holds the weights, their running average, the optimiser's moments and the losses
so far; its metadata hold the step, the random state, what the run is, and a digest of all of it. It is
replaced atomically and the one before it is kept: a file that a machine lost on its way to the disk
costs one interval, never the run, and is never read as if it were whole.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import xxhash
from safetensors import SafetensorError
from safetensors.torch import load_file, safe_open, save_file
from torch import nn

from pipelines.contracts import storage
from pipelines.contracts.errors import InputError, message

LOG = logging.getLogger(__name__)
PREVIOUS = "previous-"


@dataclass(frozen=True)
class _Content:
    """A checkpoint that was read and is whole."""

    identity: dict[str, Any]
    step: int
    tensors: dict[str, torch.Tensor]


def save(
    path: Path,
    identity: Mapping[str, Any],
    step: int,
    model: nn.Module,
    average: list[torch.Tensor],
    optimizer: torch.optim.Optimizer,
    losses: torch.Tensor,
) -> None:
    """Write a checkpoint; the one before it stays beside it.

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
    metadata = {"step": json.dumps(step), "identity": json.dumps(identity, sort_keys=True)}
    save_file(tensors, temporary, metadata={**metadata, "digest": _digest(metadata, tensors)})
    if path.exists():
        path.replace(_previous(path))
    temporary.replace(path)


def load(
    path: Path,
    identity: Mapping[str, Any],
    model: nn.Module,
    average: list[torch.Tensor],
    optimizer: torch.optim.Optimizer,
    losses: torch.Tensor,
) -> int:
    """Restore everything in place from a checkpoint.

    Returns:
        Steps done; 0 if there is no checkpoint.

    Raises:
        InputError: if the checkpoint belongs to another run, or it and the one before it are damaged.
    """
    content = _read_newest(path)
    if content is None:
        return 0
    _require_same_run(path, content.identity, dict(identity))
    tensors = content.tensors
    with torch.no_grad():
        losses.copy_(tensors["losses"])
        for (name, weight), mean in zip(model.named_parameters(), average, strict=True):
            weight.copy_(tensors[f"weight.{name}"])
            mean.copy_(tensors[f"average.{name}"])
            # The fused AdamW keeps its step count on the weight's device.
            moments = ("step", "exp_avg", "exp_avg_sq")
            optimizer.state[weight] = {key: tensors[f"{key}.{name}"].to(weight.device) for key in moments}
    torch.set_rng_state(tensors["rng"])
    return content.step


def steps_done(path: Path) -> int:
    """Return the step of the newest whole checkpoint; 0 if there is none."""
    content = _read_newest(path)
    return content.step if content else 0


def remove(path: Path) -> None:
    """Remove a checkpoint and the one before it (the run is finished)."""
    path.unlink(missing_ok=True)
    _previous(path).unlink(missing_ok=True)


def _previous(path: Path) -> Path:
    return path.with_name(PREVIOUS + path.name)


def _read_newest(path: Path) -> _Content | None:
    """Read the newest whole checkpoint, saying so if it is not the newest.

    Raises:
        InputError: if there are some and none is whole.
    """
    faults = {}
    for candidate in (path, _previous(path)):
        if not candidate.exists():
            continue
        try:
            content = _read(candidate)
        except (SafetensorError, KeyError, ValueError) as error:
            faults[candidate] = f"{type(error).__name__}: {error}"
            continue
        if faults:
            LOG.warning("%s is damaged (%s); the run goes on from step %d of %s", path, faults[path], content.step,
                        candidate.name)  # fmt: skip
        return content
    if faults:
        where, fault = next(iter(faults.items()))
        hint = f"There is no whole one before it. Remove {path.parent} to train the run from its start."
        raise InputError(message(str(where), "damaged checkpoint", fault, "a whole safetensors file", hint))
    return None


def _read(path: Path) -> _Content:
    """Read one file whole.

    Raises:
        ValueError: if the content is not what was written.
    """
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
    tensors = load_file(path)
    expected = metadata["digest"]
    got = _digest({name: metadata[name] for name in ("step", "identity")}, tensors)
    if got != expected:
        raise ValueError(f"digest {got}; expected {expected}")
    return _Content(json.loads(metadata["identity"]), int(json.loads(metadata["step"])), tensors)


def _digest(metadata: Mapping[str, str], tensors: Mapping[str, torch.Tensor]) -> str:
    """Hash names, types and bytes of the tensors, and the metadata."""
    state = xxhash.xxh3_128(json.dumps(dict(metadata), sort_keys=True).encode())
    for name in sorted(tensors):
        value = tensors[name]
        state.update(f"{name} {value.dtype} {list(value.shape)}".encode())
        state.update(value.reshape(-1).view(torch.uint8).numpy())
    return state.hexdigest()


def _require_same_run(path: Path, found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Refuse the checkpoint of another run, naming what differs.

    Raises:
        InputError: with the differing entries only.
    """
    got, want = _flat(found), _flat(expected)
    wrong = sorted(name for name in {*got, *want} if got.get(name) != want.get(name))
    if wrong:
        shown = wrong[:6]
        raise InputError(
            message(
                str(path), f"checkpoint of another run ({', '.join(wrong)} differ)",
                {name: got.get(name) for name in shown}, {name: want.get(name) for name in shown},
                "Remove the run's folder, or give the run another one.",
            )
        )  # fmt: skip


def _flat(body: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested entries to dotted names.

    >>> _flat({"proxy": {"lr": 1}, "seed": 2})
    {'proxy.lr': 1, 'seed': 2}
    """
    flat: dict[str, Any] = {}
    for name, value in body.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat
