"""One template, very many pages: time and memory of the duplicate stages.

    python -m benchmarks.duplicates.templates --pages 100000 --varying 3

The worst that a web crawl brings (calendars, product pages, error pages): pages that differ in a few words.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from benchmarks.duplicates.corpora import write_documents
from benchmarks.duplicates.workspace import StageCost, curate_until

STAGES = ("match", "components", "resolve")
_WORDS = 300


def template_pages(pages: int, varying: int, values: int = 1 << 40, seed: int = 0) -> Iterator[tuple[str, str]]:
    """Yield (url, text): 300 words, of which `varying`, at places of their own, have one of `values` values."""
    rng = random.Random(seed)
    words = [f"word{rng.randrange(10_000)}" for _ in range(_WORDS)]
    places = [(2 * i + 1) * _WORDS // (2 * varying) for i in range(varying)]
    for page in range(pages):
        for place in places:
            words[place] = f"value{rng.randrange(values):x}"
        yield f"https://shop.example/{page}", " ".join(words)


def measure(pages: int, varying: int, values: int, folder: Path) -> list[StageCost]:
    """Curate the pages of one template in this process; returns the costs of all stages up to `decide`."""
    write_documents(folder / "pages.jsonl.gz", template_pages(pages, varying, values))
    recipe = folder / "recipe.yaml"
    recipe.write_text("name: template\nsources: [{name: pages, path: pages.jsonl.gz, format: jsonl}]\n")
    return curate_until("decide", recipe, folder / "ws")


def main() -> None:
    """Measure one template; the last line is JSON, one object per stage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=int, default=100_000)
    parser.add_argument("--varying", type=int, default=3, help="words of 300 that differ from page to page")
    parser.add_argument("--values", type=int, default=1 << 40, help="how many values each of them has")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        costs = measure(options.pages, options.varying, options.values, Path(scratch))
    print(json.dumps([asdict(cost) for cost in costs]))


if __name__ == "__main__":
    main()
