"""Speed of proxy training on this machine, against its own matrix products.

    python -m benchmarks.proxy_training [--seconds 4] [--only NAME ...] [--write]

For every model: tokens per CPU second of training (one thread), the arithmetic rate by the formula, and its
share of the measured rate of a 1024³ product of that type. The bar is 60 % for fp32 at the reference shape
(1.3 M parameters: vocabulary 4096, d 128, 4 layers, context 256, batch 16). Then K proxies in one stack
against one after another. `--write` puts the tables into docs/reference/ladder.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from analysis.models import Proxy
from analysis.models.ngram import count_rows, fit
from analysis.models.presets import preset
from analysis.training.output import RunOutput
from analysis.training.probe import Engine, Numerics, TrainingTrial, gemm_rate_gflops, machine
from analysis.training.stacked import Stack
from analysis.training.state import TrainingState
from benchmarks.chain import keep_section

REFERENCE = Proxy(vocab_size=4096, d_model=128, layers=4, heads=2, context=256, batch=16)
PROXIES = {
    "feedforward-0.4m": (preset("feedforward-0.4m", 4096), "float32", True),
    "lstm-0.3m": (preset("lstm-0.3m", 4096), "float32", False),
    "lstm-0.8m": (preset("lstm-0.8m", 4096), "float32", False),
    "llama-0.1m": (preset("llama-0.1m", 4096), "float32", True),
    "llama-0.4m": (preset("llama-0.4m", 4096), "float32", True),
    "llama-0.4m bf16": (preset("llama-0.4m", 4096), "bfloat16", True),
    "llama-1m": (preset("llama-1m", 4096), "float32", True),
    "reference": (REFERENCE, "float32", True),
    "reference bf16": (REFERENCE, "bfloat16", True),
    "bert-0.4m": (preset("bert-0.4m", 4096), "float32", True),
}
BAR = 0.60
STACK = 8
PAGE = Path(__file__).parents[1] / "docs" / "reference" / "ladder.md"


def measure(proxy: Proxy, dtype: str, compiled: bool, seconds: float) -> dict[str, float]:
    """Train on random tokens for some CPU seconds, after compilation."""
    engine = Engine(proxy, Numerics("cpu", dtype, compiled))
    trial = TrainingTrial(engine, proxy)
    trial.take(2)
    before = gemm_rate_gflops(dtype)
    steps, start = 0, time.process_time()
    while time.process_time() - start < seconds:
        trial.take(4)
        steps += 4
    cpu_s = time.process_time() - start
    rate = (before + gemm_rate_gflops(dtype)) / 2  # around the steps: the machine may be shared
    tokens = steps * proxy.batch * proxy.context
    gflops = tokens * proxy.flops_per_token / cpu_s / 1e9
    return {"tokens_per_cpu_s": tokens / cpu_s, "gflops": gflops, "gemm_gflops": rate, "share": gflops / rate}


class _Random:
    """Random rows, as a stream of a run."""

    def __init__(self, proxy: Proxy, n_slots: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.n_slots = n_slots
        self._rows = rng.integers(1, proxy.vocab_size, (n_slots, proxy.context + 1))

    def slots_tokens(self, start: int, stop: int) -> np.ndarray:
        return self._rows[start:stop]

    def drawn(self) -> list:
        return []


def stack_ratio(proxy: Proxy, models: int, steps: int) -> tuple[float, float]:
    """Tokens per CPU second of one proxy alone, and of a stack of them, eager, in turns."""
    numerics, n_slots = Numerics(), steps * proxy.batch
    with tempfile.TemporaryDirectory() as folder:

        def start(seed: int) -> TrainingState:
            return TrainingState(
                proxy, _Random(proxy, n_slots, seed), seed, RunOutput(Path(folder) / str(seed)), numerics
            )

        alone, stack = start(0), Stack([lambda seed=seed: start(seed) for seed in range(models)])
        spent = [0.0, 0.0]
        for stop in range(16, steps + 1, 16):
            for which, one in enumerate((alone, stack)):
                before = time.process_time()
                one.advance(stop)
                spent[which] += time.process_time() - before
    tokens = n_slots * proxy.context
    return tokens / spent[0], models * tokens / spent[1]


def ngram_speed(order: int, tokens: int = 1 << 20) -> float:
    """Tokens per CPU second of counting and fitting random text of a natural spread."""
    rows = np.minimum(np.random.default_rng(0).zipf(1.3, (tokens // 64, 65)), 4095)
    start = time.process_time()
    fit(count_rows(rows, order, 4096, 0))
    return tokens / (time.process_time() - start)


def main() -> int:
    """Print the tables; exit 1 if the reference shape in fp32 misses the bar."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="CPU seconds per measurement")
    parser.add_argument("--only", nargs="+", choices=PROXIES, default=list(PROXIES))
    parser.add_argument("--write", action="store_true", help="put the tables into docs/reference/ladder.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    lines = [
        f"{machine('cpu')}, torch {torch.__version__}, one thread",
        "",
        "| model | parameters | compiled | tokens/CPU-s | GFLOP/CPU-s | GEMM | share |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [f"| ngram-{order} | – | – | {ngram_speed(order):,.0f} | – | – | – |" for order in (3, 5)]
    shares = {}
    for name in arguments.only:
        proxy, dtype, compiled = PROXIES[name]
        found = measure(proxy, dtype, compiled, arguments.seconds)
        shares[name] = found["share"]
        lines.append(
            f"| {name} | {proxy.size.parameters:,} | {'yes' if compiled else 'no'} | {found['tokens_per_cpu_s']:,.0f} | "
            f"{found['gflops']:.1f} | {found['gemm_gflops']:.0f} | {found['share']:.0%} |"
        )
        print(lines[-1], flush=True)
    alone, stacked = stack_ratio(preset("llama-0.4m", 4096), STACK, 96)
    lines += [
        "",
        f"llama-0.4m, eager: alone {alone:,.0f} tokens/CPU-s, in a stack of {STACK} {stacked:,.0f} ({stacked / alone:.2f} x).",
    ]
    if "reference" in shares:
        lines.append(f"Reference, fp32: {shares['reference']:.0%} of the GEMM rate; the bar is {BAR:.0%}.")
    print("\n".join(lines))
    if arguments.write:
        keep_section("speed", lines, PAGE)
    return 0 if shares.get("reference", 1.0) >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
