"""TracIn against what really happens when a unit's rows are taken out of every step; snapshots of the trainer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analysis.influence.gradients import flatten, mean_gradient, unflatten
from analysis.influence.protocol import Query, Unit
from analysis.influence.tracin import tracin
from analysis.models.neural import build, initialise, load
from analysis.training import snapshots
from analysis.training.scheduler import Interrupted
from analysis.training.trainer import run_job
from pipelines.contracts.errors import InputError
from tests.analysis.toy import documents, job, small_proxy


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def rows(n: int, seed: int) -> np.ndarray:
    return np.concatenate(documents(n * 3, seed))[: n * 17].reshape(n, 17)


def gradient_descent(model, batches: list[np.ndarray], matrix: torch.Tensor, lr: float) -> None:
    """Train with a fixed preconditioner; the denominator of a batch is that of the full batch."""
    parameters = list(model.parameters())
    for batch in batches:
        share = len(batch) / 8
        step = unflatten(matrix * mean_gradient(model, batch) * lr * share, parameters)
        with torch.no_grad():
            for parameter, change in zip(parameters, step, strict=True):
                parameter.sub_(change)


def test_is_the_first_order_of_training_without_the_unit() -> None:
    """Small steps: removing a unit's rows from every batch changes the query's loss by tau, in nats per token."""
    proxy = small_proxy()
    start = build(proxy).double()
    initialise(start, 3)
    weights = {name: value.detach().clone() for name, value in start.named_parameters()}
    generator = torch.Generator().manual_seed(5)
    second = {n: torch.rand(v.shape, generator=generator, dtype=torch.float64) + 0.1 for n, v in weights.items()}
    matrix = 1 / flatten(list(second.values())).sqrt()
    full = [rows(8, seed) for seed in range(12)]
    query = Query("q", rows(6, 77), np.ones((6, 16), bool))
    lr = 2e-4
    losses = []
    for batches in (full, [batch[2:] for batch in full]):
        model = build(proxy).double()
        model.load_state_dict(weights, strict=False)
        gradient_descent(model, batches, matrix, lr)
        losses.append(float(model.nats(torch.from_numpy(query.rows)).detach().mean()))
    unit = Unit("first rows", np.concatenate([batch[:2] for batch in full]), 12 * 2 * 16)
    state = snapshots.Snapshot(0, weights, second, lr_sum=12 * lr)
    quiet = proxy.model_copy(update={"clip": 1e9})
    model = build(quiet).double()
    tau = tracin(model, [state], np.concatenate(full), 12 * 8 * 16).score([unit], [query])
    measured = losses[1] - losses[0]
    assert measured > 0
    assert tau[0, 0] == pytest.approx(measured, rel=0.05)


def test_a_run_keeps_its_snapshots_and_a_resumed_one_the_same(tmp_path) -> None:
    whole = job(tmp_path / "whole", n_slots=256)
    run_job(type(whole)(**{**vars(whole), "n_snapshots": 2}), lambda: False)
    calls = iter([False, True, True, True])
    cut = job(tmp_path / "cut", n_slots=256)
    cut = type(cut)(**{**vars(cut), "n_snapshots": 2})
    with pytest.raises(Interrupted):
        run_job(cut, lambda: next(calls))
    run_job(cut, lambda: False)
    kept = [sorted((tmp_path / name / "snapshots").iterdir()) for name in ("whole", "cut")]
    assert [path.name for path in kept[0]] == ["00000016.safetensors", "00000048.safetensors"]
    assert [path.read_bytes() for path in kept[0]] == [path.read_bytes() for path in kept[1]]
    first, last = snapshots.load(tmp_path / "whole")
    assert first.step == 16
    assert all((value >= 0).all() for value in first.second_moments.values())
    assert first.lr_sum > last.lr_sum > 0
    final = load(tmp_path / "whole")
    assert set(last.weights) == {name for name, _ in final.named_parameters()}
    plain = job(tmp_path / "plain", n_slots=256)
    run_job(plain, lambda: False)
    assert not (tmp_path / "plain" / "snapshots").exists()
    for name in ("scores.parquet", "model.safetensors"):
        if name == "model.safetensors":  # to keep snapshots changes nothing else
            assert (tmp_path / "plain" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_learned_text_helps_and_the_sign_says_so(tmp_path) -> None:
    one = job(tmp_path / "run", n_slots=512, lr=1e-2)
    run_job(type(one)(**{**vars(one), "n_snapshots": 3}), lambda: False)
    seen = one.stream.slots_tokens(0, 64)
    rng = np.random.default_rng(0)
    noise = rng.permuted(seen, axis=1)
    model = load(tmp_path / "run")
    query = Query("held out", rows(12, 555), np.ones((12, 16), bool))
    units = [Unit("text", seen, 512 * 8), Unit("noise", noise, 512 * 8)]
    for precondition in (True, False):
        made = tracin(model, snapshots.load(tmp_path / "run"), seen, 512 * 16, precondition=precondition)
        tau = made.score(units, [query])
        assert tau[0, 0] > 0
        assert tau[0, 0] > tau[1, 0]


def test_damaged_or_missing_snapshots_are_named(tmp_path) -> None:
    with pytest.raises(InputError, match="no snapshots"):
        tracin(build(small_proxy()), [], np.zeros((1, 17), np.int64), 1)
    (tmp_path / "snapshots").mkdir()
    (tmp_path / "snapshots" / "00000001.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match=r"00000001\.safetensors.*damaged snapshot"):
        snapshots.load(tmp_path)
