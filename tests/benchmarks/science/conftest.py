"""One small curated workspace and its design for the tests of all studies."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.science.contract import Bench

DESIGN = """
name: tiny
slices:
  lines: {where: "source = 'lines'"}
  notes: {where: "source = 'notes'"}
  pages: {where: "source IN ('web', 'wiki')"}
leave_out: [lines, notes]
near_duplicates: {slice: lines, share: 0.25, min_duplicate_tokens: 50}
rejects: {share: 0.25, min_pool_tokens: 200}
proxy: {d_model: 16, layers: 1, heads: 1, context: 16, batch: 8, dtype: float32, compile: "off", adequacy: show}
blocks: 2
tokens: 8192
eval_tokens: 600
choice_items: 0
max_epochs: 40
"""


@pytest.fixture(scope="session")
def small_workspace(curated_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a curated workspace of some hundred documents, with `design.yaml`."""
    workspace = Path(shutil.copytree(curated_once, tmp_path_factory.mktemp("science") / "ws"))
    (workspace / "design.yaml").write_text(DESIGN)
    return workspace


@pytest.fixture(scope="module")
def bench(small_workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Return where a study of a test module works: one process, a folder of its own."""
    return Bench(small_workspace, small_workspace / "design.yaml", tmp_path_factory.mktemp("study"), workers=1)
