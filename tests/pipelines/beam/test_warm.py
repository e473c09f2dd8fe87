"""Kernels are compiled once per machine, before workers start."""

from __future__ import annotations

from pathlib import Path

import numba
import pytest

from pipelines.beam import warm
from pipelines.contracts.errors import StageError
from pipelines.contracts.recipe import Decontaminate, EvalItems, Pii, Recipe, Source
from pipelines.kernels.compile import BOUNDSCHECK

pytestmark = pytest.mark.skipif(BOUNDSCHECK, reason="nothing is cached with bounds checking")


def recipe(folder: Path, **settings: object) -> Recipe:
    return Recipe(name="r", sources=(Source(name="s", path=(str(folder / "*.jsonl"),), format="jsonl"),), **settings)


def kernels() -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in Path(numba.config.CACHE_DIR).rglob("*.nbc")}


def test_a_warm_machine_compiles_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    items = EvalItems(task="t", path=(str(tmp_path / "not-read.jsonl"),))
    given = recipe(tmp_path, pii=Pii(kinds=("email",)), decontaminate=Decontaminate(items=(items,)))
    mark = warm._mark(given)
    assert mark is not None
    mark.unlink(missing_ok=True)
    assert warm.warm_kernels(given) > 0
    assert mark.exists()
    assert "compiling kernels" in capfd.readouterr().err
    before = kernels()
    mark.unlink()
    assert warm.warm_kernels(given) > 0  # curates the records again, with kernels that are there
    assert kernels() == before
    assert warm.warm_kernels(given) == 0


def test_recipes_with_other_kernels_have_other_marks(tmp_path: Path) -> None:
    plain = warm._mark(recipe(tmp_path))
    assert plain == warm._mark(recipe(tmp_path / "elsewhere", part_mb=3.0))
    assert plain != warm._mark(recipe(tmp_path, pii=Pii(kinds=("email",))))
    assert plain != warm._mark(recipe(tmp_path, signals=("c4_tfds",)))


def test_a_fault_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "_mark", lambda recipe: tmp_path / "mark")
    monkeypatch.setattr(warm, "_root", lambda: str(tmp_path))  # where no package is
    with pytest.raises(StageError, match=r"(?s)could not be compiled.*No module named 'pipelines'"):
        warm.warm_kernels(recipe(tmp_path))
    assert not (tmp_path / "mark").exists()
