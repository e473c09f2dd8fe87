"""What-if questions in SQL, on the locked-down snapshot, against the Python functions that they repeat."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from analysis import records
from analysis.laws.choice import ChosenLaw
from analysis.laws.command import LawOptions, find_swarm, run_laws
from analysis.laws.exponential import ExponentialLaw
from analysis.laws.intervals import Fitted, fit_with_intervals
from analysis.laws.linear import LinearLaw, LogLinearLaw
from analysis.laws.power import PowerLaw
from analysis.laws.study import StudySwarm, read_swarm
from pipelines.contracts.recipe import Recipe
from pipelines.ops.rules import evaluate_rules, recipe_rules
from reports.pages import laws as page
from reports.publish import open_snapshot, publish
from tests.analysis.laws.studies import SLICES, finish_runs, write_design_file
from tests.reports.workspace_builder import build_curated

SMOOTH = {
    "linear": (LinearLaw(1e-3),),
    "log-linear": (LogLinearLaw(1e-3),),
    "exponential": (ExponentialLaw(1e-2),),
    "power": (PowerLaw(1e-2),),
}


def swarm_of(workspace: Path, law: str) -> tuple[StudySwarm, Fitted]:
    """Fit one law to the swarm of a workspace, its tables, and the same in Python."""
    options = LawOptions(replicates=2, laws={law: SMOOTH[law]})
    with contextlib.redirect_stdout(io.StringIO()):
        run_laws(workspace, None, options)
    asked = read_swarm(find_swarm(workspace, None))
    return asked, fit_with_intervals(ChosenLaw({law: SMOOTH[law]}), asked.swarm.weights, asked.swarm.values)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = build_curated(tmp_path_factory.mktemp("what_if"))
    finish_runs(made, write_design_file(made))
    return made


@pytest.fixture(scope="module", params=list(SMOOTH))
def fitted(workspace: Path, request: pytest.FixtureRequest) -> tuple[StudySwarm, Fitted, Path]:
    return *swarm_of(workspace, request.param), publish(workspace)


def ask(con: duckdb.DuckDBPyConnection, sql: str, params: list | None = None) -> list[dict]:
    relation = con.sql(sql, params=params)
    return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


def test_a_mixture_is_predicted_as_in_python(fitted: tuple[StudySwarm, Fitted, Path]) -> None:
    asked, law, snapshot = fitted
    least, most = asked.swarm.weights.min(0), asked.swarm.weights.max(0)
    drawn = np.random.default_rng(0).dirichlet(np.ones(3), 200)
    inside = drawn[((drawn >= least) & (drawn <= most)).all(1)][:5]
    assert len(inside) == 5
    expected, natural = law.predict(inside), law.curve.mean(asked.question.natural[None])[0]
    with open_snapshot(snapshot) as con:
        for number, weights in enumerate(inside):
            named = dict(zip(SLICES, (3 * weights).tolist(), strict=True))  # any scale
            rows = ask(con, "FROM what_if(?)", [named])
            assert [row["target"] for row in rows] == ["(utility)", *SLICES]
            assert not any(row["extrapolates"] for row in rows)
            for row, *values in zip(rows[1:], *(column[number] for column in expected), natural, strict=True):
                found = [row[name] for name in ("predicted", "lo", "hi", "predicted_natural")]
                assert found == pytest.approx(values, rel=1e-9)
                assert row["change"] == pytest.approx(values[0] - values[3], abs=1e-9)
            assert rows[0]["predicted"] == pytest.approx(expected.mean[number].mean())
            assert rows[0]["lo"] is None


def test_weights_beyond_the_swarm_are_flagged(fitted: tuple[StudySwarm, Fitted, Path]) -> None:
    _, law, snapshot = fitted
    with open_snapshot(snapshot) as con:
        rows = ask(con, "FROM what_if({'web': 1})")
        assert [row["predicted"] for row in rows[1:]] == pytest.approx(law.curve.mean(np.array([[1.0, 0, 0]]))[0])
        for row in rows:
            assert row["extrapolates"]
            assert row["lo"] is None
            assert row["hi"] is None
            assert row["note"].startswith("EXTRAPOLATES beyond the swarm, no interval holds: web 1.0 (swarm ")
        assert ask(con, "FROM what_if(MAP {'web': 1})") == rows


def test_what_cannot_be_asked_is_refused(fitted: tuple[StudySwarm, Fitted, Path]) -> None:
    with open_snapshot(fitted[2]) as con:
        for weights, words in (("{'wep': 1}", "no such slice: wep; expected some of web, wiki, code"),
                               ("{'web': -1, 'wiki': 3}", "from 0 up"), ("{'web': 0}", "not all 0")):  # fmt: skip
            with pytest.raises(duckdb.Error, match=words):
                con.sql(f"FROM what_if({weights})").fetchall()


@pytest.fixture(scope="module")
def curated(curated_workspace: Path) -> Path:
    return publish(curated_workspace)


def test_without_a_law_it_says_what_to_run(curated: Path) -> None:
    with open_snapshot(curated) as con:
        with pytest.raises(duckdb.Error, match="no law was fitted: train a swarm and run `mixtrace laws`"):
            con.sql("FROM what_if({'web': 1})").fetchall()
        assert "No study was run" in page.page(con).blocks[0].text


def test_the_page_shows_predictions_and_withholds_the_optimum(fitted: tuple[StudySwarm, Fitted, Path]) -> None:
    with open_snapshot(fitted[2]) as con:
        made = page.page(con)
        banner, mixtures, weights, predictions = made.blocks[1:5]
        assert "weights are withheld" in banner.text
        assert [row["mixture"] for row in mixtures.rows] == ["natural", "optimum", "uniform", "MixMin", "RegMix"]
        assert {row["mixture"] for row in weights.rows if row["weight"] is None} == {"optimum", "RegMix", "MixMin"} & {
            row["mixture"] for row in weights.rows
        }
        assert len(predictions.rows) == 24 * 3
        assert predictions.charts[0]["layer"]


THRESHOLDS = [("too_short", v) for v in (5.0, 12.0, 20.0, 60.0)] + [("few_letters", v) for v in (0.1, 0.3, 0.9)]


def test_a_moved_threshold_drops_what_the_rules_would(curated_workspace: Path, curated: Path) -> None:
    recipe = Recipe.model_validate_json((curated_workspace / "recipe.json").read_bytes())
    rules = recipe_rules(recipe)
    signals, documents, decisions = (
        pq.ParquetDataset(sorted((curated_workspace / name).glob("*.parquet"))).read()
        for name in ("signals", "documents", "decisions")
    )
    before = decisions["failed_rules"].to_pylist()
    kept = decisions["kept"].to_numpy()
    with open_snapshot(curated) as con:
        tokens = np.array([row[0] for row in con.sql('SELECT n_tokens FROM curated ORDER BY part, "row"').fetchall()])
        for rule, value in THRESHOLDS:
            moved = {**rules, rule: rules[rule].model_copy(update={"min": value})}
            failed = evaluate_rules(signals, documents["source"], moved)[:, list(rules).index(rule)]
            only = np.array([names == [rule] for names in before])
            dropped, restored = kept & failed, only & ~failed
            (row,) = ask(con, "FROM what_if_threshold(?, ?)", [rule, value])
            expected = {
                "failing_now": sum(rule in names for names in before), "failing": failed.sum(), "failing_tokens": tokens[failed].sum(),
                "kept_now": kept.sum(), "dropped": dropped.sum(), "dropped_tokens": tokens[dropped].sum(),
                "restored": restored.sum(), "restored_tokens": tokens[restored].sum(),
                "kept": kept.sum() - dropped.sum() + restored.sum(),
                "kept_tokens": tokens[kept].sum() - tokens[dropped].sum() + tokens[restored].sum(),
            }  # fmt: skip
            assert {name: row[name] for name in expected} == expected
            assert (row["side"], row["current_value"], row["new_value"]) == ("min", rules[rule].min, value)
            assert row["predicted_effect"] is None
            assert row["effect_note"].startswith("no study of this workspace moved this threshold")
        assert {v["failing"] for v in ask(con, "FROM what_if_threshold('too_short', 60)")} != {0}
        with pytest.raises(duckdb.Error, match="no rule language with a number for a bound"):
            con.sql("FROM what_if_threshold('language', 1)").fetchall()


def add_dose_response(workspace: Path) -> None:
    """Write a study of three thresholds of `gopher_words`: from 8 to 24 words, strictness helps web and hurts wiki."""
    study = workspace / "analysis" / "dose"
    study.mkdir(parents=True)
    section = {"signal": "gopher_words", "min": [24, 8, 12], "max": []}
    (study / "design.json").write_text(
        json.dumps({"design_id": "dose", "spec": {"name": "words", "thresholds": section}})
    )
    rows = [
        {"design_id": "dose", "contrast": f"gopher_words {steps} on {target}", "family": "decisions", "slice": "gopher_words",
         "target": target, "population": "unfiltered", "metric": "bpb", "method": "retrain", "fill": "named", "estimate": value,
         "lo": value - 0.02, "hi": value + 0.04, "n_blocks": 5, "delta": 0.02, "expected_sign": 0, "meaning": "m",
         "verdict": "helps", "interval_population": "seeds"}
        for target, value in (("web", 0.08), ("wiki", -0.16)) for steps in ("8 to 12", "8 to 24, fitted")
    ]  # fmt: skip
    records.write_table(study / "effects.parquet", records.from_rows(rows, "effects"), "effects")


def test_a_dose_response_predicts_what_a_moved_threshold_does(tmp_path: Path) -> None:
    made = build_curated(tmp_path)
    add_dose_response(made)
    with open_snapshot(publish(made)) as con:
        rows = ask(con, "FROM what_if_threshold('too_short', 20)")  # half of the range from 12 on, to the strict side
        found = {row["target"]: [row[name] for name in ("predicted_effect", "lo", "hi")] for row in rows}
        assert found == {"web": pytest.approx([-0.04, -0.06, -0.03]), "wiki": pytest.approx([0.08, 0.06, 0.09])}
        assert "the slope that the study words fitted from 8" in rows[0]["effect_note"]
        (back,) = [row for row in ask(con, "FROM what_if_threshold('too_short', 10)") if row["target"] == "web"]
        assert back["predicted_effect"] == pytest.approx(0.01)
        for row in ask(con, "FROM what_if_threshold('too_short', 30)"):
            assert row["predicted_effect"] is None
            assert (
                row["effect_note"]
                == "the study words measured thresholds from 8.0 to 24.0: nothing is predicted beyond them"
            )
        (other,) = ask(con, "FROM what_if_threshold('few_letters', 0.2)")
        assert other["effect_note"].startswith("no study of this workspace moved this threshold")
