"""Tests that need Flink or Spark run with `make test-engines` only; they take minutes."""

from __future__ import annotations

import os

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("MIXTRACE_TEST_ENGINES") or "engine" in config.getoption("markexpr"):
        return
    for item in items:
        if item.get_closest_marker("engine"):
            item.add_marker(pytest.mark.skip(reason="engines run with `make test-engines`"))
