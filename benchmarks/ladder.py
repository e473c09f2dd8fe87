"""The ladder: bits per byte of every proxy on the demo's held-out text, by training tokens.

    python -m benchmarks.ladder build/demo [--design designs/demo.yaml] [--workers 2] [--out build/ladder]

Trains every rung on the same stream (the full mixture of the design) and writes docs/reference/ladder.md. The
curve's first points are runs of their own, with a schedule of their own: they are what a study of that size
would get. Runs resume; a second call reads what is there.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from analysis.commands import open_design
from analysis.data import token_stream
from analysis.heldout import heldout_sets, token_byte_lengths
from analysis.models import MODELS
from analysis.models.presets import PRESETS, preset
from analysis.training.probe import Numerics, machine
from analysis.training.scheduler import WorkItem, run_all
from analysis.training.trainer import RunJob, model_seed, run_job
from benchmarks.chain import keep_section

BUDGETS = (65_536, 262_144, 1_048_576)
RUNGS = (
    "ngram-3",
    "ngram-5",
    "feedforward-0.4m",
    "lstm-0.3m",
    "lstm-0.8m",
    "llama-0.1m",
    "llama-0.4m",
    "llama-1m",
    "bert-0.4m",
)
PAGE = Path(__file__).parents[1] / "docs" / "reference" / "ladder.md"


def jobs(
    workspace: Path,
    design_file: Path,
    out: Path,
    budgets: Sequence[int],
    rungs: Sequence[str],
    tokens: int,
    compiled: bool,
) -> list[WorkItem]:
    """Return the runs: the rungs at every budget, on one seed."""
    design, atoms = open_design(workspace, design_file)
    vocab = len(token_byte_lengths(str(workspace)))
    kept = [h for h in heldout_sets(str(workspace), atoms, design.targets, tokens) if h.population == "kept"]
    mixture = design.cells[0].mixture
    items = []
    for budget in budgets:
        for name in rungs:
            proxy = preset(name, vocab)
            slots = budget // proxy.context // proxy.batch * proxy.batch
            stream = token_stream(str(workspace), atoms, (mixture, mixture), "ladder/0", "none", slots, proxy.context)
            numerics = Numerics("cpu", "float32", compiled and proxy.model == "llama")
            labels = {"design_id": "ladder", "cell": name, "block": 0}
            folder = out / f"{name}-{budget}"
            job = RunJob(proxy, stream, model_seed(0, 0), folder, kept, (), numerics, labels)
            cost = float(proxy.flops_per_token * budget) * (4 if proxy.model == "bert" else 1) or 1e9
            items.append(WorkItem(folder.name, folder, cost, job))
    return items


def bits_per_byte(folder: Path) -> dict[str, float]:
    """Read the final bits per byte of each kept target."""
    scores = pq.read_table(folder / "scores.parquet").to_pylist()
    last = max(row["train_tokens"] for row in scores)
    sums: dict[str, list[float]] = {}
    for row in scores:
        if row["population"] == "kept" and row["train_tokens"] == last:
            nats, size = sums.setdefault(row["target"], [0.0, 0.0])
            sums[row["target"]] = [nats + row["nats"], size + row["bytes"]]
    return {target: nats / math.log(2) / size for target, (nats, size) in sums.items()}


def table(out: Path, budgets: Sequence[int]) -> str:
    """Return the page's section: causal rungs by budget, then those of a pseudo-likelihood."""
    rows = []
    targets: list[str] = []
    for budget in budgets:
        for name in RUNGS:
            if not (out / f"{name}-{budget}" / "run.json").exists():
                continue  # not run: the page shows what was
            record = json.loads((out / f"{name}-{budget}" / "run.json").read_text("utf-8"))
            found = bits_per_byte(out / f"{name}-{budget}") if record["status"] == "finished" else {}
            targets = list(found) or targets
            rows.append((budget, name, record, found))
    head = f"| tokens | rung | {' | '.join(targets)} | mean | tokens/CPU-s |\n|---|---|{'---|' * len(targets)}---|---|"
    parts = []
    for likelihood in ("causal", "pseudo"):
        chosen = [row for row in rows if MODELS[row[1].split("-")[0]].likelihood == likelihood]
        lines = [_line(*row, targets) for row in chosen]
        parts.append("\n".join([head, *lines]))
    shared = f"{machine('cpu')}, one seed, fp32, one thread per run; the machine was shared: speeds are low"
    pseudo = (
        "Pseudo-perplexity (both sides of a token are seen): another quantity, not to be ranked with the table above."
    )
    return "\n\n".join([shared, parts[0], pseudo, parts[1]])


def _line(budget: int, name: str, record: dict, found: dict[str, float], targets: list[str]) -> str:
    cells = [f"{found[t]:.3f}" for t in targets] if found else [record["status"]] * len(targets)
    mean = f"{sum(found.values()) / len(found):.3f}" if found else record["status"]
    return f"| {budget:,} | {name} | {' | '.join(cells)} | {mean} | {record['tokens_per_cpu_s']:,.0f} |"


def presets_table(vocab_size: int = 4096) -> str:
    """Return parameters and arithmetic of every preset, by formula."""
    lines = [
        "| preset | parameters | without embeddings | MFLOP per token | context | batch | lr |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in PRESETS:
        proxy = preset(name, vocab_size)
        if proxy.size:
            s = proxy.size
            lines.append(
                f"| {name} | {s.parameters:,} | {s.body_parameters:,} | {s.flops_per_token / 1e6:.2f} | "
                f"{proxy.context} | {proxy.batch} | {proxy.lr:g} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Train what is missing and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--design", type=Path, default=Path("designs/demo.yaml"))
    parser.add_argument("--out", type=Path, default=Path("build/ladder"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--budgets", type=int, nargs="+", default=BUDGETS, help="training tokens")
    parser.add_argument(
        "--rungs", nargs="+", choices=RUNGS, default=RUNGS, help="which to train; the page shows all that are there"
    )
    parser.add_argument("--tokens", type=int, default=4_000, help="held-out tokens per target")
    parser.add_argument("--compile", action="store_true", help="compile the Llamas: pays from 1 M tokens on")
    arguments = parser.parse_args()
    items = jobs(
        arguments.workspace,
        arguments.design,
        arguments.out,
        arguments.budgets,
        arguments.rungs,
        arguments.tokens,
        arguments.compile,
    )
    outcomes = run_all(items, run_job, arguments.workers)
    failed = [outcome for outcome in outcomes if outcome.status != "done"]
    if failed:
        raise SystemExit(f"{failed[0].name}: {failed[0].status}\n{failed[0].reason}")
    keep_section("presets", presets_table().splitlines(), PAGE)
    keep_section("ladder", table(arguments.out, BUDGETS).splitlines(), PAGE)
    print(table(arguments.out, BUDGETS))


if __name__ == "__main__":
    main()
