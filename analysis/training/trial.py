"""Training steps on made text: what the probe times and compares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from analysis.models import Proxy
from analysis.models.neural import initialise
from analysis.training.optimizer import build_optimizer

if TYPE_CHECKING:
    from analysis.training.probe import Engine


class TrainingTrial:
    """Training steps on a learnable stream: Zipf-distributed tokens, each followed by a fixed one half the time."""

    def __init__(self, engine: Engine, proxy: Proxy) -> None:
        self._engine, self._proxy = engine, proxy
        initialise(engine.model, 0)
        self._optimizer = build_optimizer(engine.model, proxy)
        self._generator = torch.Generator().manual_seed(0)
        self._weights = 1.0 / torch.arange(1, proxy.vocab_size + 1)
        self._next = torch.randperm(proxy.vocab_size, generator=self._generator)
        self._losses = torch.empty(0)

    def until(self, steps: int) -> torch.Tensor:
        """Return the losses of the first steps, [steps]; those that are missing are trained."""
        if len(self._losses) < steps:
            self.take(steps - len(self._losses))
        return self._losses[:steps]

    def take(self, steps: int) -> torch.Tensor:
        """Train; return [steps] losses in nats per token."""
        shape = (self._proxy.batch, self._proxy.context + 1)
        losses = []
        for _ in range(steps):
            draws = torch.multinomial(self._weights, shape[0] * shape[1], True, generator=self._generator)
            rows = draws.view(shape)
            follow = torch.rand(shape, generator=self._generator)[:, 1:] < 0.5
            rows[:, 1:] = torch.where(follow, self._next[rows[:, :-1]], rows[:, 1:])
            losses.append(self._engine.step(self._optimizer, rows.to(self._engine.numerics.device), self._proxy.clip))
        taken = torch.stack(losses).cpu()
        self._losses = torch.cat([self._losses, taken])
        return taken
