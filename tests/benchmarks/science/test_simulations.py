"""The simulations, small: rates with their Monte-Carlo errors, and claims that a wrong statistic breaks."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from benchmarks.science import simulations
from benchmarks.science.simulated_noise import NOISES, differences, paired_sd


@pytest.fixture(scope="module")
def found() -> dict:
    return simulations.measure(None, simulations.SMALL)


def test_every_claim_holds_within_its_monte_carlo_error(found: dict) -> None:
    broken = [claim for claim in simulations.claims(found) if not claim.holds]
    assert not broken
    assert len(found["scenarios"]) == 9


def test_errors_are_those_of_correlated_contrasts(found: dict) -> None:
    """Ten contrasts of one baseline are fewer than ten independent tests: their error is larger than the binomial's."""
    repetitions, contrasts = simulations.SMALL.repetitions, simulations.SMALL.contrasts
    rate, error = found["scenarios"][0]["coverage"]
    assert error > (rate * (1 - rate) / (repetitions * contrasts)) ** 0.5
    assert error < (rate * (1 - rate) / repetitions) ** 0.5 * 1.2


@pytest.mark.parametrize("name", ["coverage", "false_positives", "fdr_bh", "any_by", "power"])
def test_a_rate_that_is_off_breaks_a_claim(found: dict, name: str) -> None:
    wrong = copy.deepcopy(found)
    row = wrong["scenarios"][1]
    row[name] = [0.5, row[name][1]]
    assert sum(not claim.holds for claim in simulations.claims(wrong)) == 1


def test_looking_without_spending_is_shown_to_be_too_much(found: dict) -> None:
    none, *spent = found["looks"]
    assert none["false_positives"][0] > 0.08
    assert all(row["false_positives"][0] < none["false_positives"][0] for row in spent)


def test_a_shared_baseline_correlates_equally_noisy_contrasts_by_one_half() -> None:
    for noise in NOISES:
        draws = differences(np.random.default_rng(0), noise, 20_000, 4, 2)[:, :, 0]
        assert draws.std(axis=0) == pytest.approx(paired_sd(noise, 4), rel=0.05)
        if noise != "heteroscedastic":
            assert np.corrcoef(draws.T)[0, 1] == pytest.approx(0.5, abs=0.02)


def test_the_page_has_a_row_per_scenario(found: dict) -> None:
    text = "\n".join(simulations.lines(found))
    assert text.count("| heteroscedastic |") == 3
    assert "| obrien_fleming | 3, 5, 10 |" in text
    assert "coverage" in simulations.charts(found)
