"""Optima: the projection, the certificate, limits, baselines, the credible set and confirmation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from analysis.laws.baselines import mixmin, regmix, uniform
from analysis.laws.boosted_trees import LightGBMLaw
from analysis.laws.capped_simplex import best_corner, lower_limits, minimise_convex, project, upper_limits
from analysis.laws.confirmation import confirm
from analysis.laws.linear import LinearLaw
from analysis.laws.optimum import best_mixture, compare, credible_set
from analysis.laws.power import PowerLaw
from pipelines.contracts.errors import ConfigError, InputError
from tests.analysis.laws.swarms import SLICES, TARGETS, mixtures, power_losses

EQUAL = np.full(TARGETS, 1 / TARGETS)
FREE = np.ones(SLICES)
NATURAL = np.array([0.1, 0.1, 0.1, 0.3, 0.4])
caps = st.lists(st.floats(0.05, 1), min_size=2, max_size=8).filter(lambda some: sum(some) >= 1)


@settings(max_examples=60, deadline=None)
@given(caps, st.integers(0, 1000))
def test_the_projection_is_the_nearest_mixture(upper: list[float], seed: int) -> None:
    limits = np.array(upper)
    weights = np.random.default_rng(seed).dirichlet(np.full(len(limits), 0.5)) + 1e-6
    found = project(weights, limits)
    assert found.sum() == pytest.approx(1)
    assert (found <= limits * (1 + 1e-9)).all()
    low, high = 0.0, 1e9
    for _ in range(200):  # oracle: bisection of the scale
        middle = (low + high) / 2
        low, high = (middle, high) if np.minimum(limits, middle * weights).sum() < 1 else (low, middle)
    np.testing.assert_allclose(found, np.minimum(limits, high * weights), atol=1e-7)


@settings(max_examples=30, deadline=None)
@given(caps, st.integers(0, 1000))
def test_the_best_corner_solves_the_linear_program(upper: list[float], seed: int) -> None:
    gradient = np.random.default_rng(seed).standard_normal(len(upper))
    solved = optimize.linprog(gradient, A_eq=np.ones((1, len(upper))), b_eq=[1], bounds=[(0, cap) for cap in upper])
    assert gradient @ best_corner(gradient, np.array(upper)) == pytest.approx(solved.fun, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(caps, st.integers(0, 1000))
def test_the_gap_bounds_the_distance_from_the_minimum(upper: list[float], seed: int) -> None:
    limits, rng = np.array(upper), np.random.default_rng(seed)
    target = rng.dirichlet(np.ones(len(limits)))

    def objective(weights: np.ndarray) -> tuple[float, np.ndarray]:
        return float(((weights - target) ** 2).sum()), 2 * (weights - target)

    found = minimise_convex(objective, np.full(len(limits), 1 / len(limits)), limits, tolerance=1e-7)
    exact = optimize.minimize(
        lambda w: objective(w)[0], project(target + 1e-9, limits), jac=lambda w: objective(w)[1], method="SLSQP",
        bounds=[(0, cap) for cap in upper], constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-14, "maxiter": 500},
    )  # fmt: skip
    assert found.gap <= 1e-5
    assert found.value <= exact.fun + found.gap + 1e-9


@settings(max_examples=40, deadline=None)
@given(caps, st.integers(0, 1000))
def test_floors_are_met_as_caps_are(upper: list[float], seed: int) -> None:
    limits, rng = np.array(upper), np.random.default_rng(seed)
    lower = limits * rng.uniform(0, 1 / limits.sum(), len(limits))  # sums to less than 1
    weights = rng.dirichlet(np.full(len(limits), 0.5)) + 1e-6
    found = project(weights, limits, lower)
    low, high = 0.0, 1e9
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.clip(middle * weights, lower, limits).sum() < 1 else (low, middle)
    np.testing.assert_allclose(found, np.clip(high * weights, lower, limits), atol=1e-7)
    gradient = rng.standard_normal(len(limits))
    solved = optimize.linprog(
        gradient, A_eq=np.ones((1, len(upper))), b_eq=[1], bounds=list(zip(lower, limits, strict=True))
    )
    assert gradient @ best_corner(gradient, limits, lower) == pytest.approx(solved.fun, abs=1e-9)
    target = rng.dirichlet(np.ones(len(limits)))
    least = minimise_convex(
        lambda w: (float(((w - target) ** 2).sum()), 2 * (w - target)), weights, limits, 1e-7, lower=lower
    )
    exact = optimize.minimize(
        lambda w: ((w - target) ** 2).sum(), project(target + 1e-9, limits, lower), jac=lambda w: 2 * (w - target),
        method="SLSQP", bounds=list(zip(lower, limits, strict=True)),
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1}, options={"ftol": 1e-14, "maxiter": 500},
    )  # fmt: skip
    assert least.value <= exact.fun + least.gap + 1e-9
    assert (least.weights >= lower - 1e-9).all()


def test_the_optimum_of_a_law_is_better_than_every_random_mixture() -> None:
    weights = mixtures(60)
    curve = PowerLaw(1e-4).fit(weights, power_losses(weights, 0.01))
    for upper in (FREE, np.array([0.4, 0.3, 0.4, 0.3, 0.2])):
        found = best_mixture(curve, EQUAL, NATURAL, upper)
        drawn = np.random.default_rng(1).dirichlet(np.ones(SLICES), 20_000)
        drawn = drawn[(drawn <= upper).all(1)]
        assert len(drawn) > 100
        assert found.value <= (curve.mean(drawn) @ EQUAL).min() + 1e-5
        assert (found.weights <= upper + 1e-9).all()
        assert found.gap <= 1e-5


def test_the_known_optimum_is_found() -> None:
    weights = mixtures(200)
    curve = PowerLaw(1e-6).fit(weights, power_losses(weights))
    found = best_mixture(curve, EQUAL, NATURAL, FREE).weights
    grid = np.array([[a, a, a, (1 - 3 * a) / 2, (1 - 3 * a) / 2] for a in np.linspace(0.2, 1 / 3, 1000)])
    expected = grid[(power_losses(grid) @ EQUAL).argmin()]
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_limits_are_the_lower_of_cap_and_epochs() -> None:
    upper = upper_limits(["a", "b", "c"], {"a": 0.3}, {"a": 10, "b": 20, "c": 400}, 100, max_epochs=4)
    np.testing.assert_allclose(upper, [0.3, 0.8, 1.0])


@pytest.mark.parametrize(("arguments", "words"), [
    (({"a": 0.3, "b": 0.3},), r"most weights that sum to 0\.6000"),
    (({}, {"a": 10, "b": 10}, 100, 4), r"sum to 0\.8000"),
    (({"x": 0.3},), "unknown slice"),
    (({"a": 1.3},), "not a cap"),
    (({}, {"a": 10}, 100, 4), "no tokens for"),
    (({}, {"a": 10, "b": 10}, 0, 4), "0 tokens"),
])  # fmt: skip
def test_limits_that_cannot_be_met_are_refused(arguments: tuple, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        upper_limits(["a", "b"], *arguments)


def test_floors_that_cannot_be_met_are_refused() -> None:
    upper = np.array([0.4, 0.9])
    np.testing.assert_allclose(lower_limits(["a", "b"], {"a": 0.3}, upper), [0.3, 0])
    for floors, words in (
        ({"x": 0.1}, "unknown slice"),
        ({"a": 0.5}, "not a least weight"),
        ({"a": 0.4, "b": 0.7}, "sum to 1.1"),
    ):
        with pytest.raises(ConfigError, match=words):
            lower_limits(["a", "b"], floors, upper)


def test_a_credible_set_and_its_table() -> None:
    weights = mixtures(80)
    values = power_losses(weights, 0.01)
    law, upper = PowerLaw(1e-4), np.array([0.4, 0.4, 0.4, 0.4, 0.2])
    found = credible_set(law, weights, values, np.ones(TARGETS), NATURAL, upper, replicates=15)
    lo, hi = found.interval()
    assert ((lo <= found.best.weights + 0.02) & (found.best.weights - 0.02 <= hi)).all()
    assert (hi - lo).max() > 0
    others = {"uniform": uniform(upper), "MixMin": "no models"}
    rows = {row.name: row for row in compare(found, law.fit(weights, values), np.ones(TARGETS), NATURAL, upper, others)}
    assert list(rows) == ["natural", "optimum", "uniform", "MixMin"]
    assert rows["optimum"].gain >= rows["uniform"].gain > 0
    assert rows["optimum"].beats_natural == 1
    assert rows["optimum"].status == "not confirmed: 0 of 5 fresh-seed runs against natural"
    assert rows["natural"].status == "reference"
    assert rows["natural"].over == pytest.approx(0.2)
    assert rows["MixMin"].status == "no models"
    sure = {"optimum": confirm(np.arange(5) / 100, 1 + np.arange(5) / 90)}
    rows = compare(found, law.fit(weights, values), np.ones(TARGETS), NATURAL, upper, {}, sure)
    assert rows[1].status == "confirmed"


def test_useless_runs_promise_nothing() -> None:
    weights = mixtures(40)
    noise = 3 + np.random.default_rng(8).standard_normal((40, TARGETS))
    found = credible_set(LinearLaw(1e-2), weights, noise, EQUAL, NATURAL, FREE, replicates=60)
    lo, hi = found.interval()
    assert (hi - lo).max() > 0.9


@pytest.mark.parametrize("importance", [np.ones(2), np.array([1, -1, 1.0]), np.zeros(3)])
def test_a_utility_that_does_not_fit_is_refused(importance: np.ndarray) -> None:
    weights = mixtures(20)
    with pytest.raises(ConfigError, match="utility"):
        credible_set(LinearLaw(), weights, power_losses(weights), importance, NATURAL, FREE, 1)


def test_a_law_without_a_gradient_is_refused() -> None:
    weights = mixtures(20)
    with pytest.raises(ConfigError, match="without a gradient"):
        credible_set(LightGBMLaw(), weights, power_losses(weights), EQUAL, NATURAL, FREE, 1)


def test_regmix_is_the_mean_of_the_best_simulated_mixtures() -> None:
    weights = mixtures(80)
    utility = power_losses(weights, 0.01) @ EQUAL
    upper = np.array([1, 1, 1, 0.3, 0.3])
    found = regmix(weights, utility, NATURAL, upper, simulated=2000, top=50)
    drawn = np.random.default_rng(42).dirichlet(NATURAL, 2000)
    allowed = drawn[(drawn[:, 3] <= 0.3) & (drawn[:, 4] <= 0.3)]
    predicted = LightGBMLaw().fit(weights, utility[:, None]).mean(allowed)[:, 0]
    expected = allowed[sorted(range(len(allowed)), key=predicted.__getitem__)[:50]].mean(0)
    np.testing.assert_allclose(found, expected)
    with pytest.raises(ConfigError, match="too few mixtures"):
        regmix(weights, utility, NATURAL, np.full(SLICES, 0.2), simulated=500, top=50)


def test_mixmin_finds_the_mixture_that_made_the_items() -> None:
    rng = np.random.default_rng(0)
    models = rng.dirichlet(np.full(30, 0.3), 3)
    truth = np.array([0.6, 0.3, 0.1])
    items = rng.choice(30, size=20_000, p=truth @ models)
    found = mixmin(np.log(models[:, items]).T, np.ones(len(items)), np.ones(3))
    np.testing.assert_allclose(found.weights, truth, atol=0.03)
    capped = mixmin(np.log(models[:, items]).T, np.ones(len(items)), np.array([0.5, 1, 1]))
    assert capped.weights[0] == pytest.approx(0.5, abs=1e-4)
    assert capped.value > found.value


def test_confirmation_is_a_paired_t_interval() -> None:
    rng = np.random.default_rng(0)
    candidate, natural = rng.standard_normal(7), rng.standard_normal(7) + 5
    found = confirm(candidate, natural)
    expected = stats.ttest_rel(natural, candidate).confidence_interval(0.95)
    assert (found.lo, found.hi) == pytest.approx((expected.low, expected.high))
    assert found.status == "confirmed"
    assert confirm(natural, candidate).status == "not confirmed: worse than natural"
    assert confirm(candidate, candidate[::-1]).status == "not confirmed: the interval includes 0"


def test_few_or_lost_runs_confirm_nothing() -> None:
    four = confirm(np.zeros(4), np.ones(4) + np.arange(4) / 100)
    assert four.status == "not confirmed: 4 of 5 fresh-seed runs against natural"
    lost = confirm(np.append(np.zeros(6), np.nan), np.ones(7) + np.arange(7) / 100)
    assert lost.status == "not confirmed: 1 runs missing or diverged"
    with pytest.raises(InputError, match="not paired"):
        confirm(np.zeros(4), np.zeros(5))
