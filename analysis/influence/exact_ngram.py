"""Exact leave-one-out of the n-gram of the same rows: no gradient, no approximation, another model.

Raw counts of a unit are subtracted and everything else is derived again (`analysis.models.ngram`), which equals
counting without it. What it says of a neural proxy is measured like any other method's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.influence.protocol import Query, Unit
from analysis.models import LogProb
from analysis.models.ngram import add, count_rows, fit, subtract


@dataclass(frozen=True)
class ExactNgram:
    """An `Attributor`; the rows of its units must be all of the run's, not a sample.

    Attributes:
        order: tokens of an n-gram.
        vocab_size: fixed vocabulary.
        eos_id: token that ends documents.
    """

    order: int
    vocab_size: int
    eos_id: int
    method: str = "ngram"

    def score(self, units: Sequence[Unit], queries: Sequence[Query]) -> np.ndarray:
        """Return [units, queries] float64 nats per token of the query if the unit is removed, fill = none; exact."""
        counts = [count_rows(unit.rows, self.order, self.vocab_size, self.eos_id) for unit in units]
        total = add(counts)
        before = _losses(fit(total), queries)
        return np.stack([_losses(fit(subtract(total, part)), queries) - before for part in counts])


def _losses(model: LogProb, queries: Sequence[Query]) -> np.ndarray:
    """Return [queries] mean nats per token."""
    return np.array([-model.logp(query.rows, query.mask).sum() / query.mask.sum() for query in queries])
