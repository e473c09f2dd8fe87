"""The oracle of gradient methods: a language model whose influence function and retraining are both exact.

Softmax regression on hashed context features with an L2 penalty is convex: it has one optimum, which Newton's
method finds to a gradient norm below 1e-8 in float64, and the Hessian there is exact (the Fisher matrix equals it:
the link is canonical). So the influence function (Koh & Liang 2017, arXiv:1703.04730) has no error but that of the
first order, and leaving a unit out and training again takes a second.

    J(theta) = 1/N * sum of nats of the kept tokens + l2/2 * |theta|^2

N counts all tokens, kept or not, so that leaving out weighs the penalty as before: fill = none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse
import torch
from torch import nn

from analysis.models import Proxy

GRADIENT_NORM = 1e-8
MAX_NEWTON_STEPS = 60
_MULTIPLIER = 0x9E3779B1
"""Odd constant of the hash of two tokens (2^32 / golden ratio)."""


def context_features(ids: np.ndarray, buckets: int) -> np.ndarray:
    """Hash the contexts of tokens 1 .. time of each row.

    Args:
        ids: [rows, time + 1] int64.
        buckets: features; the last one is always on.

    Returns:
        [rows, time, 3] int64: hash of the token before, hash of the two before, constant.
    """
    before = ids[:, :-1]
    second = np.concatenate([before[:, :1], before[:, :-1]], 1)
    pair = (second * 8191 + before + 1) * _MULTIPLIER
    single = (before + 1) * _MULTIPLIER
    hashed = [((key >> 7) & 0xFFFFFFFF) % (buckets - 1) for key in (single, pair)]
    return np.stack([*hashed, np.full_like(before, buckets - 1)], -1)


@dataclass(frozen=True)
class ConvexData:
    """Tokens to predict.

    Attributes:
        features: [tokens, buckets] sparse, three ones per row at most.
        targets: [tokens] int64.
        vocab_size: tokens of the vocabulary.
    """

    features: scipy.sparse.csr_matrix
    targets: np.ndarray
    vocab_size: int


def convex_data(ids: np.ndarray, vocab_size: int, buckets: int) -> ConvexData:
    """Turn [rows, time + 1] ids into features and targets, in the order of reading."""
    found = context_features(ids, buckets).reshape(-1, 3)
    n = len(found)
    shape = (n, buckets)
    places = (np.repeat(np.arange(n), 3), found.reshape(-1))
    return ConvexData(
        scipy.sparse.csr_matrix((np.ones(3 * n), places), shape=shape), ids[:, 1:].reshape(-1), vocab_size
    )


@dataclass(frozen=True)
class ConvexFit:
    """An optimum with what is needed around it.

    Attributes:
        theta: [buckets, vocab] float64.
        gradient_norm: at theta.
        newton_steps: steps that it took.
    """

    theta: np.ndarray
    gradient_norm: float
    newton_steps: int


class ConvexProblem:
    """The objective J over some data.

    Args:
        data: N tokens.
        l2: strength of the penalty.
    """

    def __init__(self, data: ConvexData, l2: float) -> None:
        self.data, self.l2 = data, l2

    def nats(self, theta: np.ndarray, data: ConvexData | None = None) -> np.ndarray:
        """Return [tokens] nats of the data, or of other data."""
        chosen = data or self.data
        return -np.log(_probabilities(chosen, theta)[np.arange(len(chosen.targets)), chosen.targets])

    def gradient(self, theta: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Return [buckets, vocab] gradient of J with [tokens] weights of 0 or 1."""
        return _weighted_gradient(self.data, theta, weight / len(weight)) + self.l2 * theta

    def fit(self, weight: np.ndarray, start: np.ndarray | None = None) -> ConvexFit:
        """Find the optimum by Newton's method; each step is solved by conjugate gradients and halved if J rises.

        Args:
            weight: [tokens] 1 for tokens that are kept, 0 for those that are left out.
            start: [buckets, vocab] where to start; 0 if None.

        Raises:
            ArithmeticError: if the gradient norm is not below `GRADIENT_NORM` after `MAX_NEWTON_STEPS`.
        """
        buckets = self.data.features.shape[1]
        theta = np.zeros((buckets, self.data.vocab_size)) if start is None else start.copy()
        norm = np.inf
        for step in range(MAX_NEWTON_STEPS):
            gradient = self.gradient(theta, weight)
            norm = float(np.linalg.norm(gradient))
            if norm < GRADIENT_NORM:
                return ConvexFit(theta, norm, step)
            direction = self.solve(theta, weight, gradient, tolerance=min(1e-2, norm))
            value, size = self._objective(theta, weight), 1.0
            while self._objective(theta - size * direction, weight) > value + 1e-14:
                size /= 2
            theta = theta - size * direction
        raise ArithmeticError(f"convex model: gradient norm {norm:.1e} after {MAX_NEWTON_STEPS} steps")

    def solve(self, theta: np.ndarray, weight: np.ndarray, right: np.ndarray, tolerance: float) -> np.ndarray:
        """Solve H x = right by conjugate gradients to a relative residual; H is that of J at theta."""
        probability = _probabilities(self.data, theta)
        scaled = (weight / len(weight))[:, None]
        x, residual = np.zeros_like(right), right.copy()
        direction, before = residual.copy(), float((residual**2).sum())
        target = tolerance**2 * before
        while before > target:
            moved = self.data.features @ direction
            curved = probability * (moved - (probability * moved).sum(1, keepdims=True))
            product = self.data.features.T @ (scaled * curved) + self.l2 * direction
            step = before / float((direction * product).sum())
            x += step * direction
            residual -= step * product
            after = float((residual**2).sum())
            direction = residual + after / before * direction
            before = after
        return x

    def influence(self, theta: np.ndarray, units: list[np.ndarray], queries: list[ConvexData]) -> np.ndarray:
        """Return the influence function: [units, queries] nats per token if removed, fill = none, to first order.

        Args:
            theta: optimum of all data.
            units: [tokens] boolean masks.
            queries: held-out data.
        """
        everything = np.ones(len(self.data.targets))
        gradients = [_weighted_gradient(self.data, theta, unit / len(unit)) for unit in units]
        tau = np.empty((len(units), len(queries)))
        for at, query in enumerate(queries):
            mean = np.full(len(query.targets), 1 / len(query.targets))
            moved = self.solve(theta, everything, _weighted_gradient(query, theta, mean), tolerance=1e-10)
            tau[:, at] = [float((moved * gradient).sum()) for gradient in gradients]
        return tau

    def leave_one_out(self, theta: np.ndarray, units: list[np.ndarray], queries: list[ConvexData]) -> np.ndarray:
        """Train again without each unit: [units, queries] nats per token if removed, fill = none, exact."""
        before = np.array([self.nats(theta, query).mean() for query in queries])
        tau = np.empty((len(units), len(queries)))
        for at, unit in enumerate(units):
            left = self.fit(1.0 - unit, start=theta).theta
            tau[at] = np.array([self.nats(left, query).mean() for query in queries]) - before
        return tau

    def _objective(self, theta: np.ndarray, weight: np.ndarray) -> float:
        return float((weight * self.nats(theta)).sum() / len(weight) + self.l2 / 2 * (theta**2).sum())


