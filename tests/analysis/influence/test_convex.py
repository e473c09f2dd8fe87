"""The oracle itself: gradients against finite differences, the optimum against scipy, influence against retraining."""

from __future__ import annotations

import numpy as np
import torch
from scipy import optimize

from analysis.influence.convex import GRADIENT_NORM, HashedSoftmax
from tests.analysis.influence.conftest import BUCKETS, CONTEXT, VOCAB, Oracle


def test_the_optimum_is_one(oracle: Oracle) -> None:
    everything = np.ones(len(oracle.problem.data.targets))
    assert oracle.fit.gradient_norm < GRADIENT_NORM
    assert np.linalg.norm(oracle.problem.gradient(oracle.fit.theta, everything)) < GRADIENT_NORM

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        theta = flat.reshape(BUCKETS, VOCAB)
        value = oracle.problem.nats(theta).mean() + oracle.problem.l2 / 2 * (theta**2).sum()
        return value, oracle.problem.gradient(theta, everything).reshape(-1)

    zero = np.zeros(BUCKETS * VOCAB)
    error = optimize.check_grad(lambda x: objective(x)[0], lambda x: objective(x)[1], zero + 0.1)
    assert error < 1e-5
    peer = optimize.minimize(
        objective, zero, jac=True, method="L-BFGS-B", options={"maxiter": 2000, "ftol": 1e-15, "gtol": 1e-9}
    )
    np.testing.assert_allclose(peer.x.reshape(BUCKETS, VOCAB), oracle.fit.theta, atol=1e-5)


def test_the_influence_function_is_the_first_order_of_retraining(oracle: Oracle) -> None:
    queries = [oracle.data(query) for query in oracle.queries]
    predicted = oracle.problem.influence(oracle.fit.theta, oracle.masks, queries)
    measured = oracle.problem.leave_one_out(oracle.fit.theta, oracle.masks, queries)
    assert np.corrcoef(predicted.ravel(), measured.ravel())[0, 1] > 0.98
    own = np.repeat(np.eye(4, dtype=bool), 4, axis=0)
    assert (measured[own] > 0).all()  # without its own language a query is predicted worse: positive = helps
    assert (np.sign(predicted) == np.sign(measured))[np.abs(measured) > 0.02].all()


def test_the_error_vanishes_with_the_share_of_a_unit_that_is_removed(oracle: Oracle) -> None:
    """To first order: removing a share e of a unit has error O(e^2), so error / e falls in proportion to e."""
    query, mask = oracle.data(oracle.queries[0]), oracle.masks[0]
    slope = oracle.problem.influence(oracle.fit.theta, [mask], [query])[0, 0]
    before = oracle.problem.nats(oracle.fit.theta, query).mean()
    errors = []
    for share in (0.2, 0.02):
        theta = oracle.problem.fit(1 - share * mask, start=oracle.fit.theta).theta
        errors.append(abs((oracle.problem.nats(theta, query).mean() - before) / share - slope))
    assert errors[1] < 0.15 * errors[0]


def test_the_torch_twin_is_the_same_model(oracle: Oracle) -> None:
    twin = HashedSoftmax(VOCAB, CONTEXT, oracle.fit.theta)
    query = oracle.queries[1]
    nats = twin.nats(torch.from_numpy(query.rows))
    np.testing.assert_allclose(
        nats.detach().numpy().ravel(), oracle.problem.nats(oracle.fit.theta, oracle.data(query)), rtol=1e-12
    )
