"""Train one proxy on one stream of tokens, evaluate it, and write its run.

A run is a folder: `model.safetensors`, `config.json`, `curves.parquet`, `scores.parquet`,
`item_scores.parquet`, and `run.json`, which is written last and alone says that the run is done.
Until then `checkpoint.safetensors` lies there; a killed run goes on from it to the same bits.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import torch

from analysis.evaluation import choice, perplexity
from analysis.models import LogProb, Proxy
from analysis.models.llama import LlamaLogProb, export, initialise
from analysis.training import checkpoint
from analysis.training.optimizer import (
    EVALUATION_FRACS,
    build_optimizer,
    learning_rate,
    plan_averaging,
    update_average,
)
from analysis.training.output import RunOutput
from analysis.training.probe import Engine, Numerics
from analysis.training.scheduler import Interrupted
from pipelines.contracts.ids import fingerprint

if TYPE_CHECKING:
    from analysis.data import HeldOut

STEPS_PER_READ = 16
CURVE_TOKENS_FRAC = 0.25
"""Share of each kept held-out set that the two points of the learning curve are evaluated on."""


class TokenStream(Protocol):
    """The tokens of one run, slot by slot (see `analysis.data`)."""

    @property
    def n_slots(self) -> int:
        """Rows of the run."""
        ...

    def slots_tokens(self, start: int, stop: int) -> np.ndarray:
        """Return [slots, context + 1] int64."""
        ...

    def drawn(self) -> Any:
        """Tokens, bytes and epochs drawn of each atom."""
        ...


@dataclass(frozen=True)
class Evaluation:
    """What a run is scored on, and how often its state is saved."""

    heldouts: Sequence[HeldOut] = ()
    items: Sequence[choice.ChoiceItem] = ()
    checkpoint_s: float = 30.0
    should_stop: Callable[[], bool] = lambda: False


def model_seed(design_seed: int, block: int) -> int:
    """Seed of the weights of a block: the same for every cell of the block, different between blocks."""
    return int(
        np.random.SeedSequence([design_seed, block, 0x1A17]).generate_state(1, np.uint64)[0] >> np.uint64(1)
    )


def train(
    proxy: Proxy,
    stream: TokenStream,
    seed: int,
    out: Path,
    heldouts: Sequence[HeldOut] = (),
    choice_items: Sequence[choice.ChoiceItem] = (),
    *,
    numerics: Numerics | None = None,
    labels: Mapping[str, Any] | None = None,
    checkpoint_s: float = 30.0,
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Train and evaluate a proxy; return its run record. A finished run is read, not repeated.

    Args:
        proxy: what to train.
        stream: tokens of the run; a last incomplete batch is left out.
        seed: seed of the weights (`model_seed`); the order of the data is the stream's own.
        out: folder of the run; its name is the run's id.
        heldouts: sets to evaluate on at the end (and on a part of the kept ones at 1/4 and 1/2 of the tokens).
        choice_items: continuation questions, asked at the end.
        numerics: device, number type, compilation (`choose_numerics`); by default eager fp32 on the CPU.
        labels: columns that the caller adds to the record (design, cell, block ...).
        checkpoint_s: seconds between checkpoints.
        should_stop: asked after every read of batches; when true, a checkpoint is written.

    Raises:
        Interrupted: if `should_stop` said so.
        InputError: if the folder holds a checkpoint of another run.
    """
    done = out / "run.json"
    if done.exists():
        return json.loads(done.read_text())
    evaluation = Evaluation(heldouts, choice_items, checkpoint_s, should_stop)
    run = train_ngram if proxy.model == "ngram" else train_neural
    return run(proxy, stream, seed, RunOutput(out, dict(labels or {})), numerics or Numerics(), evaluation)


@dataclass(frozen=True)
class RunJob:
    """The arguments of `train` as one picklable value: what `scheduler.run_all` sends to a worker."""

    proxy: Proxy
    stream: TokenStream
    seed: int
    out: Path
    heldouts: Sequence[HeldOut] = ()
    choice_items: Sequence[choice.ChoiceItem] = ()
    numerics: Numerics = Numerics()
    labels: Mapping[str, Any] | None = None
    checkpoint_s: float = 30.0


def run_job(job: RunJob, should_stop: Callable[[], bool]) -> dict[str, Any]:
    """Train as a job says (see `train`)."""
    return train(
        job.proxy,
        job.stream,
        job.seed,
        job.out,
        job.heldouts,
        job.choice_items,
        numerics=job.numerics,
        labels=job.labels,
        checkpoint_s=job.checkpoint_s,
        should_stop=should_stop,
    )


def train_neural(
    proxy: Proxy,
    stream: TokenStream,
    seed: int,
    output: RunOutput,
    numerics: Numerics,
    evaluation: Evaluation,
) -> dict[str, Any]:
    """Train a Transformer (see `train`)."""
    state = _State(proxy, stream, seed, output, numerics)
    due = {round(state.n_steps * frac): frac for frac in EVALUATION_FRACS}
    saved = time.monotonic()
    while state.step < state.n_steps and state.finite:
        state.advance(until=min(stop for stop in due if stop > state.step))
        if state.step in due and state.step < state.n_steps and state.finite:
            output.write_part(f"curve-{due[state.step]}", _curve_scores(state, evaluation))
        stopping = evaluation.should_stop() and state.step < state.n_steps and state.finite
        if stopping or time.monotonic() - saved > evaluation.checkpoint_s:
            state.save()
            saved = time.monotonic()
        if stopping:
            raise Interrupted(f"{output.folder}: stopped at step {state.step} of {state.n_steps}")
    return _finish(state, due, evaluation)


