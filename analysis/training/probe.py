"""How a proxy is computed on this machine: device, number type and compilation, chosen by a short trial.

On CPUs without bf16 units, bf16 is three times slower than fp32; with them it is up to three times
faster. So it is measured: eager fp32 and bf16 first (no compiler needed), then the compiled ones that
can win. bf16 is taken only if it is faster by 10 % *and* trains to the same loss.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from torch import nn
from torch.nn import parallel

from analysis.models import MODELS, Proxy
from analysis.models.neural import build
from analysis.training.trial import TrainingTrial
from pipelines.contracts import storage
from pipelines.contracts.errors import ConfigError, message
from pipelines.contracts.ids import fingerprint

TRIAL_S = 0.6
AGREEMENT_STEPS = 60
AGREEMENT_NATS = 0.02
"""Largest difference of the mean loss of the last 10 of 60 steps between bf16 and fp32."""


@dataclass(frozen=True)
class Numerics:
    """How a run is computed. Recorded with each run; runs that are compared must share it."""

    device: str = "cpu"
    dtype: str = "float32"
    compiled: bool = False
    processes: int = 1


@dataclass(frozen=True)
class Trial:
    """One measured way to compute."""

    numerics: Numerics
    tokens_per_s: float
    note: str = ""


class Engine:
    """A model with its training and scoring functions, compiled at most once per process.

    Args:
        proxy: what is trained.
        numerics: how it is computed.
    """

    def __init__(self, proxy: Proxy, numerics: Numerics) -> None:
        self.numerics = numerics
        self.model = build(proxy).to(numerics.device)
        self.accumulate = proxy.accumulate
        low = numerics.dtype == "bfloat16"
        kind = torch.device(numerics.device).type

        def mean_nats(rows: torch.Tensor) -> torch.Tensor:
            with torch.autocast(kind, torch.bfloat16, enabled=low):
                return self.model.loss(rows)

        self.mean_nats: Any = torch.compile(mean_nats, dynamic=False) if numerics.compiled else mean_nats
        self._shared = numerics.processes > 1
        if self._shared:  # `analysis.training.distributed` has made the process group
            self.mean_nats = parallel.DistributedDataParallel(_Loss(self.model, self.mean_nats))
        # Held-out text is always scored in fp32: sums of nats must not depend on what training could afford.
        self.rows_nats = torch.compile(self.model.nats, dynamic=False) if numerics.compiled else self.model.nats

    def step(self, optimizer: torch.optim.Optimizer, rows: torch.Tensor, clip: float) -> torch.Tensor:
        """Train on one batch, [batch, context + 1] int64; return its mean nats per token before the step."""
        if self._shared:
            rows = rows.chunk(self.numerics.processes)[torch.distributed.get_rank()]
        parts = rows.chunk(self.accumulate)  # of equal size, so that the mean of means is the mean
        optimizer.zero_grad(set_to_none=True)
        losses = []
        for number, part in enumerate(parts, start=1):
            waits = self._shared and number < len(parts)  # gradients are exchanged once per step
            with self.mean_nats.no_sync() if waits else contextlib.nullcontext():
                loss = self.mean_nats(part)
                (loss / len(parts)).backward()
            losses.append(loss.detach())
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip)
        optimizer.step()
        mean = losses[0] if len(losses) == 1 else torch.stack(losses).mean()
        if self._shared:
            torch.distributed.all_reduce(mean)
            mean /= self.numerics.processes
        return mean


class _Loss(nn.Module):
    """The training loss as a module's `forward`, which DistributedDataParallel asks for."""

    def __init__(self, model: nn.Module, mean_nats: Any) -> None:
        super().__init__()
        self.model, self.mean_nats = model, mean_nats

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return mean nats per token of [batch, context + 1] rows."""
        return self.mean_nats(rows)


def gemm_rate_gflops(dtype: str = "float32", seconds: float = 0.5, size: int = 1024) -> float:
    """Measure the matrix product rate of this process, in GFLOP per CPU second.

    Args:
        dtype: "float32" or "bfloat16".
        seconds: how long to measure.
        size: rows and columns of the square matrices.
    """
    kind = getattr(torch, dtype)
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(size, size, generator=generator).to(kind) for _ in range(2))
    out = torch.empty(size, size, dtype=kind)
    torch.mm(a, b, out=out)
    products, start = 0, time.process_time()
    while time.process_time() - start < seconds:
        torch.mm(a, b, out=out)
        products += 1
    return 2 * size**3 * products / (time.process_time() - start) / 1e9


def choose_numerics(proxy: Proxy, cache: Path, device: str = "auto") -> Numerics:
    """Return how to compute a proxy here, from the cache or by trials.

    Args:
        proxy: the model; its `dtype` and `compile` are taken as they are unless "auto".
        cache: folder of the answers, one JSON per (machine, torch, proxy).
        device: "cpu", "cuda", or "auto" for CUDA where there is one.

    Raises:
        ConfigError: if the answer needs a trial on a device that this machine lacks.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if proxy.model == "ngram":
        return Numerics()
    if proxy.dtype != "auto" and proxy.compile != "auto":
        return Numerics(device, proxy.dtype, proxy.compile == "on")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(
            message("proxy", "cannot be tried on a device that is not here", f"{device}, dtype {proxy.dtype}, "
                    f"compile {proxy.compile}", "literal dtype and compile in the design")
        )  # fmt: skip
    key = fingerprint(machine(device), torch.__version__, proxy.canonical)
    path = cache / f"numerics-{key}.json"
    if path.exists():
        return Numerics(**json.loads(path.read_text())["chosen"])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the workers: what is fastest with two threads is another question
    start_s = time.process_time()
    try:
        trials = run_trials(proxy, device)
        chosen = max(trials, key=lambda trial: trial.tokens_per_s)
        if chosen.numerics.compiled:
            _warm_up_scoring(proxy, chosen.numerics)
        line = probe_line(proxy, chosen, len(trials), time.process_time() - start_s)
    finally:
        torch.set_num_threads(threads)
    with storage.atomic_write(str(path)) as file:
        answer = {"chosen": asdict(chosen.numerics), "machine": machine(device), "found": line,
                  "trials": [asdict(t) for t in trials]}  # fmt: skip
        file.write(json.dumps(answer, indent=1).encode())
    print(line, file=sys.stderr, flush=True)
    return chosen.numerics


