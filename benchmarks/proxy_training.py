"""Speed of proxy training on this machine, against its own matrix products.

    python benchmarks/proxy_training.py [--seconds 4] [--json FILE]

Prints one table: for each proxy and number type, tokens per CPU second of training (compiled, one
thread), the arithmetic rate, and its share of the measured rate of a 1024³ product of that type. The bar
is 60 % for fp32 at the reference shape (1.3 M parameters: vocabulary 4096, d 128, 4 layers, context 256,
batch 16).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import torch

from analysis.models import Proxy
from analysis.training.probe import Engine, Numerics, TrainingTrial, gemm_rate_gflops, machine

PROXIES = {
    "demo": Proxy(vocab_size=4096),
    "reference": Proxy(vocab_size=4096, d_model=128, layers=4, heads=2, context=256, batch=16),
}
BAR = 0.60


def measure(proxy: Proxy, dtype: str, seconds: float) -> dict[str, float]:
    """Train on random tokens for some CPU seconds, after compilation."""
    engine = Engine(proxy, Numerics("cpu", dtype, True))
    trial = TrainingTrial(engine, proxy)
    start = time.process_time()
    trial.take(2)
    first_s = time.process_time() - start
    steps, start = 0, time.process_time()
    while time.process_time() - start < seconds:
        trial.take(4)
        steps += 4
    cpu_s = time.process_time() - start
    tokens = steps * proxy.batch * proxy.context
    gflops = tokens * proxy.flops_per_token / cpu_s / 1e9
    rate = gemm_rate_gflops(dtype)
    return {
        "parameters_m": sum(p.numel() for p in engine.model.parameters()) / 1e6,
        "tokens_per_cpu_s": tokens / cpu_s,
        "gflops": gflops,
        "gemm_gflops": rate,
        "share": gflops / rate,
        "first_steps_s": first_s,
    }


def main() -> int:
    """Print the table; exit 1 if the reference shape in fp32 misses the bar."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="CPU seconds per measurement")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    print(f"{machine('cpu')}, torch {torch.__version__}, 1 thread, compiled")
    print(f"{'proxy':<10} {'type':<9} {'params M':>8} {'tokens/CPU-s':>13} {'GFLOP/s':>8} {'GEMM':>6} {'share':>6}")
    results = {}
    for name, proxy in PROXIES.items():
        for dtype in ("float32", "bfloat16"):
            found = measure(proxy, dtype, arguments.seconds)
            results[f"{name}/{dtype}"] = found
            print(
                f"{name:<10} {dtype:<9} {found['parameters_m']:8.2f} {found['tokens_per_cpu_s']:13,.0f} "
                f"{found['gflops']:8.1f} {found['gemm_gflops']:6.0f} {found['share']:6.1%}",
                flush=True,
            )
    share = results["reference/float32"]["share"]
    print(f"reference, fp32: {share:.1%} of the GEMM rate; the bar is {BAR:.0%}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine("cpu"), "results": results}, indent=1))
    return 0 if share >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
