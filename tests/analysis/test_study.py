"""A whole study on a small curated corpus: training, tables, tasks, exports, sweeps, effects."""

from __future__ import annotations

import json
import math
import pickle
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tokenizers import Tokenizer

from analysis import learning_rates, records
from analysis.commands import RunsLeft, contrasts_of, design_plan, prepare, progress, train
from analysis.effects import bits_per_byte
from analysis.effects_command import find_study, run_effects
from analysis.evaluate_model import evaluate_model, format_evaluated
from analysis.evaluation.labelled import labels_of
from analysis.models import Proxy
from analysis.models.hf_export import export_run, read_tokenizer
from analysis.slices import Slice, open_documents
from analysis.study_runs import RunElement, elements, train_element
from pipelines.beam.curate import CurateOptions, choose_engine
from pipelines.beam.sweep import SweepWork, run_sweep
from pipelines.contracts.errors import ConfigError, InputError
from tests.analysis.small_study import altered, changed
from tests.engines import commands as engines

TASKED = changed(("choice_items: 0", "choice_items: 0\ntasks: [cloze]\ntask_items: 12"))


@pytest.fixture(scope="module")
def workspace(study_workspace: Path) -> Path:
    (study_workspace / "design.yaml").write_text(TASKED)
    return study_workspace


@pytest.fixture(scope="module")
def trained(workspace: Path, design_file: Path) -> Path:
    design_plan(workspace, design_file)
    train(workspace, design_file, 1)
    run_effects(workspace)
    return find_study(workspace, None)


def test_a_study_fills_every_table(trained: Path, capsys: pytest.CaptureFixture) -> None:
    for name in (
        "slices",
        "slice_atoms",
        "cells",
        "contrasts",
        "mixture_weights",
        "runs",
        "effects",
        "noise",
        "power",
        "controls",
        "metrics",
        "cell_metrics",
    ):
        assert records.read_table(trained / f"{name}.parquet", name).num_rows, name
    runs = records.read_table(trained / "runs.parquet", "runs")
    assert runs.num_rows == 10 * 2 + 3 * 2
    effects = records.read_table(trained / "effects.parquet", "effects").to_pylist()
    assert len(effects) == len(contrasts_of(trained))
    controls = {
        row["control"]: row["passed"]
        for row in records.read_table(trained / "controls.parquet", "controls").to_pylist()
    }
    assert controls["adequacy"] is False  # 8,192 tokens teach a Transformer less than a 3-gram
    unasked = {f"cloze_{name}" for name in ("lines", "notes", "pages")} - set(asked_tasks(trained))
    for row in effects:
        gated = row["method"] == "retrain" and row["family"] not in ("controls", "canary")
        assert row["verdict"] in (("withheld",) if gated else ("helps", "hurts", "negligible", "undetermined"))
        assert (row["reason"] or "").startswith("withheld: ") is gated
        values = [row[name] for name in ("estimate", "se", "lo", "hi", "p", "q")]
        if row["metric"] == "choice_margin" or row["target"] in unasked:
            assert row["estimate"] is None
            assert "only 0 blocks in which both" in row["reason"]
            assert f"{row['target']} was scored by {row['metric']}: it has no items" in row["reason"]
        else:
            assert all(value is not None and math.isfinite(value) for value in values), row
            assert row["lo"] <= row["estimate"] <= row["hi"]


def asked_tasks(study: Path) -> list[str]:
    table = records.read_table(study / "runs/full-0/task_item_scores.parquet", "task_item_scores")
    return list(dict.fromkeys(table["task"].to_pylist()))


