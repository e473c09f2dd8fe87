"""A small curated workspace in eight languages, shared by the tests of this folder."""

from __future__ import annotations

import pytest

from pipelines.beam.curate import CurateOptions, run_curate
from tests.data.awkward import make_corpus, write_recipe


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("quality")
    make_corpus(folder, documents=500)
    run_curate(CurateOptions(str(write_recipe(folder)), str(folder / "ws"), workers=1))
    return str(folder / "ws")
