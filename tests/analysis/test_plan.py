"""Designs on a small curated corpus, before anything is trained: cells, ids, refusals, extensions, every kind."""

from __future__ import annotations

import shutil
from importlib import import_module
from pathlib import Path

import pytest

from analysis import records
from analysis.commands import design_extend, design_plan, open_design, prepare
from analysis.design_file import load_design
from analysis.designs import DESIGNS
from analysis.effects_command import run_effects
from analysis.plan import make_plan
from analysis.training.trainer import run_job
from pipelines.contracts.errors import ConfigError, InputError
from pipelines.contracts.recipe import load_recipe
from pipelines.ops.rules import recipe_rules
from tests.analysis.small_study import altered


def test_the_design_has_its_cells_families_and_populations(workspace: Path, design_file: Path) -> None:
    design, _ = open_design(workspace, design_file)
    roles = {cell.name: cell.role for cell in design.cells}
    assert roles == {
        "full": "base", "without_lines": "treatment", "without_notes": "treatment", "sham": "null", "shuffle": "positive", "canary_sham": "null", "canary": "positive",
        "near_duplicate_base": "base", "near_duplicate_swap": "treatment", "quality_reject_swap": "treatment",
    }  # fmt: skip
    for contrast in design.contrasts:
        on_text = contrast.population != "items"
        assert (contrast.population == "unfiltered") == (contrast.family == "decisions")
        assert (contrast.population == "canary") == (contrast.family == "canary") == (contrast.target == "canary")
        assert on_text or contrast.family == "downstream"
        assert contrast.fill in ("proportional", "named")
        own = contrast.family == "own-slice"
        assert not own or contrast.slice == contrast.target
    swap = next(cell for cell in design.cells if cell.name == "near_duplicate_swap")
    assert swap.baseline == "near_duplicate_base"
    assert swap.mixture.pools


def test_the_design_id_changes_with_any_literal_and_with_nothing_else(workspace: Path, design_file: Path) -> None:
    same = altered(workspace, "same.yaml", ("name: tiny", "# a comment\nname: tiny"))
    other = altered(workspace, "other.yaml", ("tokens: 8192", "tokens: 8208"))
    ids = [open_design(workspace, path)[0].design_id for path in (design_file, same, other)]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("blocks: 2", "blocks: 2\nmax_runs: 5"), "more runs than the budget"),
        (("blocks: 2", "blocks: 2\nlooks: {max_blocks: 3}\nmax_runs: 25"), "more runs than the budget: got 30"),
        (("max_epochs: 40", "max_epochs: 0.001"), "too often"),
        (("min_duplicate_tokens: 50", "min_duplicate_tokens: 5000000"), "too few near-duplicates"),
        (("min_pool_tokens: 200", "min_pool_tokens: 2000000000"), "no slice has enough rejects"),
        (("source = 'notes'", "source IN ('notes', 'lines')"), "overlaps another slice"),
        (("leave_out: [lines, notes]", "leave_out: [lins]"), "Did you mean 'lines'"),
        (("slices:", "slicez:"), "Did you mean 'slices'"),
    ],
)
def test_what_cannot_work_is_refused_before_training(workspace: Path, change: tuple[str, str], expected: str) -> None:
    path = altered(workspace, "refused.yaml", change)
    with pytest.raises(ConfigError, match=expected):
        make_plan(*open_design(workspace, path), 1)


def test_a_pool_without_duplicates_is_refused(
    workspace: Path, design_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        import_module("analysis.designs.demo"), "pool_tokens", lambda atoms, pools: dict.fromkeys(pools, 0)
    )
    with pytest.raises(ConfigError, match=r"too few near-duplicates for a contrast: got none of one language in"):
        open_design(workspace, design_file)


@pytest.mark.parametrize("name", ["demo", "demo-pip"])
def test_the_shipped_recipes_are_valid(name: str) -> None:
    recipe_rules(load_recipe(f"recipes/{name}.yaml"))


