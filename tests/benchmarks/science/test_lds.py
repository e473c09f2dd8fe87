"""The LDS study: units of equal size and no common text, subsets in one pass, a tiny study trained and scored once."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.commands import open_design
from benchmarks.science import lds
from benchmarks.science.contract import Bench
from benchmarks.science.lds_data import UnitStream, draw_subsets, make_heldouts, make_units
from pipelines.contracts.errors import InputError


def test_units_are_equal_and_share_no_row(bench: Bench) -> None:
    _, atoms = open_design(bench.workspace, bench.design)
    units = make_units(str(bench.workspace), atoms, ["lines", "pages"], topics=3, rows=8, context=16)
    assert [unit.name for unit in units] == [f"{s}/{t}" for s in ("lines", "pages") for t in range(3)]
    assert {unit.rows.shape for unit in units} == {(8, 17)}
    assert {unit.tokens for unit in units} == {128}
    for unit in units:
        assert (unit.rows[1:, 0] == unit.rows[:-1, -1]).all()  # rows follow each other
    again = make_units(str(bench.workspace), atoms, ["lines", "pages"], topics=3, rows=8, context=16)
    assert all((a.rows == b.rows).all() for a, b in zip(units, again, strict=True))
    with pytest.raises(InputError, match="no held-out piece"):
        make_heldouts(str(bench.workspace), atoms, ["lines"], 2, least_tokens=10**6)


def test_subsets_are_halves_and_streams_keep_one_order(tmp_path) -> None:
    members = draw_subsets(10, 6, "s")
    assert members.shape == (6, 10)
    assert (members.sum(1) == 5).all()
    assert len({tuple(row) for row in members.tolist()}) == 6
    rows = np.arange(10 * 4 * 3).reshape(10, 4, 3)
    np.save(tmp_path / "units.npy", rows)
    whole = UnitStream(tmp_path / "units.npy", tuple(range(10)), "seed")
    part = UnitStream(tmp_path / "units.npy", (2, 7), "seed")
    assert whole.n_slots == 40
    assert part.n_slots == 8
    mine = [row for row in whole.slots_tokens(0, 40).tolist() if row[0] // 12 in (2, 7)]
    assert part.slots_tokens(0, 8).tolist() == mine  # one pass, in the order of the whole
    assert part.identity != whole.identity
    assert part.drawn() == {unit: {"tokens": 8, "epochs": 1.0} for unit in ("2", "7")}


def test_a_tiny_study_is_trained_and_scored_once(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    found = lds.measure(bench, lds.SMALL)
    kept = {path: path.stat().st_mtime_ns for path in bench.folder.glob("runs/*/*") if path.suffix in (".json", ".npz")}
    capsys.readouterr()
    assert lds.measure(bench, lds.SMALL) == found
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert "done" not in capsys.readouterr().out
    assert [(row["method"], row["level"]) for row in found["lds"]] == [
        (method, level) for method in lds.METHODS for level in ("documents", "slices") if (method, level) != ("datamodel", "slices")
    ]  # fmt: skip
    for row in found["lds"]:
        assert -1 <= row["lo"] <= row["hi"] <= 1
        assert row["usable"] == (row["lo"] > 0)
    assert len(lds.claims(found)) == 4
    assert "| EK-FAC at the end of the training | documents |" in "\n".join(lds.lines(found))
    assert lds.charts(found)["scores"]["layer"]


def test_a_datamodel_never_sees_the_subset_that_it_predicts() -> None:
    rng = np.random.default_rng(0)
    members = draw_subsets(12, 40, "d")
    measured = members @ rng.normal(size=(12, 3)) + 0.01 * rng.normal(size=(40, 3))
    first = lds.datamodel(members, measured)
    changed = measured.copy()
    changed[7] += 100
    assert np.allclose(lds.datamodel(members, changed)[7], first[7])
    correlation = np.corrcoef(first[:, 0], measured[:, 0])[0, 1]
    assert correlation > 0.9
