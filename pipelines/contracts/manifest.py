"""Manifests: what a task read, wrote and counted. A file that no manifest lists does not exist."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from pipelines.contracts import storage
from pipelines.contracts.errors import StageError, message


@dataclass(frozen=True)
class OutputFile:
    """One file that a task wrote.

    Attributes:
        path: relative to the workspace.
        rows: rows of the table in it.
        bytes: its size.
        hash: 128-bit xxh3 of its bytes, 32 hex digits.
    """

    path: str
    rows: int
    bytes: int
    hash: str


@dataclass(frozen=True)
class TaskManifest:
    """The commit of one task: it is written last, and only then do the outputs exist.

    Attributes:
        stage: name of the stage.
        key: key of the task in its stage ("00012", "all").
        fingerprint: what the outputs depend on; another fingerprint means "not done".
        outputs: files written.
        counts: numbers to be summed over tasks; nested names are joined by "/".
    """

    stage: str
    key: str
    fingerprint: str
    outputs: tuple[OutputFile, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class StageManifest:
    """All tasks of a stage, merged by the driver."""

    stage: str
    tasks: dict[str, TaskManifest]

    @property
    def outputs(self) -> list[OutputFile]:
        """All files of the stage, in the order of the task keys."""
        return [output for key in sorted(self.tasks) for output in self.tasks[key].outputs]

    @property
    def counts(self) -> Counter[str]:
        """The counts of all tasks, summed."""
        total: Counter[str] = Counter()
        for task in self.tasks.values():
            total.update(task.counts)
        return total


def output_file(workspace: str, path: str, rows: int) -> OutputFile:
    """Describe a file that was just written (hashes it)."""
    full = storage.join(workspace, path)
    return OutputFile(path, rows, storage.size_bytes(full), storage.file_hash(full))


def stage_folder(workspace: str, stage: str) -> str:
    """Return the folder of a stage's manifest, progress markers and exchange files."""
    return storage.join(workspace, "stages", stage)


def _task_path(workspace: str, stage: str, key: str) -> str:
    return storage.join(stage_folder(workspace, stage), "_parts", f"{key}.json")


def commit(workspace: str, manifest: TaskManifest) -> None:
    """Write a task manifest; this is the moment at which the task is done."""
    text = json.dumps(dataclasses.asdict(manifest), sort_keys=True, indent=1)
    storage.write_bytes(_task_path(workspace, manifest.stage, manifest.key), text.encode())


def _parse(path: str, data: dict) -> TaskManifest:
    try:
        outputs = tuple(OutputFile(**output) for output in data["outputs"])
        return TaskManifest(data["stage"], data["key"], data["fingerprint"], outputs, data["counts"])
    except (KeyError, TypeError) as error:
        raise StageError(
            message(path, "not a manifest", repr(error), "stage, key, fingerprint, outputs, counts")
        ) from error


def read_tasks(workspace: str, stage: str) -> dict[str, TaskManifest]:
    """Read the task manifests of a stage, by key.

    The merged `manifest.json` is read first; single files in `_parts/` are newer and win.
    """
    found: dict[str, TaskManifest] = {}
    merged = storage.join(stage_folder(workspace, stage), "manifest.json")
    if storage.exists(merged):
        for data in json.loads(storage.read_bytes(merged))["tasks"]:
            found[data["key"]] = _parse(merged, data)
    for path in storage.list_files(storage.join(stage_folder(workspace, stage), "_parts"), ".json"):
        task = _parse(path, json.loads(storage.read_bytes(path)))
        found[task.key] = task
    return found


def read_stage(workspace: str, stage: str) -> StageManifest:
    """Read what a stage has done so far.

    Raises:
        StageError: if the stage has no manifest at all.
    """
    tasks = read_tasks(workspace, stage)
    if not tasks:
        raise StageError(
            message(
                stage_folder(workspace, stage),
                "stage has not run",
                "no manifest",
                "at least one finished task",
                "Run `mixtrace curate` on this workspace first.",
            )
        )
    return StageManifest(stage, tasks)


def forget(workspace: str, stage: str, keys: Iterable[str] | None = None) -> dict[str, TaskManifest]:
    """Forget that tasks are done (all of a stage without `keys`); their files stay until they are written anew.

    Returns:
        What was forgotten, by key; `commit` makes a task done again.
    """
    known = read_tasks(workspace, stage)
    gone = known if keys is None else {key: known[key] for key in keys if key in known}
    rest = {key: task for key, task in known.items() if key not in gone}
    if gone and rest:
        _write_merged(workspace, stage, rest, {})
    elif gone:
        storage.remove_tree(stage_folder(workspace, stage))
    return gone


def merge(workspace: str, stage: str, keys: Iterable[str], versions: dict[str, str]) -> StageManifest:
    """Merge the task manifests of a finished stage into `manifest.json`; tasks not in `keys` are forgotten."""
    wanted = set(keys)
    tasks = {key: task for key, task in read_tasks(workspace, stage).items() if key in wanted}
    _write_merged(workspace, stage, tasks, versions)
    return StageManifest(stage, tasks)


def _write_merged(workspace: str, stage: str, tasks: dict[str, TaskManifest], versions: dict[str, str]) -> None:
    body = {
        "stage": stage,
        "versions": versions,
        "counts": dict(sorted(StageManifest(stage, tasks).counts.items())),
        "tasks": [dataclasses.asdict(tasks[key]) for key in sorted(tasks)],
    }
    storage.write_bytes(
        storage.join(stage_folder(workspace, stage), "manifest.json"), json.dumps(body, indent=1).encode()
    )
    storage.remove_tree(storage.join(stage_folder(workspace, stage), "_parts"))
