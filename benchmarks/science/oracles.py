"""Leaving a slice out of the n-gram by subtracting its counts is retraining without it, to the last bit.

For every slice of the design, on the token stream of block 0 of its full mixture: subtracted and counted anew, every table
of every order and every log-probability of the held-out text are compared for equality (science-notes 23).
"""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.commands import open_design
from analysis.data import HeldOut, TokenStream
from analysis.design_data import cell_stream
from analysis.evaluation.perplexity import cut_windows
from analysis.models import Proxy
from analysis.models.ngram import NgramModel, add, count_rows, fit, subtract
from analysis.ngram_study import slice_counts
from analysis.study_runs import open_runs
from benchmarks.science.contract import Bench, Claim, Results
from benchmarks.science.runs import own_workspace, varied

TITLE = "n-gram oracle: subtraction equals retraining"


@dataclass(frozen=True)
class Settings:
    """How much text.

    Attributes:
        tokens: training tokens.
        eval_tokens: held-out tokens per target.
        orders: orders of the n-gram.
    """

    tokens: int = 1_048_576
    eval_tokens: int = 12_000
    orders: tuple[int, ...] = (3, 5)


FULL = Settings()
SMALL = Settings(tokens=8192, eval_tokens=600, orders=(3,))


def measure(bench: Bench, settings: Settings) -> Results:
    """Leave every slice out both ways."""
    workspace = own_workspace(bench)
    design_file = varied(bench, "oracles", tokens=settings.tokens, eval_tokens=settings.eval_tokens, choice_items=0)
    design, atoms = open_design(workspace, design_file)
    runs = open_runs(workspace, design, atoms)
    stream = cell_stream(workspace, design, atoms, design.cells[0], 0)
    heldouts = [heldout for heldout in runs.heldouts if heldout.population == "kept"]
    home = {atom: name for name in design.targets for atom in atoms.atoms_of(name)}
    slices = np.array([home[atom] for atom in stream.slots.names])[stream.slots.atom]
    rows = []
    for order in settings.orders:
        proxy = runs.proxy.model_copy(update={"model": "ngram", "order": order})
        counted = slice_counts(stream, design, atoms, proxy)
        total = add(list(counted.values()))
        for name in counted:
            start = time.process_time()
            subtracted = fit(subtract(total, counted[name]))
            middle = time.process_time()
            counts = count_rows(stream_rows(stream)[slices != name], order, proxy.vocab_size, proxy.eos_id)
            retrained = fit(counts)
            spent = (middle - start, time.process_time() - middle)
            rows.append({"order": order, "slice": name, **compared(subtracted, retrained, heldouts, proxy),
                         "subtract_cpu_s": round(spent[0], 4), "retrain_cpu_s": round(spent[1], 4)})  # fmt: skip
    return {"tokens": stream.n_slots * stream.context, "rows": rows}


def stream_rows(stream: TokenStream) -> np.ndarray:
    """Return all rows of a run, [slots, context + 1]."""
    return stream.slots_tokens(0, stream.n_slots)


def compared(left: NgramModel, right: NgramModel, heldouts: list[HeldOut], proxy: Proxy) -> dict[str, Any]:
    """Count what differs between two models: entries of their tables, and log-probabilities of held-out tokens."""
    entries, different = 0, 0
    for mine, other in zip(left.levels, right.levels, strict=True):
        for field in dataclasses.fields(mine):
            a, b = (np.asarray(getattr(level, field.name)) for level in (mine, other))
            entries += a.size
            different += int((a != b).sum()) if a.shape == b.shape else max(a.size, b.size)
    tokens, unequal, nats = 0, 0, 0.0
    for heldout in heldouts:
        windows = cut_windows(heldout.ids, heldout.offsets, proxy.context, proxy.eos_id)
        a, b = (model.logp(windows.rows, windows.mask) for model in (left, right))
        tokens += int(windows.mask.sum())
        unequal += int((a != b)[windows.mask].sum())
        nats -= float(a.sum())
    size = sum(int(heldout.n_bytes.sum()) for heldout in heldouts)
    return {"entries": entries, "different_entries": different, "tokens": tokens, "different_tokens": unequal,
            "bpb": round(nats / math.log(2) / size, 4)}  # fmt: skip


def claims(results: Results) -> list[Claim]:
    """All tables and log-probabilities are equal."""
    rows = results["rows"]
    found = []
    for what, text in (("entries", "entries of the n-gram's tables"), ("tokens", "log-probabilities of held-out text")):
        wrong, all_ = (sum(row[name] for row in rows) for name in (f"different_{what}", what))
        claim = f"subtracting a slice gives the {text} of retraining without it, to the bit"
        found.append(Claim(claim, f"{wrong} of {all_:,} differ, {len(rows)} leave-outs", wrong == 0 < all_))
    return found


def lines(results: Results) -> list[str]:
    """Return a table with a row per leave-out."""
    head = ["| order | without | table entries | differ | held-out tokens | differ | bpb without it | subtract + fit [CPU s] | count + fit [CPU s] |",
            "|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    rows = [
        f"| {row['order']} | {row['slice']} | {row['entries']:,} | {row['different_entries']} | {row['tokens']:,} | "
        f"{row['different_tokens']} | {row['bpb']:.3f} | {row['subtract_cpu_s']:.3f} | {row['retrain_cpu_s']:.3f} |"
        for row in results["rows"]
    ]
    return [f"At {results['tokens']:,} training tokens.", "", *head, *rows]


def charts(results: Results) -> dict[str, dict[str, Any]]:
    """Nothing to draw: all differences are zero."""
    del results
    return {}
