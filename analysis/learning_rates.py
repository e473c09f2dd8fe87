"""Learning rates of presets, measured: a sweep over rates on one block of a design's full cell.

    python -m analysis.learning_rates build/demo designs/demo.yaml --preset llama-0.4m --rate .003 --rate .006

Results are rows of `analysis/models/learning_rates.json`, which is kept in the repository and from which
`analysis.models.presets` takes the default rate of each preset: that of the least bits per byte at the most
tokens. A row that is there is not measured again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch

from analysis.design_data import cell_stream, design_of
from analysis.design_file import load_design
from analysis.designs import Design
from analysis.effects import bits_per_byte
from analysis.models.presets import RATES_FILE, preset
from analysis.slices import Atoms
from analysis.study_runs import StudyRuns, open_runs
from analysis.training.probe import Numerics, machine
from analysis.training.trainer import model_seed, train
from pipelines.contracts import storage


def measure(runs: StudyRuns, name: str, rate: float, tokens: int) -> dict[str, Any]:
    """Train a preset once at a rate and score it; eager fp32, one thread.

    Args:
        runs: held-out sets and tokenizer of the workspace.
        name: preset.
        rate: peak learning rate.
        tokens: training tokens.

    Returns:
        A row of the file; `bpb` is the mean over the targets' kept documents, null if the run diverged.
    """
    proxy = preset(name, runs.proxy.vocab_size, runs.proxy.eos_id, lr=rate)
    spec = runs.design.spec
    shaped = spec.proxy.model_copy(update={"context": proxy.context, "batch": proxy.batch})
    design = Design(
        spec.model_copy(update={"tokens": tokens, "proxy": shaped}), runs.design.targets, runs.design.cells,
        runs.design.contrasts, runs.design.corpus,
    )  # fmt: skip
    stream = cell_stream(runs.workspace, design, runs.atoms, design.cells[0], 0)
    kept = [heldout for heldout in runs.heldouts if heldout.population == "kept"]
    with tempfile.TemporaryDirectory(prefix="mixtrace-rate-") as folder:
        record = train(proxy, stream, model_seed(spec.seed, 0), Path(folder) / "run", kept, numerics=Numerics())
        scores = pq.read_table(Path(folder) / "run" / "scores.parquet")
    last = scores.filter(pc.equal(scores["train_tokens"], record["tokens"]))
    bpb = [value for (_, population, _), value in bits_per_byte(last).items() if population == "kept"]
    return {
        "preset": name,
        "lr": rate,
        "tokens": tokens,
        "bpb": round(float(np.mean(bpb)), 4) if bpb else None,
        "status": record["status"],
        "vocab_size": proxy.vocab_size,
        "corpus": runs.design.corpus,
        "machine": machine("cpu"),
        "torch": str(torch.__version__),
    }


def sweep(workspace: Path, design_file: Path, presets: list[str], rates: list[float], tokens: int, out: Path) -> None:
    """Measure what the file lacks, row by row; each row is kept as soon as it is known."""
    torch.set_num_threads(1)
    design, atoms = _open(workspace, design_file)
    runs = open_runs(workspace, design, atoms)
    rows = json.loads(out.read_text("utf-8"))
    known = {(row["preset"], row["lr"], row["tokens"], row["corpus"]) for row in rows}
    for name in presets:
        for rate in rates:
            if (name, rate, tokens, design.corpus) in known:
                continue
            rows.append(measure(runs, name, rate, tokens))
            storage.write_bytes(str(out), (json.dumps(rows, indent=1) + "\n").encode())
            print(f"{name:<18} lr {rate:<8g} {rows[-1]['bpb']} bpb at {tokens:,} tokens", flush=True)


def _open(workspace: Path, design_file: Path) -> tuple[Design, Atoms]:
    return design_of(workspace, load_design(str(design_file)))


def main() -> None:
    """Run the sweep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("design", type=Path)
    parser.add_argument("--preset", action="append", required=True, help="name of a preset; repeat")
    parser.add_argument("--rate", type=float, action="append", required=True, help="peak learning rate; repeat")
    parser.add_argument("--tokens", type=int, default=131_072, help="training tokens per run")
    parser.add_argument("--out", type=Path, default=RATES_FILE)
    found = parser.parse_args()
    sweep(found.workspace, found.design, found.preset, found.rate, found.tokens, found.out)


if __name__ == "__main__":
    main()
