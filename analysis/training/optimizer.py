"""AdamW with a learning-rate schedule, clipping and averaging of the last weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from analysis.models import Proxy

EVALUATION_FRACS = (0.25, 0.5, 1.0)
"""Shares of the tokens after which a run is evaluated: two points of the learning curve, and the end."""


def learning_rate(proxy: Proxy, step: int, n_steps: int) -> float:
    """Learning rate of a step: linear warm-up, then a decay to `final_lr_frac` of the peak.

    >>> proxy = Proxy(vocab_size=8, lr=1.0, schedule="linear")
    >>> [round(learning_rate(proxy, step, 100), 2) for step in (0, 9, 10, 55, 100)]
    [0.1, 1.0, 1.0, 0.55, 0.1]
    """
    warmup = proxy.warmup_frac * n_steps
    rate = proxy.lr * min((step + 1) / max(1.0, warmup), 1.0)
    done = max(0.0, (step - warmup) / max(1.0, n_steps - warmup))  # [0, 1] of the decay
    if proxy.schedule == "constant":
        return rate
    remaining = 1 - done if proxy.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * done))
    return rate * (proxy.final_lr_frac + (1 - proxy.final_lr_frac) * remaining)


def build_optimizer(model: nn.Module, proxy: Proxy) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) in one fused kernel; weight decay on matrices only."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": proxy.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=proxy.lr, betas=(proxy.beta1, proxy.beta2), fused=True)


@dataclass(frozen=True)
class Averaging:
    """Windows of steps over which weights are averaged, one before each evaluation.

    The last window is `average_frac` of the run; an evaluation after a part of the run has the same
    share of that part, so that all points of a learning curve are measured in the same way. Windows do
    not overlap for average_frac <= .5 (.2 by default); where they would, a later one starts late.
    """

    windows: tuple[tuple[int, int], ...]  # (first step, step after the last), ascending

    def window_at(self, step: int) -> tuple[int, int] | None:
        """Return the window that holds a step, if any."""
        return next(((a, b) for a, b in self.windows if a <= step < b), None)


def plan_averaging(proxy: Proxy, n_steps: int) -> Averaging:
    """Place the windows; each ends where an evaluation is due.

    >>> plan_averaging(Proxy(vocab_size=8), 100).windows
    ((20, 25), (40, 50), (80, 100))
    """
    windows: list[tuple[int, int]] = []
    for frac in EVALUATION_FRACS:
        stop = round(n_steps * frac)
        start = min(stop - 1, math.floor(stop * (1 - proxy.average_frac)))
        if windows:
            start = max(start, windows[-1][1])
        if start < stop:
            windows.append((start, stop))
    return Averaging(tuple(windows))


def update_average(average: list[torch.Tensor], model: nn.Module, count: int) -> None:
    """Fold the weights into a running mean, in place; `count` weights are in it afterwards."""
    with torch.no_grad():
        torch._foreach_lerp_(average, [p.detach() for p in model.parameters()], 1.0 / count)
