"""Undo what training does to the processor: flushing denormals would break float strategies of later tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _keep_denormals() -> Iterator[None]:
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)
