"""Robust nonlinear least squares for many small problems side by side: Levenberg-Marquardt with analytic Jacobians.

Each problem minimises  sum_i c_i d^2 rho((r_i / d)^2) + sum_k q_k (theta_k - theta0_k)^2  with
rho(z) = 2 (sqrt(1 + z) - 1) (soft L1: squares below d, absolute values above). The curvature of the loss is taken
as J' diag(rho') J, which is positive, so every step goes downhill (Triggs et al. 2000, section 4.3, first-order form).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

RESIDUAL_SCALE = 0.05
"""Where squares turn into absolute values, in standard deviations of the target."""


def spread(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the standard deviation [targets] of values [runs, targets], each run counted `counts` times."""
    centred = values - np.average(values, axis=0, weights=counts)
    return np.maximum(np.sqrt(np.average(centred**2, axis=0, weights=counts)), 1e-12)


Model = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Parameters [problems, parameters] -> values [problems, runs] and Jacobian [problems, runs, parameters]."""


@dataclass(frozen=True)
class Problems:
    """What is minimised.

    Attributes:
        values: [problems, runs] measured values.
        counts: [runs] how often each run counts.
        centre: [problems, parameters] where the penalty is zero.
        precision: [parameters] strength of the penalty on each parameter.
        scale: residual at which squares turn into absolute values.
    """

    values: np.ndarray
    counts: np.ndarray
    centre: np.ndarray
    precision: np.ndarray
    scale: float

    def subset(self, which: np.ndarray) -> Problems:
        """Keep some of the problems."""
        return Problems(self.values[which], self.counts, self.centre[which], self.precision, self.scale)

    def cost(self, theta: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """Return the objective [problems]; infinite where a prediction is not finite."""
        with np.errstate(over="ignore", invalid="ignore"):
            z = ((self.values - predicted) / self.scale) ** 2
            loss = (self.counts * (2 * self.scale**2 * (np.sqrt(1 + z) - 1))).sum(1)
            total = loss + (self.precision * (theta - self.centre) ** 2).sum(1)
        return np.where(np.isfinite(total), total, np.inf)

    def normal_equations(self, theta: np.ndarray, predicted: np.ndarray, jacobian: np.ndarray) -> tuple:
        """Return curvature [problems, parameters, parameters] and downhill direction [problems, parameters]."""
        residual = self.values - predicted
        pull = self.counts / np.sqrt(1 + (residual / self.scale) ** 2)
        weighted = jacobian * pull[:, :, None]
        curvature = weighted.transpose(0, 2, 1) @ jacobian
        diagonal = np.arange(len(self.precision))
        curvature[:, diagonal, diagonal] += self.precision
        downhill = (weighted * residual[:, :, None]).sum(1) - self.precision * (theta - self.centre)
        return curvature, downhill


def minimise(
    model: Model, problems: Problems, start: np.ndarray, steps: int = 200, tolerance: float = 1e-7
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise all problems at once; each stops when a step gains less than `tolerance` of its cost.

    Args:
        model: values and Jacobian of parameters.
        problems: the data and the penalty.
        start: [problems, parameters] where to start.
        steps: most steps of one problem.
        tolerance: smallest gain worth another step, as a share of the cost.

    Returns:
        Parameters [problems, parameters] and costs [problems].
    """
    theta = start.copy()
    predicted, jacobian = model(theta)
    cost = problems.cost(theta, predicted)
    damping = np.full(len(theta), 1e-2)
    active = np.arange(len(theta))
    diagonal = np.arange(theta.shape[1])
    for _ in range(steps):
        some = problems.subset(active)
        curvature, downhill = some.normal_equations(theta[active], predicted[active], jacobian[active])
        stiff = damping[active, None] * np.maximum(curvature[:, diagonal, diagonal], 1e-9)
        curvature[:, diagonal, diagonal] += stiff
        tried = theta[active] + np.clip(np.linalg.solve(curvature, downhill[:, :, None])[:, :, 0], -2, 2)
        new_predicted, new_jacobian = model(tried)
        new_cost = some.cost(tried, new_predicted)
        better = new_cost < cost[active]
        gain = cost[active] - new_cost
        taken = active[better]
        theta[taken], predicted[taken], jacobian[taken] = tried[better], new_predicted[better], new_jacobian[better]
        finished = (better & (gain <= tolerance * cost[active])) | (~better & (damping[active] > 1e8))
        cost[taken] = new_cost[better]
        damping[active] *= np.where(better, 0.3, 5.0)
        active = active[~finished]
        if not len(active):
            break
    return theta, cost


def best_of_starts(model: Model, problems: Problems, starts: list[np.ndarray]) -> np.ndarray:
    """Minimise from several starts and return, for each problem, the parameters of the lowest cost."""
    found = [minimise(model, problems, start) for start in starts]
    costs = np.array([cost for _, cost in found])
    which = costs.argmin(0)
    return np.array([found[w][0][i] for i, w in enumerate(which)])
