"""The exact bottom rung: n-gram leave-one-outs by subtraction (fill = none), no retraining.

The n-gram is counted on the same slots as the full cell of each block, per slice; leaving a slice out
subtracts its raw counts and derives everything else again, which equals retraining bit for bit.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from analysis.data import HeldOut, TokenStream
from analysis.designs import Design
from analysis.evaluation import perplexity
from analysis.evaluation.choice import ITEM_SCORES
from analysis.evaluation.text_items import EncodedItem
from analysis.models import Proxy
from analysis.models.ngram import NgramCounts, add, count_rows, fit, subtract
from analysis.ngram_contrasts import PREFIX
from analysis.slices import Atoms
from analysis.training.output import RunFacts, RunOutput
from analysis.training.probe import Numerics

ORDER = 3


def ngram_runs(
    study: Path,
    design: Design,
    atoms: Atoms,
    streams: Mapping[int, TokenStream],
    heldouts: list[HeldOut],
    proxy: Proxy,
    tasks: Sequence[EncodedItem] = (),
) -> None:
    """Count, subtract and score, block by block; finished runs are not repeated."""
    ngram = proxy.model_copy(update={"model": "ngram", "order": ORDER})
    for block, stream in streams.items():
        cells = ["full", *(f"omit_{name}" for name in design.spec.leave_out)]
        folders = {cell: study / "runs" / f"{PREFIX}{cell}-{block}" for cell in cells}
        if all((folder / "run.json").exists() for folder in folders.values()):
            continue
        counts = slice_counts(stream, design, atoms, ngram)
        total = add(list(counts.values()))
        for cell, folder in folders.items():
            left = total if cell == "full" else subtract(total, counts[cell.removeprefix("omit_")])
            _score(folder, left, design, cell, block, stream, heldouts, ngram, tasks)


def slice_counts(stream: TokenStream, design: Design, atoms: Atoms, proxy: Proxy) -> dict[str, NgramCounts]:
    """Count the slots of each slice of a run."""
    home = {atom: name for name in design.targets for atom in atoms.atoms_of(name)}
    names = np.array([home[atom] for atom in stream.slots.names])[stream.slots.atom]
    rows = stream.slots_tokens(0, stream.n_slots)
    return {
        name: count_rows(rows[names == name], proxy.order, proxy.vocab_size, proxy.eos_id)
        for name in sorted(set(names))
    }


def _score(
    folder: Path,
    counts: NgramCounts,
    design: Design,
    cell: str,
    block: int,
    stream: TokenStream,
    heldouts: list[HeldOut],
    proxy: Proxy,
    tasks: Sequence[EncodedItem],
) -> None:
    import pyarrow as pa

    started = time.process_time()
    model = fit(counts, proxy.discounts)
    tokens = int(counts.counts.sum())
    labels = {"design_id": design.design_id, "cell": PREFIX + cell, "block": block, "seed": 0}
    output = RunOutput(folder, labels)
    scores = perplexity.evaluate(model, heldouts, proxy.context, proxy.eos_id)
    output.write_scores([], scores.append_column("train_tokens", pa.array([tokens] * len(scores), pa.int64())))
    output.write_items(ITEM_SCORES.empty_table())
    output.write_tasks(model, tasks, proxy)
    output.write_curve(np.empty(0), proxy)
    seconds = time.process_time() - started
    output.finish(proxy, Numerics(), stream, RunFacts("finished", 0, tokens, seconds, None))
