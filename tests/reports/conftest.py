"""Tiny workspaces made by code: real Parquet and Arrow files by the contracts' writers, numbers computed from them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

# `--import-mode=importlib` puts no folder of tests on the path; load the builder by its file.
_SPEC = importlib.util.spec_from_file_location(
    "workspace_builder", Path(__file__).with_name("workspace_builder.py")
)
builder = importlib.util.module_from_spec(_SPEC)
sys.modules["workspace_builder"] = builder
_SPEC.loader.exec_module(builder)


@pytest.fixture(scope="session")
def curated_workspace(tmp_path_factory) -> Path:
    """A workspace that was only curated."""
    return builder.build_curated(tmp_path_factory.mktemp("curated"))


@pytest.fixture(scope="session")
def studied_workspace(curated_workspace) -> Path:
    return curated_workspace
