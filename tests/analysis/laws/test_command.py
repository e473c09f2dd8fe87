"""The command `laws` on a study whose scores follow a known law: tables, withheld and confirmed optimum, predictions."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest

from analysis import records
from analysis.laws import command
from analysis.laws.boosted_trees import LightGBMLaw
from analysis.laws.command import LawOptions, find_swarm, run_laws
from analysis.laws.linear import LinearLaw
from analysis.laws.power import PowerLaw
from analysis.laws.study import read_swarm
from analysis.laws.tables import LAW_TABLES
from pipelines.contracts.errors import InputError
from tests.analysis.laws.studies import DESIGN, SLICES, finish_runs, loss, plan_study, write_design_file
from tests.reports.workspace_builder import build_curated

FEW = {"linear": (LinearLaw(1e-4),), "power": (PowerLaw(1e-2),), "LightGBM": (LightGBMLaw(),)}
QUICK = LawOptions(replicates=8, laws=FEW)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = build_curated(tmp_path_factory.mktemp("laws"))
    finish_runs(made, write_design_file(made))
    return made


@pytest.fixture(scope="module")
def said(workspace: Path) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        run_laws(workspace, None, QUICK)
    return out.getvalue()


@pytest.fixture(scope="module")
def study(workspace: Path, said: str) -> Path:
    return find_swarm(workspace, None)


def table(study: Path, name: str) -> list[dict]:
    return records.read_table(study / f"{name}.parquet", name).to_pylist()


def test_weights_and_values_are_those_of_the_runs(workspace: Path) -> None:
    asked = read_swarm(find_swarm(workspace, None))
    assert asked.swarm.slices == asked.swarm.targets == SLICES
    np.testing.assert_allclose(asked.swarm.weights.sum(1), 1)
    np.testing.assert_allclose(
        asked.swarm.values, [loss(w) for w in asked.swarm.weights], atol=0.04
    )  # one shift for all
    assert (asked.swarm.values - [loss(w) for w in asked.swarm.weights]).std(0).max() < 0.015
    np.testing.assert_allclose(asked.question.natural, asked.question.natural / asked.question.natural.sum())
    assert asked.question.upper[2] == 0.7
    assert asked.question.lower is not None
    assert asked.question.lower[0] == 0.05
    assert asked.natural.shape == (3, 3)
    models = asked.question.slice_models
    assert models is not None
    assert models.log_probability_nats.shape == (6, 3)  # 2 components of 3 targets under 3 models
    assert models.log_probability_nats.max() < 0


def test_the_utility_is_that_of_the_design(tmp_path: Path) -> None:
    made = build_curated(tmp_path)
    finish_runs(made, write_design_file(made, DESIGN + "utility: {web: 3, code: 1}\n"))
    asked = read_swarm(find_swarm(made, None))
    assert asked.question.importance.tolist() == [0.75, 0, 0.25]


def test_every_table_is_written(study: Path) -> None:
    for schema in LAW_TABLES:
        name = schema.metadata[b"table"].decode()
        assert len(table(study, name)) > 0 or name == "law_left_out", name
    chosen = [row for row in table(study, "laws") if row["chosen"]]
    assert [row["law"] for row in chosen] == ["power"]
    assert chosen[0]["spearman"] > 95
    predictions = table(study, "law_predictions")
    assert len(predictions) == 24 * 3
    assert np.median([abs(row["measured"] - row["predicted"]) for row in predictions]) < 0.02
    for row in table(study, "law_targets"):
        assert 0.9 < row["ceiling"] <= 1
        assert row["importance"] == pytest.approx(1 / 3)
    curve = {(row["law"], row["runs"]): row for row in table(study, "law_curve")}
    assert sorted({runs for _, runs in curve}) == [12, 18]
    assert curve["chosen", 18]["lo"] > 0  # LightGBM makes no split of so few runs


def test_the_optimum_is_withheld_until_it_is_confirmed(
    workspace: Path, said: str, study: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "weights of optimum, MixMin, RegMix: withheld until 5 fresh-seed runs against natural" in said
    assert f"mixtrace laws {workspace} {study.name} --confirm" in said
    weights = table(study, "law_weights")
    assert {row["mixture"] for row in weights if row["weight"] is None} == {"optimum", "RegMix", "MixMin"}
    monkeypatch.setattr(command, "train", lambda ws, design, workers: finish_runs(ws, design))
    run_laws(workspace, study.name, LawOptions(confirm=True, replicates=8, laws=FEW), as_json=True)
    rows = json.loads(capsys.readouterr().out)
    mixtures = {row["mixture"]: row for row in rows["law_mixtures"]}
    best = mixtures["optimum"]
    assert best["status"] == "confirmed"
    assert best["n_blocks"] == 5
    assert best["measured_lo"] <= best["gain"] + 0.02
    assert best["measured_hi"] >= best["gain"] - 0.02
    assert mixtures["RegMix"]["measured_gain"] is None
    found = {row["slice"]: row["weight"] for row in rows["law_weights"] if row["mixture"] == "optimum"}
    assert sum(found.values()) == pytest.approx(1)
    grid = np.random.default_rng(0).dirichlet(np.ones(3), 4000)
    grid = grid[(grid[:, 0] >= 0.05) & (grid[:, 2] <= 0.7)]
    true_best = min(loss(w).mean() for w in grid)
    assert loss(np.array([found[name] for name in SLICES])).mean() < true_best + 0.01
    hidden = {row["mixture"] for row in rows["law_weights"] if row["weight"] is None}
    assert hidden == {"RegMix", "MixMin"}


def test_a_law_predicts_the_leave_outs_beside_the_retrained(study: Path) -> None:
    rows = {(row["method"], row["contrast"]): row for row in table(study, "effects")}
    for slice_ in SLICES:
        for target in SLICES:
            law, run = (rows[method, f"without_{slice_} on {target}"] for method in ("law", "retrain"))
            if slice_ == target:
                assert law["estimate"] > run["estimate"] / 2 > 0.1
            else:
                assert law["estimate"] == pytest.approx(run["estimate"], abs=0.1)
            assert law["lo"] <= law["hi"]
            assert law["verdict"] == "undetermined"
            assert law["interval_population"].startswith("new swarms")
            if "extrapolates" in (law["reason"] or ""):
                assert "in without_" in law["reason"]
    assert ("law", "sham on web") not in rows


def test_a_confirmation_of_another_optimum_counts_for_nothing(workspace: Path, study: Path) -> None:
    """Another law has another optimum, which nobody has run."""
    tables = command.analyse(workspace, study, LawOptions(replicates=2, laws={"linear": (LinearLaw(1e-4),)}))
    status = {row["mixture"]: row["status"] for row in tables["law_mixtures"]}
    assert status["optimum"] == "not confirmed: 0 of 5 fresh-seed runs against natural"
    assert all(row["weight"] is None for row in tables["law_weights"] if row["mixture"] == "optimum")
    assert [row["what"] for row in tables["law_left_out"]] == ["learning curve"]


def test_a_void_swarm_shows_no_optimum(workspace: Path, study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = command.measure_study

    def void(folder: Path) -> dict:
        tables = measured(folder)
        return {**tables, "controls": [{**row, "passed": False} for row in tables["controls"]]}

    monkeypatch.setattr(command, "measure_study", void)
    tables = command.analyse(workspace, study, LawOptions(replicates=2, laws={"linear": (LinearLaw(1e-4),)}))
    assert {row["mixture"] for row in tables["law_weights"] if row["weight"] is None} == {"optimum", "RegMix", "MixMin"}
    (row,) = [row for row in tables["law_left_out"] if row["what"].startswith("weights of")]
    assert row["reason"].startswith("withheld: sham failed")
    status = {row["mixture"]: row["status"] for row in tables["law_mixtures"]}
    assert status["optimum"].startswith("withheld: sham failed")
    assert status["uniform"].startswith("not confirmed")


def test_a_study_of_another_kind_is_refused(workspace: Path, study: Path) -> None:
    other = next(p for p in (workspace / "analysis").iterdir() if p != study)
    with pytest.raises(InputError, match="no such swarm"):
        find_swarm(workspace, other.name)
    with pytest.raises(InputError, match="not a swarm"):
        read_swarm(other)


def test_a_swarm_without_runs_says_so(tmp_path: Path) -> None:
    made = build_curated(tmp_path)
    with pytest.raises(InputError, match=r"no such swarm: got none.*designs/swarm\.yaml"):
        run_laws(made, None, QUICK)
    plan_study(made, write_design_file(made))
    with pytest.raises(InputError, match="nothing to fit"):
        run_laws(made, None, QUICK)