def probe_line(proxy: Proxy, chosen: Trial, trials: int, cpu_s: float) -> str:
    """Say what was chosen, how fast it is, its share of the fp32 rate of a matrix product, and what the probe took.

    Args:
        proxy: what was tried.
        chosen: the fastest trial.
        trials: how many were timed, `TRIAL_S` each.
        cpu_s: processor time of the probe in all: compilation is the rest of it.
    """
    how = f"{chosen.numerics.dtype}, {'compiled' if chosen.numerics.compiled else 'eager'}"
    done = chosen.tokens_per_s * proxy.flops_per_token / 1e9
    share = ""
    if chosen.numerics.device == "cpu":
        gemm = gemm_rate_gflops(seconds=0.2)
        share = f", {done / gemm:.0%} of this core's fp32 GEMM rate of {gemm:.0f}"
    took = f"{trials} trials of {TRIAL_S} s, {cpu_s:.1f} s of processor time with warm-up and compilation"
    return f"probe: {how}: {chosen.tokens_per_s:,.0f} tokens/s, {done:.1f} GFLOP/s{share} ({took})"


def run_trials(proxy: Proxy, device: str) -> list[Trial]:
    """Measure the ways to compute that are worth it; one that must not be chosen has rate 0 and a note."""
    dtypes = ("float32", "bfloat16") if proxy.dtype == "auto" else (proxy.dtype,)
    trials: list[Trial] = []
    runs: Runs = {}
    if proxy.compile != "on":
        trials = [_trial(proxy, Numerics(device, dtype, False), runs) for dtype in dtypes]
    if proxy.compile != "off" and MODELS[proxy.model].compiles:
        worth = dtypes
        if len(trials) == 2 and trials[1].tokens_per_s < 0.6 * trials[0].tokens_per_s:
            worth = ("float32",)  # compilation removes overheads, it does not make bf16 products fast
        trials += [_trial(proxy, Numerics(device, dtype, True), runs) for dtype in worth]
    return [_checked(trial, trials, proxy, runs) for trial in trials]


