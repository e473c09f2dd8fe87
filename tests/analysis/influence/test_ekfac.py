"""EK-FAC: on the convex oracle against retraining; the Fisher against its definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analysis.influence import ekfac
from analysis.influence.convex import HashedSoftmax
from tests.analysis.influence.conftest import CONTEXT, L2, VOCAB, Oracle


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_predicts_retraining_of_the_convex_model(oracle: Oracle) -> None:
    twin = HashedSoftmax(VOCAB, CONTEXT, oracle.fit.theta)
    weights = {"theta": torch.from_numpy(oracle.fit.theta.copy())}
    tokens = sum(unit.tokens for unit in oracle.units)
    tau = ekfac.ekfac(twin, weights, oracle.rows, tokens, damping=L2).score(oracle.units, oracle.queries)
    measured = oracle.problem.leave_one_out(oracle.fit.theta, oracle.masks, [oracle.data(q) for q in oracle.queries])
    assert np.corrcoef(tau.ravel(), measured.ravel())[0, 1] > 0.95
    slope = (tau * measured).sum() / (tau**2).sum()  # nats per token, not something in proportion to it
    assert 0.6 < slope < 1.6


def test_the_fisher_is_the_hessian_of_the_convex_model(oracle: Oracle) -> None:
    """In its own basis the eigenvalues are the diagonal of the exact Hessian, up to sampling."""
    twin = HashedSoftmax(VOCAB, CONTEXT, oracle.fit.theta)
    rows = np.tile(oracle.rows, (20, 1))
    old, ekfac.MAX_SIDE = ekfac.MAX_SIDE, 0
    try:
        (fisher,) = ekfac.measure_fisher(twin, rows, seed=3)
    finally:
        ekfac.MAX_SIDE = old
    assert fisher.left is None
    assert fisher.right is None
    logits = torch.from_numpy(oracle.problem.data.features @ oracle.fit.theta)
    p = logits.softmax(-1).numpy()
    features = oracle.problem.data.features
    exact = features.power(2).T @ (p * (1 - p)) / len(p)
    found = fisher.eigenvalues.numpy()
    assert np.corrcoef(found.ravel(), exact.ravel())[0, 1] > 0.99
    assert found.sum() == pytest.approx(exact.sum(), rel=0.05)


def test_solving_undoes_the_damped_fisher(oracle: Oracle) -> None:
    twin = HashedSoftmax(VOCAB, CONTEXT, oracle.fit.theta)
    (fisher,) = ekfac.measure_fisher(twin, oracle.rows, seed=3)
    value = torch.randn(fisher.eigenvalues.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(fisher.rotate(fisher.rotate(value), back=True), value)
    solved = fisher.solve(value, damping=0.1)
    torch.testing.assert_close(fisher.rotate(fisher.rotate(solved) * (fisher.eigenvalues + 0.1), back=True), value)
