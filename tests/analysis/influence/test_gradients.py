"""Attributors on the convex oracle: signs, units, tokens; and the streamed gradient against one pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis.influence.convex import HashedSoftmax
from analysis.influence.ekfac import ekfac
from analysis.influence.gradients import GradientAttributor, Point, flatten, mean_gradient, score_together
from analysis.influence.protocol import Query, Unit
from analysis.models.neural import build, initialise
from pipelines.contracts.errors import ConfigError
from tests.analysis.influence.conftest import CONTEXT, VOCAB, Oracle
from tests.analysis.toy import small_proxy


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def exact(oracle: Oracle, twin: HashedSoftmax) -> GradientAttributor:
    """Return the attributor whose matrix is the inverse of the exact Hessian."""
    everything = np.ones(len(oracle.problem.data.targets))

    def solve(gradient: torch.Tensor) -> torch.Tensor:
        right = gradient.detach().numpy().reshape(oracle.fit.theta.shape)
        moved = oracle.problem.solve(oracle.fit.theta, everything, right, tolerance=1e-10)
        return torch.from_numpy(moved.ravel())

    weights = {"theta": torch.from_numpy(oracle.fit.theta.copy())}
    tokens = sum(unit.tokens for unit in oracle.units)
    return GradientAttributor("exact", twin, [Point(weights, solve, 1.0)], tokens)


def test_with_the_exact_hessian_scores_are_the_influence_function(oracle: Oracle) -> None:
    twin = HashedSoftmax(VOCAB, CONTEXT, np.zeros_like(oracle.fit.theta))
    tau = exact(oracle, twin).score(oracle.units, oracle.queries)
    expected = oracle.problem.influence(oracle.fit.theta, oracle.masks, [oracle.data(q) for q in oracle.queries])
    np.testing.assert_allclose(tau, expected, rtol=1e-6, atol=1e-10)


def test_scores_of_rows_add_up_to_their_unit(oracle: Oracle) -> None:
    twin = HashedSoftmax(VOCAB, CONTEXT, np.zeros_like(oracle.fit.theta))
    attributor = exact(oracle, twin)
    whole = attributor.score(oracle.units[:1], oracle.queries)
    parts = attributor.score_rows(oracle.units[0].rows, oracle.queries)
    np.testing.assert_allclose(parts.sum(0), whole[0], rtol=1e-9)


def test_a_streamed_gradient_is_that_of_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build(small_proxy())
    initialise(model, 1)
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 64, (11, 17))
    mask = rng.random((11, 16)) < 0.7
    nats = model.nats(torch.from_numpy(rows))
    mean = nats[torch.from_numpy(mask)].mean()
    expected = flatten(torch.autograd.grad(mean, list(model.parameters())))
    monkeypatch.setattr("analysis.influence.gradients.BATCH_ROWS", 3)
    torch.testing.assert_close(mean_gradient(model, rows, mask), expected, rtol=1e-4, atol=1e-6)


def test_what_has_no_gradient_is_refused() -> None:
    with pytest.raises(ValueError, match="no token counts"):
        mean_gradient(build(small_proxy()), np.zeros((1, 17), np.int64), np.zeros((1, 16), bool))
    with pytest.raises(ConfigError, match="pseudo"):
        GradientAttributor("tracin", build(small_proxy(model="bert")), [], 1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_scores_are_those_of_the_cpu_on_a_gpu() -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 64, (24, 17))
    units = [Unit("a", rows[:12], 100), Unit("b", rows[12:], 100)]
    queries = [Query("q", rng.integers(0, 64, (4, 17)), np.ones((4, 16), bool))]
    made = []
    for device in ("cpu", "cuda"):
        model = build(small_proxy())
        initialise(model, 1)
        weights = {name: value.detach().clone() for name, value in model.named_parameters()}
        made.append(ekfac(model.to(device), weights, rows, 200, damping=0.01).score(units, queries))
    assert made[0].shape == made[1].shape
    assert np.corrcoef(made[0].ravel(), made[1].ravel())[0, 1] > 0.9  # other targets are sampled there


@pytest.mark.parametrize("changes", [{"model": "feedforward"}, {"model": "lstm"}, {"model": "llama", "tied": False}])
def test_every_neural_proxy_has_gradients_and_curvature(changes: dict) -> None:
    model = build(small_proxy(**changes))
    initialise(model, 1)
    weights = {name: value.detach().clone() for name, value in model.named_parameters()}
    rows = np.random.default_rng(0).integers(0, 64, (6, 17))
    mine = Query("itself", rows[:2], np.ones((2, 16), bool))
    tau = ekfac(model, weights, rows, 6 * 16).score([Unit("itself", rows[:2], 32), Unit("rest", rows[2:], 64)], [mine])
    assert tau[0, 0] > 0  # a text always helps itself: the matrix is positive
    assert tau[0, 0] > tau[1, 0]


def test_methods_scored_together_are_those_scored_alone(oracle: Oracle) -> None:
    twin = HashedSoftmax(VOCAB, CONTEXT, np.zeros_like(oracle.fit.theta))
    one = exact(oracle, twin)
    plain = replace(one, method="plain", points=[replace(one.points[0], precondition=lambda g: g, scale=2.0)])
    together = score_together([one, plain], oracle.units[:3], oracle.queries)
    for alone, found in zip((one, plain), together, strict=True):
        np.testing.assert_allclose(found, alone.score(oracle.units[:3], oracle.queries), rtol=1e-12)
    elsewhere = replace(plain, points=[replace(plain.points[0], weights={"theta": torch.zeros(1)})])
    with pytest.raises(ValueError, match="exact and plain differ in their weights"):
        score_together([one, elsewhere], oracle.units, oracle.queries)
