"""All studies, by name: which target of the Makefile runs them, and in which order the page shows them."""

from __future__ import annotations

import importlib
from typing import cast

from benchmarks.science.contract import Study

STUDIES: dict[str, str] = {
    "simulations": "science",
    "oracles": "science",
    "truth": "science",
    "canary": "science",
    "convex": "science",
    "factorial": "science-factorial",
    "lds": "science-lds",
    "swarm_ngram": "science-swarm",
    "swarm": "science-swarm",
    "ladder": "science-ladder",
}
"""Name of the module to target of the Makefile."""


def module_of(name: str) -> Study:
    """Import a study."""
    return cast(Study, importlib.import_module(f"benchmarks.science.{name}"))


def names_of(target: str) -> list[str]:
    """Return the studies of a target, in order."""
    return [name for name, of in STUDIES.items() if of == target]
