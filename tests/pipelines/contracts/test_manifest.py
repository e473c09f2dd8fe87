"""Manifests: what is done, and what is forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.contracts import manifest
from pipelines.contracts.errors import StageError
from pipelines.contracts.manifest import TaskManifest


def test_forgotten_tasks_are_not_done_until_they_are_committed_again(tmp_path: Path) -> None:
    workspace = str(tmp_path)
    tasks = {key: TaskManifest("s", key, "f" + key) for key in ("00000", "00001", "00002")}
    for task in tasks.values():
        manifest.commit(workspace, task)
    manifest.merge(workspace, "s", list(tasks)[:2], {})
    manifest.commit(workspace, tasks["00002"])
    assert manifest.forget(workspace, "s", ["00001", "00009"]) == {"00001": tasks["00001"]}
    assert set(manifest.read_tasks(workspace, "s")) == {"00000", "00002"}
    manifest.commit(workspace, tasks["00001"])
    assert manifest.read_tasks(workspace, "s") == tasks
    assert manifest.forget(workspace, "s") == tasks
    assert manifest.read_tasks(workspace, "s") == {}
    with pytest.raises(StageError, match="stage has not run"):
        manifest.read_stage(workspace, "s")
