"""The demo runs with the packages that it installs, without those that only the tests bring.

`requirements/run.txt` is what `make demo` installs, `requirements/dev.txt` what the tests run in; a library that uses
a package of the tests when it is there (pyarrow and pandas) hides that the product needs it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

from tests.data.awkward import make_corpus, write_recipe

ROOT = Path(__file__).parents[1]
DESIGN = """
name: packages
slices:
  lines: {where: "source = 'lines'"}
  notes: {where: "source = 'notes'"}
leave_out: [lines]
proxy: {d_model: 16, layers: 1, heads: 1, context: 16, batch: 8, dtype: float32, compile: "off"}
blocks: 2
tokens: 2048
eval_tokens: 600
choice_items: 0
max_epochs: 40
"""
BLOCKED = """
import sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
import beam_runner
for command in {commands!r}:
    sys.argv = ["mixtrace", *command]
    try:
        beam_runner.main()
    except SystemExit as end:
        if end.code:
            raise
"""


def names(file: str) -> set[str]:
    """Return the distributions of a set of requirements."""
    lines = (ROOT / "requirements" / file).read_text("utf-8").splitlines()
    return {_normal(line.partition("==")[0]) for line in lines if re.match(r"[A-Za-z0-9]", line)}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.partition("[")[0].strip()).lower()


def modules_of_tests() -> set[str]:
    """Return the modules that no distribution of `run.txt` brings."""
    run, dev = names("run.txt"), names("dev.txt")
    owners = {module: {_normal(name) for name in of} for module, of in packages_distributions().items()}
    return {module for module, of in owners.items() if of & dev and not of & run}


def test_a_study_needs_no_package_of_the_tests(tmp_path: Path) -> None:
    blocked = modules_of_tests()
    assert {"pandas", "lm_eval", "pytest"} <= blocked
    assert not {"pyarrow", "torch", "duckdb", "altair"} & blocked
    make_corpus(tmp_path, documents=300)
    split = {"heldout_fraction": 0.15, "min_heldout_bytes": 1000, "max_heldout_fraction": 0.3}
    recipe = write_recipe(tmp_path, split=split)
    workspace, design = str(tmp_path / "ws"), tmp_path / "design.yaml"
    design.write_text(DESIGN)
    commands = [
        ["curate", str(recipe), "--out", workspace, "--workers", "1"],
        ["verify", workspace, "--workers", "1"],
        ["export", "npy", workspace],
        ["design", "plan", workspace, str(design)],
        ["train", workspace, str(design), "--workers", "1"],
        ["effects", workspace],
        ["report", "build", workspace],
    ]
    code = BLOCKED.format(blocked=sorted(blocked), commands=commands)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "default"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "report.html" in done.stdout
