"""The state of a run in progress: weights, moments, running average and cursor."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch

from analysis.models import LogProb, Proxy
from analysis.models.neural import TorchLogProb, initialise
from analysis.training import checkpoint, snapshots
from analysis.training.optimizer import build_optimizer, learning_rate, plan_averaging, update_average
from analysis.training.output import RunOutput
from analysis.training.probe import Engine, Numerics

STEPS_PER_READ = 16
"""Steps between two looks at the clock, at the losses and at the wish to stop."""


class TokenStream(Protocol):
    """The tokens of one run, slot by slot (see `analysis.data`)."""

    @property
    def n_slots(self) -> int:
        """Rows of the run."""
        ...

    def slots_tokens(self, start: int, stop: int) -> np.ndarray:
        """Return [slots, context + 1] int64."""
        ...

    @property
    def identity(self) -> Mapping[str, object]:
        """What the tokens are a function of (corpus, mixture, block): a checkpoint of other data is refused."""
        ...

    def documents_of(self, start: int, stop: int) -> list[str]:
        """Name the documents in slots start..stop."""
        ...

    def drawn(self) -> Any:
        """Tokens, bytes and epochs drawn of each atom."""
        ...


@lru_cache(maxsize=1)
def _engine(canonical: str, numerics: Numerics) -> Engine:
    """Return the engine of a proxy; a process keeps it between runs, so that it compiles once."""
    torch.set_flush_denormal(True)  # denormals of the moments are ten times slower
    return Engine(Proxy.model_validate_json(canonical), numerics)


class TrainingState:
    """A run in progress: weights, moments, average and cursor; resumed from its checkpoint."""

    def __init__(self, proxy: Proxy, stream: TokenStream, seed: int, output: RunOutput, numerics: Numerics) -> None:
        self.proxy, self.stream, self.seed = proxy, stream, seed
        self.output, self.numerics = output, numerics
        self.engine = _engine(proxy.canonical, numerics)
        self.n_steps = stream.n_slots // proxy.batch
        self.losses = torch.zeros(self.n_steps)
        self.finite = True
        self.cpu_s = 0.0
        model = self.engine.model
        initialise(model, seed)
        torch.manual_seed(seed)
        self.average = [p.detach().clone() for p in model.parameters()]
        self.averaging = plan_averaging(proxy, self.n_steps)
        self.optimizer = build_optimizer(model, proxy)
        self.identity = {
            "proxy": proxy.model_dump(mode="json"),
            "seed": seed,
            "numerics": vars(numerics),
            "data": dict(stream.identity),
            "n_slots": stream.n_slots,
        }
        self.path = output.folder / "checkpoint.safetensors"
        self.step = checkpoint.load(self.path, self.identity, model, self.average, self.optimizer, self.losses)

    def advance(self, until: int) -> None:
        """Train up to STEPS_PER_READ steps, not beyond `until`; stop where a loss is not finite."""
        start_s, batch = time.process_time(), self.proxy.batch
        stop = min(until, self.step + STEPS_PER_READ)
        rows = torch.from_numpy(np.ascontiguousarray(self.stream.slots_tokens(self.step * batch, stop * batch)))
        rows = rows.to(self.numerics.device)
        losses = []
        for index in range(stop - self.step):
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate(self.proxy, self.step + index, self.n_steps)
            batch_rows = rows[index * batch : (index + 1) * batch]
            losses.append(self.engine.step(self.optimizer, batch_rows, self.proxy.clip))
            window = self.averaging.window_at(self.step + index)
            if window:
                update_average(self.average, self.engine.model, self.step + index - window[0] + 1)
        self.losses[self.step : stop] = torch.stack(losses).float().cpu()
        bad = (~torch.isfinite(self.losses[self.step : stop])).nonzero()
        self.finite = not len(bad)
        self.step = stop if self.finite else self.step + int(bad[0]) + 1
        self.cpu_s += time.process_time() - start_s

    def divergence(self) -> dict[str, Any] | None:
        """Say where the loss stopped being finite: the step, the loss, the documents of its batch."""
        if self.finite:
            return None
        batch = self.proxy.batch
        documents = self.stream.documents_of((self.step - 1) * batch, self.step * batch)
        return {"step": self.step, "loss": repr(self.losses[self.step - 1].item()), "documents": documents}

    def save(self) -> None:
        """Write the checkpoint; what is not finite is not kept."""
        assert self.finite
        model = self.engine.model
        checkpoint.save(self.path, self.identity, self.step, model, self.average, self.optimizer, self.losses)

    def keep_snapshot(self, count: int) -> None:
        """Write the snapshot of this step, one of `count` of the run."""
        model = self.engine.model
        snapshots.save(self.output.folder, self.proxy, self.n_steps, count, self.step, model, self.optimizer)

    def averaged(self) -> _OtherWeights:
        """Return a context in which the model holds the averaged weights."""
        return _OtherWeights(self.engine.model, self.average)

    def scorer(self) -> LogProb:
        """Return the model as a scorer of rows."""
        return TorchLogProb(self.engine.model, self.engine.rows_nats)


class _OtherWeights:
    """Hold other weights in a model for a while (the compiled functions are bound to its own tensors)."""

    def __init__(self, model: torch.nn.Module, other: list[torch.Tensor]) -> None:
        self._own, self._other = list(model.parameters()), other

    def __enter__(self) -> None:
        self._kept = [p.detach().clone() for p in self._own]
        self._fill(self._other)

    def __exit__(self, *_: object) -> None:
        self._fill(self._kept)

    def _fill(self, values: list[torch.Tensor]) -> None:
        with torch.no_grad():
            for weight, value in zip(self._own, values, strict=True):
                weight.copy_(value)
