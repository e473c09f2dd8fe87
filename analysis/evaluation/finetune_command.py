"""The command `model finetune`: what a proxy's pre-training is worth where documents have labels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from analysis import records
from analysis.evaluation.finetune import FineTuning, fine_tune
from analysis.evaluation.labelled import LabelledTask, labelled_task, labels_of
from analysis.statistics.classification import multiclass
from pipelines.contracts.errors import ConfigError, message

START = {False: "run", True: "untrained"}
REASON = "accuracy of one fine-tuned run: a step function, and no run of a study is asked for it; display only"


def run_finetune(
    run: Path,
    labels: str,
    how: FineTuning,
    seeds: int,
    *,
    workspace: Path | None = None,
    design: Path | None = None,
    per_class: int = 400,
    name: str | None = None,
    save: bool = False,
    as_json: bool = False,
) -> None:
    """Fine-tune a run of ours on labelled documents and print how well it tells held-out ones apart.

    Args:
        run: folder of a run.
        labels: `slice`, a CSV file, or SQL over the documents (`labels_of`).
        how: epochs, rate, batch, pooling.
        seeds: fine-tunings from the run, and as many from weights drawn anew.
        workspace: documents; None takes the run's.
        design: its slices are what `slice` means; None takes those of the run's study, or each source.
        per_class: most training passages of a class.
        name: of the labels in the tables; None takes `labels`, of a file its stem.
        save: write `finetune_scores` into the folder of the run, for the report.
        as_json: print JSON.

    Raises:
        ConfigError: if the model has no hidden states to classify, or labels are too few.
        InputError: if the folder is no run, or the workspace is not its own.
    """
    from analysis.evaluate_model import target_slices
    from analysis.evaluation.text_scorers import workspace_of
    from analysis.models.hf_export import read_tokenizer, require_same_tokenizer
    from analysis.models.neural import load, read_proxy
    from analysis.slices import partition

    torch.set_num_threads(1)  # as in training: two threads lose more than they gain at this size
    proxy = read_proxy(run)
    if proxy.model not in ("llama", "lstm", "bert"):
        raise ConfigError(message(str(run), "no hidden states to classify", proxy.model, "a llama, an LSTM or a BERT"))
    place = workspace or workspace_of(run)
    require_same_tokenizer(run, place)
    read_tokenizer(place, proxy)
    slices = target_slices(place, design, run)
    found = labels_of(place, labels, slices)
    named = name or (Path(labels).stem if Path(labels).is_file() else labels)
    task = labelled_task(place, partition(str(place), slices), named, found, proxy.context, proxy.eos_id, per_class)
    rows = [
        row
        for untrained in (False, True)
        for seed in range(seeds)
        for row in score_rows(
            task, fine_tune(lambda: load(run), task, how, seed, untrained=untrained), START[untrained], seed
        )
    ]
    if save:
        _save(run, rows)
    if as_json:
        print(json.dumps({"run": run.name, "classes": task.classes, "scores": rows}, indent=1, ensure_ascii=False))
    else:
        print(format_finetuned(run.name, task, rows))


def score_rows(task: LabelledTask, predicted: np.ndarray, start: str, seed: int) -> list[dict[str, Any]]:
    """Score one fine-tuning: rows of `finetune_scores` without the run; the first is over all classes."""
    found = multiclass(task.test.label, predicted, len(task.classes))
    largest = int(np.bincount(task.test.label, minlength=len(task.classes)).max())
    common = {
        "task": task.name,
        "start": start,
        "seed": seed,
        "train_passages": len(task.train.label),
        "direction": "higher",
        "decision_grade": False,
        "reason": REASON,
    }
    whole = {
        "class": None,
        "passages": len(predicted),
        "accuracy": found.accuracy,
        "precision": found.macro_precision,
        "recall": found.macro_recall,
        "f1": found.macro_f1,
        "chance": largest / len(predicted),
    }
    each = [
        {
            "class": name,
            "passages": int(found.support[index]),
            "accuracy": None,
            "precision": float(found.precision[index]),
            "recall": float(found.recall[index]),
            "f1": float(found.f1[index]),
            "chance": None,
        }
        for index, name in enumerate(task.classes)
    ]
    return [{**common, **row} for row in (whole, *each)]


def _save(run: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Keep rows with the run; those of the same labels before are replaced."""
    path = run / "finetune_scores.parquet"
    tasks = {row["task"] for row in rows}
    kept = records.read_table(path, "finetune_scores").to_pylist() if path.exists() else []
    labels = {"design_id": run.resolve().parents[1].name, "run_id": run.name}
    whole = [*(row for row in kept if row["task"] not in tasks), *({**labels, **row} for row in rows)]
    records.write_table(path, records.from_rows(whole, "finetune_scores"), "finetune_scores")


def format_finetuned(name: str, task: LabelledTask, rows: Sequence[dict[str, Any]]) -> str:
    """Lay out means over seeds, with the sd over seeds behind ±."""
    train, test = len(task.train.label), len(task.test.label)
    chance = next(row["chance"] for row in rows if row["class"] is None)
    lines = [
        f"{name}: {task.name}, {len(task.classes)} classes, {train:,} passages to train on, {test:,} of held-out documents",
        f"largest class {chance:.3f} of them; mean over seeds ± sd",
        f"{'start':<10} {'class':<16} {'passages':>9} {'accuracy':>14} {'precision':>14} {'recall':>14} {'F1':>14}",
    ]
    for start in dict.fromkeys(row["start"] for row in rows):
        for one in (None, *task.classes):
            mine = [row for row in rows if row["start"] == start and row["class"] == one]
            cells = " ".join(f"{_spread(mine, column):>14}" for column in ("accuracy", "precision", "recall", "f1"))
            lines.append(f"{start:<10} {one or 'all (macro)':<16} {mine[0]['passages']:>9,} {cells}")
    lines.append(f"Not for verdicts: {REASON}.")
    return "\n".join(lines)


def _spread(rows: Sequence[dict[str, Any]], column: str) -> str:
    values = [row[column] for row in rows]
    if None in values:
        return ""
    sd = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{sd}"
