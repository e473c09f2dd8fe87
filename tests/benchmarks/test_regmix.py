"""The RegMix benchmark: its reader, its page, and the real runs where they lie."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from analysis.laws.boosted_trees import LightGBMLaw
from analysis.laws.learning_curve import resampled_spearman
from analysis.laws.power import PowerLaw
from benchmarks import regmix
from tests.analysis.laws.swarms import mixtures, power_losses

ROOT = Path(__file__).parents[2]


def write_runs(folder: Path, split: str, runs: int, seed: int) -> None:
    weights = mixtures(runs, seed)
    index = np.arange(1, runs + 1)[:, None]
    for kind, columns, names in (
        ("mixture", weights, [f"train_the_pile_s{i}" for i in range(weights.shape[1])]),
        ("pile_loss", power_losses(weights, 0.01, seed), [f"metric/the_pile_t{i}_val_loss" for i in range(3)]),
    ):
        np.savetxt(folder / f"{split}_{kind}_1m.csv", np.hstack([index, columns]), delimiter=",",
                   header=",".join(["index", *names]), comments="")  # fmt: skip


def test_a_small_swarm_goes_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_runs(tmp_path, "train", 60, 0)
    write_runs(tmp_path, "test", 40, 1)
    train, test = regmix.read_swarm(tmp_path, "train"), regmix.read_swarm(tmp_path, "test")
    assert train.slices == ("s0", "s1", "s2", "s3", "s4")
    assert train.targets == ("t0", "t1", "t2")
    monkeypatch.setattr(regmix, "DRAWS", {40: 1})
    monkeypatch.setattr(regmix, "LAWS", {"power": (PowerLaw(1e-4),), "LightGBM": (LightGBMLaw(),)})
    monkeypatch.setattr(regmix, "choose", lambda weights, values: choose_of(weights, values, regmix.LAWS))
    measured = regmix.learning_curve(train, test, tmp_path / "cache")
    assert measured[0]["lo"] > 0
    assert measured == regmix.learning_curve(train, test, tmp_path / "cache")
    assert any("| 40 | 1 |" in line and "power 1" in line for line in regmix.curve_lines(measured))


def choose_of(weights: np.ndarray, values: np.ndarray, laws: dict):
    from analysis.laws.choice import choose

    return choose(weights, values, laws)


def test_files_in_another_order_are_refused(tmp_path: Path) -> None:
    write_runs(tmp_path, "train", 20, 0)
    path = tmp_path / "train_mixture_1m.csv"
    head, first, second, *rest = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([head, second, first, *rest]) + "\n", "utf-8")
    with pytest.raises(ValueError, match="not in one order"):
        regmix.read_swarm(tmp_path, "train")


def test_the_page_shows_the_data_that_is_kept() -> None:
    kept = json.loads((ROOT / regmix.RESULTS).read_text("utf-8"))
    page = (ROOT / regmix.PAGE).read_text("utf-8")
    for line in [
        kept["machine"],
        *regmix.curve_lines(kept["curve"]),
        *regmix.interval_lines(kept),
        *regmix.optimum_lines(kept["optimum"]),
    ]:
        assert line in page


@pytest.mark.skipif(
    not (ROOT / regmix.FOLDER).exists(),
    reason="the runs of RegMix are not at ../shared/data/regmix; see docs/reference/laws.md",
)
def test_the_power_law_beats_lightgbm_on_real_runs() -> None:
    train, test = (regmix.read_swarm(ROOT / regmix.FOLDER, split) for split in ("train", "test"))
    assert (len(train.values), len(test.values), len(train.targets)) == (512, 256, 13)
    assert not train.left_out
    rows = np.random.default_rng(0).permutation(512)[:64]
    fitted = [
        law.fit(train.weights[rows], train.values[rows]).mean(test.weights) for law in (PowerLaw(1e-4), LightGBMLaw())
    ]
    sample = np.random.default_rng(0).integers(0, 256, (200, 256))
    ours, theirs = (resampled_spearman(predicted, test.values, sample) for predicted in fitted)
    assert np.quantile(ours - theirs, 0.025) > 0
    assert ours.mean() > 98
