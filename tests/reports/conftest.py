"""Tiny workspaces made by code: real Parquet and Arrow files by the contracts' writers, numbers computed from them."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest


def _load(name: str) -> ModuleType:
    """Load a builder by its file: `--import-mode=importlib` puts no folder of tests on the path."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


workspace_builder = _load("workspace_builder")
study_builder = _load("study_builder")


@pytest.fixture(scope="session")
def curated_workspace(tmp_path_factory) -> Path:
    """A workspace that was only curated."""
    return workspace_builder.build_curated(tmp_path_factory.mktemp("curated"))


@pytest.fixture(scope="session")
def studied_workspace(curated_workspace, tmp_path_factory) -> Path:
    """A workspace with a study whose controls passed."""
    target = tmp_path_factory.mktemp("studied") / "ws"
    shutil.copytree(curated_workspace, target, ignore=shutil.ignore_patterns("reports"))
    study_builder.build_study(target)
    return target


@pytest.fixture(scope="session")
def void_workspace(curated_workspace, tmp_path_factory) -> Path:
    """A workspace with a study whose sham control failed."""
    target = tmp_path_factory.mktemp("void") / "ws"
    shutil.copytree(curated_workspace, target, ignore=shutil.ignore_patterns("reports"))
    study_builder.build_study(target, broken_sham=True)
    return target
