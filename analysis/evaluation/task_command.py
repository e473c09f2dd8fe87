"""The command `model tasks`: minimal pairs, cloze and packaged tasks, asked of any causal model on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from analysis import records
from analysis.data import HeldOut
from analysis.evaluation import cloze
from analysis.evaluation.choice import vocabulary_bytes
from analysis.evaluation.metrics import summarise
from analysis.evaluation.tasks import CLOZE_TOKENS, task_items
from analysis.evaluation.text_items import label_items, score_text_items
from analysis.heldout import heldout_set, heldout_texts
from analysis.slices import Atoms, partition


def run_tasks(
    folder: Path,
    tasks: Sequence[str],
    limit: int,
    workspace: Path | None,
    context: int | None,
    device: str,
    by_part: bool,
    out: Path | None,
    as_json: bool,
    design: Path | None = None,
) -> None:
    """Score a model, write the items if asked for, and print the table or JSON; `design` names the targets of cloze."""
    heldouts = _heldouts(folder, workspace, design) if cloze.TASK in tasks else []
    items = {task: task_items(task, limit, heldouts) for task in dict.fromkeys(tasks)}
    from analysis.evaluation.text_scorers import open_scorer

    scorer = open_scorer(folder, workspace, context, device)
    tables = {task: score_text_items(scorer, some) for task, some in items.items()}
    scored = pa.concat_tables(tables.values())
    if out:
        records.write_table(out, label_items(scored, None, folder.name), "task_item_scores")
    rows = [row for table in tables.values() for row in summarise(table, by_part)]
    too_long = {task: len(items[task]) - len(table) for task, table in tables.items()}
    if as_json:
        found = {"model": folder.name, "context": scorer.context, "left_out": too_long, "scores": rows}
        print(json.dumps(found, indent=1, allow_nan=False))
    else:
        print(format_scores(folder.name, scorer.context, rows, too_long))


def cloze_heldouts(workspace: Path, atoms: Atoms, targets: Sequence[str]) -> list[tuple[HeldOut, list[str]]]:
    """Read the documents that cloze items are made of, with their texts."""
    vocabulary = vocabulary_bytes(workspace / "tokenizer" / "tokenizer.json")
    sets = [heldout_set(str(workspace), atoms, target, "kept", CLOZE_TOKENS) for target in targets]
    return [(one, heldout_texts(one, vocabulary)) for one in sets]


def _heldouts(folder: Path, workspace: Path | None, design: Path | None) -> list[tuple[HeldOut, list[str]]]:
    """Read held-out documents of a workspace: the one given, or that of a run."""
    from analysis.evaluate_model import target_slices
    from analysis.evaluation.text_scorers import workspace_of

    if workspace is None and not (folder / "run.json").exists():
        return []
    place = workspace or workspace_of(folder)
    slices = target_slices(place, design, folder)
    return cloze_heldouts(place, partition(str(place), slices), [one.name for one in slices])


def format_scores(name: str, context: int, rows: Sequence[dict[str, Any]], too_long: dict[str, int]) -> str:
    """Make the table that the command prints; what may decide is marked."""
    width = max([len(row["part"] or row["task"]) for row in rows] + [8])
    lines = [
        f"{name}: {context} tokens of context; * may enter a verdict, the rest is for display",
        f"{'task':<{width}} {'metric':<13} {'value':>9} {'± se':>8} {'chance':>7} {'better':>7} {'items':>6} {'components':>10}",
    ]
    for row in rows:
        chance = "" if row["chance"] is None else f"{row['chance']:.3f}"
        se = "" if row["se"] is None else f"{row['se']:.4f}"
        mark = "*" if row["decision_grade"] else ""
        lines.append(
            f"{row['part'] or row['task']:<{width}} {row['metric'] + mark:<13} {row['value']:>9.4f} {se:>8} "
            f"{chance:>7} {row['direction']:>7} {row['items']:>6,} {row['components']:>10,}"
        )
    lines += [
        f"{task}: {n:,} items left out, a choice is longer than the context: compare models over the same items."
        for task, n in too_long.items()
        if n
    ]
    return "\n".join(lines)
