"""Swarms: what is refused, and what is left out with a reason."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from analysis.laws.swarm import swarm_from_table, swarm_of
from pipelines.contracts.errors import InputError

WEIGHTS = np.array([[0.5, 0.5], [0.2, 0.8], [1.0, 0.0], [0.6, 0.4]])
VALUES = np.array([[3.0, 1.0], [2.0, 1.0], [4.0, 1.0], [np.nan, 1.0]])


def test_a_diverged_run_and_a_constant_target_are_named() -> None:
    swarm = swarm_of(["a", "b"], ["x", "y"], WEIGHTS, VALUES)
    assert swarm.targets == ("x",)
    assert swarm.values.tolist() == [[3.0], [2.0], [4.0]]
    assert [what for what, _ in swarm.left_out] == ["run 3", "target y"]
    assert "diverged" in swarm.left_out[0][1]
    assert "no variance" in swarm.left_out[1][1]


@pytest.mark.parametrize(("row", "found"), [
    ([0.9, 0.6], "a sum of 1.5"),
    ([1.2, -0.2], "least -0.2"),
    ([0.5, np.nan], "run 1"),
])  # fmt: skip
def test_what_is_no_mixture_is_refused(row: list[float], found: str) -> None:
    weights = WEIGHTS.copy()
    weights[1] = row
    with pytest.raises(InputError, match=found):
        swarm_of(["a", "b"], ["x", "y"], weights, VALUES)


def test_rounded_weights_are_scaled() -> None:
    swarm = swarm_of(["a", "b"], ["x"], WEIGHTS[:3] * 1.003, VALUES[:3, :1])
    np.testing.assert_allclose(swarm.weights, WEIGHTS[:3])


def test_names_shapes_and_nothing_left_are_refused() -> None:
    with pytest.raises(InputError, match="repeat"):
        swarm_of(["a", "a"], ["x", "y"], WEIGHTS, VALUES)
    with pytest.raises(InputError, match="shapes"):
        swarm_of(["a", "b", "c"], ["x", "y"], WEIGHTS, VALUES)
    with pytest.raises(InputError, match="nothing to fit"):
        swarm_of(["a", "b"], ["y"], WEIGHTS, VALUES[:, 1:])
    with pytest.raises(InputError, match="nothing to fit"):
        swarm_of(["a", "b"], ["x"], WEIGHTS, np.full((4, 1), np.nan))


def test_a_table_with_a_missing_metric() -> None:
    table = pa.table({"a": WEIGHTS[:, 0], "b": WEIGHTS[:, 1], "x": [3.0, 2.0, None, 4.0]})
    swarm = swarm_from_table(table, ["a", "b"], ["x"])
    assert swarm.values[:, 0].tolist() == [3.0, 2.0, 4.0]
    assert swarm.left_out == (("run 2", "missing or diverged: a value is not finite"),)
    with pytest.raises(InputError, match="missing columns"):
        swarm_from_table(table, ["a", "c"], ["x"])
