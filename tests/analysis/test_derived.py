"""Sums and differences of effects: against a plain t test, for shared and separate families, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis import records
from analysis.derived import derive
from analysis.designs import Contrast
from analysis.effects import Study, measure
from pipelines.contracts.errors import InputError

CELLS = tuple(f"w{i}" for i in range(8))
BLOCKS = 5


def contrast(cell: str, target: str = "a", family: str = "cross-slice", factor: float = 1.0) -> Contrast:
    return Contrast(
        f"{cell} on {target}",
        family,
        cell,
        target,
        "kept",
        "bpb",
        "named",
        {cell: factor, "full": -factor},
        0.02,
        0,
        "",
    )


def study(loud_baseline: float = 1.0) -> Study:
    rng = np.random.default_rng(0)
    values = {}
    for block in range(BLOCKS):
        for target in "ab":
            values["full", block, "bpb", target, "kept"] = 3 + rng.normal(0, 0.01 * loud_baseline)
            for at, cell in enumerate(CELLS):
                values[cell, block, "bpb", target, "kept"] = 3 + 0.1 * at + rng.normal(0, 0.01)
    return Study(records.RUNS.empty_table(), values, {})


CONTRASTS = [contrast(cell, target) for cell in CELLS for target in "ab"]


def test_a_single_contrast_is_its_row_of_effects() -> None:
    found, row = derive(study(), CONTRASTS, {"w3 on a": 1.0}, BLOCKS), measure(study(), CONTRASTS, BLOCKS, "d")[6]
    assert row["contrast"] == "w3 on a"
    assert found["estimate"] == pytest.approx(row["estimate"])
    assert found["se"] == pytest.approx(row["se"], rel=0.02)


def test_a_loud_baseline_cancels_in_a_difference() -> None:
    runs = study(loud_baseline=20.0)
    found = derive(runs, CONTRASTS, {"w7 on a": 1.0, "w6 on a": -1.0}, BLOCKS)
    apart = np.array([[runs.values[cell, b, "bpb", "a", "kept"] for b in range(BLOCKS)] for cell in ("w7", "w6")])
    assert found["estimate"] == pytest.approx((apart[0] - apart[1]).mean())
    alone = measure(runs, CONTRASTS, BLOCKS, "d")[14]["se"]
    assert found["se"] < 1.1 * alone
    assert found["lo"] < 0.1 < found["hi"]


def test_contrasts_of_different_families_borrow_nothing() -> None:
    runs = study()
    contrasts = [contrast("w0"), contrast("w1", family="own-slice"), *CONTRASTS[4:]]
    found = derive(runs, contrasts, {"w1 on a": 1.0, "w0 on a": -1.0}, BLOCKS)
    w0, w1 = ([runs.values[cell, b, "bpb", "a", "kept"] for b in range(BLOCKS)] for cell in ("w0", "w1"))
    plain = stats.ttest_rel(w1, w0)
    assert found["p"] == pytest.approx(plain.pvalue)
    assert found["df"] == BLOCKS - 1


def test_a_contrast_in_other_units_keeps_its_own() -> None:
    contrasts = [*CONTRASTS[:-1], contrast("w7", "b", factor=10.0)]
    tenfold = derive(study(), contrasts, {"w7 on b": 1.0}, BLOCKS)
    plain = derive(study(), CONTRASTS, {"w7 on b": 1.0}, BLOCKS)
    for name in ("estimate", "se", "lo", "hi"):
        assert tenfold[name] == pytest.approx(10 * plain[name])
    assert tenfold["p"] == pytest.approx(plain["p"])


def test_what_cannot_be_combined_is_refused() -> None:
    with pytest.raises(InputError, match=r"no such contrast.*Did you mean 'w1 on a'"):
        derive(study(), CONTRASTS, {"w1 on aa": 1.0}, BLOCKS)
    with pytest.raises(InputError, match="different places"):
        derive(study(), CONTRASTS, {"w1 on a": 1.0, "w1 on b": 1.0}, BLOCKS)
    with pytest.raises(InputError, match="1 complete blocks"):
        derive(study(), CONTRASTS, {"w1 on a": 1.0}, 1)
