"""Laws: gradients against finite differences, known laws recovered, invariances, the solver against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from analysis.laws.boosted_trees import LightGBMLaw
from analysis.laws.catalogue import LAWS
from analysis.laws.exponential import ExponentialLaw, exponential_model
from analysis.laws.least_squares import RESIDUAL_SCALE, Problems, minimise, spread
from analysis.laws.linear import LinearLaw, LogLinearLaw
from analysis.laws.power import PowerLaw, power_model
from pipelines.contracts.errors import InputError
from tests.analysis.laws.swarms import SLICES, TARGETS, mixtures, power_losses

SMOOTH = [LinearLaw(), LogLinearLaw(), ExponentialLaw(), PowerLaw()]
MODELS = {power_model: SLICES + 5, exponential_model: SLICES + 1}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_jacobians_equal_central_differences(model) -> None:
    rng = np.random.default_rng(3)
    theta, weights = 0.5 * rng.standard_normal((2, MODELS[model])), mixtures(7)
    weights[0] = [0, 0.5, 0.5, 0, 0]
    _, jacobian = model(theta, weights)
    for k in range(theta.shape[1]):
        step = np.zeros_like(theta)
        step[:, k] = 1e-6
        difference = (model(theta + step, weights)[0] - model(theta - step, weights)[0]) / 2e-6
        np.testing.assert_allclose(jacobian[:, :, k], difference, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("law", SMOOTH, ids=lambda law: type(law).__name__)
def test_gradients_equal_central_differences(law) -> None:
    weights = mixtures(40)
    curve = law.fit(weights, power_losses(weights, 0.01))
    at = np.full(SLICES, 1 / SLICES)
    steps = 1e-6 * np.eye(SLICES)
    difference = ((curve.mean(at + steps) - curve.mean(at - steps)) / 2e-6).T
    np.testing.assert_allclose(curve.gradient(at), difference, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("law", SMOOTH, ids=lambda law: type(law).__name__)
def test_smooth_laws_are_convex(law) -> None:
    weights = mixtures(40)
    curve = law.fit(weights, power_losses(weights, 0.01))
    a, b = mixtures(200, 1), mixtures(200, 2)
    assert (curve.mean((a + b) / 2) <= (curve.mean(a) + curve.mean(b)) / 2 + 1e-9).all()


def test_a_linear_law_is_recovered() -> None:
    weights, slopes = mixtures(40), np.random.default_rng(1).standard_normal((TARGETS, SLICES))
    fresh = mixtures(50, 9)
    found = LinearLaw(1e-10).fit(weights, 3 + weights @ slopes.T)
    np.testing.assert_allclose(found.mean(fresh), 3 + fresh @ slopes.T, atol=1e-6)
    logs = LogLinearLaw(1e-10).fit(weights, np.exp(1 + weights @ slopes.T))
    np.testing.assert_allclose(np.log(logs.mean(fresh)), 1 + fresh @ slopes.T, atol=1e-6)


def test_ridge_equals_the_augmented_least_squares() -> None:
    weights = mixtures(30)
    values = power_losses(weights, 0.05)
    unit, strength = values.std(0), 1e-2
    for t in range(TARGETS):
        top = np.column_stack([np.ones(30), weights - weights.mean(0)])
        below = np.column_stack([np.zeros(SLICES), np.sqrt(30 * strength) * np.eye(SLICES)])
        rows = np.append(values[:, t] / unit[t], np.zeros(SLICES))
        solved = np.linalg.lstsq(np.vstack([top, below]), rows, rcond=None)[0]
        expected = unit[t] * (solved[0] + (mixtures(5, 4) - weights.mean(0)) @ solved[1:])
        np.testing.assert_allclose(LinearLaw(strength).fit(weights, values).mean(mixtures(5, 4))[:, t], expected)


def test_an_exponential_law_is_recovered() -> None:
    weights, fresh = mixtures(60), mixtures(50, 9)
    slopes = np.random.default_rng(1).standard_normal((TARGETS, SLICES))
    found = ExponentialLaw(1e-9).fit(weights, 2 + np.exp(weights @ slopes.T))
    np.testing.assert_allclose(found.mean(fresh), 2 + np.exp(fresh @ slopes.T), atol=2e-3)


def test_a_power_law_is_recovered_and_beats_the_others() -> None:
    weights, fresh = mixtures(60), mixtures(100, 9)
    truth = power_losses(fresh)
    error = {law: np.abs(law.fit(weights, power_losses(weights)).mean(fresh) - truth).max()
             for law in (PowerLaw(1e-7), ExponentialLaw(1e-7), LinearLaw(1e-7))}  # fmt: skip
    exact, *others = error.values()
    assert exact < 0.01
    assert exact < min(others) / 5


def test_one_outlier_moves_a_robust_law_little() -> None:
    weights, fresh = mixtures(60), mixtures(100, 9)
    values = power_losses(weights, 0.01)
    values[0] += 5
    found = PowerLaw(1e-4).fit(weights, values).mean(fresh)
    assert np.abs(found - power_losses(fresh)).mean() < 0.1


def test_the_solver_finds_what_scipy_finds() -> None:
    weights = mixtures(40)
    scaled = (power_losses(weights, 0.02) / spread(power_losses(weights, 0.02), np.ones(40))).T
    centre = np.zeros((TARGETS, SLICES + 1))
    precision = np.full(SLICES + 1, 1e-3)
    problems = Problems(scaled, np.ones(40), centre, precision, RESIDUAL_SCALE)
    _, cost = minimise(lambda theta: exponential_model(theta, weights), problems, centre, tolerance=1e-12)

    def objective(theta: np.ndarray, target: int) -> float:
        z = ((scaled[target] - exponential_model(theta[None], weights)[0][0]) / RESIDUAL_SCALE) ** 2
        return 2 * RESIDUAL_SCALE**2 * (np.sqrt(1 + z) - 1).sum() + precision @ theta**2

    for target in range(TARGETS):
        found = optimize.minimize(
            objective, centre[target], args=(target,), method="L-BFGS-B", options={"maxiter": 5000}
        )
        assert cost[target] == pytest.approx(found.fun, rel=1e-3)


@pytest.mark.parametrize("law", [*SMOOTH, LightGBMLaw()], ids=lambda law: type(law).__name__)
def test_targets_are_fitted_independently_and_again_the_same(law) -> None:
    weights = mixtures(50)
    values = power_losses(weights, 0.02)
    together, fresh = law.fit(weights, values), mixtures(20, 9)
    np.testing.assert_array_equal(together.mean(fresh), law.fit(weights, values).mean(fresh))
    alone = np.column_stack([law.fit(weights, values[:, [t]]).mean(fresh)[:, 0] for t in range(TARGETS)])
    np.testing.assert_allclose(together.mean(fresh), alone, rtol=1e-9)


@settings(max_examples=5, deadline=None)
@given(order=st.permutations(range(SLICES)), rows=st.randoms(use_true_random=False), factor=st.floats(0.1, 10))
@pytest.mark.parametrize("law", SMOOTH, ids=lambda law: type(law).__name__)
def test_order_and_units_do_not_matter(law, order, rows, factor) -> None:
    weights = mixtures(30)
    values, fresh = power_losses(weights, 0.02), mixtures(20, 9)
    expected = law.fit(weights, values).mean(fresh)
    shuffled = rows.sample(range(30), 30)
    found = law.fit(weights[shuffled][:, order], values[shuffled]).mean(fresh[:, order])
    np.testing.assert_allclose(found, expected, rtol=2e-3)
    np.testing.assert_allclose(law.fit(weights, factor * values).mean(fresh), factor * expected, rtol=2e-3)


@pytest.mark.parametrize("law", SMOOTH, ids=lambda law: type(law).__name__)
def test_counts_equal_repeated_rows(law) -> None:
    weights = mixtures(30)
    values, counts = power_losses(weights, 0.02), np.arange(30) % 3
    repeated = law.fit(np.repeat(weights, counts, axis=0), np.repeat(values, counts, axis=0))
    found = law.fit(weights, values, counts.astype(float))
    np.testing.assert_allclose(found.mean(mixtures(9, 9)), repeated.mean(mixtures(9, 9)), rtol=1e-4)


def test_trees_equal_the_published_recipe() -> None:
    import lightgbm

    weights = mixtures(60)
    values = power_losses(weights, 0.02)[:, :1]
    recipe = lightgbm.LGBMRegressor(
        boosting_type="gbdt", objective="regression", n_estimators=1000, random_state=42, learning_rate=1e-2, verbosity=-1, n_jobs=1
    )  # fmt: skip
    expected = recipe.fit(weights, values[:, 0]).booster_.predict(mixtures(20, 9))
    np.testing.assert_array_equal(LightGBMLaw().fit(weights, values).mean(mixtures(20, 9))[:, 0], expected)


def test_a_logarithm_needs_positive_values() -> None:
    with pytest.raises(InputError, match="positive values"):
        LogLinearLaw().fit(mixtures(10), -power_losses(mixtures(10)))


def test_every_law_of_the_issue_is_in_the_catalogue() -> None:
    assert list(LAWS) == ["linear", "log-linear", "exponential", "power", "LightGBM"]
