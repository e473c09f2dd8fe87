"""Compile the kernels of a recipe once per machine, in one place, before workers start.

Without this every worker would compile the same kernels side by side (half a minute of processor time each). The way
to reach just the kernels that a recipe uses, with the types that they are called with, is to curate a few made-up
records with it, in a process of its own; a mark in the cache of the kernels says that this was done.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numba

from pipelines.beam.driver import open_workspace, run_stages
from pipelines.beam.local import LocalExecutor
from pipelines.contracts import ids
from pipelines.contracts.dedup import Dedup
from pipelines.contracts.errors import StageError, message
from pipelines.contracts.recipe import Decontaminate, EvalItems, Limits, Recipe, Source, Split, Tokenizer
from pipelines.contracts.recipe_sources import Fields
from pipelines.contracts.schemas import SIGNAL_GROUPS
from pipelines.kernels.compile import BOUNDSCHECK
from pipelines.ops.rules import signal_groups

_CONTENT = {"warc": "html", "mediawiki": "wikitext"}
_SENTENCES = (
    "Mr. O'Neill's café in Zürich opened at 9:30 on 3 May; mail to someone@example.org or call +49 30 901820.",
    "Быстрая лисица перепрыгивает через ленивую собаку, а потом долго отдыхает в тени старого дерева.",
    "敏捷的狐狸跳过了那只懒惰的狗，然后在一棵老树的阴影里休息了很长时间。",
    "def area(radius):\n    return 3.14159 * radius ** 2  # of a circle { }",
)


class _Silent:
    """A display that says nothing."""

    def stage_started(self, stage: str, todo: int, done: int) -> None:
        """A stage begins."""

    def stage_finished(self, stage: str, counts: dict[str, int]) -> None:
        """A stage is finished."""


def warm_kernels(recipe: Recipe) -> float:
    """Compile what a recipe needs, unless this machine has it.

    Returns:
        Seconds that it took; 0 if there was nothing to do.

    Raises:
        StageError: if the made-up records cannot be curated.
    """
    mark = _mark(recipe)
    if mark is None or mark.exists():
        return 0.0
    print("compiling kernels, once for this machine (about half a minute) ...", file=sys.stderr, flush=True)
    start = time.monotonic()
    command = [sys.executable, "-m", "pipelines.beam.warm"]
    done = subprocess.run(
        command, input=recipe.model_dump_json(), capture_output=True, text=True, cwd=_root(), check=False
    )
    if done.returncode:
        last = "\n".join(done.stderr.strip().splitlines()[-12:])
        raise StageError(message("kernels", "could not be compiled", last, "a few made-up records to be curated"))
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    return time.monotonic() - start


def _root() -> str:
    """Return the folder from which the packages are imported."""
    return str(Path(__file__).parents[2])


def _mark(recipe: Recipe) -> Path | None:
    """Return the file that says that the kernels of such a recipe are compiled; None if nothing is cached.

    numba keeps the kernels of every place of the package apart, so the place is part of the name.
    """
    if BOUNDSCHECK or not numba.config.CACHE_DIR:
        return None
    kinds = {"pii": bool(recipe.pii.kinds), "items": bool(recipe.decontaminate.items), "near": bool(recipe.dedup.near)}
    kinds["lines"] = bool(recipe.lines)
    body = {"signals": signal_groups(recipe), "contents": _contents(recipe), "html": recipe.extract.html, **kinds}
    return Path(numba.config.CACHE_DIR) / "warmed" / ids.fingerprint([body, numba.__version__, _root()])


def _contents(recipe: Recipe) -> list[str]:
    """Return what the records of a recipe hold."""
    return sorted({_CONTENT.get(source.format, source.fields.content) for source in recipe.sources})


def _small(recipe: Recipe, folder: Path) -> Recipe:
    """Return the recipe on two made-up files: the same kernels, without what names its sources, places or bounds."""
    sources = tuple(
        Source(name=content, path=(str(folder / "records.jsonl"),), format="jsonl", fields=Fields(content=content))
        for content in _contents(recipe)
    )
    items = EvalItems(task="t", path=(str(folder / "items.jsonl"),), id=None)
    replaced = {
        "name": "warm",
        "sources": sources,
        "sample": 1.0,
        "lines": recipe.lines and recipe.lines.model_copy(update={"sources": None, "not_sources": ()}),
        "profiles": (),
        "rules": {},
        "signals": tuple(group for group in signal_groups(recipe) if group in SIGNAL_GROUPS),
        "decontaminate": Decontaminate(items=(items,) if recipe.decontaminate.items else ()),
        "dedup": Dedup(near=recipe.dedup.near),
        "split": Split(),
        "tokenizer": Tokenizer(vocab_size=512),
        "limits": Limits(),
    }
    return recipe.model_copy(update=replaced)


def _write_records(folder: Path) -> None:
    """Write made-up records (every one twice with a small change, so that there are near-duplicates) and an item."""
    base = "\n\n".join(" ".join([sentence] * 6) for sentence in _SENTENCES)
    texts = [f"<p>{base} number {number} {end}</p>" for number in range(8) for end in ("", "once more")]
    lines = [json.dumps({"text": text, "url": f"https://example.org/{n}"}) for n, text in enumerate(texts)]
    (folder / "records.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    (folder / "items.jsonl").write_text(json.dumps({"text": " ".join(_SENTENCES)}) + "\n", "utf-8")


def main() -> None:
    """Curate the made-up records with the recipe on standard input."""
    recipe = Recipe.model_validate_json(sys.stdin.read())
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _write_records(folder)
        context, plan = open_workspace(_small(recipe, folder), str(folder / "workspace"))
        executor = LocalExecutor(1, 600.0, lambda stage, markers: None)
        run_stages(context, plan, executor, _Silent())


if __name__ == "__main__":
    main()