def test_every_run_answers_the_same_tasks_and_every_comparison_is_made_on_them(trained: Path) -> None:
    tasks = asked_tasks(trained)
    assert "cloze_lines" in tasks
    asked = None
    for run in sorted(trained.glob("runs/*/run.json")):  # n-grams, too
        table = records.read_table(run.parent / "task_item_scores.parquet", "task_item_scores")
        assert set(table["design_id"].to_pylist()) == {trained.name}
        assert set(table["model"].to_pylist()) == {run.parent.name}
        asked = asked or table["item_id"].to_pylist()
        assert table["item_id"].to_pylist() == asked
    contrasts = [one for one in contrasts_of(trained) if one.population == "items"]
    cells = {"without_lines", "without_notes", "near_duplicate_swap", "quality_reject_swap"}
    assert {next(iter(one.coef)) for one in contrasts} == cells
    assert {(one.target, one.metric) for one in contrasts} == {
        ("cloze_lines", "margin"), ("cloze_notes", "margin"), ("cloze_pages", "margin"),
    }  # fmt: skip
    assert len(contrasts) == 3 * len(cells)
    effects = records.read_table(trained / "effects.parquet", "effects").to_pylist()
    values = {}
    for cell in ("full", "without_lines"):
        for block in range(2):
            rows = records.read_table(trained / f"runs/{cell}-{block}/task_item_scores.parquet", "task_item_scores")
            values[cell, block] = np.mean([r["margin_bpb"] for r in rows.to_pylist() if r["task"] == "cloze_lines"])
    row = next(row for row in effects if row["contrast"] == "without_lines on cloze_lines (margin)")
    expected = np.mean([values["without_lines", b] - values["full", b] for b in range(2)])
    assert row["estimate"] == pytest.approx(expected)
    metrics = records.read_table(trained / "metrics.parquet", "metrics").to_pylist()
    graded = {(row["metric"], row["target"]): row for row in metrics}
    assert graded["bpb", "lines"]["cells"] == 6
    assert not graded["acc", "cloze_lines"]["decision_grade"]
    assert graded["acc", "cloze_lines"]["chance"] == 0.25


def test_a_task_that_does_not_fit_the_proxy_is_refused_before_training(trained: Path, workspace: Path) -> None:
    path = altered(workspace, "long.yaml", ("choice_items: 0", "choice_items: 0\ntasks: [pairs_zh]\ntask_items: 12"))
    with pytest.raises(
        ConfigError, match=r"task 'pairs_zh': no item fits the proxy: got \d+ items; expected .* 16 tokens"
    ):
        prepare(workspace, path, 1)


def test_documents_are_labelled_by_sql_by_slices_and_by_files(workspace: Path, tmp_path: Path) -> None:
    connection = open_documents(str(workspace))
    expected = dict(connection.sql("SELECT doc_id, source FROM documents").fetchall())
    assert labels_of(workspace, "source", ()) == expected
    slices = (Slice("lines", "source = 'lines'", "source"), Slice("pages", "source IN ('web', 'wiki')", "source"))
    names = {"lines": "lines", "web": "pages", "wiki": "pages"}
    assert labels_of(workspace, "slice", slices) == {d: names[s] for d, s in expected.items() if s in names}
    rows = connection.sql(
        "SELECT source, native_id, doc_id FROM documents WHERE native_id IS NOT NULL LIMIT 4"
    ).fetchall()
    path = tmp_path / "mood.csv"
    lines = [f"{source},{native_id},{mood}" for (source, native_id, _), mood in zip(rows, "abca", strict=True)]
    path.write_text("\n".join(["source,native_id,label", *lines, f"{rows[1][0]},{rows[1][1]},other"]))
    assert labels_of(workspace, str(path), ()) == {rows[0][2]: "a", rows[2][2]: "c", rows[3][2]: "a"}
    path.write_text("source,label\nx,y\n")
    with pytest.raises(InputError, match=r"mood.csv:1: no column native_id"):
        labels_of(workspace, str(path), ())
    path.write_text("source,native_id,label\nx,y,z\n")
    with pytest.raises(InputError, match=r"labels of no document here"):
        labels_of(workspace, str(path), ())
    with pytest.raises(ConfigError, match=r"neither a file nor SQL"):
        labels_of(workspace, "no_such_column", ())