@pytest.mark.parametrize("path", sorted(Path("designs").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_designs_are_valid(path: Path) -> None:
    spec = load_design(str(path))
    assert spec.blocks >= (
        2 if spec.halves else 5
    )  # halves: a contrast is over all of them, two repeats give a ceiling
    assert set(spec.leave_out) <= set(spec.slices)


def test_every_kind_has_a_design_that_runs_as_it_is() -> None:
    specs = [load_design(str(path)) for path in sorted(Path("designs").glob("*.yaml"))]
    assert {spec.design for spec in specs} == set(DESIGNS) - {"confirmation"}  # made by `laws --confirm`
    assert all(spec.canary for spec in specs)


def test_an_extended_study_has_more_runs_and_the_same_id(workspace: Path, capsys: pytest.CaptureFixture) -> None:
    path = altered(workspace, "looks.yaml", ("blocks: 2", "blocks: 2\nlooks: {max_blocks: 4}"))
    design_plan(workspace, path)
    design, _ = open_design(workspace, path)
    folder = records.study_folder(workspace, design.design_id)
    for cell, block in design.runs():
        run = folder / "runs" / f"{cell.name}-{block}"
        run.mkdir(parents=True)
        (run / "run.json").write_text("{}")
    before = (folder / "design.json").read_bytes()
    design_extend(workspace, design.design_id, 1)
    assert "now 3 of at most 4 blocks" in capsys.readouterr().out
    longer, _ = open_design(workspace, path)
    assert longer.design_id == design.design_id
    assert {block for _, block in longer.runs()} == {0, 1, 2}
    assert (folder / "design.json").read_bytes() == before
    with pytest.raises(InputError, match="no such study"):
        design_extend(workspace, "0" * 12, 1)
    shutil.rmtree(folder)


def test_a_slice_without_held_out_text_is_refused(workspace: Path) -> None:
    train_only = "source = 'notes' AND split = 'train'"
    path = altered(workspace, "train-only.yaml", ("source = 'notes'", train_only))
    with pytest.raises(ConfigError, match="slice 'notes': no held-out component: got none of population 'kept'"):
        make_plan(*open_design(workspace, path), 1)


KINDS = {
    "reweight": "reweight: {slices: [lines], factors: [2, 0.5]}",
    "decisions": "decisions: {decisions: {short: [long]}, off: true, min_pool_tokens: 100}",
    "thresholds": "thresholds: {signal: gopher_words, min: [20, 60], rules: [long]}",
    "duplication": "duplication: {slices: [lines], epochs: [1, 2], min_duplicate_tokens: 100}",
    "factorial": "factorial: {factors: {short: [long]}, min_pool_tokens: 100}",
    "halves": "halves: {groups: 2, pairs: 2}",
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_runs_on_a_curated_workspace(workspace: Path, kind: str, capsys: pytest.CaptureFixture) -> None:
    """Counted, so in a second: the predicates find documents, every cell is drawn, every contrast is estimated."""
    body = f"name: {kind}\ndesign: {kind}\n{KINDS[kind]}"
    path = altered(
        workspace, f"{kind}.yaml", ("name: tiny", body), ("leave_out: [lines, notes]", ""),
        ("near_duplicates: {slice: lines, share: 0.25, min_duplicate_tokens: 50}", ""),
        ("rejects: {share: 0.25, min_pool_tokens: 200}", ""), ("blocks: 2", "blocks: 2\ncanary: 0.05"), ("tokens: 8192", "tokens: 4096"),
        ("proxy: {d_model: 16, layers: 1, heads: 1, context: 16, batch: 8, dtype: float32, compile: \"off\"}",
         "proxy: {model: ngram, order: 2, context: 16, batch: 8}"),
    )  # fmt: skip
    runs, numerics = prepare(workspace, path, 1)
    for item in runs.work(numerics):
        run_job(item.job, lambda: False)
    runs.train_ngrams()
    design, study = runs.design, runs.study
    run_effects(workspace, design.design_id)
    rows = records.read_table(study / "effects.parquet", "effects").to_pylist()
    assert {row["contrast"] for row in rows} >= {one.name for one in design.contrasts}
    missing = [row["reason"] for row in rows if row["estimate"] is None]
    assert not [reason for reason in missing if "no variance" not in reason]
    own = next(row for row in rows if row["family"] == "canary")
    assert own["estimate"] < -0.3  # counts of a twentieth of the tokens find the facts
    shutil.rmtree(study)