def _probabilities(data: ConvexData, theta: np.ndarray) -> np.ndarray:
    """Return [tokens, vocab]."""
    logits = data.features @ theta
    logits -= logits.max(1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(1, keepdims=True)
    return logits


def _weighted_gradient(data: ConvexData, theta: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return [buckets, vocab] gradient of the weighted sum of nats."""
    error = _probabilities(data, theta)
    error[np.arange(len(weight)), data.targets] -= 1.0
    return data.features.T @ (error * weight[:, None])


class HashedSoftmax(nn.Module):
    """The same model in torch, so that attributors for proxies can be tried on it.

    Args:
        vocab_size: tokens of the vocabulary.
        context: predicted tokens per row.
        theta: [buckets, vocab] float64.
    """

    def __init__(self, vocab_size: int, context: int, theta: np.ndarray) -> None:
        super().__init__()
        self.proxy = Proxy(model="feedforward", vocab_size=vocab_size, context=context)
        self.theta = nn.Parameter(torch.from_numpy(theta.copy()))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return logits, [batch, time] int64 to [batch, time, vocab]."""
        rows = np.concatenate([ids.numpy(), np.zeros((len(ids), 1), np.int64)], 1)
        features = torch.from_numpy(context_features(rows, self.theta.shape[0]))
        return self.theta[features].sum(2)

    def nats(self, rows: torch.Tensor) -> torch.Tensor:
        """Negative log-probability of each token but the first, [batch, time + 1] to [batch, time] float64."""
        logits = self(rows[:, :-1])
        return -logits.log_softmax(-1).gather(-1, rows[:, 1:, None])[..., 0]
