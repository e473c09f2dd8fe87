"""The n-gram oracle on a small corpus; a model that differs is noticed."""

from __future__ import annotations

import numpy as np

from analysis.data import HeldOut
from analysis.models import Proxy
from analysis.models.ngram import count_rows, fit
from benchmarks.science import oracles
from benchmarks.science.contract import Bench


def test_subtraction_is_retraining(bench: Bench) -> None:
    found = oracles.measure(bench, oracles.SMALL)
    assert [row["slice"] for row in found["rows"]] == ["lines", "notes", "pages"]
    claims = oracles.claims(found)
    assert [claim.holds for claim in claims] == [True, True]
    assert all(row["entries"] > 1000 and row["tokens"] > 1000 for row in found["rows"])
    assert "| 3 | notes |" in "\n".join(oracles.lines(found))


def test_a_model_that_differs_is_noticed() -> None:
    rows = np.random.default_rng(0).integers(1, 20, (40, 9))
    models = [fit(count_rows(part, 3, 20, 0)) for part in (rows, rows[1:])]
    proxy = Proxy(model="ngram", vocab_size=20, context=8)
    names = np.array(["a", "b"])
    heldout = HeldOut("books", "kept", rows[3], np.array([0, 4, 9]), np.array([12, 15]), names, names)
    row = oracles.compared(*models, [heldout], proxy)
    assert row["different_entries"] > 0
    assert 0 < row["different_tokens"] <= row["tokens"] == 9
    assert row["bpb"] > 0
    assert [claim.holds for claim in oracles.claims({"rows": [row]})] == [False, False]
    same = oracles.compared(models[0], models[0], [heldout], proxy)
    assert [claim.holds for claim in oracles.claims({"rows": [same]})] == [True, True]
