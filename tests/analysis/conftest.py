"""What tests of analysis share; and what training does to the processor is undone after each."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.analysis.small_study import DESIGN


@pytest.fixture(autouse=True)
def _keep_denormals() -> Iterator[None]:
    """Flushing denormals would break float strategies of later tests."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture(scope="module")
def workspace(study_workspace: Path) -> Path:
    """Return a curated workspace with the small design."""
    (study_workspace / "design.yaml").write_text(DESIGN)
    return study_workspace


@pytest.fixture(scope="module")
def design_file(workspace: Path) -> Path:
    """Return the design of the workspace."""
    return workspace / "design.yaml"
