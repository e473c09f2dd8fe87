"""One small curated workspace and its design for the tests of all studies."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.science.contract import Bench
from tests.analysis.small_study import SHOWN


@pytest.fixture(scope="session")
def small_workspace(curated_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a curated workspace of some hundred documents, with `design.yaml`."""
    workspace = Path(shutil.copytree(curated_once, tmp_path_factory.mktemp("science") / "ws"))
    (workspace / "design.yaml").write_text(SHOWN)
    return workspace


@pytest.fixture(scope="module")
def bench(small_workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Return where a study of a test module works: one process, a folder of its own."""
    return Bench(small_workspace, small_workspace / "design.yaml", tmp_path_factory.mktemp("study"), workers=1)