def test_shares_of_the_mixtures_add_up(trained: Path) -> None:
    weights = records.read_table(trained / "mixture_weights.parquet", "mixture_weights")
    sums = weights.group_by("cell").aggregate([("weight", "sum"), ("drawn_tokens", "sum")])
    assert np.allclose(sums["weight_sum"].to_numpy(), 1)
    drawn = dict(zip(sums["cell"].to_pylist(), sums["drawn_tokens_sum"].to_pylist(), strict=True))
    planted = 8192 - drawn.pop("canary")  # made-up facts are of no atom
    assert 0 < planted < 0.06 * 8192
    assert set(drawn.values()) == {8192}


def test_own_slices_are_missed_by_the_exact_ngram(trained: Path) -> None:
    effects = records.read_table(trained / "effects.parquet", "effects")
    own = effects.filter(pc.and_(pc.equal(effects["method"], "ngram"), pc.equal(effects["family"], "own-slice")))
    assert own.num_rows == 2
    assert all(value > 0 for value in own["estimate"].to_pylist())
    assert set(own["fill"].to_pylist()) == {"none"}


def test_a_second_training_repeats_nothing(trained: Path, workspace: Path, design_file: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("run.json")}
    train(workspace, design_file, 1)
    assert {path: path.stat().st_mtime_ns for path in trained.rglob("run.json")} == before


def test_a_stack_trains_the_same_runs(trained: Path, workspace: Path, design_file: Path) -> None:
    folders = [trained / "runs" / f"{cell}-{block}" for cell in ("full", "sham") for block in (0, 1)]
    before = {folder: (folder / "model.safetensors").read_bytes() for folder in folders}
    for folder in folders:
        shutil.rmtree(folder)
    train(workspace, design_file, 1, stack=3)
    assert {folder: (folder / "model.safetensors").read_bytes() for folder in folders} == before


