"""What a study is: a module `benchmarks.science.NAME` with these names, and one line in `catalogue.STUDIES`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Results = dict[str, Any]
"""What a study found, as JSON: dictionaries with string keys, lists, numbers, strings, None."""


@dataclass(frozen=True)
class Bench:
    """Where a study works.

    Attributes:
        workspace: curated workspace; read, never written to.
        design: design file whose slices and weights the study takes.
        folder: the study's own folder: what lies there is not done again.
        workers: training processes.
    """

    workspace: Path
    design: Path
    folder: Path
    workers: int = 2


@dataclass(frozen=True)
class Claim:
    """One thing that must hold, and what was found; if it does not hold, `make science` fails.

    Attributes:
        text: what is claimed, as a sentence.
        found: the number or count that was found, with its unit and interval.
        holds: whether it holds.
    """

    text: str
    found: str
    holds: bool


class Study(Protocol):
    """The names of a study's module; its docstring says what it shows and opens its section of the page.

    Attributes:
        TITLE: heading of its section.
        FULL: settings of the kept results, a frozen dataclass; at most 10 minutes on 2 idle cores.
        SMALL: settings of the same type for the test of the module, seconds.
    """

    TITLE: str
    FULL: Any
    SMALL: Any

    def measure(self, bench: Bench, settings: Any) -> Results:
        """Do the work; a call after a kill goes on where it was."""

    def claims(self, results: Results) -> list[Claim]:
        """Say what must hold."""

    def lines(self, results: Results) -> list[str]:
        """Lay the results out in Markdown, without a heading."""

    def charts(self, results: Results) -> dict[str, dict[str, Any]]:
        """Draw the results: file name to Vega-Lite specification; may be empty."""
