"""From scores of units to contrasts of a design: what an attribution predicts that retraining would measure.

A unit's score is the loss per token of the target if all of its T tokens are removed and nothing takes their place; to
first order each of its tokens is worth tau / T. A cell is then predicted by the tokens it has of each unit, and a
contrast by the sum of its cells:

    predicted = - sum over cells of coefficient * sum over units of tokens(cell, unit) * tau(unit) / T(unit)

For a leave-out with proportional fill this is science-notes 27: tau_k - T_k * sum over j of w_j / (1 - w_k) * tau_j / T_j.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.designs import Contrast

INTERVAL_POPULATION = "this held-out text, new seeds of the models that were scored; not the error of the method"
Query = tuple[str, str]
"""Target and population."""


@dataclass(frozen=True)
class TokenScores:
    """What a training token of each unit is worth to each query.

    Attributes:
        method: name of the attributor.
        units: names.
        queries: (target, population).
        per_token: [blocks, units, queries] nats per token of the query if one training token is removed.
        bytes_per_token: by query, of the held-out text.
    """

    method: str
    units: tuple[str, ...]
    queries: tuple[Query, ...]
    per_token: np.ndarray
    bytes_per_token: Mapping[Query, float]


def from_attribution(
    scores: TokenScores, contrasts: Sequence[Contrast], tokens: Mapping[str, np.ndarray], note: str | None = None
) -> list[dict]:
    """Predict contrasts in bits per byte.

    Controls are no question to a linear method (their mixtures are the baseline's), other metrics are not its units,
    and a target that is no held-out text (the utility) was not asked: none of these has a row. A contrast with a cell whose tokens are unknown has a row with that reason.

    Args:
        scores: of one method.
        contrasts: of the design.
        tokens: cell to [units] training tokens.
        note: what to know about the method (its LDS), put into every row.

    Returns:
        Rows of `records.ESTIMATES` with `interval_population`; an interval over blocks, no p: a prediction decides nothing.
    """
    rows = []
    for contrast in contrasts:
        query = (contrast.target, contrast.population)
        if contrast.metric != "bpb" or contrast.family == "controls" or query not in scores.queries:
            continue
        row = {**contrast.labels(), "method": scores.method, "n_blocks": len(scores.per_token), "reason": note,
               "interval_population": INTERVAL_POPULATION}  # fmt: skip
        unknown = sorted(cell for cell in contrast.coef if cell not in tokens)
        if unknown:
            rows.append({**row, "reason": f"tokens of {', '.join(unknown)} are unknown"})
            continue
        drawn = np.sum([factor * tokens[cell] for cell, factor in contrast.coef.items()], axis=0)
        nats = -scores.per_token[:, :, scores.queries.index(query)] @ drawn  # [blocks]
        rows.append(row | _estimate(nats / math.log(2) / scores.bytes_per_token[query]))
    return rows


def _estimate(values: np.ndarray) -> dict[str, float | None]:
    """Summarise [blocks] values in bits per byte."""
    n = len(values)
    mean = float(values.mean())
    if n < 2:
        return {"estimate": mean, "se": None, "df": None, "lo": None, "hi": None}
    se = float(values.std(ddof=1) / math.sqrt(n))
    half = float(stats.t.ppf(0.975, n - 1)) * se
    return {"estimate": mean, "se": se, "df": float(n - 1), "lo": mean - half, "hi": mean + half}
