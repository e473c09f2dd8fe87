"""A convex language model on structured tokens, fitted once: the oracle of the tests of influence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from analysis.influence.convex import ConvexFit, ConvexProblem, convex_data
from analysis.influence.protocol import Query, Unit
from tests.analysis.toy import documents

VOCAB, CONTEXT, BUCKETS, L2 = 32, 16, 24, 1e-3
N_UNITS, ROWS_PER_UNIT = 16, 4


@dataclass(frozen=True)
class Oracle:
    """Units of rows whose languages differ, held-out queries, and the optimum."""

    problem: ConvexProblem
    fit: ConvexFit
    units: list[Unit]
    masks: list[np.ndarray]
    queries: list[Query]

    @property
    def rows(self) -> np.ndarray:
        """All training rows, unit by unit."""
        return np.concatenate([unit.rows for unit in self.units])

    def data(self, query: Query):
        """Return a query as the convex model reads it."""
        return convex_data(query.rows, VOCAB, BUCKETS)


def rows(n: int, seed: int, shift: int) -> np.ndarray:
    """Make rows of structured tokens; `shift` renames the tokens, so that each unit has a language of its own."""
    text = np.concatenate(documents(n * 4, seed, VOCAB))[: n * (CONTEXT + 1)].reshape(n, CONTEXT + 1)
    return np.where(text == 0, 0, (text - 1 + shift) % (VOCAB - 1) + 1)


@pytest.fixture(scope="package")
def oracle() -> Oracle:
    shifts = np.repeat([0, 3, 7, 12], 4)
    units = [Unit(f"u{i}", rows(ROWS_PER_UNIT, 10 + i, shifts[i]), ROWS_PER_UNIT * CONTEXT) for i in range(N_UNITS)]
    problem = ConvexProblem(convex_data(np.concatenate([u.rows for u in units]), VOCAB, BUCKETS), L2)
    owner = np.repeat(np.arange(N_UNITS), ROWS_PER_UNIT * CONTEXT)
    queries = [Query(f"q{s}", q := rows(8, 90 + s, s), np.ones((len(q), CONTEXT), bool)) for s in (0, 3, 7, 12)]
    fit = problem.fit(np.ones(len(owner)))
    return Oracle(problem, fit, units, [(owner == i).astype(float) for i in range(N_UNITS)], queries)
