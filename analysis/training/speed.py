"""How fast runs were, against what this machine's matrix products could do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from analysis.models import Proxy
from analysis.training.probe import gemm_rate_gflops


def speed_line(proxy: Proxy, runs: Sequence[Mapping[str, Any]]) -> str:
    """Say tokens per CPU-second of the runs, and their share of the measured fp32 rate of a matrix product.

    Args:
        proxy: what was trained.
        runs: run records.
    """
    rates = [run["tokens_per_cpu_s"] for run in runs if run["status"] == "finished"]
    if not rates:
        return "no run finished"
    rate = float(np.median(rates))
    if proxy.model == "ngram":
        return f"{rate:,.0f} tokens per CPU-second (counted, one thread, median of {len(rates)} runs)"
    first = runs[0]
    how = f"{first['dtype']}, {'compiled' if first['compiled'] else 'eager'}"
    line = f"{rate:,.0f} tokens per CPU-second ({how}, one thread, median of {len(rates)} runs)"
    if first["device"] != "cpu":
        return line.replace("CPU-second", "CPU-second of the host")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        gemm = gemm_rate_gflops()
    finally:
        torch.set_num_threads(threads)
    done = rate * proxy.flops_per_token / 1e9
    return f"{line}: {done:.1f} GFLOP/s, {done / gemm:.0%} of this core's fp32 GEMM rate of {gemm:.0f}, measured now"
