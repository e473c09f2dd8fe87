"""What tests of several folders share."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def quiet_signals() -> Iterator[None]:
    """Put back the signal handlers that `curate` sets."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def curated_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a curated workspace of 900 made-up documents, for reading only: studies are tested in copies of it."""
    from pipelines.beam.curate import CurateOptions, run_curate  # imports Beam, which few tests need
    from tests.data.awkward import make_corpus, write_recipe

    folder = tmp_path_factory.mktemp("curated-once")
    make_corpus(folder, documents=900)
    split = {"heldout_fraction": 0.15, "min_heldout_bytes": 1000, "max_heldout_fraction": 0.3}
    recipe = write_recipe(folder, split=split, rules={"long": {"signal": "gopher_words", "min": 40}})
    run_curate(CurateOptions(str(recipe), str(folder / "ws"), workers=1))
    return folder / "ws"


@pytest.fixture(scope="module")
def study_workspace(curated_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the curated workspace, which the tests of one module share."""
    return Path(shutil.copytree(curated_once, tmp_path_factory.mktemp("study") / "ws"))