def machine(device: str) -> str:
    """Describe what the speed depends on: processor with its vector instructions, or the GPU."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} {_processor()} {torch.backends.cpu.get_cpu_capability()} x{os.cpu_count()}"


def _processor() -> str:
    """Return model and bf16 flags of the processor where the system tells (Linux)."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor()
    fields = dict(
        (part.strip() for part in line.split(":", 1)) for line in info.read_text().split("\n\n")[0].splitlines()
    )
    flags = [f for f in ("avx512_bf16", "amx_bf16") if f in fields.get("flags", "").split()]
    return " ".join([fields.get("model name", "?"), fields.get("cpu family", "?"), fields.get("model", "?"), *flags])


def _trial(proxy: Proxy, numerics: Numerics, runs: Runs) -> Trial:
    """Time training steps on random tokens after a warm-up (which compiles); the run is kept, to be gone on with."""
    try:
        engine = Engine(proxy, numerics)
        run = runs[numerics] = TrainingTrial(engine, proxy)
        run.take(2)
    except _compiler_errors() as error:  # no C++ compiler, or one that fails: eager still works
        return Trial(numerics, 0.0, f"not compiled: {str(error).splitlines()[0]}")
    # Processor time on CPUs, so that other programs do not decide; a GPU works beside the processor.
    clock = time.process_time if numerics.device == "cpu" else time.perf_counter
    steps, start = 0, clock()
    while clock() - start < TRIAL_S:
        run.take(4)  # ends with a copy to the CPU, so the steps are done
        steps += 4
    return Trial(numerics, steps * proxy.batch * proxy.context / (clock() - start))


def _warm_up_scoring(proxy: Proxy, numerics: Numerics) -> None:
    """Compile the scoring function once, so that the workers find it in the compiler's cache on disk."""
    rows = torch.zeros((proxy.batch, proxy.context + 1), dtype=torch.int64, device=numerics.device)
    engine = Engine(proxy, numerics)
    engine.model.train(False)
    with torch.no_grad():
        engine.rows_nats(rows)


def _checked(trial: Trial, trials: list[Trial], proxy: Proxy, runs: Runs) -> Trial:
    """Rule out bf16 that is not clearly faster, or does not train to the loss of fp32."""
    if trial.numerics.dtype != "bfloat16" or proxy.dtype != "auto" or trial.tokens_per_s == 0:
        return trial
    best = max((t.tokens_per_s for t in trials if t.numerics.dtype == "float32"), default=0.0)
    if trial.tokens_per_s < 1.1 * best:
        return Trial(trial.numerics, 0.0, f"{trial.tokens_per_s:.0f} tokens/s is not 10 % more than fp32's {best:.0f}")
    pair = (replace(trial.numerics, dtype="float32"), trial.numerics)
    losses = [runs[numerics].until(AGREEMENT_STEPS)[-10:].mean().item() for numerics in pair]
    gap = abs(losses[1] - losses[0])
    if not gap <= AGREEMENT_NATS:
        return Trial(trial.numerics, 0.0, f"loss {losses[1]:.4f} against fp32's {losses[0]:.4f}")
    return Trial(trial.numerics, trial.tokens_per_s, f"loss differs from fp32 by {gap:.4f} nats")


Runs = dict[Numerics, TrainingTrial]
"""The runs of trials, so that the check of bf16 goes on with them."""


def _compiler_errors() -> tuple[type[Exception], ...]:
    """Return what torch raises when generated code cannot be built (its module is slow to import)."""
    from torch._dynamo.exc import BackendCompilerFailed
    from torch._inductor.exc import InductorError, InvalidCxxCompiler

    return (BackendCompilerFailed, InductorError, InvalidCxxCompiler)
