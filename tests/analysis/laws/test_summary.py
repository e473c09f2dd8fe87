"""The summary of a swarm: rows for everything, reasons for what is missing, refusals before any fit."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from analysis.laws.linear import LinearLaw
from analysis.laws.power import PowerLaw
from analysis.laws.summary import Question, SliceModels, format_laws, format_mixtures, summarise
from analysis.laws.swarm import swarm_from_table
from pipelines.contracts.errors import ConfigError
from tests.analysis.laws.swarms import SLICES, TARGETS, mixtures, power_losses

NATURAL = np.array([0.1, 0.1, 0.1, 0.3, 0.4])
FEW = {"linear": (LinearLaw(1e-4),), "power": (PowerLaw(1e-4),)}
slices, targets = [f"s{i}" for i in range(SLICES)], [f"t{i}" for i in range(TARGETS)]


@pytest.fixture(scope="module")
def table() -> pa.Table:
    weights = mixtures(61)
    values = power_losses(weights, 0.01)
    columns = dict(zip(slices, weights.T, strict=True)) | dict(zip(targets, values.T, strict=True))
    built = pa.table(columns)
    lost = pa.array([None, *values[1:, 0].tolist()])
    return built.set_column(built.column_names.index("t0"), "t0", lost)


def test_a_table_of_runs_becomes_tables(table: pa.Table) -> None:
    swarm = swarm_from_table(table, slices, targets)
    upper = np.array([0.4, 0.4, 0.4, 0.4, 0.2])
    models = np.log(np.random.default_rng(0).dirichlet(np.ones(50), SLICES)).T
    slice_models = SliceModels(models, np.ones(50), np.ones(50))
    question = Question(NATURAL, upper, np.ones(TARGETS), slice_models=slice_models)
    tables = summarise(swarm, question, replicates=5, laws=FEW)
    assert [row["law"] for row in tables["laws"] if row["chosen"]] == ["power"]
    rows = {row["mixture"]: row for row in tables["mixtures"]}
    assert list(rows) == ["natural", "optimum", "uniform", "MixMin", "RegMix"]
    assert all(sum(row["weights"]) == pytest.approx(1) for row in rows.values())
    assert all(row["over_limit"] == 0 for name, row in rows.items() if name != "natural")
    assert rows["optimum"]["gain"] >= max(rows["uniform"]["gain"], rows["RegMix"]["gain"])
    assert rows["optimum"]["gap"] <= 1e-5
    assert [row["slice"] for row in tables["weights"]] == slices
    assert tables["left_out"] == [{"what": "run 0", "reason": "missing or diverged: a value is not finite"}]
    text = "\n".join([*format_laws(tables), *format_mixtures(tables, "bpb")])
    assert "not confirmed: 0 of 5 fresh-seed runs against natural" in text
    assert "Left out: run 0" in text


def test_what_is_missing_has_a_reason(table: pa.Table) -> None:
    swarm = swarm_from_table(table, slices, targets)
    tight = np.full(SLICES, 0.2)
    tables = summarise(swarm, Question(NATURAL, tight, np.ones(TARGETS)), replicates=2, laws=FEW)
    status = {row["mixture"]: row["status"] for row in tables["mixtures"]}
    assert "too few mixtures under the limits" in status["RegMix"]
    assert "model per slice" in status["MixMin"]
    np.testing.assert_allclose([row["optimum"] for row in tables["weights"]], tight)


def test_floors_hold_for_every_mixture(table: pa.Table) -> None:
    swarm = swarm_from_table(table, slices, targets)
    lower = np.array([0, 0, 0, 0, 0.15])
    question = Question(NATURAL, np.full(SLICES, 0.6), np.ones(TARGETS), lower)
    tables = summarise(swarm, question, replicates=2, laws=FEW)
    found = [np.array(row["weights"]) for row in tables["mixtures"] if row["weights"]]
    assert len(found) == 4
    assert all((weights >= lower - 1e-9).all() for weights in found)
    free = summarise(swarm, Question(NATURAL, np.full(SLICES, 0.6), np.ones(TARGETS)), replicates=2, laws=FEW)
    assert free["weights"][4]["optimum"] < 0.15 == pytest.approx(tables["weights"][4]["optimum"])


def test_natural_must_be_a_mixture_of_the_slices(table: pa.Table) -> None:
    swarm = swarm_from_table(table, slices, targets)
    for natural in (NATURAL[:3], NATURAL * 2, NATURAL - 0.2):
        with pytest.raises(ConfigError, match="natural"):
            summarise(swarm, Question(natural, np.ones(SLICES), np.ones(TARGETS)), laws={})
