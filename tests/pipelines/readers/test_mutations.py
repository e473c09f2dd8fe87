"""More than 2,000 malformed files in one process: reads end, accounts hold, sound records survive."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data.mutations import FORMATS, make_cases

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def run() -> tuple[list[dict], subprocess.CompletedProcess]:
    command = [sys.executable, "-W", "error", "-m", "tests.pipelines.readers.malformed", "--json", "--count", "56"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    return json.loads(done.stdout), done


def test_every_promise_holds_for_every_file(run: tuple[list[dict], subprocess.CompletedProcess]) -> None:
    rows, done = run
    assert done.stderr.strip().split("\n")[:20] == [""]
    assert done.returncode == 0
    assert sum(row["tried"] for row in rows) >= 2000
    assert sum(row["crashes"] for row in rows) == 0


def test_memory_is_bounded(run: tuple[list[dict], subprocess.CompletedProcess]) -> None:
    assert max(row["peak_mib"] for row in run[0]) < 200


def test_much_is_damaged_and_most_is_saved(run: tuple[list[dict], subprocess.CompletedProcess]) -> None:
    for row in run[0]:
        assert row["dead_letters"] > 0, row
        assert row["saved"] >= row["owed"], row
        assert row["owed"] > (0 if row["kind"] == "text" else row["sound"] // 5), row


@pytest.mark.parametrize("kind", FORMATS)
def test_the_same_seed_gives_the_same_files(kind: str) -> None:
    first, second = (list(make_cases(kind, "", 12, seed=5)) for _ in range(2))
    assert first == second
    assert len({case.data for case in first}) > 8
