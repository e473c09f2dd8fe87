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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import torch

from analysis.evaluation import choice, perplexity
from analysis.evaluation.text_items import EncodedItem
from analysis.models import LogProb, Proxy
from analysis.models.neural import TorchLogProb, export
from analysis.training import checkpoint, snapshots
from analysis.training.optimizer import (
    EVALUATION_FRACS,
)
from analysis.training.output import RunFacts, RunOutput
from analysis.training.probe import Numerics
from analysis.training.scheduler import Interrupted
from analysis.training.state import TokenStream, TrainingState
from pipelines.contracts.errors import ResourceError, message

if TYPE_CHECKING:
    from analysis.data import HeldOut

CURVE_TOKENS_FRAC = 0.25
"""Share of each kept held-out set that the two points of the learning curve are evaluated on."""


@dataclass(frozen=True)
class Evaluation:
    """What a run is scored on, and how often its state is saved."""

    heldouts: Sequence[HeldOut] = ()
    items: Sequence[choice.ChoiceItem] = ()
    checkpoint_s: float = 30.0
    snapshots: int = 0
    tasks: Sequence[EncodedItem] = ()
    should_stop: Callable[[], bool] = lambda: False


def model_seed(design_seed: int, block: int) -> int:
    """Seed of the weights of a block: the same for every cell of the block, different between blocks."""
    return int(np.random.SeedSequence([design_seed, block, 0x1A17]).generate_state(1, np.uint64)[0] >> np.uint64(1))


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
    n_snapshots: int = 0,
    tasks: Sequence[EncodedItem] = (),
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
        n_snapshots: states of the weights to keep along the way (`snapshots`); an n-gram has none.
        tasks: questions written as text, asked at the end.
        should_stop: asked after every read of batches; when true, a checkpoint is written.

    Raises:
        Interrupted: if `should_stop` said so.
        InputError: if the folder holds a checkpoint of another run.
        ResourceError: if the device is out of memory.
    """
    done = out / "run.json"
    if done.exists():
        return json.loads(done.read_text())
    evaluation = Evaluation(heldouts, choice_items, checkpoint_s, n_snapshots, tasks, should_stop)
    run = train_ngram if proxy.model == "ngram" else train_neural
    numerics = numerics or Numerics()
    try:
        return run(proxy, stream, seed, RunOutput(out, dict(labels or {})), numerics, evaluation)
    except (torch.OutOfMemoryError, MemoryError) as error:
        rows = (
            f"batch {proxy.batch} in {proxy.accumulate} parts, context {proxy.context}, vocabulary {proxy.vocab_size}"
        )
        fault = (str(error) or "allocation failed").splitlines()[0]
        hint = "Raise `accumulate` (the same training in smaller parts), or make the batch or the proxy smaller."
        raise ResourceError(
            message(f"run {out.name} on {numerics.device}", f"out of memory: {fault}", rows, "what fits", hint)
        ) from error


@dataclass(frozen=True)
class RunJob:
    """The arguments of `train` as one picklable value: what `scheduler.run_all` sends to a worker."""

    proxy: Proxy
    stream: TokenStream
    seed: int
    out: Path
    heldouts: Sequence[HeldOut] = ()
    choice_items: Sequence[choice.ChoiceItem] = ()
    numerics: Numerics | None = None
    labels: Mapping[str, Any] | None = None
    checkpoint_s: float = 30.0
    n_snapshots: int = 0
    tasks: Sequence[EncodedItem] = ()


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
        n_snapshots=job.n_snapshots,
        tasks=job.tasks,
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
    """Train a torch model (see `train`)."""
    state = TrainingState(proxy, stream, seed, output, numerics)
    due = evaluations_due(state.n_steps)
    kept = (
        {at for _, at, _ in snapshots.segments(state.n_steps, evaluation.snapshots)} if evaluation.snapshots else set()
    )
    saved = time.monotonic()
    while state.step < state.n_steps and state.finite:
        state.advance(until=min(stop for stop in {*due, *kept} if stop > state.step))
        if state.step in kept and state.finite:
            state.keep_snapshot(evaluation.snapshots)
        if state.step in due and state.step < state.n_steps and state.finite:
            output.write_part(f"curve-{due[state.step]}", curve_scores(state, evaluation))
        stopping = evaluation.should_stop() and state.step < state.n_steps and state.finite
        if stopping or (state.finite and time.monotonic() - saved > evaluation.checkpoint_s):
            state.save()
            saved = time.monotonic()
        if stopping:
            raise Interrupted(f"{output.folder}: stopped at step {state.step} of {state.n_steps}")
    return finish_run(state, due, evaluation)


def evaluations_due(n_steps: int) -> dict[int, float]:
    """Return after which steps a run is evaluated, and the share of its tokens that it has seen by then."""
    return {round(n_steps * frac): frac for frac in EVALUATION_FRACS}


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

    del numerics
    start_s = time.process_time()
    rows = stream.slots_tokens(0, stream.n_slots // proxy.batch * proxy.batch)
    n_tokens = len(rows) * proxy.context
    parts = []
    for frac in EVALUATION_FRACS:
        n_rows = round(len(rows) // proxy.batch * frac) * proxy.batch
        counts = count_rows(rows[:n_rows], proxy.order, proxy.vocab_size, proxy.eos_id)
        model = fit(counts, proxy.discounts)
        if frac < 1:
            part = _score(model, _curve_heldouts(evaluation.heldouts), proxy, n_rows * proxy.context)
            output.write_part(f"curve-{frac}", part)
            parts.append(f"curve-{frac}")
    train_s = time.process_time() - start_s
    save(counts, output.folder / "model.safetensors")
    output.write_scores(parts, _score(model, _final_heldouts(evaluation), proxy, n_tokens))
    output.write_items(choice.score_items(model, evaluation.items, proxy.context, proxy.eos_id))
    output.write_tasks(model, evaluation.tasks, proxy)
    output.write_curve(np.empty(0), proxy)
    facts = RunFacts("finished", seed, n_tokens, train_s, None)
    return output.finish(proxy, Numerics(), stream, facts)


def _score(model: LogProb, heldouts: Sequence[HeldOut], proxy: Proxy, train_tokens: int) -> pa.Table:
    """Evaluate and say after how many training tokens."""
    sums = perplexity.evaluate(model, heldouts, proxy.context, proxy.eos_id)
    return sums.append_column("train_tokens", pa.array(np.full(len(sums), train_tokens, np.int64)))


def _curve_heldouts(heldouts: Sequence[HeldOut]) -> list[HeldOut]:
    """Return the first part of each kept set, as population "curve": the same text at every point of the curve."""
    kept = [h for h in heldouts if h.population == "kept"]
    thinned = (perplexity.thin(h, math.ceil(len(h.ids) * CURVE_TOKENS_FRAC)) for h in kept)
    return [replace(h, population="curve") for h in thinned]


def _final_heldouts(evaluation: Evaluation) -> list[HeldOut]:
    """Return what is evaluated at the end: everything, and the last point of the curve."""
    return [*evaluation.heldouts, *_curve_heldouts(evaluation.heldouts)]


def curve_scores(state: TrainingState, evaluation: Evaluation) -> pa.Table:
    """Evaluate the averaged weights in the middle of a run."""
    tokens = state.step * state.proxy.batch * state.proxy.context
    with state.averaged():
        return _score(state.scorer(), _curve_heldouts(evaluation.heldouts), state.proxy, tokens)


def finish_run(state: TrainingState, due: Mapping[int, float], evaluation: Evaluation) -> dict[str, Any]:
    """Evaluate the averaged weights, write the run and remove the checkpoint."""
    proxy, output = state.proxy, state.output
    tokens = state.step * proxy.batch * proxy.context
    output.write_curve(state.losses[: state.step].numpy(), proxy)
    if state.finite:
        parts = [f"curve-{due[step]}" for step in sorted(due) if step < state.n_steps]
        with state.averaged():
            output.write_scores(parts, _score(state.scorer(), _final_heldouts(evaluation), proxy, tokens))
            items = choice.score_items(state.scorer(), evaluation.items, proxy.context, proxy.eos_id)
            # rows of all lengths: a compiled scorer would compile for each
            output.write_tasks(TorchLogProb(state.engine.model), evaluation.tasks, proxy)
            export(state.engine.model, output.folder)
    else:  # a diverged run is an outcome; it has no scores, and its tables say so by being empty
        output.write_scores([], _score(state.scorer(), [], proxy, tokens))
        items = choice.ITEM_SCORES.empty_table()
    output.write_items(items)
    last = state.losses[: state.step][-max(1, state.n_steps // 20) :].mean().item()
    facts = RunFacts(
        "finished" if state.finite else "diverged",
        state.seed,
        tokens,
        state.cpu_s,
        last if math.isfinite(last) else None,
        state.divergence(),
    )
    record = output.finish(proxy, state.numerics, stream=state.stream, facts=facts)
    checkpoint.remove(state.path)
    return record
