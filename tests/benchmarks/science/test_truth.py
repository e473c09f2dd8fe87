"""Intervals of subsets against blocks held apart: right noise is covered, wrong intervals are noticed; a tiny study runs."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from scipy import stats

from analysis.records import list_studies
from benchmarks.science import truth
from benchmarks.science.contract import Bench
from benchmarks.science.held_apart import coverage, expected, subsets_of

ONE = np.array(["a"])


def normal(contrasts: int, blocks: int, mean: float = 0.0, seed: int = 0) -> np.ndarray:
    return mean + np.random.default_rng(seed).normal(0, 0.02, (contrasts, blocks))


def test_coverage_is_that_of_scipy_by_hand() -> None:
    values = normal(1, 6, 0.01)
    subsets = subsets_of(6, 3, 100)
    assert subsets.tolist() == [list(one) for one in itertools.combinations(range(6), 3)]
    apart, widened, whole, found, wrong = [], [], [], [], []
    for subset in subsets:
        mine = values[0, subset]
        low, high = stats.t.interval(0.95, 2, mine.mean(), stats.sem(mine))
        other, p = np.delete(values[0], subset).mean(), stats.ttest_1samp(mine, 0).pvalue
        apart.append(low <= other <= high)
        widened.append(abs(other - mine.mean()) <= (high - mine.mean()) * np.sqrt(2))
        whole.append(low <= values.mean() <= high)
        found.append(p <= 0.05)
        wrong.append(p <= 0.05 and mine.mean() * values.mean() < 0)
    measured = coverage(values, ONE, 3, subsets)
    assert measured.apart_nominal == pytest.approx(1 - 2 * stats.t.sf(stats.t.ppf(0.975, 2) / np.sqrt(2), 2))
    got = (measured.apart, measured.widened, measured.whole, measured.found, measured.wrong_sign)
    assert got == pytest.approx([np.mean(one) for one in (apart, widened, whole, found, wrong)])


def test_right_noise_is_covered_at_the_nominal_rate() -> None:
    groups = np.array(["a"] * 300)
    measured = coverage(normal(300, 10), groups, 5, subsets_of(10, 5, 20))
    assert measured.apart == pytest.approx(measured.apart_nominal, abs=0.03)
    assert measured.widened == pytest.approx(0.95, abs=0.03)
    assert measured.apart < measured.widened < 1


def test_blocks_that_are_not_alike_are_noticed() -> None:
    drift = normal(12, 16) + np.repeat([0.0, 0.15], 8)  # half of the blocks saw something else
    groups = np.array(["a"] * 12)
    subsets = np.array([[0, 1, 2, 3, 4], [8, 9, 10, 11, 12]])
    low, _ = expected(normal(12, 16), groups, 5, 20, 10)["apart"]
    assert coverage(drift, groups, 5, subsets).apart < low


def test_a_sample_of_subsets_has_no_repetition() -> None:
    found = subsets_of(16, 5, 50)
    assert found.shape == (50, 5)
    assert len({tuple(row) for row in found.tolist()}) == 50


def test_a_tiny_study_is_trained_once(bench: Bench) -> None:
    settings = dataclasses.replace(truth.SMALL, blocks=3)
    found = truth.measure(bench, settings)
    runs = sorted(bench.folder.glob("workspace/analysis/*/runs/*/run.json"))
    before = {path: path.stat().st_mtime_ns for path in runs}
    assert found == truth.measure(bench, settings)
    assert {path: path.stat().st_mtime_ns for path in runs} == before
    assert len([path for path in runs if "ngram" not in str(path)]) == 4 * 3
    assert not list_studies(bench.workspace)  # the curated workspace stays as it was
    assert [row["cell"] for row in found["contrasts"]] == ["without_lines"] * 3 + ["sham"] * 3 + ["shuffle"] * 3
    assert found["subsets"] == 3
    assert len(truth.claims(found)) == 3
    assert "| sham | notes | controls |" in "\n".join(truth.lines(found))
    assert truth.charts(found)["blocks"]["layer"]


def test_incomplete_blocks_are_refused() -> None:
    values = normal(2, 4)
    values[1, 2] = np.nan
    contrasts = [{"cell": cell, "target": "t", "family": "controls"} for cell in truth.CONTROLS]
    with pytest.raises(ValueError, match=r"missing or diverged: \['shuffle'\]"):
        truth.judged(values, contrasts, truth.SMALL)


def test_claims_fail_where_they_must() -> None:
    contrasts = [{"cell": cell, "target": "t", "family": "controls"} for cell in truth.CONTROLS]
    values = np.stack([normal(1, 4, 0.3, 1)[0], normal(1, 4, -0.3, 2)[0]])
    found = truth.judged(values, contrasts, truth.SMALL)
    assert [claim.holds for claim in truth.claims(found)][:2] == [False, False]
