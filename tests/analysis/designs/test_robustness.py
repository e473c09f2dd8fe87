"""Options of a design: decisions at another rate and budget, one kind of seed at a time, utility over targets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.commands import open_design
from analysis.design_data import cell_stream
from analysis.design_file import DesignSpec, SliceSpec
from analysis.designs import Cell, Contrast, Design, difference
from analysis.designs.robustness import target_weights, utility_contrasts, with_options
from analysis.mixtures import normalised
from pipelines.contracts.errors import ConfigError
from tests.analysis.laws.studies import DESIGN, write_design_file
from tests.reports.workspace_builder import build_curated

MIXTURE = normalised({"a": 1, "b": 1})
TARGETS = ("a", "b")
SPEC = DesignSpec(name="n", slices={name: SliceSpec(where="true") for name in TARGETS})
CELLS = [
    Cell("full", MIXTURE, "base", "full", "all"),
    Cell("without_a", MIXTURE, "treatment", "full", "without a"),
    Cell("own_base", MIXTURE, "base", "own_base", "a base of its own"),
    Cell("swap", MIXTURE, "treatment", "own_base", "swapped", tokens=4096),
]


def contrast(family: str, target: str, treatment: str, baseline: str) -> Contrast:
    return Contrast(f"{treatment} on {target}", family, "d", target, "unfiltered", "bpb", "named",
                    difference(treatment, baseline), 0.02, 0, "positive: worse")  # fmt: skip


CONTRASTS = [
    *(contrast("cross-slice", target, "without_a", "full") for target in TARGETS),
    *(contrast("decisions", target, "swap", "own_base") for target in TARGETS),
]


def test_only_the_cells_of_decisions_are_trained_again_each_with_its_own_baseline() -> None:
    spec = SPEC.model_copy(update={"robustness": True})
    cells, contrasts = with_options(spec, CELLS, CONTRASTS)
    made = {cell.name: cell for cell in cells[len(CELLS) :]}
    assert list(made) == ["own_base_lr3", "swap_lr3", "own_base_2x", "swap_2x"]
    assert made["swap_lr3"].lr == pytest.approx(spec.proxy.lr / 3)
    assert (made["own_base_2x"].tokens, made["swap_2x"].tokens) == (2 * spec.tokens, 8192)
    assert all(cell.baseline in made for cell in made.values())
    again = contrasts[len(CONTRASTS) :]
    assert [one.family for one in again] == ["robustness-lr"] * 2 + ["robustness-tokens"] * 2
    assert again[0].coef == {"swap_lr3": 1.0, "own_base_lr3": -1.0}
    assert again[3].name == "swap on b at 2x tokens"


def test_robustness_without_decisions_is_refused_and_no_option_adds_nothing() -> None:
    spec = SPEC.model_copy(update={"robustness": True})
    with pytest.raises(ConfigError, match="a design without decisions"):
        with_options(spec, CELLS, CONTRASTS[:2])
    assert with_options(SPEC, CELLS, CONTRASTS) == (CELLS, CONTRASTS)


def test_a_utility_contrast_per_decision_whatever_its_targets() -> None:
    design = Design(SPEC, TARGETS, tuple(CELLS), tuple(CONTRASTS), "corpus")
    (one,) = utility_contrasts(design)
    assert (one.name, one.family, one.target, one.slice) == ("swap on utility", "utility", "utility", "d")
    assert one.coef == CONTRASTS[2].coef
    assert target_weights(None, TARGETS) == {"a": 0.5, "b": 0.5}


def test_a_utility_without_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="positive weight"):
        DesignSpec(name="n", slices=SPEC.slices, utility={"a": 0.0})
    with pytest.raises(ValueError, match="names of slices"):
        DesignSpec(name="n", slices=SPEC.slices, utility={"c": 1.0})


def test_only_the_named_seed_changes(tmp_path: Path) -> None:
    workspace = build_curated(tmp_path)
    design, atoms = open_design(workspace, write_design_file(workspace, DESIGN + "seed_components: true\n", "seeds"))
    plain, _ = open_design(workspace, write_design_file(workspace, DESIGN, "plain"))
    assert plain.design_id != design.design_id
    full = design.cells[0]
    streams = {
        (vary, block): cell_stream(workspace, design, atoms, design.cell(f"seeds_{vary}"), block)
        for vary in ("init", "data", "order")
        for block in (0, 1)
    }
    rows = {key: stream.slots_tokens(0, stream.n_slots) for key, stream in streams.items()}
    base = [cell_stream(workspace, design, atoms, full, block) for block in (0, 1)]
    first, second = (stream.slots_tokens(0, stream.n_slots) for stream in base)
    assert np.array_equal(rows["init", 0], first)
    assert np.array_equal(rows["init", 1], first)
    assert np.array_equal(rows["data", 1], second)
    assert not np.array_equal(first, second)
    assert not np.array_equal(rows["order", 1], rows["order", 0])
    assert np.array_equal(np.sort(rows["order", 1], axis=0), np.sort(first, axis=0))
    assert streams["order", 0].identity != streams["order", 1].identity
    assert replace(streams["order", 0], order_seed="").identity == base[0].identity
