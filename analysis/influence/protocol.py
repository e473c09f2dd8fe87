"""What is attributed to what: units of training text, queries of held-out text, and who answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Unit:
    """Training text that may be removed as a whole.

    Attributes:
        name: name.
        rows: [rows, context + 1] int64 rows of it as training saw them, all or a sample.
        tokens: training tokens that the unit contributed to the run; the rows' mean speaks for all of them.
    """

    name: str
    rows: np.ndarray
    tokens: int


@dataclass(frozen=True)
class Query:
    """Held-out text whose mean loss is explained.

    Attributes:
        name: name.
        rows: [rows, context + 1] int64, padded (`perplexity.cut_windows`).
        mask: [rows, context] bool: which of rows[:, 1:] count.
    """

    name: str
    rows: np.ndarray
    mask: np.ndarray


class Attributor(Protocol):
    """Predicts what removal of units does to queries.

    Attributes:
        method: name of the method, as tables show it.
    """

    @property
    def method(self) -> str:
        """Name of the method."""
        ...

    def score(self, units: Sequence[Unit], queries: Sequence[Query]) -> np.ndarray:
        """Return [units, queries] float64 nats per token of the query if the unit is removed, fill = none."""
        ...