def test_a_run_goes_out_to_transformers_and_comes_back(trained: Path, workspace: Path, tmp_path: Path) -> None:
    """Exported in one call, opened in one line, and scored by us as any model: the bits per byte of the run."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run = trained / "runs" / "full-0"
    export_run(run, tmp_path / "model")
    theirs, tokenizer = (c.from_pretrained(tmp_path / "model") for c in (AutoModelForCausalLM, AutoTokenizer))
    assert theirs.config.model_type == "llama"
    text = "Zwei Wörter, 中文 <|endoftext|> 'quoted'\n\n  end"
    ids = tokenizer(text, split_special_tokens=True)["input_ids"]
    assert ids == Tokenizer.from_file(str(workspace / "tokenizer/tokenizer.json")).encode(text).ids or 0 not in ids
    assert tokenizer.decode(ids) == text
    own = bits_per_byte(records.read_table(run / "scores.parquet", "scores"))
    for found in (
        evaluate_model(tmp_path / "model", workspace, workspace / "design.yaml", tokens=600, context=16),
        evaluate_model(run, workspace, workspace / "design.yaml", tokens=600),
    ):
        assert (found.context, found.likelihood) == (16, "causal")
        assert len(found.rows) == 6
        for row in found.rows:
            assert row["lossy_documents"] == 0
            assert row["bpb"] == pytest.approx(own[row["target"], row["population"], 8192], rel=2e-3)
        assert "bpb" in format_evaluated(found)


def test_what_cannot_be_exported_says_why(trained: Path, workspace: Path, tmp_path: Path) -> None:
    run = trained / "runs" / "full-0"
    with pytest.raises(InputError, match=r"not a finished run: got no run\.json"):
        export_run(trained, tmp_path / "m")
    with pytest.raises(ConfigError, match="transformers has no such model: got ngram"):
        export_run(trained / "runs" / "ngram_full-0", tmp_path / "m")
    moved = tmp_path / "study" / "runs" / "full-0"
    shutil.copytree(run, moved)
    design = json.loads((trained / "design.json").read_text())
    (tmp_path / "study" / "design.json").write_text(json.dumps({**design, "corpus": "0" * 64}))
    with pytest.raises(
        InputError, match=f"another corpus than the run was trained on: got {design['corpus']}; expected 0"
    ):
        export_run(moved, tmp_path / "m", workspace)
    proxy = Proxy.model_validate(json.loads((run / "run.json").read_text())["proxy"])
    with pytest.raises(
        InputError, match=f"another vocabulary than the model's: got {proxy.vocab_size} tokens; expected 99"
    ):
        read_tokenizer(workspace, proxy.model_copy(update={"vocab_size": 99}))
    with pytest.raises(InputError, match="another end-of-text token"):
        read_tokenizer(workspace, proxy.model_copy(update={"eos_id": 5}))
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("engine", ["local", "prism"])
def test_a_sweep_trains_the_same_runs(trained: Path, workspace: Path, design_file: Path, engine: str) -> None:
    """The same run ids and bytes as `train`, as Beam elements here and on Prism."""
    config = None
    if engine == "prism":
        if reason := engines.missing_engine("prism"):
            pytest.skip(reason)
        config = choose_engine(CurateOptions("", "", None, "prism", flags=tuple(engines.engine_flags("prism")[2:])))
    names = ("model.safetensors", "scores.parquet", "curves.parquet", "item_scores.parquet")
    folders = [trained / "runs" / f"{cell}-1" for cell in ("quality_reject_swap", "shuffle")]
    before = {folder / name: (folder / name).read_bytes() for folder in folders for name in names}
    for folder in folders:
        shutil.rmtree(folder)
    runs, numerics = prepare(workspace, design_file, 1)
    jobs = elements(runs, numerics)
    assert [f"{job.cell}-{job.block}" for job in jobs] == [folder.name for folder in folders]
    assert len(pickle.dumps(jobs)) < 10_000
    run_sweep(SweepWork(train_element, jobs, lambda: progress(runs), {}), config, 1, RunsLeft(runs).show)
    assert {path: path.read_bytes() for path in before} == before
    assert elements(runs, numerics) == []


def test_a_rate_is_measured_once(
    workspace: Path, design_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "rates.json"
    out.write_text("[]")
    learning_rates.sweep(workspace, design_file, ["llama-0.1m"], [0.006], 4096, out)
    (row,) = json.loads(out.read_text())
    assert (row["preset"], row["lr"], row["tokens"], row["status"]) == ("llama-0.1m", 0.006, 4096, "finished")
    assert 1 < row["bpb"] < 8
    monkeypatch.setattr(learning_rates, "measure", None)
    learning_rates.sweep(workspace, design_file, ["llama-0.1m"], [0.006], 4096, out)


def test_a_worker_that_sees_another_corpus_does_not_train(trained: Path, workspace: Path, design_file: Path) -> None:
    runs, numerics = prepare(workspace, design_file, 1)
    element = RunElement(str(workspace), runs.design.spec.model_dump_json(), "0123456789ab", "full", 0, numerics)
    with pytest.raises(InputError, match="another design here than in the driver"):
        train_element(element)


def test_effects_speak_json_and_a_missing_study_is_named(
    trained: Path, workspace: Path, capsys: pytest.CaptureFixture
) -> None:
    capsys.readouterr()
    run_effects(workspace, trained.name, as_json=True)
    tables = json.loads(capsys.readouterr().out)
    assert set(tables) == {"effects", "noise", "power", "controls", "recommendations", "metrics", "cell_metrics"}
    with pytest.raises(InputError, match="no such study"):
        run_effects(workspace, "0123456789ab")


def test_records_refuse_wrong_tables(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="wrong columns"):
        records.write_table(tmp_path / "x.parquet", pa.table({"a": [1]}), "curves")
    with pytest.raises(InputError, match="no such table"):
        records.read_table(tmp_path / "none.parquet", "curves")