def train_ngram(
    proxy: Proxy,
    stream: TokenStream,
    seed: int,
    output: RunOutput,
    numerics: Numerics,
    evaluation: Evaluation,
) -> dict[str, Any]:
    """Count an n-gram on the same rows as a Transformer would see (the seed plays no part)."""
    from analysis.models.ngram import count_rows, fit, save

    del seed, numerics
    start_s = time.process_time()
    rows = stream.slots_tokens(0, stream.n_slots // proxy.batch * proxy.batch)
    n_tokens = len(rows) * proxy.context
    parts = []
    for frac in EVALUATION_FRACS:
        n_rows = round(len(rows) // proxy.batch * frac) * proxy.batch
        counts = count_rows(rows[:n_rows], proxy.order, proxy.vocab_size, proxy.eos_id)
        model = fit(counts)
        if frac < 1:
            part = _score(model, _curve_heldouts(evaluation.heldouts), proxy, n_rows * proxy.context)
            output.write_part(f"curve-{frac}", part)
            parts.append(f"curve-{frac}")
    train_s = time.process_time() - start_s
    save(counts, output.folder / "model.safetensors")
    output.write_scores(parts, _score(model, evaluation.heldouts, proxy, n_tokens))
    output.write_items(choice.score_items(model, evaluation.items, proxy.context, proxy.eos_id))
    output.write_curve(np.empty(0), proxy)
    return output.finish(
        proxy, Numerics(), "finished", stream, tokens=n_tokens, train_loss_nats=None, train_cpu_s=train_s
    )


@lru_cache(maxsize=1)
def _engine(canonical: str, numerics: Numerics) -> Engine:
    """Return the engine of a proxy; a process keeps it between runs, so that it compiles once."""
    torch.set_flush_denormal(True)  # denormals of the moments are ten times slower
    return Engine(Proxy.model_validate_json(canonical), numerics)


class _State:
    """A run in progress: weights, moments, average and cursor; resumed from its checkpoint."""

    def __init__(
        self, proxy: Proxy, stream: TokenStream, seed: int, output: RunOutput, numerics: Numerics
    ) -> None:
        self.proxy, self.stream, self.output, self.numerics = proxy, stream, output, numerics
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
        first = stream.slots_tokens(0, min(stream.n_slots, proxy.batch))
        self.identity = fingerprint(
            proxy.canonical, seed, vars(numerics), stream.n_slots, int(np.asarray(first, np.int64).sum())
        )
        self.path = output.folder / "checkpoint.safetensors"
        self.step = checkpoint.load(
            self.path, self.identity, model, self.average, self.optimizer, self.losses
        )

    def advance(self, until: int) -> None:
        """Train up to STEPS_PER_READ steps, not beyond `until`; stop where a loss is not finite."""
        start_s, batch = time.process_time(), self.proxy.batch
        stop = min(until, self.step + STEPS_PER_READ)
        rows = torch.from_numpy(
            np.ascontiguousarray(self.stream.slots_tokens(self.step * batch, stop * batch))
        )
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

    def save(self) -> None:
        """Write the checkpoint."""
        model = self.engine.model
        checkpoint.save(self.path, self.identity, self.step, model, self.average, self.optimizer, self.losses)

    def averaged(self) -> _Swapped:
        """Return a context in which the model holds the averaged weights."""
        return _Swapped(self.engine.model, self.average)

    def scorer(self) -> LogProb:
        """Return the model as a scorer of rows."""
        return LlamaLogProb(self.engine.model, self.engine.rows_nats)


class _Swapped:
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


def _score(model: LogProb, heldouts: Sequence[HeldOut], proxy: Proxy, train_tokens: int) -> pa.Table:
    """Evaluate and say after how many training tokens."""
    sums = perplexity.evaluate(model, heldouts, proxy.context, proxy.eos_id)
    return sums.append_column("train_tokens", pa.array(np.full(len(sums), train_tokens, np.int64)))


def _curve_heldouts(heldouts: Sequence[HeldOut]) -> list[HeldOut]:
    """Return the first part of each kept set: evaluation stays below 20 % of a run."""
    kept = [h for h in heldouts if h.population == "kept"]
    return [perplexity.thin(h, math.ceil(len(h.ids) * CURVE_TOKENS_FRAC)) for h in kept]


def _curve_scores(state: _State, evaluation: Evaluation) -> pa.Table:
    """Evaluate the averaged weights in the middle of a run."""
    tokens = state.step * state.proxy.batch * state.proxy.context
    with state.averaged():
        return _score(state.scorer(), _curve_heldouts(evaluation.heldouts), state.proxy, tokens)


def _finish(state: _State, due: Mapping[int, float], evaluation: Evaluation) -> dict[str, Any]:
    """Evaluate the averaged weights, write the run and remove the checkpoint."""
    proxy, output = state.proxy, state.output
    tokens = state.step * proxy.batch * proxy.context
    output.write_curve(state.losses[: state.step].numpy(), proxy)
    if state.finite:
        parts = [f"curve-{due[step]}" for step in sorted(due) if step < state.n_steps]
        with state.averaged():
            output.write_scores(parts, _score(state.scorer(), evaluation.heldouts, proxy, tokens))
            output.write_items(
                choice.score_items(state.scorer(), evaluation.items, proxy.context, proxy.eos_id)
            )
            export(state.engine.model, output.folder)
    last = state.losses[: state.step][-max(1, state.n_steps // 20) :].mean().item()
    record = output.finish(
        proxy,
        state.numerics,
        "finished" if state.finite else "diverged",
        state.stream,
        tokens=tokens,
        train_loss_nats=last if math.isfinite(last) else None,
        train_cpu_s=state.cpu_s,
    )
    state.path.unlink(missing_ok=True)
    return record
