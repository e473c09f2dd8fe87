"""Influence functions with eigenvalue-corrected Kronecker factors (EK-FAC).

Koh & Liang 2017, arXiv:1703.04730: removing a unit moves the optimum by H^-1 times its gradient. For a language
model H is taken to be the Fisher matrix of a token, F = E[g g'] with targets *sampled from the model*, and F of each
parameter matrix to be diagonal in a Kronecker basis with eigenvalues measured in it (George et al. 2018,
arXiv:1806.03884; Grosse et al. 2023, arXiv:2308.03296):

    tau = n / N * <grad(query), (F + damping)^-1 grad(unit)>

Bases are the eigenvectors of E[G G'] and E[G' G], G the gradient of a row with respect to the matrix: of sampled
targets the tokens of a row are uncorrelated, so these are sums over tokens. A side longer than `MAX_SIDE` (the
vocabulary) keeps its own basis; vectors have a diagonal Fisher. Gradients of rows do without hooks into layers, so
fused and tied matrices are treated as what they are: one parameter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from analysis.influence.gradients import GradientAttributor, Point, flatten, set_weights, unflatten
from analysis.models.neural import next_token_nats

MAX_SIDE = 1024
FISHER_ROWS = 512
"""Rows from which bases and eigenvalues are measured."""
DAMPING_SHARE = 0.1
"""Damping of each parameter as a share of its mean eigenvalue (the heuristic of Grosse et al. 2023)."""


@dataclass(frozen=True)
class KroneckerFisher:
    """The Fisher matrix of one parameter.

    Attributes:
        left: [rows, rows] basis of the first side, or None for its own.
        right: [columns, columns] basis of the second side, or None for its own.
        eigenvalues: of the parameter's shape: E[(left' G right)^2] per token.
    """

    left: torch.Tensor | None
    right: torch.Tensor | None
    eigenvalues: torch.Tensor

    def rotate(self, value: torch.Tensor, *, back: bool = False) -> torch.Tensor:
        """Turn a value of the parameter's shape into the basis, or back."""
        if self.left is not None:
            value = (self.left if back else self.left.T) @ value
        if self.right is not None:
            value = value @ (self.right.T if back else self.right)
        return value

    def solve(self, value: torch.Tensor, damping: float | None) -> torch.Tensor:
        """Return (F + damping)^-1 value; damping None takes the share of the mean eigenvalue."""
        added = DAMPING_SHARE * float(self.eigenvalues.mean()) if damping is None else damping
        return self.rotate(self.rotate(value) / (self.eigenvalues + added), back=True)


def ekfac(
    model: Any, weights: dict[str, torch.Tensor], rows: np.ndarray, train_tokens: int, *,
    seed: int = 0, damping: float | None = None,
) -> GradientAttributor:  # fmt: skip
    """Build the attributor of a trained model.

    Args:
        model: causal torch proxy with `forward(ids) -> logits`.
        weights: of the end of the training, by name.
        rows: [rows, context + 1] rows that the run trained on; the Fisher matrix is measured on them.
        train_tokens: tokens of the run.
        seed: of the sampled targets.
        damping: added to every eigenvalue, in nats per squared unit of weight; None: `DAMPING_SHARE`.
    """
    set_weights(model, weights)
    parameters = list(model.parameters())
    fisher = measure_fisher(model, rows[:FISHER_ROWS], seed)

    def precondition(gradient: torch.Tensor) -> torch.Tensor:
        parts = unflatten(gradient, parameters)
        return flatten([one.solve(part, damping) for one, part in zip(fisher, parts, strict=True)])

    return GradientAttributor("ekfac", model, [Point(weights, precondition, 1.0)], train_tokens)


def measure_fisher(model: Any, rows: np.ndarray, seed: int) -> list[KroneckerFisher]:
    """Measure the Fisher matrix of every parameter, in two passes: bases, then eigenvalues.

    Args:
        model: torch proxy with the weights in place.
        rows: [rows, context + 1] int64.
        seed: of the sampled targets; both passes see the same.

    Returns:
        One per parameter, in the order of `model.parameters()`.
    """
    parameters = list(model.parameters())
    left, right = ([_covariance(p, side) for p in parameters] for side in (0, 1))
    for gradients in _sampled_gradients(model, rows, seed):
        for at, gradient in enumerate(gradients):
            if left[at] is not None:
                left[at] += gradient @ gradient.T
            if right[at] is not None:
                right[at] += gradient.T @ gradient
    bases = [(_eigenvectors(a), _eigenvectors(b)) for a, b in zip(left, right, strict=True)]
    fisher = [KroneckerFisher(a, b, torch.zeros_like(p)) for (a, b), p in zip(bases, parameters, strict=True)]
    for gradients in _sampled_gradients(model, rows, seed):
        for one, gradient in zip(fisher, gradients, strict=True):
            one.eigenvalues.add_(one.rotate(gradient) ** 2)
    tokens = rows.shape[0] * (rows.shape[1] - 1)
    return [KroneckerFisher(one.left, one.right, one.eigenvalues.detach() / tokens) for one in fisher]


def _covariance(parameter: torch.Tensor, side: int) -> torch.Tensor | None:
    """Return zeros for the covariance of one side, or None where the side keeps its own basis."""
    if parameter.ndim != 2 or parameter.shape[side] > MAX_SIDE:
        return None
    n = parameter.shape[side]
    return torch.zeros((n, n), dtype=parameter.dtype, device=parameter.device)


def _eigenvectors(covariance: torch.Tensor | None) -> torch.Tensor | None:
    """Return [n, n] eigenvectors as columns, computed in float64."""
    if covariance is None:
        return None
    return torch.linalg.eigh(covariance.double()).eigenvectors.to(covariance.dtype)


def _sampled_gradients(model: Any, rows: np.ndarray, seed: int) -> Iterator[list[torch.Tensor]]:
    """Yield, row by row, the gradients of the summed nats of targets that the model itself draws."""
    parameters = list(model.parameters())
    device = parameters[0].device
    generator = torch.Generator(device=device).manual_seed(seed)
    model.train(False)
    for row in rows:
        ids = torch.from_numpy(np.ascontiguousarray(row))[None].to(device)
        logits = model(ids[:, :-1])
        drawn = torch.multinomial(logits[0].detach().softmax(-1), 1, generator=generator).T
        nats = next_token_nats(logits, torch.cat([ids[:, :1], drawn], 1))
        yield [g.detach() for g in torch.autograd.grad(nats.sum(), parameters)]
