"""The wheel holds everything that the installed command needs, and nothing of the tests."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_wheel_is_complete(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
        entry = next(name for name in names if name.endswith("entry_points.txt"))
        assert "mixtrace = beam_runner:main" in wheel.read(entry).decode()
    for pattern in (
        "pipelines/**/*.py",
        "analysis/**/*.py",
        "analysis/**/*.json",
        "analysis/**/*.yaml",
        "reports/**/*.py",
        "reports/**/*.sql",
        "reports/*.css",
        "pipelines/**/*.json",
    ):
        for path in ROOT.glob(pattern):
            assert str(path.relative_to(ROOT)) in names
    assert "beam_runner.py" in names
    assert "pipelines/conf/runners/spark.toml" in names
    assert not any(name.startswith("tests/") for name in names)
