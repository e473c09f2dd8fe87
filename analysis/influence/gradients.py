"""Gradients of texts, streamed: no more than one gradient per query and one of a unit is held at a time.

A gradient method is a list of `Point`s: weights at which gradients are taken, a symmetric positive matrix that
turns a gradient into the step that training would have made of it, and a scale. The influence of a unit that
contributed n of the run's N tokens on a query is

    tau = n / N * sum over points of scale * <grad(query), matrix grad(unit)>

with both gradients those of mean nats per token. Methods differ in their points only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from analysis.influence.protocol import Query, Unit
from analysis.models import require_causal

BATCH_ROWS = 64
"""Rows per backward pass; memory, not the result, depends on it."""


@dataclass(frozen=True)
class Point:
    """Where gradients are taken, and what is made of them.

    Attributes:
        weights: by name of the parameter.
        precondition: [parameters] gradient to [parameters] direction: a symmetric positive matrix.
        scale: factor of the products at this point.
    """

    weights: dict[str, torch.Tensor]
    precondition: Callable[[torch.Tensor], torch.Tensor]
    scale: float


@dataclass(frozen=True)
class GradientAttributor:
    """An `Attributor` by gradients.

    Attributes:
        method: name of the method.
        model: a causal torch proxy; its weights are overwritten while it scores.
        points: see `Point`.
        train_tokens: N, the tokens of the run.
    """

    method: str
    model: Any
    points: Sequence[Point]
    train_tokens: int

    def __post_init__(self) -> None:
        """Refuse models whose loss is not that of the text.

        Raises:
            ConfigError: for a pseudo-likelihood.
        """
        require_causal([self.model.proxy.model], "influence")

    def score(self, units: Sequence[Unit], queries: Sequence[Query]) -> np.ndarray:
        """Return [units, queries] float64 nats per token of the query if the unit is removed, fill = none."""
        return score_together([self], units, queries)[0]

    def score_rows(self, rows: np.ndarray, queries: Sequence[Query]) -> np.ndarray:
        """Return the influence of single rows that training saw once.

        Args:
            rows: [rows, context + 1] int64.
            queries: held-out texts.

        Returns:
            [rows, queries] float64 nats per token of the query if the row is removed, fill = none.
        """
        tau = np.zeros((len(rows), len(queries)))
        share = (rows.shape[1] - 1) / self.train_tokens
        for scale, directions in self._directions(queries):
            for at in range(len(rows)):
                gradient = mean_gradient(self.model, rows[at : at + 1])
                tau[at] += scale * share * _products(directions, gradient)
        return tau

    def _directions(self, queries: Sequence[Query]) -> Iterator[tuple[float, torch.Tensor]]:
        """At each point, set the weights and yield (scale, [queries, parameters] preconditioned gradients)."""
        for point in self.points:
            set_weights(self.model, point.weights)
            found = [point.precondition(mean_gradient(self.model, query.rows, query.mask)) for query in queries]
            yield point.scale, torch.stack(found)


def score_together(
    attributors: Sequence[GradientAttributor], units: Sequence[Unit], queries: Sequence[Query]
) -> list[np.ndarray]:
    """Score by several methods that take gradients at the same weights of one model; each gradient is taken once.

    Returns:
        Per attributor, [units, queries] float64 nats per token of the query if the unit is removed, fill = none.

    Raises:
        ValueError: if models or weights differ.
    """
    first = attributors[0]
    for other in attributors[1:]:
        same = len(other.points) == len(first.points) and other.model is first.model
        if not same or any(a.weights is not b.weights for a, b in zip(first.points, other.points, strict=True)):
            raise ValueError(f"influence: {first.method} and {other.method} differ in their weights; expected the same")
    tau = [np.zeros((len(units), len(queries))) for _ in attributors]
    for points in zip(*(one.points for one in attributors), strict=True):
        set_weights(first.model, points[0].weights)
        asked = [mean_gradient(first.model, query.rows, query.mask) for query in queries]
        directions = [torch.stack([point.precondition(gradient) for gradient in asked]) for point in points]
        for at, unit in enumerate(units):
            gradient = mean_gradient(first.model, unit.rows)
            for which, (one, point) in enumerate(zip(attributors, points, strict=True)):
                share = point.scale * unit.tokens / one.train_tokens
                tau[which][at] += share * _products(directions[which], gradient)
    return tau


def _products(directions: torch.Tensor, gradient: torch.Tensor) -> np.ndarray:
    return (directions @ gradient).double().cpu().numpy()


def set_weights(model: Any, weights: dict[str, torch.Tensor]) -> None:
    """Copy weights into a model, by name.

    Raises:
        KeyError: if a parameter is missing.
    """
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])


def flatten(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return tensors as one vector, in order."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def unflatten(vector: torch.Tensor, like: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Cut a vector into tensors of the given shapes."""
    pieces = torch.split(vector, [tensor.numel() for tensor in like])
    return [piece.view(tensor.shape) for piece, tensor in zip(pieces, like, strict=True)]


def mean_gradient(model: Any, rows: np.ndarray, mask: np.ndarray | None = None) -> torch.Tensor:
    """Return the gradient of the mean nats per token of a text.

    Args:
        model: torch proxy (`analysis.models.neural.NeuralModel`); dropout is off.
        rows: [rows, context + 1] int64.
        mask: [rows, context] bool, which of rows[:, 1:] count; None: all.

    Returns:
        [parameters], in the order of `model.parameters()`; a tied matrix counts once.

    Raises:
        ValueError: if no token counts.
    """
    parameters = list(model.parameters())
    device = parameters[0].device
    tokens = int(mask.sum()) if mask is not None else rows.shape[0] * (rows.shape[1] - 1)
    if tokens == 0:
        raise ValueError("gradient: no token counts: got an empty text; expected at least one token")
    model.train(False)
    total: torch.Tensor | None = None
    for start in range(0, len(rows), BATCH_ROWS):
        nats = model.nats(torch.from_numpy(np.ascontiguousarray(rows[start : start + BATCH_ROWS])).to(device))
        if mask is not None:
            nats = nats * torch.from_numpy(mask[start : start + BATCH_ROWS]).to(device)
        gradient = flatten(torch.autograd.grad(nats.sum() / tokens, parameters))
        total = gradient if total is None else total + gradient
    assert total is not None
    return total
